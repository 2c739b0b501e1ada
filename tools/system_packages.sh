#!/bin/sh
# Installs the Debian packages that QGIS and its tests need, where they are missing and we may; else says how.
set -eu
needed="qgis python3-qgis gdal-bin python3-gdal python3-zmq python3-venv xvfb xauth"

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "This is not Debian or Ubuntu: install QGIS (3.22 or later) with its Python, pyzmq for that Python, and Xvfb."
    exit 0
fi

missing=""
for package in $needed; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q "install ok installed" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # shellcheck disable=SC2086  # a list of words
    apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    echo "Some system packages are missing. Run this line, then the same command again:" >&2
    echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends$missing" >&2
    exit 1
fi
