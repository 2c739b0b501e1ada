# SPDX-License-Identifier: GPL-3.0-or-later
"""The labels part of the Train page: layer and field, the classes, and what is doubtful in them."""

from __future__ import annotations

from functools import partial
from typing import Any, Callable, Dict, List, Optional, Sequence, Set

from qgis.core import QgsMapLayer, QgsMapLayerProxyModel, QgsVectorLayer
from qgis.gui import QgsFieldComboBox, QgsMapLayerComboBox
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import QCheckBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from ..compat import caption, form_layout, icon, label
from ..i18n import tr
from ..layers import label_classes, label_layer, labels
from ..layers.finding import Finding
from ..layers.label_checks import Findings, Places, checker
from ..layers.label_parts import LabelPart, Naming, by_layer, likely_field, select
from ..log import log
from ..shared import Shared
from ..timing import slot
from .class_table import ClassTable
from .finding_list import FindingList
from .reveal import reveal
from .train_more import MoreLabels
from .why import Remedy, helped


class LabelsBox(QWidget):
    """Picks the labels, and looks at them.

    Args:
        shared: What all pages share.
        places: Gives where the series lies.
        name: Prefix of the object names.
        learn: Whether they are to be learnt from, not only to judge by.
    """

    changed = pyqtSignal()
    """What is picked, or what is known of it."""
    picked = pyqtSignal()
    """Another layer."""
    asked_new = pyqtSignal()
    asked_classes = pyqtSignal()

    def __init__(
        self, shared: Shared, places: Callable[[], Places], name: str = "timoTrain", *, learn: bool = True
    ) -> None:
        super().__init__()
        self.setObjectName(f"{name}LabelsBox")
        self._shared = shared
        self._places = places
        self._learn = learn
        self._known_places: Places = ()
        self._asked = 0
        self.edits = 0
        """How often what is picked, or a feature, has changed."""
        self._checking = False
        self.layer: Optional[QgsVectorLayer] = None
        self.counts: Optional[Dict[str, int]] = None
        self.naming = Naming()
        self._watched: List[QgsVectorLayer] = []
        self._cut = False
        self._trouble = ""
        self.findings = Findings()
        self._colors: Dict[str, str] = {}
        self._called: Dict[str, str] = {}
        """What the layer calls its classes, where the field holds codes."""
        self._widgets(name)
        self._build()
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(150)
        self._later.timeout.connect(self._recount)
        self._check_later = QTimer(self)
        self._check_later.setSingleShot(True)
        self._check_later.setInterval(400)
        self._check_later.timeout.connect(self._check)
        self.layers.layerChanged.connect(self._on_layer)
        self.field.fieldChanged.connect(self._on_field)
        self.more.changed.connect(self._on_more)
        self.selected.toggled.connect(self._soon)
        self.new.setVisible(learn)
        self.edit.setVisible(learn)
        self.new.clicked.connect(self.asked_new)
        self.edit.clicked.connect(self.asked_classes)
        self.classes.colored.connect(self._on_colored)
        self.checks.shown.connect(self._on_show)
        self.checks.mended.connect(self._on_mend)

    def start(self) -> None:
        """Take the layer that the list shows first."""
        self._on_layer(self.layers.currentLayer())

    def alive(self) -> bool:
        """Whether there is a layer."""
        return self.layer is not None and not sip.isdeleted(self.layer)

    def colors(self) -> Dict[str, str]:
        """The colours of the classes that can be learnt: those that lie on the series, if it is known."""
        inside = self.findings.inside or self._colors
        return {name: color for name, color in self._colors.items() if name in inside}

    def names(self) -> List[str]:
        """The names of the classes that are there as codes, as a job takes them."""
        parts = self.parts()  # a list of values tells nobody when it is changed
        called = label_classes.names_told(parts[0].layer, parts[0].field) if parts else {}
        return [f"{value}={name}" for value, name in called.items() if value in (self.counts or {})]

    def called(self) -> Set[str]:
        """The classes: what the field holds of them, and what the layer calls that."""
        values = set(self.counts or {})
        return values | {name for value, name in self._called.items() if value in values}

    def why_not(self, fewest: int = 2) -> str:
        """Why these are no labels of so many classes; empty if they are."""
        if not self.alive():
            none = tr("Add a layer of polygons or points that hold your classes.")
            return helped(none, self.new.text(), self.asked_new.emit) if self._learn else none
        if not self.field.currentField():
            return helped(tr("Pick the field that holds the class."), *self._show_field())
        if self.counts is None:
            return tr("Counting the classes.")
        return helped(self._trouble or labels.why_not(self.counts, fewest), *self._show_field())

    def places(self) -> Dict[str, Callable[[], None]]:
        """What brings the layer and its field into view."""
        return {"labels": partial(reveal, self.layers), "class_field": partial(reveal, self.field)}

    def _show_field(self) -> Remedy:
        return tr("Show the class field"), self.places()["class_field"]

    def series_changed(self) -> None:
        """Look at the labels again if the series lies elsewhere now."""
        if self.alive() and self._places() != self._known_places:
            self._check_later.start()

    def use(self, layer: QgsVectorLayer, field: str) -> None:
        """Pick this layer and field."""
        self.layers.setLayer(layer)
        self.field.setField(field)

    def use_all(self, parts: Sequence[LabelPart]) -> None:
        """Pick the first of these layers and its field, and the others beside it.

        What is ticked beside it already stays so.
        """
        first, *others = parts
        kept = self.more.parts() if first.layer is self.layer else []
        if first.layer is not self.layer or first.field != self.field.currentField():
            self.use(first.layer, first.field)
        self.more.tick([part.layer for part in [*others, *kept]])

    def parts(self) -> List[LabelPart]:
        """All layers that are picked, the chosen one first."""
        field = self.field.currentField()
        if not self.alive() or self.layer is None or not field:
            return []
        return [LabelPart(self.layer, field, self.selected.isChecked()), *self.more.parts()]

    def scheme(self) -> List[label_classes.LabelClass]:
        """The classes that the layer offers when drawing, then those that its features have beside them.

        Of the chosen layer alone: those of other layers are their own.
        """
        if not self.alive() or self.layer is None:
            return []
        return label_classes.read_scheme(
            self.layer, self.field.currentField(), self.naming.names, self._colors
        )

    def refresh(self) -> None:
        """Look at the layer again."""
        self._soon()

    def _widgets(self, name: str) -> None:
        self.layers = QgsMapLayerComboBox()
        self.layers.setObjectName(f"{name}Labels")
        self.layers.setFilters(
            QgsMapLayerProxyModel.Filter.PolygonLayer | QgsMapLayerProxyModel.Filter.PointLayer
        )
        self.layers.setShowCrs(False)
        self.layers.setAccessibleName(tr("Labels"))
        self.layers.setToolTip(tr("The layer whose polygons or points show what is where."))
        self.new = QPushButton(icon("add"), tr("New…"))
        self.new.setObjectName(f"{name}NewLabels")
        self.new.setToolTip(tr("Make a new layer to draw your own training areas in"))
        self.new.setAccessibleName(tr("New training layer"))
        self.field = QgsFieldComboBox()
        self.field.setObjectName(f"{name}Field")
        self.field.setAccessibleName(tr("Class field"))
        self.field.setToolTip(tr("The field whose values name the class of each feature."))
        self.edit = QPushButton(tr("Classes…"))
        self.edit.setObjectName(f"{name}EditClasses")
        self.edit.setToolTip(tr("Change the names and colours that this layer offers when you draw"))
        self.selected = QCheckBox(tr("Selected features only"))
        self.selected.setObjectName(f"{name}Selected")
        self.selected.setToolTip(tr("Of this layer; layers under And also give all their features"))
        self.selected.setEnabled(False)
        self.more = MoreLabels(f"{name}More")
        self.classes = ClassTable(f"{name}Classes")
        self.hint = label("", f"{name}LabelsHint", muted=True)
        self.checks = FindingList(f"{name}Checks", on_map=True)
        self.note = label("", f"{name}ChecksNote", muted=True)

    def _build(self) -> None:
        form = form_layout()
        first, second = QHBoxLayout(), QHBoxLayout()
        first.addWidget(self.layers, 1)
        first.addWidget(self.new)
        second.addWidget(self.field, 1)
        second.addWidget(self.edit)
        form.addRow(caption(tr("Labels")), first)
        form.addRow(caption(tr("Class field")), second)
        form.addRow(caption(""), self.selected)
        form.addRow(self.more.title, self.more)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addLayout(form)
        whole.addWidget(self.classes)
        for part in (self.checks, self.note, self.hint):
            whole.addWidget(part)
            part.hide()

    @slot
    def _on_layer(self, layer: Optional[QgsMapLayer]) -> None:
        self.layer = layer if isinstance(layer, QgsVectorLayer) else None
        self.field.setLayer(layer)
        self.field.setField(likely_field(layer))
        self._on_field()
        self.picked.emit()

    @slot
    def _on_field(self) -> None:
        if self._learn:
            self.more.offer(self.layer, self.field.currentField())
        self._on_more()

    @slot
    def _on_more(self) -> None:
        self._watch([part.layer for part in self.parts()] or [self.layer])
        self._soon()

    def _watch(self, layers: Sequence[Optional[QgsVectorLayer]]) -> None:
        """Listen to what can change the classes of these layers, and no longer to the former ones."""
        for layer in self._watched:
            if not sip.isdeleted(layer):
                for signal in _signals(layer):
                    signal.disconnect(self._soon)
        self._watched = [layer for layer in layers if layer is not None]
        for layer in self._watched:
            for signal in _signals(layer):
                signal.connect(self._soon)

    @slot
    def _soon(self) -> None:
        known, self.counts = self.counts is not None, None
        self._asked += 1
        self.edits += 1
        self._later.start()
        if known:  # an edit of thousands of features comes here as often
            self.changed.emit()

    @slot
    def _recount(self) -> None:
        layer, field = self.layer, self.field.currentField()
        if layer is None or sip.isdeleted(layer) or not field:
            self._show_counts(self._asked, labels.Counted({}), {})
            return
        any_selected = layer.selectedFeatureCount() > 0
        self.selected.setEnabled(any_selected)
        if not any_selected:
            self.selected.setChecked(False)
        self._asked, self._trouble = self._asked + 1, ""
        asked, parts, chosen = self._asked, self.parts(), {}
        for part in reversed(parts):  # what the first one says counts
            chosen.update(label_classes.colors(part.layer, part.field))
        count = labels.counter(parts, lambda: asked == self._asked)
        name = layer.name()

        def failed(why: str) -> None:
            if asked == self._asked:
                self._trouble = tr("Layer '{name}' cannot be read: {why}.", name=name, why=why)
                self._show_counts(asked, labels.Counted({}), {})

        self._shared.background.run(
            count, lambda counted: self._show_counts(asked, counted, chosen), failed=failed, owner=self
        )

    def _show_counts(self, asked: int, counted: labels.Counted, chosen: Dict[str, str]) -> None:
        if asked != self._asked:
            return  # a newer count is on its way
        counts, self._cut, self.naming = counted.classes, counted.more, counted.naming
        self._trouble = self._trouble or counted.trouble
        if counts != self.counts:
            self.findings = Findings()
        self.counts = counts
        self._colors = label_classes.with_colors({**counts, **(chosen if self._cut else {})}, chosen)
        parts = self.parts()
        self._called = label_classes.names_told(parts[0].layer, parts[0].field) if parts else {}
        self.classes.show_classes(counts, self._colors, self.findings.areas, self._called)
        self._tell()
        if counts:
            self._check_later.start()
        else:
            self._show_findings(asked, Findings())
        self.changed.emit()

    def _tell(self) -> None:
        """What is to be known of the layer, and whether its classes can be written down."""
        parts, lines = self.parts(), []
        if parts:
            names = {*label_classes.offered(parts[0].layer, parts[0].field), *(self.counts or {})}
            lines.append(label_classes.too_many(len(names)))
            if self._cut:
                lines.append(tr(
                    "The layer has more than {count} features: the classes of the first {count} are shown, "
                    "all are used.",
                    count=labels.MOST_COUNTED))  # fmt: skip
            why = labels.why_copy_of(parts)
            lines.append(tr("A copy of the labels is used, as {why}.", why=why) if why else "")
        self.edit.setEnabled(bool(lines) and not lines[0])
        text = "\n".join(line for line in lines if line)
        self.hint.setText(text)
        self.hint.setVisible(bool(text))

    @slot
    def _check(self) -> None:
        parts = self.parts()
        if not parts:
            return
        if self._checking:
            self._check_later.start()  # one at a time: a large layer takes seconds
            return
        self._checking, asked = True, self._asked
        self._known_places = self._places()
        check = checker(parts, self.naming, self._known_places, self._called)
        self._shared.background.run(
            check,
            lambda found: self._show_findings(asked, found),
            failed=lambda _: self._show_findings(asked, Findings()),  # the next look waits for this one
            owner=self,
        )

    def _show_findings(self, asked: int, found: Findings) -> None:
        self._checking = False
        if asked != self._asked:
            return
        if not self._learn:  # one feature is enough to judge by
            found.lines = [line for line in found.lines if line.kind != "few"]
        self.findings = found
        self.checks.show_findings(found.lines)
        self.classes.show_classes(self.counts or {}, self._colors, found.areas, self._called)
        good = bool(self.counts) and bool(found.inside) and not found.lines and bool(self._known_places)
        self.note.setText(tr("All labels lie on the series, none overlap, none are broken.") if good else "")
        self.note.setVisible(good)
        self.changed.emit()

    @slot
    def _on_colored(self, name: str, color: str) -> None:
        if self.alive() and self.layer is not None:
            label_classes.set_color(self.layer, self.field.currentField(), name, color)
            self._soon()

    @slot
    def _on_show(self, finding: Finding) -> None:
        """Bring these features into view; what is selected stays so where it says what is learnt from."""
        select(self.parts(), finding.about, self._shared.iface, flash=self.selected.isChecked())

    @slot
    def _on_mend(self, finding: Finding) -> None:
        for layer, features in by_layer(self.parts(), finding.about):
            count, name = label_layer.mend(layer, features), layer.name()
            if count:
                log(tr("{count} shapes of layer '{name}' were repaired: save the layer's edits to keep them.",
                       count=count, name=name), push=True)  # fmt: skip
            else:
                log(tr("The shapes of layer '{name}' could not be repaired: correct them with the vertex "
                       "tool.", name=name), "warning", push=True)  # fmt: skip


def _signals(layer: QgsVectorLayer) -> List[Any]:
    return [
        layer.selectionChanged, layer.featureAdded, layer.featuresDeleted, layer.attributeValueChanged,
        layer.geometryChanged, layer.editingStarted, layer.editingStopped, layer.subsetStringChanged,
        layer.rendererChanged, layer.crsChanged,
    ]  # fmt: skip
