# SPDX-License-Identifier: GPL-3.0-or-later
"""How good a model is, after a training or an evaluation: the matrix, the places at fault, the report."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, List, Sequence, Tuple

from qgis.core import QgsMapLayer, QgsProject, QgsRasterLayer
from qgis.PyQt import sip
from qgis.PyQt.QtCore import Qt, QUrl, pyqtSignal
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtWidgets import QDialog, QDialogButtonBox, QFrame, QPushButton, QVBoxLayout, QWidget

from ..compat import label
from ..i18n import tr, trn
from ..layers.label_faults import ERRORS, NONE, SPLIT, Evidence, Found, finder
from ..layers.label_faults import MAP as FROM_MAP
from ..layers.label_parts import LabelPart, select
from ..layers.result_files import MAP
from ..layers.sources import KIND_PROPERTY, is_result, layer_file
from ..models import Model
from ..scores import Scores, read_scores
from ..shared import Shared
from ..timing import inside_qgis, slot
from .confusion import Confusion
from .help_button import HelpButton


class ResultBox(QFrame):
    """Hidden until there are scores.

    Args:
        shared: What all pages share.
        name: Prefix of the object names.
        trusted: Whether jobs of this home wrote what is shown: else its page is not offered to the browser.
        kept: Tells whether the labels' selection says what is used of them, so that it must stay.
    """

    shown = pyqtSignal()
    """The scores are there: the box has its size."""

    def __init__(
        self, shared: Shared, name: str, *, trusted: bool = True, kept: Callable[[], bool] = lambda: False
    ) -> None:
        super().__init__()
        self.setObjectName(f"{name}Result")
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self._shared = shared
        self._trusted, self._kept = trusted, kept
        self._asked = 0
        self._parts: List[LabelPart] = []
        self.scores = Scores()
        self.title = label("", f"{name}ResultTitle")
        self.hint = label(
            tr(
                "Rows are the labels, columns the map, in percent of the row. Click a cell to select the "
                "labels that it is about."
            )
            if trusted
            else tr("Rows are the labels, columns the map, in percent of the row."),
            f"{name}ResultHint",
            muted=True,
        )
        self.confusion = Confusion(f"{name}Confusion")
        self.places = label("", f"{name}ResultPlaces")
        self.report = QPushButton(tr("Open the report"))
        self.report.setObjectName(f"{name}Report")
        self.report.setToolTip(tr("Opens the whole report in your browser: figures, curves, how it was made"))
        whole = QVBoxLayout(self)
        whole.setContentsMargins(10, 8, 10, 8)
        whole.setSpacing(6)
        for part in (self.title, self.hint, self.confusion, self.places):
            whole.addWidget(part)
        whole.addWidget(self.report, 0, Qt.AlignmentFlag.AlignLeft)
        self.confusion.asked.connect(self._on_cell)
        self.report.clicked.connect(self._on_report)
        self.setVisible(False)

    def clear(self) -> None:
        """There is nothing to show now."""
        self._asked += 1
        self.setVisible(False)

    def show_folder(self, folder: Path, parts: Sequence[LabelPart] = ()) -> None:
        """Show the scores of a bundle or a report.

        Args:
            folder: Where it lies.
            parts: The labels that it was judged by, to select features in; none if they are not in QGIS.
        """
        self._asked += 1
        asked = self._asked
        self._parts = list(parts)
        self._shared.background.run(
            lambda: read_scores(folder), lambda scores: self._show(asked, scores), owner=self
        )

    def _show(self, asked: int, scores: Scores) -> None:
        if asked != self._asked:
            return
        self.scores = scores
        self.title.setText(scores.sentence)
        self.confusion.show_scores(scores)
        judged = bool(scores.matrix) and not scores.problem
        self.confusion.setVisible(judged)
        self.hint.setVisible(judged)
        self.report.setVisible(scores.page is not None and self._trusted)
        self._tell("")
        self.setVisible(True)
        self.shown.emit()

    def _tell(self, text: str) -> None:
        self.places.setText(text)
        self.places.setVisible(bool(text))

    @slot
    def _on_report(self) -> None:
        page = self.scores.page
        if page is not None:
            with inside_qgis():
                opened = QDesktopServices.openUrl(QUrl.fromLocalFile(str(page)))
            if not opened:
                self._tell(tr("No program opens web pages here: open {path} yourself.", path=page))

    @slot
    def _on_cell(self, row: int, column: int) -> None:
        told = self.scores.cell(row, column)
        if not self._trusted:  # its labels are elsewhere, too
            self._tell(told)
            return
        parts = [part for part in self._parts if not sip.isdeleted(part.layer)]
        if not parts:
            self._tell(f"{told} {tr('Add the layer of its labels to the project to see where.')}")
            return
        self._tell(f"{told} {tr('Looking for them.')}")
        self._asked += 1
        asked, name = self._asked, self.scores.classes[row].name
        mapped = self.scores.classes[column]
        find = finder(parts, name, self._evidence(mapped.value, row == column))
        self._shared.background.run(
            find, lambda found: self._select(asked, told, name, mapped.name, found), owner=self
        )

    def _evidence(self, value: int, right: bool) -> Tuple[Evidence, ...]:
        found: List[Evidence] = []
        if self.scores.model:
            for one in QgsProject.instance().mapLayers().values():
                path = layer_file(one) if _is_map(one) else None
                if path is not None:
                    found.append(Evidence(FROM_MAP, path, value, self.scores.model))
        found += [Evidence(ERRORS, path, 0 if right else 1) for path in self.scores.errors]
        if self.scores.split is not None:
            found.append(Evidence(SPLIT, self.scores.split))
        return tuple(found)

    def _select(self, asked: int, told: str, name: str, mapped: str, found: Found) -> None:
        if asked != self._asked:
            return
        keys, kind = found
        flash = self._kept()
        count = select(self._parts, keys, self._shared.iface, flash=flash)
        stays = tr("They flash on the map: your selection stays, as only selected features are used.")
        self._tell(f"{told} {_words(count, kind, name, mapped)} {stays if flash and count else ''}".rstrip())


class ScoresDialog(QDialog):
    """The figures of a model that came from elsewhere.

    Args:
        shared: What all pages share.
        model: The model.
        parent: The window above which it stands.
    """

    def __init__(self, shared: Shared, model: Model, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("timoScores")
        self.setWindowTitle(tr("Figures of model '{name}'", name=model.name))
        self.result = ResultBox(shared, "timoScores", trusted=False)
        self.result.show_folder(model.folder)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.addButton(HelpButton("train", self), QDialogButtonBox.ButtonRole.HelpRole)
        buttons.rejected.connect(self.reject)
        note = tr(
            "The model came from elsewhere: its report page is not opened, as such pages may run scripts."
        )
        whole = QVBoxLayout(self)
        whole.addWidget(self.result)
        whole.addStretch(1)
        whole.addWidget(label(note, "timoScoresNote", muted=True))
        whole.addWidget(buttons)
        self.resize(560, 300)


def _is_map(layer: QgsMapLayer) -> bool:
    """Whether its pixels are classes: not shares, and not those of one date, as labels are of all dates."""
    if not isinstance(layer, QgsRasterLayer) or not is_result(layer):
        return False
    return bool(layer.customProperty(KIND_PROPERTY, MAP) == MAP)


def _words(count: int, kind: str, name: str, mapped: str) -> str:
    """What is shown, and how far it can be trusted."""
    if kind != NONE and not count:
        return tr("No feature of '{name}' was found for it.", name=name)
    if kind == FROM_MAP:
        return trn(
            "Shown: {count} feature of '{name}' under which the map shows '{mapped}'.",
            "Shown: {count} features of '{name}' under which the map shows '{mapped}'.",
            count, name=name, mapped=mapped,
        )  # fmt: skip
    if kind == ERRORS:
        if name == mapped:
            return trn("Shown: {count} feature of '{name}' with pixels that are mapped right.",
                       "Shown: {count} features of '{name}' with pixels that are mapped right.",
                       count, name=name)  # fmt: skip
        return trn("Shown: {count} feature of '{name}' with pixels that are mapped wrong, as this "
                   "or another class.",
                   "Shown: {count} features of '{name}' with pixels that are mapped wrong, as this "
                   "or another class.", count, name=name)  # fmt: skip
    if kind == SPLIT:
        return trn(
            "Shown: the {count} feature of '{name}' that judged the model. Map this place with the model "
            "to see which pixels are at fault.",
            "Shown: the {count} features of '{name}' that judged the model. Map this place with the model "
            "to see which are at fault.",
            count, name=name,
        )  # fmt: skip
    if kind == NONE:
        return tr("Map this place with the model to see where they are.")
    return ""
