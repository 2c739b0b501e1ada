# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m timo_backend`` is the backend's command line."""

import sys


def main() -> None:
    """The program ``timo-backend``, which says so where the library was installed without the backend."""
    try:
        from timo_backend.cli import main as run
    except ModuleNotFoundError as error:
        if error.name != "zmq":
            raise
        sys.stderr.write("The backend needs pyzmq: install it with `pip install 'timo-qgis[backend]'`.\n")
        sys.exit(1)
    run()


if __name__ == "__main__":
    main()
