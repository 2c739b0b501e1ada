# SPDX-License-Identifier: GPL-3.0-or-later
"""Between QGIS's layers and the files that jobs read and write. No widgets."""
