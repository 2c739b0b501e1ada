# SPDX-License-Identifier: GPL-3.0-or-later
"""The dialogs of a training layer: a new one to draw in, and the classes of one that is there."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeatureRequest,
    QgsProject,
    QgsVectorLayer,
    QgsVectorLayerFeatureSource,
)
from qgis.gui import QgsProjectionSelectionWidget
from qgis.PyQt import sip
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QLineEdit,
    QMessageBox,
    QVBoxLayout,
    QWidget,
)

from ..compat import caption, form_layout, label, plain
from ..i18n import tr, trn
from ..layers import label_layer
from ..layers.label_classes import LabelClass, class_name, is_coded, write_scheme
from ..layers.label_parts import LabelPart
from ..layers.sources import safe_name, unique_path
from ..log import log
from ..models import find_models
from ..shared import Shared
from ..timing import inside_qgis, slot
from .class_editor import ClassEditor
from .help_button import HelpButton


class NewLabelsDialog(QDialog):
    """Asks for a name, a place, a shape, a coordinate system and classes; makes the layer, ready to draw.

    Args:
        shared: What all pages share.
        crs: The series' coordinate system; the project's is taken where it is not valid.
        parent: The window.
    """

    made = pyqtSignal(object, str)
    """The new layer, which is in the project and being edited, and its class field."""

    def __init__(self, shared: Shared, crs: QgsCoordinateReferenceSystem, parent: Optional[QWidget]) -> None:
        super().__init__(parent)
        self.setObjectName("timoNewLabels")
        self.setWindowTitle(tr("New training layer"))
        self._shared = shared
        self._busy = False
        self._said = ""
        self.folder = QComboBox()
        self.folder.setObjectName("timoNewLabelsFolder")
        beside = QgsProject.instance().absolutePath()
        if beside:
            self.folder.addItem(tr("Beside the project"), beside)
        self.folder.addItem(tr("In TiMo's own folder"), str(shared.settings.home_folder / "labels"))
        self.folder.setToolTip(tr("Where the GeoPackage is kept"))
        self.name = QLineEdit(unique_path(Path(self.folder.currentData()), "labels", ".gpkg").stem)
        self.name.setObjectName("timoNewLabelsName")
        self.name.setToolTip(tr("The layer's name, which is its file's, too"))
        self.shape = QComboBox()
        self.shape.setObjectName("timoNewLabelsShape")
        self.shape.addItem(tr("Polygons"), label_layer.POLYGONS)
        self.shape.addItem(tr("Points"), label_layer.POINTS)
        self.shape.setToolTip(tr("Polygons teach more: every pixel in them is an example."))
        self.crs = QgsProjectionSelectionWidget()
        self.crs.setObjectName("timoNewLabelsCrs")
        self.crs.setCrs(crs if crs.isValid() else QgsProject.instance().crs())
        self.crs.setAccessibleName(tr("Coordinate system"))
        self.classes = ClassEditor("timoNewLabelsClasses")
        self.reason = label("", "timoNewLabelsReason", muted=True)
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        self.buttons.addButton(HelpButton("train", self), QDialogButtonBox.ButtonRole.HelpRole)
        self.ok = self.buttons.button(QDialogButtonBox.StandardButton.Ok)
        self.ok.setText(tr("Start drawing"))
        self.ok.setObjectName("timoNewLabelsMake")
        self._build()
        for signal in (self.name.textChanged, self.folder.currentIndexChanged, self.crs.crsChanged):
            signal.connect(self._on_input)
        self.classes.changed.connect(self._on_input)
        self.buttons.accepted.connect(self._on_make)
        self.buttons.rejected.connect(self.reject)
        home, others = shared.settings.home_folder, list(shared.settings.bundles)
        shared.background.run(lambda: find_models(home, others), self._on_models)
        self._validate()

    def path(self) -> Path:
        """The file that will be made."""
        return Path(self.folder.currentData()) / f"{self.name.text().strip()}.gpkg"

    def _build(self) -> None:
        form = form_layout()
        form.addRow(caption(tr("Name")), self.name)
        form.addRow(caption(tr("Kept")), self.folder)
        form.addRow(caption(tr("Shapes")), self.shape)
        form.addRow(caption(tr("System")), self.crs)
        whole = QVBoxLayout(self)
        whole.addLayout(form)
        whole.addWidget(label(tr("What is to be told apart"), muted=True))
        whole.addWidget(self.classes, 1)
        whole.addWidget(self.reason)
        whole.addWidget(self.buttons)
        self.resize(440, 500)

    def _why_not(self) -> str:
        name = self.name.text().strip()
        if not name or name != safe_name(name):
            return tr("Use letters, digits, - and _ in the layer's name.")
        if self.path().exists():
            return tr("{name} exists already: give the layer another name.", name=self.path().name)
        if not self.crs.crs().isValid():
            return tr("Pick a coordinate system.")
        return self.classes.why_not()

    @slot
    def _on_input(self) -> None:
        self._said = ""
        self._validate()

    def _validate(self) -> None:
        why = self._why_not()
        self.ok.setEnabled(not why and not self._busy)
        self.reason.setText(self._said or self.classes.refused or why)

    @slot
    def _on_models(self, models: List) -> None:
        if not sip.isdeleted(self):
            self.classes.offer_models(models)

    @slot
    def _on_make(self) -> None:
        if self._busy or self._why_not():
            return
        self._busy = True
        self._validate()
        path, wkt = self.path(), self.crs.crs().toWkt()
        make = label_layer.maker(path, wkt, self.shape.currentData())
        made = partial(self._on_made, path, self.classes.classes())

        def failed(why: str) -> None:
            made(tr("{path} could not be written: {why}. Choose another folder.", path=str(path), why=why))

        self._shared.background.run(make, made, failed=failed, owner=self)

    def _on_made(self, path: Path, classes: List[LabelClass], error: str) -> None:
        self._busy = False
        try:
            layer = label_layer.open_new(path, classes) if not error else None
        except label_layer.NewLabelsError as refused:
            layer, error = None, str(refused)
        if layer is None:
            self._said = error
            self._validate()
            return
        iface = self._shared.iface
        with inside_qgis():
            QgsProject.instance().addMapLayer(layer)
            iface.setActiveLayer(layer)
            layer.startEditing()
            iface.actionAddFeature().trigger()
        self.made.emit(layer, label_layer.FIELD)
        self.accept()


class ClassesDialog(QDialog):
    """The classes of a layer: those that its list offers when drawing, and how they are drawn.

    Args:
        shared: What all pages share.
        parts: The labels; the classes are the first layer's.
        classes: Those that it has now.
        parent: The window.
    """

    done_with = pyqtSignal()
    """The layer's classes were changed."""

    def __init__(
        self,
        shared: Shared,
        parts: Sequence[LabelPart],
        classes: List[LabelClass],
        parent: Optional[QWidget],
    ) -> None:
        super().__init__(parent)
        self.setObjectName("timoClasses")
        self._shared, self._parts = shared, list(parts)
        layer, field = parts[0].layer, parts[0].field
        self._coded, self._taken = is_coded(layer, field), [one.value for one in classes]
        self.setWindowTitle(tr("Classes of '{name}'", name=layer.name()))
        self.classes = ClassEditor("timoClassesEditor")
        self.classes.set_classes(classes)
        self.reason = label("", "timoClassesReason", muted=True)
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        self.buttons.addButton(HelpButton("train", self), QDialogButtonBox.ButtonRole.HelpRole)
        self.ok = self.buttons.button(QDialogButtonBox.StandardButton.Ok)
        self.ok.setObjectName("timoClassesOk")
        whole = QVBoxLayout(self)
        note = tr("The layer's colours and the list of its field '{field}' become these. No feature changes.",
                  field=field)  # fmt: skip
        if self._coded:
            note = tr("The list of field '{field}' gives its codes these names, and the layer's style these "
                      "colours. The codes stay.", field=field)  # fmt: skip
        whole.addWidget(label(note, muted=True))
        whole.addWidget(self.classes, 1)
        whole.addWidget(self.reason)
        whole.addWidget(self.buttons)
        self.resize(420, 420)
        self.classes.changed.connect(self._validate)
        self.buttons.accepted.connect(self._on_ok)
        self.buttons.rejected.connect(self.reject)
        home, others = shared.settings.home_folder, list(shared.settings.bundles)
        shared.background.run(lambda: find_models(home, others), self._on_models)
        self._validate()

    @slot
    def _validate(self) -> None:
        why = self.classes.why_not()
        self.ok.setEnabled(not why)
        self.reason.setText(self.classes.refused or why)

    @slot
    def _on_models(self, models: List) -> None:
        if not sip.isdeleted(self):
            self.classes.offer_models(models)

    @slot
    def _on_ok(self) -> None:
        parts = [part for part in self._parts if not sip.isdeleted(part.layer)]
        if parts[:1] != self._parts[:1]:
            self.reject()
            return
        with inside_qgis():
            write_scheme(parts[0].layer, parts[0].field, self.classes.classes(), self._taken)
        renamed = {} if self._coded else self.classes.renamed()
        for part in parts if renamed else ():
            self._shared.background.run(
                _finder(part.layer, part.field, renamed),
                partial(_ask_rename, self.parentWidget(), part.layer, part.field, renamed),
                failed=partial(_not_looked, part.layer.name()),
                owner=part.layer,
            )
        self.done_with.emit()
        self.accept()


def _finder(layer: QgsVectorLayer, field: str, renamed: Dict[str, str]) -> Callable[[], Dict[str, List[int]]]:
    """A function that finds the features of renamed classes: their ids by the old name."""
    index = layer.fields().lookupField(field)
    request = QgsFeatureRequest().setFlags(QgsFeatureRequest.Flag.NoGeometry).setSubsetOfAttributes([index])
    source = QgsVectorLayerFeatureSource(layer)

    def find() -> Dict[str, List[int]]:
        found: Dict[str, List[int]] = {}
        for feature in source.getFeatures(request):
            name = class_name(feature.attribute(index))
            if name in renamed:
                found.setdefault(name, []).append(feature.id())
        return found

    return find


def _not_looked(name: str, why: str) -> None:
    log(tr("Layer '{name}' cannot be read: {why}.", name=name, why=why), "warning", push=True)


@slot
def _ask_rename(
    parent: QWidget, layer: QgsVectorLayer, field: str, renamed: Dict[str, str], found: Dict[str, List[int]]
) -> None:
    """Features keep their old class's name unless the analyst wants them to get the new one."""
    count = sum(map(len, found.values()))
    if not count or sip.isdeleted(layer):
        return
    pairs = ", ".join(f"'{old}' → '{renamed[old]}'" for old in found)
    text = trn(
        "{count} feature of layer '{name}' has the old name of a class ({pairs}). Give it the new one? You "
        "can undo it until the layer is saved.",
        "{count} features of layer '{name}' have the old name of a class ({pairs}). Give them the new one? "
        "You can undo it until the layer is saved.",
        count, pairs=pairs, name=layer.name(),
    )  # fmt: skip
    with inside_qgis():
        answer = QMessageBox.question(parent, tr("Classes"), plain(text))
    if answer != QMessageBox.StandardButton.Yes:
        return
    for old, features in found.items():
        if not label_layer.rename_class(layer, field, old, renamed[old], features):
            log(tr("Layer '{name}' cannot be edited.", name=layer.name()), "warning", push=True)
            return
