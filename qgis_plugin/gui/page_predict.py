# SPDX-License-Identifier: GPL-3.0-or-later
"""The Predict page: a trained model maps the ticked series."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from qgis.core import QgsProject
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QToolButton

from ..backend.jobs import JobView
from ..compat import caption, form_layout, icon, label
from ..i18n import tr
from ..layers import area, fit
from ..models import Model, find_models, not_there, read_model
from ..schema import select
from ..settings import unwritable
from ..shared import Shared
from ..timing import inside_qgis, slot
from .area_box import AreaBox
from .estimate_box import EstimateBox
from .follow import Follower
from .form import SpecForm
from .map_file import MapFile
from .model_card import ModelCard
from .models_dialog import ModelsDialog
from .outputs_box import OutputsBox
from .page import Page, RunFooter
from .page_series import SeriesPage
from .remedies import Remedies
from .reveal import reveal, scroll_to
from .run_box import RunBox
from .why import helped

INTRO = tr("Map the ticked series with a trained model. The map arrives as a layer in the classes' colours.")
TOLD = ["overwrite", "minimum_area", "shard", "ray", "dry_run"]


class PredictPage(Page):
    """Submits predict jobs and shows the latest."""

    train_asked = pyqtSignal()
    """There is no model yet: the page Train makes one."""
    renamed = pyqtSignal(str, str)
    """A model's former and present folder."""

    def __init__(self, shared: Shared, series: SeriesPage) -> None:
        super().__init__(shared, "timoPredict", INTRO)
        self._series = series
        self._models: List[Model] = []
        self._wanted = shared.settings.bundle
        self._asked = ""
        """The folder that something else than the list asked for, until it is found there."""
        self._looking = False
        self._search = 0
        self._unfit = ""
        self._preparing = False
        self._changes = 0
        self._widgets()
        self.box = RunBox("timoPredict", tr("Add to the project"))
        self.footer_row = RunFooter("timoPredict", tr("Predict"), "predict")
        self.follower = Follower(shared.backend, "predict", self)
        show_model = partial(reveal, self.models)
        self.remedies = self.box.remedies = Remedies(shared, series, {
            **self.form.places(), "model": show_model, "size": show_model,
            "aoi": partial(reveal, self.area.kind),
            "out": partial(reveal, self.out), "free": self._on_free_name, "again": self._on_run,
        })  # fmt: skip
        self._build()
        self._connect()
        self.refresh()

    def refresh(self) -> None:
        """Look for models again."""
        home, others = self.shared.settings.home_folder, list(self.shared.settings.bundles)
        self._looking = True
        self._search += 1
        number = self._search
        self.shared.background.run(lambda: find_models(home, others),
                                   lambda found: self._on_found(number, found),
                                   failed=lambda _: self._on_found(number, self._models))  # fmt: skip

    def choose(self, folder: str) -> None:
        """Use the model in this folder, as soon as it is read."""
        self._wanted = self._asked = folder
        own = self.shared.settings.home_folder / "models"
        if Path(folder).parent != own and folder not in self.shared.settings.bundles:
            self.shared.settings.save(bundles=[*self.shared.settings.bundles, folder])
        self.refresh()
        self._show_models(self._models)

    def model(self) -> Optional[Model]:
        """The chosen model."""
        number = self.models.currentIndex()
        return self._models[number] if 0 <= number < len(self._models) else None

    def _widgets(self) -> None:
        self.models = QComboBox()
        self.models.setObjectName("timoPredictModel")
        self.models.setAccessibleName(tr("Model"))
        self.models.setMinimumContentsLength(12)
        self.models.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.browse = QToolButton()
        self.browse.setObjectName("timoPredictBrowse")
        self.browse.setAccessibleName(tr("Pick the folder of another model"))
        self.browse.setIcon(icon("folder"))
        self.browse.setToolTip(tr("Pick the folder of another model"))
        self.manage = QToolButton()
        self.manage.setObjectName("timoPredictModels")
        self.manage.setText(tr("Models…"))
        self.manage.setToolTip(tr("See all models; import, export, rename or delete one"))
        self.card = ModelCard("timoPredictCard")
        self.area = AreaBox("timoPredict", self.shared.iface)
        self.outputs = OutputsBox("timoPredict", self.shared.settings.outputs)
        self.out = MapFile(self.shared, "timoPredictOut", lambda out: self.outputs.files(out).values())
        self.estimate = EstimateBox("timoPredict", self.shared.backend, self._words)
        self.form = SpecForm("timoPredict", select("predict", TOLD), self.shared.settings.predict)
        self.fit = label("", "timoPredictFit")

    def _words(self, error: Mapping[str, Any]) -> str:
        return self.remedies.told(error)

    def _build(self) -> None:
        form = form_layout()
        self.series_text = label("", "timoPredictSeries")
        form.addRow(caption(tr("Series"), top=True), self.series_text)
        row = QHBoxLayout()
        row.addWidget(self.models, 1)
        row.addWidget(self.browse)
        row.addWidget(self.manage)
        form.addRow(caption(tr("Model")), row)
        self.body.addLayout(form)
        self.body.addWidget(self.card)
        self.body.addWidget(self.fit)
        form = form_layout()
        form.addRow(caption(tr("Map")), self.out)
        form.addRow(caption(tr("Area"), top=True), self.area)
        form.addRow(caption(tr("Make also"), top=True), self.outputs)
        self.body.addLayout(form)
        self.body.addWidget(self.form)
        self.body.addWidget(self.estimate)
        self.body.addWidget(self.box)
        self.body.addStretch(1)
        self.footer.addWidget(self.footer_row)

    def _connect(self) -> None:
        self.models.currentIndexChanged.connect(self._on_model)
        self.browse.clicked.connect(self._on_browse)
        self.manage.clicked.connect(self._on_manage)
        self.renamed.connect(self._on_renamed)
        self.out.fileChanged.connect(self._on_input)
        self.area.changed.connect(self._on_input)
        self.outputs.changed.connect(self._on_input)
        self.estimate.asked.connect(self._on_estimate)
        self.form.changed.connect(self._on_input)
        self._series.changed.connect(self._on_series)
        self.shared.backend.state_changed.connect(self._validate)
        self.shared.backend.refused.connect(self._on_refused)
        self.follower.changed.connect(self._on_job)
        self.follower.lost.connect(self.box.forget_job)
        self.footer_row.button.clicked.connect(self._on_run)
        self.box.cancelled.connect(self.shared.backend.cancel)

    # the model

    def _on_found(self, number: int, models: List[Model]) -> None:
        if number != self._search:  # a later search's answer counts
            return
        self._looking = False
        self._show_models(models)

    def _show_models(self, models: List[Model]) -> None:
        before = str(self.model().folder) if self.model() else ""
        current = self._wanted or before
        models = [model for model in models if not model.pretrained]
        self._models = models
        self.models.blockSignals(True)
        self.models.clear()
        for model in models:
            self.models.addItem(
                model.name if not model.problem else tr("{name} (cannot be used)", name=model.name)
            )
        usable = [number for number, model in enumerate(models) if not model.problem]
        wanted = [number for number, model in enumerate(models) if str(model.folder) == current]
        if wanted:
            self._asked = ""
        # Another than was asked for is not chosen in its place.
        others = [] if self._asked else usable or list(range(len(models)))
        chosen = (wanted or others or [-1])[0]
        self.models.setCurrentIndex(chosen)
        self.models.blockSignals(False)
        self._show_model()
        if wanted and current == before:  # The list came anew, nothing changed: a refusal stays to be read.
            self._suggest_out()
            self._validate()
        else:
            self._on_model()

    def _show_model(self) -> None:
        model = self.model()
        self.card.show_model(model)
        self.outputs.offer_dates(model is not None and model.per_date)

    @slot
    def _on_model(self) -> None:
        self._show_model()
        model = self.model()
        if model is not None:
            self._asked = ""
        if model is not None and not model.problem:
            self._wanted = str(model.folder)
            self.shared.settings.save(bundle=self._wanted)
        self._suggest_out()
        self._on_input()

    @slot
    def _on_browse(self) -> None:
        start = str(self.shared.settings.home_folder / "models")
        with inside_qgis():
            folder = QFileDialog.getExistingDirectory(self, tr("The folder of a TiMo model"), start)
        if folder:
            model = read_model(Path(folder))
            if model.why_not_map:
                self._tell(helped(model.why_not_map, self.manage.text(), self._on_manage))
            else:
                self.choose(folder)

    @slot
    def _on_manage(self) -> None:
        dialog = ModelsDialog(self.shared, self.window())
        dialog.changed.connect(self.refresh)
        dialog.renamed.connect(self.renamed)
        dialog.chosen.connect(self.choose)
        dialog.open()

    @slot
    def _on_renamed(self, before: str, now: str) -> None:
        if before == self._wanted:
            self.choose(now)

    def why_not(self) -> str:
        """Why mapping cannot begin, in a sentence that says what to do; empty if it can."""
        if not self.shared.backend.state.ready:
            return tr("The backend is not ready: see the top of this panel.")
        model = self.model()
        if model is None and self._asked:
            return helped(not_there(self._asked, self._looking), self.manage.text(), self._on_manage)
        series = self._series.why_not(model.date_minimum if model else 1)
        if series:
            return series
        if model is None:
            none = tr("Train a model on the Train page first, or pick the folder of one.")
            return helped(none, tr("Page Train"), self.train_asked.emit)
        if model.problem:
            return helped(model.problem, self.manage.text(), self._on_manage)
        if self._preparing or self.follower.submitting:
            return tr("The job is being prepared.")
        unfit = helped(self._unfit, tr("Page Series"), self._series.wanted.emit)
        area = helped(self.area.why_not(), *self.remedies.at("aoi"))
        return unfit or area or helped(self.out.why_not(), *self.remedies.at("out"))

    @slot
    def _on_input(self) -> None:
        self.footer_row.trouble = ""
        self._changes += 1  # an estimate that is being prepared is of no use
        self.estimate.forget()
        self._validate()

    @slot
    def _on_series(self) -> None:
        self._suggest_out()
        self._on_input()

    @slot
    def _validate(self) -> None:
        self.series_text.setText(self._series.sentence())
        self._judge()
        why_not = self.why_not()
        self.footer_row.show_reason(why_not)
        self.estimate.button.setEnabled(not why_not)

    def _judge(self) -> None:
        """Whether model and series fit, once for all that ask: a series may have a thousand dates."""
        model, doubts = self.model(), []
        self._unfit = ""
        if model is not None and not model.problem and not self._series.why_not(1):
            self._unfit, doubts = fit.judge(model, self._series.rows)
        self.fit.setText(" ".join(doubts))
        self.fit.setVisible(bool(doubts))

    @slot
    def _on_run(self) -> None:
        self.shared.settings.save(predict=self.form.values(), outputs=self.outputs.values())
        self._prepare(self._submit)

    @slot
    def _on_estimate(self) -> None:
        self._prepare(self.estimate.ask)

    def _submit(self, spec: Mapping[str, Any]) -> None:
        self.follower.submit(spec)
        self.out.taken(Path(str(spec["out"])))
        self._on_input()

    def _prepare(self, use: Callable[[Mapping[str, Any]], None]) -> None:
        """Write the files that the job reads, and use the spec that names them."""
        model = self.model()
        if self.why_not() or model is None:
            self._validate()  # What was there when the button was enabled is there no more.
            return
        out = self.out.path()
        try:
            if out.parent == self.out.own:
                self.shared.settings.subfolder("results")
            spec: Dict[str, Any] = {
                "series": [str(self._series.write())],
                "model": str(model.folder),
                "out": str(out),
                **self.outputs.spec(out),
                **self.form.values(),
            }
            folder = self.shared.settings.subfolder("areas")
        except OSError as error:
            self._tell(helped(unwritable(error), *self.remedies.at("options")))
            return
        chosen = self.area.reader()
        if chosen is None:
            use(spec)
            return
        read, crs = chosen
        context = QgsProject.instance().transformContext()
        self._preparing, changes = True, self._changes
        self._validate()

        def written() -> Tuple[str, str]:
            try:
                return str(area.write(read(), crs, folder, context)), ""
            except area.AreaError as error:
                return "", str(error)

        def done(result: Tuple[str, str]) -> None:
            self._preparing = False
            if result[1]:
                self._tell(helped(result[1], *self.remedies.at("aoi")))
            else:
                self._validate()
                if changes == self._changes or use == self._submit:
                    use({**spec, "aoi": result[0]})

        def failed(why: str) -> None:
            done(("", tr("The area cannot be read: {why}. Pick another area.", why=why)))

        self.shared.background.run(written, done, failed=failed, owner=self)

    @slot
    def _on_refused(self, token: str, error: Mapping[str, Any]) -> None:
        if self.follower.refuse(token):
            self._tell(self.remedies.told(error))

    def _tell(self, sentence: str) -> None:
        """Show this until the analyst changes something."""
        self.footer_row.trouble = sentence
        self._validate()

    @slot
    def _on_job(self, job: JobView) -> None:
        first = self.box.job is None or self.box.job.id != job.id
        ended = not first and job.final and not self.box.job.final
        self.box.show_job(job)
        if first:
            scroll_to(self.box)
        if first or ended:  # not at each event: it looks at files
            self._suggest_out()
            self._validate()

    @slot
    def _on_free_name(self) -> None:
        self.out.taken(self.out.path())
        self._suggest_out()
        reveal(self.out)

    def take(self, spec: Mapping[str, Any]) -> None:
        """Show a job's parameters, its model and its map; series, area and other outputs stay."""
        self.form.set_values(spec)
        self.choose(str(spec["model"]))
        self.out.setFilePath(str(spec.get("out", "")))
        self._on_input()

    def _suggest_out(self) -> None:
        model = self.model()
        if model is not None:
            self.out.suggest(f"{self._series.series_name()}-{model.folder.name}")
