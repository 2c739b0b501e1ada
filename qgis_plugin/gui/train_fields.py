# SPDX-License-Identifier: GPL-3.0-or-later
"""The date and the part of each label, as fields under Advanced: what is asked for, and what is wrong."""

from __future__ import annotations

from typing import Any, List, Tuple

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
        self._looked: Tuple[Any, ...] = ()
        self._known: Tuple[Any, ...] = ()
        """What was looked into last, and what the trouble is known of: they differ while it is being read."""
        self._trouble = ""
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(SOON)
        self._later.timeout.connect(self._look)
        labels.picked.connect(self._on_layer)
        labels.changed.connect(self._on_input)
        form.changed.connect(self._on_input)
        series.changed.connect(self._on_input)
        self._on_input()

    def names(self) -> List[str]:
        """The fields that the job reads beside the class."""
        return [name for name in self._chosen() if name]

    def why_not(self) -> Tuple[str, str]:
        """Why these fields will not do, in a sentence that says what to do, and at which of them.

        Both are empty if they will; the second is, too, while nobody can do anything about it.
        """
        date, split = self._chosen()
        place = "date_field" if date or not split else "split_field"
        if self._form.values().get("per_date") and not date:
            return tr(
                "Pick the field with the date of each label: it is the date field under Advanced."
            ), place
        if self._labels.field.currentField() in self.names():
            taken = tr("Field '{field}' holds the class: pick another date or split field under Advanced.",
                       field=self._labels.field.currentField())  # fmt: skip
            return taken, "date_field" if date == self._labels.field.currentField() else "split_field"
        wanted = self._wanted()
        if wanted and wanted != self._known:
            return tr("Looking into the fields of the labels."), ""
        return (self._trouble, place) if wanted and self._trouble else ("", "")

    def _wanted(self) -> Tuple[Any, ...]:
        """What there is to look into; empty if nothing."""
        parts, (date, split) = self._labels.parts(), self._chosen()
        if not (date or split) or not parts:
            return ()
        return date, split, tuple(self._series.dates()), tuple(parts), self._labels.edits

    def _chosen(self) -> Tuple[str, str]:
        values = self._form.values()
        return str(values.get("date_field") or ""), str(values.get("split_field") or "")

    @slot
    def _on_layer(self) -> None:
        self._form.offer_fields(self._labels.layer)
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
        wanted = self._wanted()
        if wanted == self._looked:
            return
        self._looked = wanted
        if not wanted:
            self._tell(wanted, "")
            return
        date, split, days, parts, _ = wanted
        self._background.run(
            checker(parts, date, split, days),
            lambda why: self._tell(wanted, why),
            failed=lambda _: self._tell(wanted, ""),  # the job looks again
            owner=self,
        )

    def _tell(self, looked: Tuple[Any, ...], why: str) -> None:
        if looked == self._looked:
            self._known, self._trouble = looked, why
            self.changed.emit()
