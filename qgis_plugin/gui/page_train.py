# SPDX-License-Identifier: GPL-3.0-or-later
"""The Train page: a model learns the analyst's own classes from a labels layer."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

from qgis.PyQt import sip
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QLineEdit, QPushButton, QWidget

from ..backend.jobs import JobView
from ..compat import caption, form_layout, label
from ..i18n import tr
from ..layers import labels
from ..layers.layer_copy import COPIES
from ..layers.sources import safe_name, unique_path, without_number
from ..layers.task import RasterTask
from ..schema import Parameter, select
from ..settings import unwritable
from ..shared import Shared
from ..timing import inside_qgis, slot
from .curve import CurveWidget
from .follow import Follower
from .form import SpecForm
from .new_labels import ClassesDialog, NewLabelsDialog
from .page import Page, RunFooter
from .page_series import SeriesPage
from .preview_box import PreviewBox
from .remedies import Remedies
from .reveal import reveal, scroll_to
from .run_box import RunBox
from .train_effort import KEYS, EffortBox
from .train_evaluate import EvaluateDialog
from .train_fields import LabelFields
from .train_labels import LabelsBox
from .train_presets import fewest_dates, preset_words
from .train_result import ResultBox
from .train_start import StartBox
from .why import helped

INTRO = tr(
    "Train a model on the ticked series with polygons or points whose field names the class of what is there."
)
# Asked for in other ways.
TOLD = ["class_field", "names", "ignore", "overwrite", "learn"]


class TrainPage(Page):
    """Submits finetune jobs and shows the latest."""

    model_ready = pyqtSignal(str)
    """The folder of a trained model that shall be used."""

    def __init__(self, shared: Shared, series: SeriesPage) -> None:
        super().__init__(shared, "timoTrain", INTRO)
        self._series = series
        self._copy: Optional[RasterTask] = None
        self._suggested = ""
        self._like = ""
        """What the analyst called the last model; the next one's name is like it."""
        self.labels = LabelsBox(shared, series.places)
        self.name = QLineEdit()
        self.name.setObjectName("timoTrainName")
        self.name.setAccessibleName(tr("Model name"))
        self.loose: List[QWidget] = [self.labels, self.name]
        """Parts that are not put together yet."""

    def make_form(self) -> None:
        """Make the form, which has many parts: a turn of the interface."""
        self.form = SpecForm("timoTrain", _parameters(), self.shared.settings.finetune)
        self.fields = LabelFields(self.labels, self.form, self._series, self.shared.background, self)
        self.preset = label("", "timoTrainPreset", muted=True)
        self.start = StartBox(self.shared)
        self.effort = EffortBox()
        self.preset.setContentsMargins(caption("").minimumWidth() + 6, 0, 0, 0)
        self.form.between.addWidget(self.preset)
        self.form.between.addWidget(self.start)
        self.form.between.addWidget(self.effort)
        self.loose.append(self.form)

    def make_rest(self) -> None:
        """Make all else, in a turn of its own."""
        self.series_text = label("", "timoTrainSeries")
        self.curve = CurveWidget("timoTrainCurve")
        self.preview = PreviewBox(self.shared, "timoTrain")
        self.box = RunBox("timoTrain", tr("Use this model"), self.curve, self.preview)
        self.result = ResultBox(self.shared, "timoTrain", kept=self.labels.selected.isChecked)
        self.check = QPushButton(tr("Check a model on other labels…"))
        self.check.setObjectName("timoTrainCheck")
        self.check.setToolTip(tr("Judges a model by labels of places that it never saw"))
        self.footer_row = RunFooter("timoTrain", tr("Train"), "train")
        self.follower = Follower(self.shared.backend, "finetune", self)
        self.remedies = self.box.remedies = Remedies(self.shared, self._series, {
            **self.labels.places(), **self.start.learn.places(), **self.form.places(),
            "size": self.form.places()["model"], "model": partial(reveal, self.start.start),
            "out": partial(reveal, self.name), "free": self._on_free_name, "again": self._on_run,
        })  # fmt: skip
        self.loose += [self.series_text, self.box, self.result, self.check, self.footer_row]
        self._connect()

    def fill(self) -> Iterator[str]:
        """Put it together, once it is in the dock: the style looks at each widget that is put in there."""
        form = form_layout()
        form.addRow(caption(tr("Series"), top=True), self.series_text)
        self.body.addLayout(form)
        self.body.addWidget(self.labels)
        form = form_layout()
        form.addRow(caption(tr("Model name")), self.name)
        self.body.addLayout(form)
        yield "labels"
        self.body.addWidget(self.form)
        yield "form"
        self.body.addWidget(self.box)
        self.body.addWidget(self.result)
        self.body.addWidget(self.check, 0, Qt.AlignmentFlag.AlignLeft)
        self.body.addStretch(1)
        self.footer.addWidget(self.footer_row)
        self.loose.clear()
        self._begin()

    def _begin(self) -> None:
        """Look at the layers and the models that there are."""
        self.labels.start()
        self.start.refresh()
        self.start.show_bands(self._series.bands())
        self._on_form()

    def _connect(self) -> None:
        self.labels.picked.connect(self._on_picked)
        self.labels.changed.connect(self._validate)
        self.fields.changed.connect(self._validate)
        self.labels.asked_new.connect(self._on_new_labels)
        self.labels.asked_classes.connect(self._on_classes)
        self.name.textChanged.connect(self._on_input)
        self.form.changed.connect(self._on_form)
        self.effort.chosen.connect(self._on_effort)
        self.start.changed.connect(self._on_form)
        self._series.changed.connect(self._on_series)
        self.shared.backend.state_changed.connect(self._validate)
        self.shared.backend.refused.connect(self._on_refused)
        self.follower.changed.connect(self._on_job)
        self.follower.lost.connect(self.box.forget_job)
        self.footer_row.button.clicked.connect(self._on_run)
        self.box.cancelled.connect(self.shared.backend.cancel)
        self.box.opened.connect(self._on_open)
        self.check.clicked.connect(self._on_check)

    @slot
    def _on_new_labels(self) -> None:
        dialog = NewLabelsDialog(self.shared, self._series.crs(), self.window())
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.made.connect(self.labels.use)
        with inside_qgis():
            dialog.open()

    @slot
    def _on_classes(self) -> None:
        if not self.labels.parts():
            return
        dialog = ClassesDialog(self.shared, self.labels.parts(), self.labels.scheme(), self.window())
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.done_with.connect(self.labels.refresh)
        with inside_qgis():
            dialog.open()

    @slot
    def _on_check(self) -> None:
        job = self.box.job
        model = job.outputs().get("bundle", "") if job is not None and job.state == "succeeded" else ""
        dialog = EvaluateDialog(self.shared, self._series, model, self.window())
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)

    def take(self, spec: Mapping[str, Any]) -> None:
        """Show a job's parameters, and its labels where they are layers of the project; the series stays."""
        parts = labels.likely_parts(spec, self.labels.layer)
        if parts:
            self.labels.use_all(parts)
        self.start.choose(str(spec.get("from") or ""))
        self.start.learn.set_values(spec)
        self.form.set_values(spec)
        self.name.setText(Path(str(spec.get("out", ""))).name)
        self._on_form()

    # how it learns

    @slot
    def _on_effort(self, values: Dict[str, Any]) -> None:
        self.form.set_values(values, KEYS)
        self._on_form()

    @slot
    def _on_form(self) -> None:
        self.effort.show_values(self.form.values(), self.form.preset_settings(), self.start.variant())
        self._tell_preset()
        self._on_input()

    @slot
    def _on_series(self) -> None:
        self.labels.series_changed()
        self.start.show_bands(self._series.bands())
        self._tell_preset()
        self._on_input()

    def _tell_preset(self) -> None:
        """What the chosen task sets by itself, and what the series lacks for it."""
        values = self.form.values()
        text = preset_words(
            str(values.get("preset") or ""), values, self._series.bands(), self._series.date_count()
        )
        self.preset.setText(text)
        self.preset.setVisible(bool(text))

    # the run

    def why_not(self) -> str:
        """Why training cannot begin, in a sentence that says what to do; empty if it can."""
        if not self.shared.backend.state.ready:
            return tr("The backend is not ready: see the top of this panel.")
        series = self._series.why_not(fewest_dates(str(self.form.values().get("preset") or "")))
        if series:
            return series
        if self._copy is not None or self.follower.submitting:
            return tr("The job is being prepared.")
        start = helped(self.start.why_not(), *self.remedies.at("model"))
        name = helped(self._why_not_name(), *self.remedies.at("out"))
        return self.labels.why_not() or self._why_not_fields() or start or name

    def _why_not_fields(self) -> str:
        why, place = self.fields.why_not()
        return helped(why, *self.remedies.at(place)) if place else why

    def _why_not_name(self) -> str:
        name = self.name.text().strip()
        if not name:
            return tr("Give the model a name.")
        if name != safe_name(name):
            return tr("Use letters, digits, - and _ in the model's name.")
        taken = ""
        if (self._models() / name).exists():
            taken = tr("There is a model '{name}' already: give this one another name.", name=name)
        elif self.shared.backend.will_make(self._models() / name):
            taken = tr("A job trains a model '{name}' already: give this one another name.", name=name)
        return helped(taken, tr("Take a free name"), self._on_free_name)

    @slot
    def _on_free_name(self) -> None:
        self._like = without_number(self.name.text())
        self._suggested = self.name.text()
        self._suggest_name()
        reveal(self.name)

    @slot
    def _on_picked(self) -> None:
        self._like = ""
        self._suggest_name()

    @slot
    def _on_input(self) -> None:
        self.footer_row.trouble = ""
        self._validate()

    @slot
    def _validate(self) -> None:
        self.series_text.setText(self._series.sentence())
        self.footer_row.show_reason(self.why_not())

    @slot
    def _on_run(self) -> None:
        parts = self.labels.parts()
        if self.why_not() or not parts:
            return
        self.shared.settings.save(finetune=self.form.values())
        try:
            spec: Dict[str, Any] = {
                "series": [str(self._series.write())],
                "class_field": parts[0].field,
                "out": str(self.shared.settings.subfolder("models") / self.name.text().strip()),
                "colors": [f"{name}={color}" for name, color in self.labels.colors().items()],
                "names": self.labels.names(),
                **self.form.values(),
                **self.start.values(),
            }
            folder = self.shared.settings.subfolder(COPIES)
        except OSError as error:
            self._tell(helped(unwritable(error), *self.remedies.at("options")))
            return
        self._copy = labels.provide(
            parts,
            self.labels.naming,
            self.fields.names(),
            folder,
            lambda path, error: self._on_copied(spec, path, error),
        )
        self._validate()

    def _on_copied(self, spec: Mapping[str, Any], path: Path, error: str) -> None:
        if sip.isdeleted(self):
            return
        self._copy = None
        if error:
            self._tell(helped(error, *self.remedies.at("labels")))
        else:
            self._submit({**spec, "labels": str(path)})

    def _submit(self, spec: Mapping[str, Any]) -> None:
        self.footer_row.trouble = ""
        name = Path(str(spec["out"])).name
        if name != self._suggested:
            self._like = without_number(name)
        if name == self.name.text().strip():
            self._suggested = name  # as it is used now, the job's arrival replaces it
        self.follower.submit(spec)
        self._validate()

    def _tell(self, sentence: str) -> None:
        """Show this until the analyst changes something."""
        self.footer_row.trouble = sentence
        self._validate()

    @slot
    def _on_refused(self, token: str, error: Mapping[str, Any]) -> None:
        if self.follower.refuse(token):
            self._tell(self.remedies.told(error))

    @slot
    def _on_job(self, job: JobView) -> None:
        first = self.box.job is None or self.box.job.id != job.id
        ended = not first and job.final and not self.box.job.final
        self.curve.show_metrics(job.metrics, int(job.spec.get("epochs") or _default_epochs()))
        self.curve.setVisible(bool(job.metrics) or not job.final)
        self.preview.show_job(job)
        done = job.state == "succeeded" and (first or self.box.job.state != "succeeded")
        self.box.show_job(job)
        if done:
            judged = labels.likely_parts(job.spec, self.labels.layer)
            self.result.show_folder(Path(job.outputs().get("bundle", "")), judged)
        elif job.state != "succeeded":
            self.result.clear()
        if first:
            self._suggest_name()
        if first or (ended and not self.box.visibleRegion().isEmpty()):
            scroll_to(self.box)
        if first or ended:  # not at each event: it looks at files
            self._validate()

    @slot
    def _on_open(self, job: str) -> None:
        view = self.shared.backend.jobs.get(job)
        if view is not None:
            self.model_ready.emit(view.outputs().get("bundle", str(view.spec.get("out", ""))))

    def _models(self) -> Path:
        return self.shared.settings.home_folder / "models"

    def _suggest_name(self) -> None:
        """A name that is free, unless the analyst has typed one."""
        if self.name.text() not in ("", self._suggested) or not self.labels.alive():
            return
        stem = self._like or self.labels.layer.name()
        taken = self.shared.backend.taken("finetune")
        self._suggested = unique_path(self._models(), stem, "", taken).name
        self.name.setText(self._suggested)


def _parameters() -> Tuple[Parameter, ...]:
    """What the form shows: the size and the epochs, which the slider sets, stand under Advanced."""
    return tuple(replace(p, advanced=True) if p.name in KEYS else p for p in select("finetune", TOLD))


def _default_epochs() -> int:
    return next((int(p.default or 1) for p in select("finetune", []) if p.name == "epochs"), 1)
