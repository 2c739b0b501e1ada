# SPDX-License-Identifier: GPL-3.0-or-later
"""TiMo: maps from satellite image time series.

Importing this package loads no torch: the command line and the backend start at once.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("timo-qgis")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"
