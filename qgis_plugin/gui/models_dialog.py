# SPDX-License-Identifier: GPL-3.0-or-later
"""The models: their cards, and how they come, go and are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, List, Optional, Tuple

from qgis.PyQt.QtCore import QFile, QSize, Qt, QUrl, pyqtSignal
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtWidgets import (
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QInputDialog,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QMessageBox,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from .. import bundles
from ..compat import icon, label, plain
from ..i18n import tr
from ..models import Model, find_models, read_model
from ..shared import Shared
from ..timing import inside_qgis, slot
from .help_button import HelpButton
from .model_card import ModelCard
from .train_result import ScoresDialog

REPORT = "report.html"
FOLDER = Qt.ItemDataRole.UserRole


class ModelsDialog(QDialog):
    """Lists the models of the home and those picked elsewhere.

    Args:
        shared: What all pages share.
        parent: The window above which it stands.
    """

    changed = pyqtSignal()
    """A model came, went, or has another name."""
    renamed = pyqtSignal(str, str)
    """The folder that a model had, and the one it has now."""
    chosen = pyqtSignal(str)
    """The folder of the model that shall be used."""

    def __init__(self, shared: Shared, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("timoModels")
        self.setWindowTitle(tr("TiMo models"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._shared = shared
        self._models: List[Model] = []
        self._wanted = ""
        self.list = QListWidget()
        self.list.setObjectName("timoModelsList")
        self.list.setAccessibleName(tr("Models"))
        self.card = ModelCard("timoModelsCard")
        self.empty = label(
            tr(
                "There are no models yet. Train one on the Train page, or import one that somebody gave you. "
                "No weights of the published TiMo model have been released."
            ),
            "timoModelsEmpty",
            muted=True,
        )
        self.busy = QProgressBar()
        self.busy.setObjectName("timoModelsBusy")
        self.busy.setRange(0, 0)
        self.busy.setTextVisible(False)
        self.busy.setMaximumHeight(6)
        self.busy.hide()
        self.message = label("", "timoModelsMessage")
        self.message.hide()
        self._buttons()
        self._build()
        self.list.currentRowChanged.connect(self._on_row)
        self.list.itemDoubleClicked.connect(self._on_use)
        self._on_row()
        self.refresh()

    def sizeHint(self) -> QSize:
        """Wide enough for the list beside a card."""
        return QSize(760, 520)

    def model(self) -> Optional[Model]:
        """The model of the selected row."""
        row = self.list.currentRow()
        return self._models[row] if 0 <= row < len(self._models) else None

    def refresh(self, wanted: str = "") -> None:
        """Look for models again, and select the one in this folder."""
        self._wanted = wanted or (str(self.model().folder) if self.model() else self._shared.settings.bundle)
        home, others = self._shared.settings.home_folder, list(self._shared.settings.bundles)
        self._shared.background.run(lambda: find_models(home, others), self._show, owner=self)

    def _buttons(self) -> None:
        def button(name: str, text: str, pressed: Callable[[], None], help_text: str) -> QPushButton:
            made = QPushButton(text)
            made.setObjectName(f"timoModels{name}")
            made.setToolTip(help_text)
            made.setAutoDefault(False)
            made.clicked.connect(pressed)
            return made

        self.use = button("Use", tr("Use this model"), self._on_use, tr("Map with it on the Predict page"))
        self.report = button("Report", tr("Report"), self._on_report, tr("How it learnt and how good it is"))
        self.imported = button("Import", tr("Import…"), self._on_import, tr("Take a model from its zip"))
        self.export = button("Export", tr("Export…"), self._on_export, tr("Pack the model as one zip"))
        self.rename = button("Rename", tr("Rename…"), self._on_rename, "")
        self.delete = button("Delete", tr("Delete…"), self._on_delete, tr("Move it to the trash"))
        self.close_button = button("Close", tr("Close"), self.accept, "")
        self.imported.setIcon(icon("add"))

    def _build(self) -> None:
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.card)
        column.addWidget(self.empty)
        column.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(inner)
        split = QSplitter(Qt.Orientation.Horizontal)
        split.addWidget(self.list)
        split.addWidget(scroll)
        split.setStretchFactor(0, 2)
        split.setStretchFactor(1, 3)
        split.setChildrenCollapsible(False)
        actions = QHBoxLayout()
        for one in (self.imported, self.export, self.rename, self.delete):
            actions.addWidget(one)
        actions.addStretch(1)
        last = QHBoxLayout()
        last.addWidget(HelpButton("predict", self))
        last.addWidget(self.report)
        last.addStretch(1)
        last.addWidget(self.use)
        last.addWidget(self.close_button)
        whole = QVBoxLayout(self)
        whole.addWidget(split, 1)
        whole.addWidget(self.busy)
        whole.addWidget(self.message)
        whole.addLayout(actions)
        whole.addLayout(last)

    def _show(self, models: List[Model]) -> None:
        self._models = models
        self.list.blockSignals(True)
        self.list.clear()
        for model in models:
            item = QListWidgetItem(
                tr("{name} (cannot be used)", name=model.name) if model.problem else model.name
            )
            item.setData(FOLDER, str(model.folder))
            self.list.addItem(item)
        rows = [row for row, model in enumerate(models) if str(model.folder) == self._wanted]
        self.list.setCurrentRow(rows[0] if rows else min(0, len(models) - 1))
        self.list.blockSignals(False)
        self._on_row()

    @slot
    def _on_row(self) -> None:
        model = self.model()
        self.card.show_model(model)
        self.empty.setVisible(model is None)
        self._allow()

    def _allow(self) -> None:
        model, free = self.model(), self.busy.isHidden()
        good = model is not None and not model.problem
        own = model is not None and model.folder.parent == self._own()
        self.imported.setEnabled(free)
        self.use.setEnabled(model is not None and not model.why_not_map and free)
        self.export.setEnabled(good and free)
        self.rename.setEnabled(good and own and free)
        self.rename.setToolTip(
            tr("Give it another name")
            if own or model is None
            else tr("It lies outside of TiMo's home, in a folder of yours: import its zip and rename that.")
        )
        self.report.setEnabled(good and (not model.pretrained or self._page(model) is not None))
        self.delete.setEnabled(model is not None and free)
        self.delete.setText(tr("Delete…") if own or model is None else tr("Take off the list"))

    def _page(self, model: Model) -> Optional[Path]:
        """The report that a training of this home wrote: an import leaves a stranger's in its zip."""
        page = model.folder / REPORT
        return page if model.folder.parent == self._own() and page.is_file() else None

    def _own(self) -> Path:
        return self._shared.settings.home_folder / "models"

    def _say(self, text: str) -> None:
        self.message.setText(text)
        self.message.setVisible(bool(text))

    def _work(self, name: str, function: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Do it in another thread; its trouble is shown as a sentence, which names the file or model."""

        def guarded() -> Tuple[Any, str]:
            try:
                return function(), ""
            except bundles.BundleTrouble as trouble:
                return None, str(trouble)

        def ended(result: Tuple[Any, str]) -> None:
            self.busy.hide()
            self._allow()
            self._say(result[1])
            if not result[1]:
                done(result[0])

        self._say("")
        self.busy.show()
        self._allow()
        self._shared.background.run(
            guarded,
            ended,
            failed=lambda why: ended((None, tr("Nothing was done with {name}: {why}.", name=name, why=why))),
            owner=self,
        )

    # what the buttons do

    @slot
    def _on_use(self) -> None:
        model = self.model()
        if model is not None and not model.why_not_map:
            self.chosen.emit(str(model.folder))
            self.accept()

    @slot
    def _on_report(self) -> None:
        """The page, or the figures alone of a model from elsewhere: its page could run scripts."""
        model = self.model()
        if model is None:
            return
        page = self._page(model)
        if page is not None:
            with inside_qgis():
                QDesktopServices.openUrl(QUrl.fromLocalFile(str(page)))
            return
        dialog = ScoresDialog(self._shared, model, self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    @slot
    def _on_import(self) -> None:
        with inside_qgis():
            text, _ = QFileDialog.getOpenFileName(
                self, tr("The zip of a model"), str(Path.home()), tr("Models (*.zip)")
            )
        if text:
            archive, own = Path(text), self._own()
            self._work(archive.name, lambda: bundles.import_zip(archive, own), self._on_imported)

    def _on_imported(self, folder: Path) -> None:
        self.refresh(str(folder))
        self._say(tr("Model '{name}' was imported.", name=folder.name))
        self.changed.emit()

    @slot
    def _on_export(self) -> None:
        model = self.model()
        if model is None:
            return
        start = str(Path.home() / f"{model.folder.name}.zip")
        with inside_qgis():  # the dialog asks before a file is replaced
            text, _ = QFileDialog.getSaveFileName(
                self, tr("Export the model to"), start, tr("Models (*.zip)")
            )
        if text:
            target = Path(text if text.lower().endswith(".zip") else f"{text}.zip")
            self._work(
                target.name,
                lambda: bundles.export_zip(model, target),
                lambda _: self._say(
                    tr("Model '{name}' was written to {path}.", name=model.name, path=target)
                ),
            )

    @slot
    def _on_rename(self) -> None:
        model = self.model()
        if model is None or self._in_use(model):
            return
        own = read_model(model.folder).name  # in the list its folder may stand behind it
        with inside_qgis():
            name, said = QInputDialog.getText(
                self, tr("Rename the model"), tr("Name"), QLineEdit.EchoMode.Normal, own
            )
        name = name.strip()
        if said and name and name != own:
            self._work(model.name, lambda: (model.folder, bundles.rename(model, name)), self._on_renamed)

    def _on_renamed(self, folders: Tuple[Path, Path]) -> None:
        before, now = map(str, folders)
        self.refresh(now)
        self.renamed.emit(before, now)
        self.changed.emit()

    @slot
    def _on_delete(self) -> None:
        model = self.model()
        if model is None:
            return
        if model.folder.parent == self._own():
            if self._in_use(model) or not self._sure(model):
                return
            with inside_qgis():
                moved = QFile.moveToTrash(str(model.folder))
            if not (moved[0] if isinstance(moved, tuple) else moved):
                self._say(
                    tr("{folder} cannot be moved to the trash: delete it by hand.", folder=model.folder)
                )
                return
        others = [one for one in self._shared.settings.bundles if one != str(model.folder)]
        self._shared.settings.save(bundles=others)
        self.refresh()
        self.changed.emit()

    def _sure(self, model: Model) -> bool:
        with inside_qgis():
            answer = QMessageBox.question(
                self,
                tr("Delete the model"),
                plain(tr("Move model '{name}' to the trash? Maps made with it stay.", name=model.name)),
            )
        return answer == QMessageBox.StandardButton.Yes

    def _in_use(self, model: Model) -> bool:
        """Whether a job still needs the model where it lies; says so."""
        for job in self._shared.backend.jobs.values():
            if not job.final and str(model.folder) in (job.spec.get("model"), job.spec.get("from")):
                self._say(tr("Job '{job}' still needs this model: wait until it has ended.", job=job.name))
                return True
        return False
