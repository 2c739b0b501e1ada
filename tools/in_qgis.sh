#!/bin/sh
# Runs a command that needs a display: on a virtual one, so that no window opens on the desktop.
set -eu
export QT_QPA_PLATFORM=xcb
exec xvfb-run -a -s "-screen 0 1600x1000x24" "$@"
