# SPDX-License-Identifier: GPL-3.0-or-later
"""What a training starts from: nothing, or a model that has learnt before; and what that model saw."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, FrozenSet, List

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QVBoxLayout, QWidget

from ..compat import caption, form_layout, label, plain
from ..i18n import tr
from ..schema import parameters
from ..shared import Shared
from ..starts import Start, find_starts
from ..timing import slot
from .form import WORDS, SpecForm


class StartBox(QWidget):
    """Fills ``from`` and ``learn`` of a training's spec."""

    changed = pyqtSignal()

    def __init__(self, shared: Shared) -> None:
        super().__init__()
        self.setObjectName("timoTrainStartBox")
        self._shared = shared
        self._starts: List[Start] = []
        self._bands: FrozenSet[str] = frozenset()
        self.start = QComboBox()
        self.start.setObjectName("timoTrainStart")
        self.start.setAccessibleName(tr("Start from"))
        self.start.setToolTip(
            tr("A model that has learnt from similar images needs fewer labels and less time.")
        )
        self.start.setMinimumContentsLength(12)
        self.start.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.told = label("", "timoTrainStartTold", muted=True)
        learn = [replace(p, advanced=False) for p in parameters("finetune") if p.name == "learn"]
        self.learn = SpecForm("timoTrain", learn, {})
        self.learn.setObjectName("timoTrainLearn")
        form = form_layout()
        form.addRow(caption(tr("Start from")), self.start)
        form.addRow(caption(""), self.told)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addLayout(form)
        whole.addWidget(self.learn)
        self.start.currentIndexChanged.connect(self._on_change)
        self.learn.changed.connect(self._on_change)
        self._show([])

    def refresh(self) -> None:
        """Look for models again."""
        home, others = self._shared.settings.home_folder, list(self._shared.settings.bundles)
        self._shared.background.run(lambda: find_starts(home, others), self._show)

    def show_bands(self, bands: FrozenSet[str]) -> None:
        """The series has these bands: models that know none of them cannot be taken."""
        if bands != self._bands:
            self._bands = bands
            self._show(self._starts)

    def choose(self, folder: str) -> None:
        """Take this model, if it is listed."""
        self.start.setCurrentIndex(max(0, self.start.findData(folder)))

    def values(self) -> Dict[str, Any]:
        """``from`` and ``learn``; empty where it starts from nothing."""
        folder = self.start.currentData()
        return {"from": folder, **self.learn.values()} if folder else {}

    def variant(self) -> str:
        """The variant of the model that is started from; empty if it starts from nothing."""
        chosen = self._chosen()
        return chosen.size if chosen else ""

    def why_not(self) -> str:
        """Why it cannot be started from what is chosen; empty if it can."""
        chosen = self._chosen()
        if chosen is None or chosen.fits(self._bands):
            return ""
        return tr("Model '{name}' knows none of the series' bands: start from another, or from nothing.",
                  name=chosen.name)  # fmt: skip

    def _chosen(self) -> Any:
        folder = self.start.currentData()
        return next((one for one in self._starts if folder and one.folder == Path(folder)), None)

    @slot
    def _show(self, starts: List[Start]) -> None:
        chosen = self.start.currentData()
        self._starts = starts
        self.start.blockSignals(True)
        self.start.clear()
        self.start.addItem(tr("Nothing: random weights"), "")
        for one in starts:
            fits = one.fits(self._bands)
            self.start.addItem(
                one.name if fits else tr("{name} (other bands)", name=one.name), str(one.folder)
            )
            self.start.setItemData(self.start.count() - 1, plain(one.told), Qt.ItemDataRole.ToolTipRole)
            self.start.model().item(self.start.count() - 1).setEnabled(fits)
        self.start.setCurrentIndex(max(0, self.start.findData(chosen)))
        self.start.blockSignals(False)
        self._tell()

    @slot
    def _on_change(self) -> None:
        self._tell()
        self.changed.emit()

    def _tell(self) -> None:
        chosen = self._chosen()
        self.learn.setVisible(chosen is not None)
        if chosen is None:
            self.told.setText(tr(
                "The model knows nothing yet and learns from your labels alone: no pre-trained weights are "
                "published so far."))  # fmt: skip
        else:
            size = WORDS.get(chosen.size, (chosen.size, ""))[0]
            self.told.setText(f"{chosen.told} {tr('Its size stays: {size}.', size=size)}")
