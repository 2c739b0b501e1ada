# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model is worth, in figures and as a page to read: no torch."""
