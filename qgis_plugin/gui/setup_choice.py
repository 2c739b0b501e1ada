# SPDX-License-Identifier: GPL-3.0-or-later
"""The three ways to set the backend up, each with what it means for this computer."""

from __future__ import annotations

from pathlib import Path
from typing import Tuple

from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QButtonGroup, QRadioButton, QVBoxLayout, QWidget

from ..backend.survey import Survey
from ..compat import label
from ..i18n import tr
from ..timing import slot

HERE, EXISTING, OFFLINE = range(3)
INDENT = 22
GB = 1e9


class Choices(QWidget):
    """Radio buttons, and the folders that two of them need.

    Args:
        home: The backend's folder.
    """

    changed = pyqtSignal()

    def __init__(self, home: Path) -> None:
        super().__init__()
        self._home = home
        self.group = QButtonGroup(self)
        self.what = label(tr("Looking at this computer…"), "timoSetupWhat", muted=True)
        self.existing = _folder("timoSetupExisting", tr("Folder of the environment, such as /home/ada/timo"))
        self.offline = _folder("timoSetupOffline", tr("Folder of wheels"))
        self.how = label("", "timoSetupHow", muted=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for number, name, text, below in (
            (HERE, "Here", tr("Set up here (recommended)"), (self.what,)),
            (EXISTING, "Use", tr("Use an environment that has TiMo already"), (self.existing,)),
            (
                OFFLINE,
                "Wheels",
                tr("Set up from a folder of wheels, without a network"),
                (self.offline, self.how),
            ),
        ):
            button = QRadioButton(text)
            button.setObjectName(f"timoSetup{name}")
            self.group.addButton(button, number)
            layout.addWidget(button)
            inner = QVBoxLayout()
            inner.setContentsMargins(INDENT, 0, 0, 8)
            for widget in below:
                inner.addWidget(widget)
            layout.addLayout(inner)
        self.group.button(HERE).setChecked(True)
        self.group.buttonToggled.connect(self._on_toggled)
        self.existing.fileChanged.connect(self._on_changed)
        self.offline.fileChanged.connect(self._on_changed)
        self._on_toggled()

    def chosen(self) -> Tuple[int, str]:
        """Which way, and the folder that it needs; empty where none was given."""
        kind = self.group.checkedId()
        field = {EXISTING: self.existing, OFFLINE: self.offline}.get(kind)
        return kind, field.filePath().strip() if field is not None else ""

    def show_survey(self, survey: Survey) -> None:
        """Say what will be done on this computer."""
        for number in (HERE, OFFLINE):
            self.group.button(number).setEnabled(survey.lock is not None)
        if survey.lock is None:
            self.what.setText(survey.choice.why)
            self.group.button(EXISTING).setChecked(True)
            return
        needs = tr("About {download:.1f} GB are downloaded from pypi.org, and {disk:.1f} GB are needed.",
                   download=survey.lock.download / GB, disk=survey.lock.needed / GB)  # fmt: skip
        # A path begins a line of its own: within one, it would be parted behind its first stroke.
        if survey.free is None:
            room = tr("It comes into this folder:\n{folder}", folder=self._home)
        else:
            room = tr("It comes into this folder, where {free:.0f} GB are free:\n{folder}",
                      folder=self._home, free=survey.free / GB)  # fmt: skip
        self.what.setText(f"{survey.choice.why} {needs} {room}")
        self.how.setText(
            tr(
                "To fill one, run these two lines on a like computer with a network:\n{packages}\n{tool}",
                packages=f'pip download -d FOLDER --require-hashes -r "{survey.lock.path}"',
                tool=f"pip download -d FOLDER --no-deps uv=={survey.uv.version if survey.uv else ''}",
            )
        )

    @slot
    def _on_toggled(self) -> None:
        kind = self.group.checkedId()
        self.existing.setVisible(kind == EXISTING)
        self.offline.setVisible(kind == OFFLINE)
        self.how.setVisible(kind == OFFLINE)
        self.changed.emit()

    @slot
    def _on_changed(self) -> None:
        self.changed.emit()


def _folder(name: str, text: str) -> QgsFileWidget:
    widget = QgsFileWidget()
    widget.setObjectName(name)
    widget.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
    widget.setDialogTitle(text)
    widget.lineEdit().setPlaceholderText(text)
    widget.lineEdit().setAccessibleName(text)
    widget.setToolTip(text)
    return widget
