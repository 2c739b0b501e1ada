# SPDX-License-Identifier: GPL-3.0-or-later
"""TiMo for QGIS: maps from satellite image time series. Shows, asks and draws; the backend computes."""

from __future__ import annotations


def classFactory(iface):
    """The plugin, as QGIS asks for it."""
    from .plugin import TimoPlugin

    return TimoPlugin(iface)
