# SPDX-License-Identifier: GPL-3.0-or-later
"""What earlier set-ups have left on the disk, and its removal."""

from __future__ import annotations

from typing import Any

from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QPushButton, QWidget

from ..backend.launcher import find
from ..backend.setup_files import Leftover, left_over, remove_left
from ..compat import label
from ..i18n import tr
from ..shared import Shared
from ..timing import slot
from .question import confirm

GB = 1e9


class LeftoverRow(QWidget):
    """Hidden where nothing is left.

    Args:
        shared: What all pages share.
    """

    changed = pyqtSignal()
    """It is shown or hidden, or ``busy`` or not."""

    def __init__(self, shared: Shared) -> None:
        super().__init__()
        self._shared = shared
        self._left = Leftover()
        self._held: Any = None
        self.busy = False
        self.told = label("", "timoSetupLeft", muted=True)
        self.remove = QPushButton(tr("Remove them…"))
        self.remove.setObjectName("timoSetupRemove")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.told, 1)
        row.addWidget(self.remove)
        self.remove.clicked.connect(self._on_remove)
        self.setVisible(False)

    def hold(self) -> None:
        """While the backend that answers now runs, its environment is used: nothing is removed."""
        self._held = self._shared.backend.server.get("pid")

    def look(self) -> None:
        """Measure it again; it takes a while, in another thread."""
        self.setVisible(False)
        home, program = self._shared.settings.home_folder, find(self._shared.settings.backend_program)
        self._shared.background.run(lambda: left_over(home, program), self._show, owner=self)

    def _show(self, left: Leftover) -> None:
        self._left = left
        self.told.setText(
            tr("Earlier set-ups that are not used here any more take {size:.1f} GB.", size=left.size / GB)
        )
        backend = self._shared.backend
        old = backend.state.ready and self._held is not None and self._held == backend.server.get("pid")
        self.setVisible(bool(left.folders) and not old)
        self.changed.emit()

    @slot
    def _on_remove(self) -> None:
        confirm(
            self,
            tr("Remove what earlier set-ups have left?"),
            tr("{folders} in {home}. Models, maps and jobs stay.",
               folders=", ".join(folder.name for folder in self._left.folders),
               home=self._shared.settings.home_folder),
            tr("Remove them"),
            self._remove,
        )  # fmt: skip

    def _remove(self) -> None:
        self._be_busy(True)
        home, left = self._shared.settings.home_folder, self._left
        self._shared.background.run(lambda: remove_left(home, left), self._on_removed, owner=self)

    def _on_removed(self, trouble: str) -> None:
        self._be_busy(False)
        if trouble:
            self.told.setText(trouble)
        else:
            self.look()

    def _be_busy(self, busy: bool) -> None:
        self.busy = busy
        self.remove.setEnabled(not busy)
        self.changed.emit()
