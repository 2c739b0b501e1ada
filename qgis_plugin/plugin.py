# SPDX-License-Identifier: GPL-3.0-or-later
"""Wires the plugin into QGIS: one action, one dock, made when it is first opened."""

from __future__ import annotations

from typing import Any, Optional

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QAction

from . import log
from .compat import icon
from .timing import slot


class TimoPlugin:
    """What QGIS loads. Nothing is connected, started or read before the dock is opened.

    Args:
        iface: QGIS's interface.
    """

    def __init__(self, iface: Any) -> None:
        self.iface = iface
        self.action: Optional[QAction] = None
        self.dock: Any = None

    def initGui(self) -> None:
        """Add the action to the toolbar and to the Raster menu."""
        log.attach(self.iface.messageBar())
        self.action = QAction(icon("timo"), "TiMo: map image time series", self.iface.mainWindow())
        self.action.setObjectName("timoAction")
        self.action.setCheckable(True)
        self.action.triggered.connect(self._on_triggered)
        self.iface.addToolBarIcon(self.action)
        self.iface.addPluginToRasterMenu("TiMo", self.action)

    def unload(self) -> None:
        """Leave nothing behind; jobs go on in the backend."""
        log.attach(None)
        if self.dock is not None:
            shared = self.dock.shared
            self.iface.removeDockWidget(self.dock)
            self.dock.close()
            shared.backend.close()
            shared.background.close()
            self.dock.deleteLater()
            self.dock = None
        if self.action is not None:
            self.iface.removePluginRasterMenu("TiMo", self.action)
            self.iface.removeToolBarIcon(self.action)
            self.action.deleteLater()
            self.action = None

    def open(self) -> Any:
        """Show the dock; it is made at the first time. Returns it."""
        if self.dock is None:
            self._make_dock()
        self.dock.setUserVisible(True)
        self.dock.shared.backend.start()
        return self.dock

    def _make_dock(self) -> None:
        from .backend.link import Backend
        from .background import Background
        from .gui.dock import TimoDock
        from .settings import Settings
        from .shared import Shared

        settings = Settings.load()
        window = self.iface.mainWindow()
        backend = Backend(settings.backend_program, settings.home_folder, window)
        self.dock = TimoDock(Shared(self.iface, settings, backend, Background(window)), window)
        self.iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.dock)
        window.resizeDocks([self.dock], [self.dock.sizeHint().width()], Qt.Orientation.Horizontal)
        self.dock.closed.connect(self._on_closed)

    @slot
    def _on_triggered(self, on: bool) -> None:
        if on:
            self.open()
            if self.action is not None:
                self.action.setChecked(True)
        elif self.dock is not None:
            self.dock.close()

    @slot
    def _on_closed(self) -> None:
        if self.action is not None:
            self.action.setChecked(False)
