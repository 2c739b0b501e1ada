# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done with a result: in the context menu of its layers, and behind a job's button "More…"."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from typing import Any, Callable, Dict, List, Mapping, Optional, Set, Tuple

from qgis.core import QgsMapLayer, QgsMapLayerType, QgsProject, QgsVectorLayer
from qgis.PyQt.QtCore import QObject
from qgis.PyQt.QtWidgets import QAction, QDialog, QMenu, QToolButton

from ..backend.jobs import JobView
from ..compat import icon, menu_button
from ..i18n import tr
from ..layers.provenance import again, spec_of
from ..layers.result_files import CHANGE, CONFIDENCE, DATED, MAP, POLYGONS, PROBABILITIES, Result, read_result
from ..layers.results import layers_of_job
from ..layers.sources import JOB_PROPERTY, KIND_PROPERTY, is_result, layer_file
from ..log import log
from ..shared import Shared
from ..timing import slot
from .compare_dialog import CompareDialog
from .export_dialog import ExportDialog
from .made_dialog import MadeDialog
from .place_dialog import PlaceDialog
from .train_labels import LabelsBox
from .unsure_dialog import UnsureDialog

PLACE, UNSURE, COMPARE, EXPORT, MADE, AGAIN = "Place", "Unsure", "Compare", "Export", "Made", "Again"
CLASS_MAPS, RASTERS = (MAP, DATED), (MAP, DATED, CONFIDENCE, PROBABILITIES, CHANGE)
# Which results offer what.
FITS: Dict[str, Tuple[str, ...]] = {
    PLACE: (MAP, DATED, CONFIDENCE, PROBABILITIES, POLYGONS),
    UNSURE: (MAP, CONFIDENCE, PROBABILITIES),
    COMPARE: CLASS_MAPS,
    EXPORT: RASTERS,
    MADE: (*RASTERS, POLYGONS),
    AGAIN: (MAP, DATED, CONFIDENCE, PROBABILITIES, POLYGONS),
}


class ResultMenu(QObject):
    """Puts the entries into QGIS's menus, and does what they say.

    Args:
        shared: What all pages share.
        submit: Submits a predict job and shows it.
        labels: What the Train page learns from.
        train: Opens the Train page.
        parent: Whose it is.
    """

    def __init__(
        self,
        shared: Shared,
        submit: Callable[[Mapping[str, Any]], None],
        labels: LabelsBox,
        train: Callable[[], None],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._shared, self._submit, self._labels, self._train = shared, submit, labels, train
        self._pressed: Dict[str, Callable[[QgsMapLayer], None]] = {
            PLACE: self.ask_place,
            UNSURE: self.find_unsure,
            COMPARE: self.compare,
            EXPORT: self.export,
            MADE: self.show_made,
            AGAIN: self.run_again,
        }
        self.actions: Dict[str, QAction] = {}
        for name, (text, picture) in _texts().items():
            action = QAction(icon(picture), text, self)
            action.setObjectName(f"timoResult{name}")
            action.triggered.connect(self._caller(name))
            self.actions[name] = action
            for kind in (QgsMapLayerType.RasterLayer, QgsMapLayerType.VectorLayer):
                shared.iface.addCustomActionForLayerType(action, "TiMo", kind, False)
        self._offered: Set[str] = set()
        project = QgsProject.instance()
        project.layersAdded.connect(self._on_layers)
        self._on_layers(list(project.mapLayers().values()))

    def close(self) -> None:
        """Take the entries out of QGIS's menus."""
        with suppress(TypeError):
            QgsProject.instance().layersAdded.disconnect(self._on_layers)
        for action in self.actions.values():
            while self._shared.iface.removeCustomActionForLayerType(action):
                pass  # once for each type of layer

    def button(self, name: str) -> MoreButton:
        """A button "More…" for the box of a job."""
        return MoreButton(name, self)

    def fill(self, menu: QMenu, job: str) -> None:
        """Put what can be done with a job's results into a menu."""
        menu.clear()
        layers = {_kind(layer): layer for layer in reversed(layers_of_job(QgsProject.instance(), job))}
        for name, action in self.actions.items():
            layer = next((layers[kind] for kind in FITS[name] if kind in layers), None)
            entry = menu.addAction(action.icon(), action.text())
            entry.setObjectName(f"timoMore{name}")
            entry.setEnabled(layer is not None)
            if layer is not None:
                entry.triggered.connect(self._caller(name, layer.id()))
        if not layers:
            menu.addSection(tr("Add the map to the project first"))

    # what the entries do

    def show_made(self, layer: QgsMapLayer) -> None:
        """Show how a result was made."""

        def show(result: Result, moment: str) -> None:
            spec = spec_of(result.tags)
            MadeDialog(
                result,
                layer.name(),
                str(layer.customProperty(JOB_PROPERTY, "")),
                moment,
                (lambda: self._again(spec)) if spec.get("model") else None,
                self._shared.iface.mainWindow(),
            ).show()

        self._read(layer, show)

    def run_again(self, layer: QgsMapLayer) -> None:
        """Submit the same job again; the map gets a name that is free."""
        self._read(layer, lambda result, _moment: self._again(spec_of(result.tags)))

    def compare(self, layer: Optional[QgsMapLayer]) -> None:
        """Compare a map with another."""
        CompareDialog(layer, self._shared.iface.mainWindow()).show()

    def export(self, layer: QgsMapLayer) -> None:
        """Write a result in another shape."""
        self._open(
            layer,
            lambda result: ExportDialog(
                self._shared, result, layer.crs(), layer.name(), self._shared.iface.mainWindow()
            ),
        )

    def find_unsure(self, layer: QgsMapLayer) -> None:
        """Find the places to label next."""
        window = self._shared.iface.mainWindow()
        self._open(
            layer, lambda result: UnsureDialog(self._shared, result, self._labels, self._train, window)
        )

    def ask_place(self, layer: QgsMapLayer) -> None:
        """Let the analyst click places of the map."""
        window = self._shared.iface.mainWindow()
        self._open(layer, lambda result: PlaceDialog(self._shared, result, layer.name(), window))

    def _open(self, layer: QgsMapLayer, make: Callable[[Result], QDialog]) -> None:
        self._read(layer, lambda result, _moment: make(result).show())

    def _again(self, spec: Mapping[str, Any]) -> None:
        taken = self._shared.backend.taken("predict")

        def done(found: Tuple[Dict[str, Any], str]) -> None:
            made, why = found
            if why:
                log(why, "warning", push=True)
            else:
                self._submit(made)

        self._shared.background.run(lambda: again(spec, taken), done)

    def _read(self, layer: QgsMapLayer, use: Callable[[Result, str], None]) -> None:
        """Read what a layer's file says, and when it was written."""
        path, kind, ident = layer_file(layer), _kind(layer), layer.id()
        if path is None:
            log(tr("Layer '{name}' is no file on this machine.", name=layer.name()), "warning", push=True)
            return

        def read() -> Tuple[Optional[Result], str]:
            result = read_result(kind, path)
            if result is None:
                return None, ""
            moment = dt.datetime.fromtimestamp(path.stat().st_mtime)
            return result, f"{moment:%Y-%m-%d %H:%M}"

        def done(found: Tuple[Optional[Result], str]) -> None:
            if ident not in QgsProject.instance().mapLayers():
                return
            if found[0] is None:
                gone = tr("{path} cannot be opened: it was moved or deleted since it was made.", path=path)
                log(gone, "warning", push=True)
            else:
                use(found[0], found[1])

        self._shared.background.run(read, done)

    def _caller(self, name: str, layer: str = "") -> Callable[[], None]:
        @slot
        def call() -> None:
            chosen = QgsProject.instance().mapLayer(layer) if layer else self._shared.iface.activeLayer()
            if chosen is not None and is_result(chosen) and _kind(chosen) in FITS[name]:
                self._pressed[name](chosen)

        return call

    @slot
    def _on_layers(self, layers: List[QgsMapLayer]) -> None:
        for layer in layers:
            if is_result(layer):
                self._offer(layer)
            else:  # it may become one: Processing adds a layer first, and tells what it shows after that
                self._offered.discard(layer.id())
                layer.customPropertyChanged.connect(self._on_property)

    @slot
    def _on_property(self, key: str) -> None:
        if key != KIND_PROPERTY:
            return
        for layer in QgsProject.instance().mapLayers().values():
            if is_result(layer) and layer.id() not in self._offered:
                self._offer(layer)

    def _offer(self, layer: QgsMapLayer) -> None:
        self._offered.add(layer.id())
        for name, action in self.actions.items():
            if _kind(layer) in FITS[name]:
                self._shared.iface.addCustomActionForLayer(action, layer)


class MoreButton(QToolButton):
    """Opens a menu of what can be done with a job's results; hidden until a job has succeeded."""

    def __init__(self, name: str, results: ResultMenu) -> None:
        super().__init__()
        self._results, self._job = results, ""
        self.setObjectName(f"{name}More")
        self.setText(tr("More…"))
        self.setToolTip(tr("Ask a place, compare, export, where the map is unsure, how it was made"))
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self)
        menu.setObjectName(f"{name}MoreMenu")
        menu.aboutToShow.connect(self._on_menu)
        self.setMenu(menu)
        menu_button(self)
        self.hide()

    @slot
    def show_job(self, job: JobView) -> None:
        """Offer this job's results."""
        self._job = job.id
        self.setVisible(job.state == "succeeded")

    @slot
    def _on_menu(self) -> None:
        self._results.fill(self.menu(), self._job)


def _kind(layer: QgsMapLayer) -> str:
    """Which result a layer shows; those of earlier versions do not say it."""
    return str(layer.customProperty(KIND_PROPERTY, POLYGONS if isinstance(layer, QgsVectorLayer) else MAP))


def _texts() -> Dict[str, Tuple[str, str]]:
    """Each entry's text and icon, in the menu's order."""
    return {
        PLACE: (tr("Ask a place"), "place"),
        UNSURE: (tr("Where is it unsure?"), "unsure"),
        COMPARE: (tr("Compare…"), "compare"),
        EXPORT: (tr("Export…"), "export"),
        MADE: (tr("Show how this was made"), "made"),
        AGAIN: (tr("Run again"), "again"),
    }
