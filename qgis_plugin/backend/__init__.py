# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend as the plugin sees it: its program, the socket thread, its jobs. No widgets."""
