# SPDX-License-Identifier: GPL-3.0-or-later
"""A job's outputs: what there is, how large it is, and where it lies."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Dict, List, Mapping, Optional

from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtWidgets import (
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ..backend.jobs import JobView
from ..background import Background
from ..compat import icon, plain
from ..i18n import tr
from ..timing import inside_qgis, slot
from .times import size

KINDS = {
    "bundle": tr("Model"),
    "map": tr("Map"),
    "confidence": tr("Confidence"),
    "probabilities": tr("Probabilities"),
    "maps_per_date": tr("Maps of the dates"),
    "polygons": tr("Polygons"),
    "report": tr("Report"),
    "errors": tr("Places at fault"),
}
MOST_FILES = 20_000  # of a folder whose size is asked for

Sizes = Dict[str, Optional[int]]


class OutputsView(QWidget):
    """Lists the outputs of one job."""

    def __init__(self, background: Background) -> None:
        super().__init__()
        self.setObjectName("timoJobsOutputs")
        self._background = background
        self._outputs: Mapping[str, str] = {}
        self.tree = QTreeWidget()
        self.tree.setObjectName("timoJobsOutputsTree")
        self.tree.setAccessibleName(tr("Outputs"))
        self.tree.setHeaderLabels([tr("Output"), tr("Size"), tr("File")])
        self.tree.setRootIsDecorated(False)
        self.tree.setUniformRowHeights(True)
        header = self.tree.header()
        header.setStretchLastSection(True)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        self.folder = QPushButton(icon("folder"), tr("Show in its folder"))
        self.folder.setObjectName("timoJobsOutputsFolder")
        self.folder.setToolTip(tr("Open the folder in which the output lies"))
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(self.folder)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self.tree, 1)
        layout.addLayout(row)
        self.tree.itemSelectionChanged.connect(self._on_selection)
        self.tree.itemActivated.connect(self._on_folder)
        self.folder.clicked.connect(self._on_folder)

    def show_job(self, job: Optional[JobView]) -> None:
        """List what a job has made so far."""
        outputs = job.outputs() if job is not None else {}
        if outputs == self._outputs and outputs:
            return
        self._outputs = outputs
        self.tree.clear()
        for kind, path in outputs.items():
            item = QTreeWidgetItem([KINDS.get(kind, kind), "", Path(path).name])
            item.setToolTip(2, plain(path))
            self.tree.addTopLevelItem(item)
        if outputs:
            self.tree.setCurrentItem(self.tree.topLevelItem(0))
        self._on_selection()
        paths = list(outputs.values())
        if paths:
            self._background.run(lambda: measure(paths), self._show_sizes)

    def _show_sizes(self, sizes: Sizes) -> None:
        for number, path in enumerate(self._outputs.values()):
            if path in sizes:
                count = sizes[path]
                gone = tr("moved or deleted")
                self.tree.topLevelItem(number).setText(1, gone if count is None else size(count))

    def _path(self) -> str:
        number = self.tree.indexOfTopLevelItem(self.tree.currentItem()) if self.tree.currentItem() else -1
        paths: List[str] = list(self._outputs.values())
        return paths[number] if 0 <= number < len(paths) else ""

    @slot
    def _on_selection(self) -> None:
        self.folder.setEnabled(bool(self._path()))

    @slot
    def _on_folder(self) -> None:
        path = self._path()
        if path:
            with inside_qgis():
                QDesktopServices.openUrl(QUrl.fromLocalFile(str(Path(path).parent)))


def measure(paths: List[str]) -> Sizes:
    """The bytes of files and folders; None of those that are not there. Touches no widget."""
    return {path: _bytes(Path(path)) for path in paths}


def _bytes(path: Path) -> Optional[int]:
    try:
        if not path.is_dir():
            return path.stat().st_size
        total, count = 0, 0
        for folder, _, names in os.walk(path):
            for name in names:
                total += (Path(folder) / name).lstat().st_size
                count += 1
                if count >= MOST_FILES:
                    return total
        return total
    except OSError:
        return None
