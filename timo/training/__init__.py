# SPDX-License-Identifier: GPL-3.0-or-later
"""Training: the loop, its losses, and the figures it is judged by."""
