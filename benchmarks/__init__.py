# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured, against peers and limits. Run all with ``make bench``."""
