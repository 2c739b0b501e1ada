# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m timo_backend`` is the backend's command line."""

from timo_backend.cli import main

main()
