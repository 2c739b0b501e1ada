# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the dock piece by piece: QGIS's interface has its turn after each module and each page."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Generator, List

from qgis.PyQt.QtCore import Qt

from .timing import inside_qgis

# What the dock stands on, in an order in which no single import brings many others along.
PARTS = (
    "._client.core", ".backend.jobs", ".backend.launcher", ".backend.thread", ".backend.link",
    ".settings", ".background",
    ".layers.result_files", ".layers.results", ".arrivals", ".gui.form", ".layers.label_checks",
    ".layers.label_faults", ".gui.class_table", ".gui.class_editor", ".gui.train_labels", ".gui.new_labels",
    ".gui.curve", ".gui.run_box", ".gui.series_table", ".gui.timeline", ".gui.finding_list",
    ".gui.series_bands", ".gui.series_sources", ".gui.series_bar", ".gui.page_series",
    ".gui.train_result", ".gui.train_evaluate",
    ".gui.page_train", ".gui.area_box", ".gui.models_dialog", ".gui.page_predict", ".gui.jobs_table",
    ".gui.jobs_view", ".gui.job_panel", ".gui.clean_up", ".gui.page_jobs", ".gui.setup_choice", ".gui.setup",
    ".gui.banner",
    ".gui.export_dialog", ".gui.compare_dialog", ".gui.unsure_dialog", ".gui.result_menu", ".gui.dock",
)  # fmt: skip


class Opening:
    """The dock while it is being made.

    Args:
        iface: QGIS's interface.
    """

    def __init__(self, iface: Any) -> None:
        self._iface = iface
        self._steps = self._make()
        self.dock: Any = None
        """The dock, once it is made and in the window."""

    def step(self) -> bool:
        """Make the next piece.

        Returns:
            Whether there are more.

        Raises:
            ImportError: pyzmq is missing.
        """
        return next(self._steps, None) is not None

    def give_up(self) -> None:
        """Leave nothing of what is made so far."""
        self._steps.close()

    def _make(self) -> Generator[str, None, None]:
        for part in PARTS:
            import_module(part, __package__)
            yield part
        from .backend.link import Backend
        from .background import Background
        from .gui.dock import TimoDock, pages
        from .settings import Settings
        from .shared import Shared

        settings, window = Settings.load(), self._iface.mainWindow()
        backend = Backend(settings.backend_program, settings.home_folder, window)
        shared = Shared(self._iface, settings, backend, Background(window))
        made: List[Any] = []
        try:
            for page in pages(shared):
                made.append(page)
                yield page.objectName()
            dock = TimoDock(shared, made, window)
            made = [dock]
            yield dock.objectName()
            with inside_qgis():
                self._iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
                window.resizeDocks([dock], [dock.sizeHint().width()], Qt.Orientation.Horizontal)
            yield "window"
        except GeneratorExit:  # given up
            shared.background.close()
            for one in (*made, shared.background, backend):
                one.deleteLater()
            raise
        self.dock = dock
