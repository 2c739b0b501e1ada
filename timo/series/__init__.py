# SPDX-License-Identifier: GPL-3.0-or-later
"""Series of dated rasters, labels on their grid, and chips of both."""
