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
from ..models import not_there
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
        self._search = 0
        self._asked = ""
        """The folder of a model that shall be taken, until it is found."""
        self._looking = False
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
        """Look for models again, also where the chosen one lies."""
        home, others = self._shared.settings.home_folder, list(self._shared.settings.bundles)
        if self._folder() and self._folder() not in others:
            others.append(self._folder())
        self._looking = True
        self._search += 1
        number = self._search
        self._shared.background.run(
            lambda: find_starts(home, others),
            lambda found: self._on_found(number, found),
            failed=lambda _: self._on_found(number, self._starts),
        )

    def show_bands(self, bands: FrozenSet[str]) -> None:
        """The series has these bands: models that know none of them cannot be taken."""
        if bands != self._bands:
            self._bands = bands
            self._show(self._starts)

    def choose(self, folder: str) -> None:
        """Take the model in this folder as soon as it is found; nothing, if there is none to take."""
        self._asked = str(Path(folder)) if folder else ""
        self.refresh()
        self.start.setCurrentIndex(self.start.findData(self._asked))

    @slot
    def follow(self, before: str, now: str) -> None:
        """A model was given another folder: it is the one that is started from still."""
        if before == self._folder():
            self.choose(now)

    def values(self) -> Dict[str, Any]:
        """``from`` and ``learn``; empty where it starts from nothing."""
        folder = self._folder()
        return {"from": folder, **self.learn.values()} if folder else {}

    def variant(self) -> str:
        """The variant of the model that is started from; empty if it starts from nothing."""
        chosen = self._chosen()
        return chosen.size if chosen else ""

    def why_not(self) -> str:
        """Why it cannot be started from what is chosen; empty if it can."""
        if self._asked:
            return not_there(self._asked, self._looking)
        chosen = self._chosen()
        if chosen is None or chosen.fits(self._bands):
            return ""
        return tr("Model '{name}' knows none of the series' bands: start from another, or from nothing.",
                  name=chosen.name)  # fmt: skip

    def _folder(self) -> str:
        """The model that shall be started from; empty for none."""
        return self._asked or self.start.currentData() or ""

    def _chosen(self) -> Any:
        folder = self.start.currentData()
        return next((one for one in self._starts if folder and one.folder == Path(folder)), None)

    def _on_found(self, number: int, starts: List[Start]) -> None:
        if number != self._search:  # a later search's answer counts
            return
        asked, before = self._asked, self._chosen()
        self._looking = False
        self._show(starts)
        if asked or self._asked or self._chosen() != before:
            self.changed.emit()

    def _show(self, starts: List[Start]) -> None:
        wanted = self._folder()
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
        number = self.start.findData(wanted)  # nothing is not taken in its place
        self._asked = "" if number >= 0 else wanted
        self.start.setCurrentIndex(number)
        self.start.blockSignals(False)
        self._tell()

    @slot
    def _on_change(self) -> None:
        if self.start.currentIndex() >= 0:
            self._asked = ""
        self._tell()
        self.changed.emit()

    def _tell(self) -> None:
        chosen = self._chosen()
        self.learn.setVisible(bool(self._folder()))
        if self._asked:
            self.told.setText(self.why_not())
        elif chosen is None:
            self.told.setText(tr(
                "The model knows nothing yet and learns from your labels alone: no pre-trained weights are "
                "published so far."))  # fmt: skip
        else:
            size = WORDS.get(chosen.size, (chosen.size, ""))[0]
            self.told.setText(f"{chosen.told} {tr('Its size stays: {size}.', size=size)}")
