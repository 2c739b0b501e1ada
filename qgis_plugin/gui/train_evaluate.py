# SPDX-License-Identifier: GPL-3.0-or-later
"""The dialog that judges a model by labels that it never saw: an evaluate job, its matrix and its report."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

from qgis.PyQt import sip
from qgis.PyQt.QtCore import Qt, QTimer
from qgis.PyQt.QtWidgets import QComboBox, QDialog, QDialogButtonBox, QScrollArea, QVBoxLayout, QWidget

from ..backend.jobs import JobView
from ..compat import caption, form_layout, label
from ..i18n import tr
from ..layers import labels
from ..layers.layer_copy import COPIES
from ..layers.sources import unique_path
from ..layers.task import RasterTask
from ..models import Model, find_models
from ..schema import select
from ..settings import unwritable
from ..shared import Shared
from ..timing import inside_qgis, slot, slot_of
from .follow import Follower
from .form import SpecForm
from .help_button import HelpButton
from .page import RunFooter
from .page_series import SeriesPage
from .remedies import Remedies
from .reveal import reveal, scroll_to
from .run_box import RunBox
from .train_labels import LabelsBox
from .train_result import ResultBox
from .why import helped

TOLD = ["class_field", "names", "ignore", "overwrite"]


class EvaluateDialog(QDialog):
    """Submits evaluate jobs and shows the latest.

    It is built in two turns of the interface, as lists of hundreds of layers take their time, and then shows
    itself, in a third.

    Args:
        shared: What all pages share.
        series: The series that is mapped for it.
        model: The folder of the model to begin with; empty for the newest.
        parent: The window.
    """

    def __init__(self, shared: Shared, series: SeriesPage, model: str, parent: Optional[QWidget]) -> None:
        super().__init__(parent)
        self.setObjectName("timoEvaluate")
        self.setWindowTitle(tr("Check a model on other labels"))
        self._shared, self._series, self._wanted = shared, series, model
        self._models: List[Model] = []
        self._copy: Optional[RasterTask] = None
        self._preparing = False
        self.models = QComboBox()
        self.models.setObjectName("timoEvaluateModel")
        self.models.setAccessibleName(tr("Model"))
        self.models.setToolTip(tr("The model to be judged"))
        self.told = label("", "timoEvaluateTold", muted=True)
        self.models.setMinimumContentsLength(12)
        self.models.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.labels = LabelsBox(shared, series.places, "timoEvaluate", learn=False)
        QTimer.singleShot(0, self._fill)

    @slot
    def _fill(self) -> None:
        if sip.isdeleted(self):
            return
        shared, series = self._shared, self._series
        self.form = SpecForm("timoEvaluate", select("evaluate", TOLD), {})
        self.box = RunBox("timoEvaluate", "")
        self.result = ResultBox(shared, "timoEvaluate", kept=self.labels.selected.isChecked)
        self.footer = RunFooter("timoEvaluate", tr("Check"), "train")
        self.follower = Follower(shared.backend, "evaluate", self)
        show_model = partial(reveal, self.models)
        self.remedies = self.box.remedies = Remedies(shared, series, {
            **self.labels.places(), **self.form.places(), "model": show_model, "size": show_model,
            "free": self._on_run, "again": self._on_run,
        })  # fmt: skip
        self._build()
        self._connect()
        self.labels.start()
        home, others = shared.settings.home_folder, list(shared.settings.bundles)
        shared.background.run(lambda: find_models(home, others), self._on_models)
        self._validate()
        QTimer.singleShot(0, self._show)

    @slot
    def _show(self) -> None:
        if not sip.isdeleted(self):
            with inside_qgis():
                self.show()

    def why_not(self) -> str:
        """Why it cannot begin, in a sentence that says what to do; empty if it can."""
        if not self._shared.backend.state.ready:
            return tr("The backend is not ready: see the top of the TiMo panel.")
        model = self.model()
        if model is None:
            return tr("Train a model first.")
        if model.why_not_map:
            return helped(model.why_not_map, *self.remedies.at("model"))
        series = self._series.why_not(model.date_minimum)
        if series:
            return series
        if self._preparing or self.follower.submitting:
            return tr("The job is being prepared.")
        classes = helped(self._why_not_classes(model), *self.remedies.at("class_field"))
        dates = helped(self._why_not_dates(model), *self.remedies.at("date_field"))
        return self.labels.why_not(fewest=1) or classes or dates

    def _why_not_dates(self, model: Model) -> str:
        if not model.per_date or self.form.values().get("date_field"):
            return ""
        return tr(
            "Model '{name}' maps every date: pick the field with the date of each label under Advanced.",
            name=model.name,
        )

    def _why_not_classes(self, model: Model) -> str:
        """Labels whose classes are numbers may be matched by value, which the backend looks at."""
        mine, known = self.labels.called(), {name.casefold() for _, name, _ in model.classes}
        if any(name.isdigit() or name.casefold() in known for name in mine):
            return ""
        return tr(
            "None of the labels' classes ({mine}) is one of the model's ({known}): rename them, or pick "
            "another field.",
            mine=", ".join(sorted(mine)[:6]), known=", ".join(name for _, name, _ in model.classes[:6]),
        )  # fmt: skip

    def model(self) -> Optional[Model]:
        """The chosen model."""
        number = self.models.currentIndex()
        return self._models[number] if 0 <= number < len(self._models) else None

    def _build(self) -> None:
        inner = QWidget()
        body = QVBoxLayout(inner)
        body.addWidget(label(tr(
            "Labels of places where the model was not trained tell how good its maps are. The ticked series "
            "is mapped for it."), "timoEvaluateIntro", muted=True))  # fmt: skip
        form = form_layout()
        self.series_text = label("", "timoEvaluateSeries")
        form.addRow(caption(tr("Series"), top=True), self.series_text)
        form.addRow(caption(tr("Model")), self.models)
        form.addRow(caption(""), self.told)
        body.addLayout(form)
        for part in (self.labels, self.form, self.box, self.result):
            body.addWidget(part)
        body.addStretch(1)
        scroll = QScrollArea()
        scroll.setObjectName("timoEvaluateScroll")
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(inner)
        close = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        close.addButton(HelpButton("train", self), QDialogButtonBox.ButtonRole.HelpRole)
        close.rejected.connect(self.reject)
        whole = QVBoxLayout(self)
        whole.addWidget(scroll, 1)
        whole.addWidget(self.footer)
        whole.addWidget(close)
        self.resize(500, min(680, self.screen().availableGeometry().height() - 40))

    def _connect(self) -> None:
        self.models.currentIndexChanged.connect(self._on_input)
        self.labels.changed.connect(self._validate)
        self.labels.picked.connect(self._on_layer)
        self.form.changed.connect(self._on_input)
        self._series.changed.connect(self._on_series)
        self._shared.backend.state_changed.connect(self._validate)
        self._shared.backend.refused.connect(self._on_refused)
        self.follower.changed.connect(self._on_job)
        self.follower.lost.connect(self.box.forget_job)
        self.footer.button.clicked.connect(self._on_run)
        self.box.cancelled.connect(self._shared.backend.cancel)
        self.result.shown.connect(slot_of(scroll_to, self.result))

    @slot
    def _on_models(self, models: List[Model]) -> None:
        if sip.isdeleted(self):
            return
        self._models = [model for model in models if not model.why_not_map]
        self.models.blockSignals(True)
        self.models.clear()
        self.models.addItems([model.name for model in self._models])
        folders = [str(model.folder) for model in self._models]
        self.models.setCurrentIndex(folders.index(self._wanted) if self._wanted in folders else 0)
        self.models.blockSignals(False)
        self._validate()

    @slot
    def _on_series(self) -> None:
        self.labels.series_changed()
        self._on_input()

    @slot
    def _on_layer(self) -> None:
        self.form.offer_fields(self.labels.layer)
        self._on_input()

    @slot
    def _on_input(self) -> None:
        self.footer.trouble = ""
        self._validate()

    @slot
    def _validate(self) -> None:
        model = self.model()
        self.told.setText(model.told if model is not None else "")
        self.form.ask("date_field", model is not None and model.per_date)
        self.series_text.setText(self._series.sentence())
        self.footer.show_reason(self.why_not())

    @slot
    def _on_run(self) -> None:
        model, parts = self.model(), self.labels.parts()
        if self.why_not() or model is None or not parts:
            return
        try:
            reports = self._shared.settings.subfolder("reports")
            taken = self._shared.backend.taken("evaluate")
            out = unique_path(reports, f"{model.folder.name}-check", taken=taken)
            spec: Dict[str, Any] = {
                "series": [str(self._series.write())],
                "model": str(model.folder),
                "class_field": parts[0].field,
                "names": self.labels.names(),
                "out": str(out),
                **self.form.values(),
            }
            folder = self._shared.settings.subfolder(COPIES)
            fields = [str(spec.get("date_field") or "")]
        except OSError as error:
            self._tell(helped(unwritable(error), *self.remedies.at("options")))
            return
        self.result.clear()
        self._preparing = True
        self._copy = labels.provide(
            parts,
            self.labels.naming,
            fields,
            folder,
            lambda path, error: self._on_labels(spec, path, error),
        )
        self._validate()

    def _on_labels(self, spec: Mapping[str, Any], path: Path, error: str) -> None:
        if sip.isdeleted(self):
            return
        self._copy, self._preparing = None, False
        if error:
            self._tell(helped(error, *self.remedies.at("labels")))
        else:
            self.follower.submit({**spec, "labels": str(path)})
            self._on_input()

    def _tell(self, sentence: str) -> None:
        self.footer.trouble = sentence
        self._validate()

    @slot
    def _on_refused(self, token: str, error: Mapping[str, Any]) -> None:
        if self.follower.refuse(token):
            self._tell(self.remedies.told(error))

    @slot
    def _on_job(self, job: JobView) -> None:
        first = self.box.job is None or self.box.job.id != job.id
        new = first or self.box.job.state != job.state
        self.box.show_job(job)
        if first:
            scroll_to(self.box)
        if new and job.state == "succeeded":
            judged = labels.likely_parts(job.spec, self.labels.layer)
            self.result.show_folder(Path(str(job.spec.get("out", ""))), judged)
        self._validate()
