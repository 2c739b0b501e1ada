# SPDX-License-Identifier: GPL-3.0-or-later
"""Wires the plugin into QGIS: one action, one dock, made when it is first opened."""

from __future__ import annotations

import sys
from typing import Any, Optional

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtWidgets import QAction, QDialog, QWidget

from . import log
from .compat import icon
from .guide_links import GuideLinks
from .i18n import tr
from .opening import Opening, thaw
from .timing import slot

NO_PYZMQ = tr(
    "TiMo needs the Python package pyzmq, which this QGIS does not have. "
    "Have it installed into TiMo's own folder, or install it for QGIS's Python yourself "
    "(Debian and Ubuntu: python3-zmq) and start QGIS again."
)
WAIT = 10
"""Milliseconds after which the modules are looked for again."""


class TimoPlugin:
    """What QGIS loads. Nothing is connected, started or read before the dock is opened.

    Args:
        iface: QGIS's interface.
    """

    def __init__(self, iface: Any) -> None:
        self.iface = iface
        self.action: Optional[QAction] = None
        self.setup: Optional[QAction] = None
        self.dock: Any = None
        self.options: Any = None
        self.provider: Any = None
        self._opening: Optional[Opening] = None
        self._setup_wanted = False
        self._installer: Any = None
        self._guide: Optional[GuideLinks] = None

    def initProcessing(self) -> None:
        """Add the algorithms; all there is where QGIS has no window, as in ``qgis_process``."""
        from .processing.provider import TimoProvider

        provider = TimoProvider()
        if QgsApplication.processingRegistry().addProvider(provider):  # else it has deleted this one
            self.provider = provider

    def initGui(self) -> None:
        """Add the action to the toolbar and to the Raster menu, the algorithms, and the page of options."""
        from .gui.options_factory import OptionsFactory

        self.initProcessing()
        self._guide = GuideLinks(self.iface.mainWindow())
        log.attach(self.iface.messageBar())
        self.action = QAction(icon("timo"), tr("TiMo: map image time series"), self.iface.mainWindow())
        self.action.setObjectName("timoAction")
        self.action.setCheckable(True)
        self.action.triggered.connect(self._on_triggered)
        self.iface.addToolBarIcon(self.action)
        self.iface.addPluginToRasterMenu("TiMo", self.action)
        self.setup = QAction(tr("Set up TiMo…"), self.iface.mainWindow())
        self.setup.setObjectName("timoSetupAction")
        self.setup.triggered.connect(self._on_setup)
        self.iface.addPluginToRasterMenu("TiMo", self.setup)
        self.options = OptionsFactory()
        self.iface.registerOptionsWidgetFactory(self.options)

    def unload(self) -> None:
        """Leave nothing behind; jobs go on in the backend."""
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None
        log.attach(None)
        if self._guide is not None:
            self._guide.close()
            self._guide = None
        self._drop_installer()
        if self._opening is not None:
            self._opening.give_up()
            self._opening = None
        pyzmq = sys.modules.get(f"{__package__}.backend.pyzmq")
        if pyzmq is not None:
            pyzmq.withdraw()
        if self.dock is not None:
            shared = self.dock.shared
            self.dock.end()
            self._close_windows()
            self.iface.removeDockWidget(self.dock)
            self.dock.close()
            if shared.backend.close():
                shared.backend.deleteLater()
            shared.background.close()
            shared.background.deleteLater()
            self.dock.deleteLater()
            self.dock = None
        thaw()
        if self.options is not None:
            self.iface.unregisterOptionsWidgetFactory(self.options)
            self.options = None
        if self.action is not None:
            self.iface.removePluginRasterMenu("TiMo", self.action)
            self.iface.removeToolBarIcon(self.action)
            self.action.deleteLater()
            self.action = None
        if self.setup is not None:
            self.iface.removePluginRasterMenu("TiMo", self.setup)
            self.setup.deleteLater()
            self.setup = None

    def _close_windows(self) -> None:
        """Close what stands above QGIS's window, and stop what QGIS's tasks do for it."""
        for window in self.iface.mainWindow().findChildren(QWidget):
            if window.isWindow() and window.objectName().startswith("timo"):
                if isinstance(window, QDialog):
                    window.done(QDialog.DialogCode.Rejected)  # also takes its tool and marks off the map
                else:
                    window.close()
                window.deleteLater()
        for task in QgsApplication.taskManager().tasks():
            if task.objectName().startswith("timo"):
                task.cancel()

    def open(self) -> Any:
        """Show the dock; it is made at the first time. Returns it."""
        if self.dock is None:
            opening, self._opening = self._opening or Opening(self.iface), None
            while opening.step():
                pass
            self._take(opening)
        self.dock.setUserVisible(True)
        self.dock.shared.backend.start()
        if self._setup_wanted:
            self._setup_wanted = False
            self.dock.open_setup()
        return self.dock

    def _take(self, opening: Opening) -> None:
        self._opening = None
        self.dock = opening.dock
        self.dock.closed.connect(self._on_closed)

    @slot
    def _on_triggered(self, on: bool) -> None:
        if not on:
            if self.dock is not None:
                self.dock.close()
        elif self.dock is not None:
            self.open()
        elif self._opening is None:
            self._opening = Opening(self.iface)
            QTimer.singleShot(WAIT, self._go_on)

    @slot
    def _on_setup(self) -> None:
        self._setup_wanted = True
        if self.action is not None:
            self.action.setChecked(True)
            self._on_triggered(True)

    @slot
    def _go_on(self) -> None:
        """Make the next piece of the dock, the others when the interface had its turn; then open it."""
        opening = self._opening
        if self.action is None or opening is None:
            return  # unloaded, or opened at once, meanwhile
        if opening.loading():
            QTimer.singleShot(WAIT, self._go_on)
            return
        if not self.action.isChecked():  # not wanted any more
            self._opening, self._setup_wanted = None, False
            opening.give_up()
            return
        try:
            more = opening.step()
        except Exception as error:
            self._opening, self._setup_wanted = None, False
            self.action.setChecked(False)
            if not isinstance(error, ImportError) or error.name != "zmq":
                raise
            log.log(NO_PYZMQ, "error", push=True, button=tr("Install it"), pressed=self._install_pyzmq)
            return
        if more:
            QTimer.singleShot(0, self._go_on)
        else:
            self._take(opening)
            QTimer.singleShot(0, self._show)

    @slot
    def _install_pyzmq(self) -> None:
        if self._installer is not None:
            return
        from .backend.pyzmq import PyzmqInstaller
        from .background import Background
        from .settings import Settings

        window = self.iface.mainWindow()
        self._installer = PyzmqInstaller(Settings.load().home_folder, Background(window), window)
        self._installer.ended.connect(self._on_pyzmq)
        self._installer.start()
        log.log(tr("Installing pyzmq…"), push=True)

    @slot
    def _on_pyzmq(self, wrong: str) -> None:
        self._drop_installer()
        if wrong:
            log.log(wrong, "error", push=True, button=tr("Retry"), pressed=self._install_pyzmq)
        elif self.action is not None:
            self.action.setChecked(True)
            self._on_triggered(True)

    def _drop_installer(self) -> None:
        if self._installer is not None:
            self._installer.close()
            self._installer.deleteLater()
            self._installer = None

    @slot
    def _show(self) -> None:
        if self.action is not None and self.dock is not None:
            self.open()

    @slot
    def _on_closed(self) -> None:
        if self.action is not None:
            self.action.setChecked(False)
