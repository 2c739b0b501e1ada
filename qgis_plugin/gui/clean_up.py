# SPDX-License-Identifier: GPL-3.0-or-later
"""The window that cleans up: which of the jobs that have ended shall go, and what disk that frees."""

from __future__ import annotations

import time
from typing import Dict, List, Optional

from qgis.gui import QgsSpinBox
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QDialog, QHBoxLayout, QPushButton, QRadioButton, QVBoxLayout, QWidget

from ..backend.jobs import JobView
from ..backend.removal import Removal
from ..compat import label
from ..i18n import tr, trn
from ..shared import Shared
from ..timing import slot
from .help_button import HelpButton
from .times import size

LOST = tr("Logs and curves are deleted, and what jobs that failed or were cancelled have kept to go on from.")
KEPT = tr("Maps, models and reports stay.")
DAY = 86_400.0


class CleanUpDialog(QDialog):
    """Removes jobs that have ended: those that it has counted and measured, and no others.

    Args:
        shared: What all pages share.
        parent: The window above which it stands.
    """

    told = pyqtSignal(str)
    """A sentence on what was removed."""

    def __init__(self, shared: Shared, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("timoCleanUp")
        self.setWindowTitle(tr("Clean up"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._backend = shared.backend
        self._jobs: List[JobView] = []
        self._removal: Optional[Removal] = None
        self.choices: Dict[str, QRadioButton] = {}
        for name, text in (
            ("all", tr("All jobs that have ended")),
            ("old", tr("Those that ended longer ago than")),
            ("failed", tr("Those that failed or were cancelled")),
        ):
            self.choices[name] = QRadioButton(text)
            self.choices[name].setObjectName(f"timoCleanUp{name.capitalize()}")
        self.days = QgsSpinBox()
        self.days.setObjectName("timoCleanUpDays")
        self.days.setAccessibleName(tr("Days"))
        self.days.setRange(1, 3650)
        self.days.setClearValue(30)
        self.days.setValue(30)
        self.days.setSuffix(tr(" days"))
        letter = self.days.fontMetrics().averageCharWidth()
        self.days.setMinimumWidth(self.days.sizeHint().width() + 3 * letter)  # its button that clears it
        self.found = label("", "timoCleanUpFound")
        self.remove = QPushButton(tr("Remove"))
        self.remove.setObjectName("timoCleanUpRemove")
        self.end = QPushButton(tr("Close"))
        self.end.setObjectName("timoCleanUpClose")
        self.end.setDefault(True)
        self._build()
        self.choices["old"].setChecked(True)
        for choice in self.choices.values():
            choice.toggled.connect(self._on_choice)
        self.days.valueChanged.connect(self._on_choice)
        self.remove.clicked.connect(self._on_remove)
        self.end.clicked.connect(self.reject)
        self._measure()

    def _build(self) -> None:
        old = QHBoxLayout()
        old.addWidget(self.choices["old"])
        old.addWidget(self.days)
        old.addStretch(1)
        row = QHBoxLayout()
        row.addWidget(HelpButton("jobs", self))
        row.addStretch(1)
        row.addWidget(self.end)
        row.addWidget(self.remove)
        whole = QVBoxLayout(self)
        whole.setSpacing(10)
        whole.addWidget(label(f"{LOST} {KEPT}", "timoCleanUpIntro", muted=True))
        whole.addWidget(self.choices["all"])
        whole.addLayout(old)
        whole.addWidget(self.choices["failed"])
        whole.addWidget(self.found)
        whole.addStretch(1)
        whole.addLayout(row)
        self.setMinimumWidth(400)

    def _chosen(self) -> List[JobView]:
        """Those that shall go; estimates, which no page shows, take room, too."""
        ended = [job for job in self._backend.jobs.values() if job.final]
        if self.choices["failed"].isChecked():
            return [job for job in ended if job.state != "succeeded"]
        if self.choices["old"].isChecked():
            since = time.time() - self.days.value() * DAY
            return [job for job in ended if (job.ended or job.created or 0) < since]
        return ended

    def _measure(self) -> None:
        self._give_up()
        self._jobs = self._chosen()
        self.remove.setEnabled(False)
        if not self._jobs:
            self.found.setText(tr("There is no such job."))
            return
        self.found.setText(tr("Looking how much disk they take."))
        self._removal = Removal(self._backend, [job.id for job in self._jobs], self, dry_run=True)
        self._removal.ended.connect(self._on_measured)
        self._removal.start()

    def _give_up(self) -> None:
        if self._removal is not None:
            self._removal.give_up()
            self._removal = None

    def _shown(self) -> int:
        return sum(not job.dry_run for job in self._jobs)

    @slot
    def _on_choice(self) -> None:
        self._measure()

    @slot
    def _on_measured(self, freed: int, why: str) -> None:
        self._removal = None
        self.remove.setEnabled(not why)
        count = self._shown()
        self.found.setText(
            why
            or (
                trn("{count} job, {size} on disk.", "{count} jobs, {size} on disk.", count, size=size(freed))
                if count
                else tr("No job, but estimates that were asked for: {size} on disk.", size=size(freed))
            )
        )

    @slot
    def _on_remove(self) -> None:
        self.remove.setEnabled(False)
        for widget in (*self.choices.values(), self.days):
            widget.setEnabled(False)
        self.found.setText(tr("Removing."))
        self._removal = Removal(self._backend, [job.id for job in self._jobs], self)
        self._removal.ended.connect(self._on_removed)
        self._removal.start()

    @slot
    def _on_removed(self, freed: int, why: str) -> None:
        self._removal = None
        for widget in (*self.choices.values(), self.days):
            widget.setEnabled(True)
        if why:
            self._measure()
            self.found.setText(why)
            return
        self.told.emit(removed(self._shown(), freed))
        self.accept()


def removed(count: int, freed: int) -> str:
    """What was removed, in a sentence."""
    return trn(
        "{count} job removed, {size} freed.", "{count} jobs removed, {size} freed.", count, size=size(freed)
    )
