# SPDX-License-Identifier: GPL-3.0-or-later
"""The dock and its pages, one widget a file."""
