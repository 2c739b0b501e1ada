# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells QGIS of our page of options, and loads it when it is opened, not when QGIS starts."""

from __future__ import annotations

from typing import Optional

from qgis.gui import QgsOptionsPageWidget, QgsOptionsWidgetFactory
from qgis.PyQt.QtWidgets import QWidget

from ..compat import icon


class OptionsFactory(QgsOptionsWidgetFactory):
    """Makes the page; QGIS asks for one each time the options are opened."""

    def __init__(self) -> None:
        super().__init__()
        self.setTitle("TiMo")

    def icon(self):
        """The plugin's icon."""
        return icon("timo")

    def createWidget(self, parent: Optional[QWidget]) -> QgsOptionsPageWidget:
        """The page."""
        from .options import OptionsPage

        return OptionsPage(parent)
