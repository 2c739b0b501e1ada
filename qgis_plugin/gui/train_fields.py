# SPDX-License-Identifier: GPL-3.0-or-later
"""The date and the part of each label, as fields under Advanced: what is asked for, and what is wrong."""

from __future__ import annotations

from typing import Any, List, Optional, Tuple

from qgis.PyQt import sip
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from ..background import Background
from ..i18n import tr
from ..layers.label_fields import checker
from ..timing import slot
from .form import SpecForm
from .page_series import SeriesPage
from .train_labels import LabelsBox

SHARES = ("validation", "test")
SOON = 200
"""Milliseconds; an edit of many features comes one by one."""


class LabelFields(QObject):
    """Looks into the fields that a training reads beside the class.

    Args:
        labels: The chosen labels.
        form: Of the training's parameters.
        series: Whose dates the labels must have.
        background: Where the fields are read.
    """

    changed = pyqtSignal()

    def __init__(
        self, labels: LabelsBox, form: SpecForm, series: SeriesPage, background: Background, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._labels, self._form, self._series, self._background = labels, form, series, background
        self._asked = 0
        self._looked: Tuple[Any, ...] = ()
        self._trouble = ""
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(SOON)
        self._later.timeout.connect(self._look)
        labels.picked.connect(self._on_layer)
        labels.changed.connect(self._on_labels)
        form.changed.connect(self._on_input)
        series.changed.connect(self._on_input)
        self._on_input()

    def names(self) -> List[str]:
        """The fields that the job reads beside the class."""
        return [name for name in self._chosen() if name]

    def why_not(self) -> str:
        """Why these fields will not do, in a sentence that says what to do; empty if they will."""
        date, _ = self._chosen()
        if self._form.values().get("per_date") and not date:
            return tr("Pick the field with the date of each label: it is the date field under Advanced.")
        if self._labels.field.currentField() in self.names():
            return tr("Field '{field}' holds the class: pick another date or split field under Advanced.",
                      field=self._labels.field.currentField())  # fmt: skip
        return self._trouble

    def _chosen(self) -> Tuple[str, str]:
        values = self._form.values()
        return str(values.get("date_field") or ""), str(values.get("split_field") or "")

    @slot
    def _on_layer(self) -> None:
        self._form.offer_fields(self._labels.layer)
        self._on_input()

    @slot
    def _on_labels(self) -> None:
        self._looked = ()  # a feature may have another value now
        self._on_input()

    @slot
    def _on_input(self) -> None:
        values = self._form.values()
        self._form.ask("date_field", bool(values.get("per_date")))
        for name in SHARES:  # the field says it
            self._form.ask(name, not values.get("split_field"))
        self._later.start()

    @slot
    def _look(self) -> None:
        layer, (date, split) = self._labels.layer, self._chosen()
        if not (date or split) or layer is None or sip.isdeleted(layer):
            self._asked, self._looked = self._asked + 1, ()
            self._tell(self._asked, "")
            return
        selected, days = self._labels.selected.isChecked(), self._series.dates()
        looked = (layer.id(), date, split, selected, tuple(days))
        if looked == self._looked:
            return
        self._asked, self._looked = self._asked + 1, looked
        asked = self._asked
        self._background.run(
            checker(layer, date, split, selected, days),
            lambda why: self._tell(asked, why),
            failed=lambda _: self._tell(asked, ""),  # the job looks again
            owner=self,
        )

    def _tell(self, asked: int, why: Optional[str]) -> None:
        if asked == self._asked and why != self._trouble:
            self._trouble = why or ""
            self.changed.emit()
