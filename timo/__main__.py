# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m timo`` is the command line."""

from timo.cli import main

main()
