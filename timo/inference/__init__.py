# SPDX-License-Identifier: GPL-3.0-or-later
"""Wall-to-wall prediction: chips of one global grid, blended block by block."""
