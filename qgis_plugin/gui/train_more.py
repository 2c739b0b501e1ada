# SPDX-License-Identifier: GPL-3.0-or-later
"""Further layers of labels that are learnt from together with the chosen one."""

from __future__ import annotations

from typing import Dict, List, Sequence, Set

from qgis.core import QgsMapLayer, QgsProject, QgsVectorLayer
from qgis.gui import QgsCheckableComboBox
from qgis.PyQt.QtCore import Qt, QTimer, pyqtSignal

from ..compat import caption
from ..i18n import tr
from ..layers.label_parts import SHAPES, LabelPart, usual_field
from ..layers.sources import is_result
from ..timing import slot

SOON = 150
"""Milliseconds; layers come and go many at a time."""


class MoreLabels(QgsCheckableComboBox):
    """A list of the project's other labels to tick; it and its title are hidden while there are none.

    Args:
        name: Its object name.
    """

    changed = pyqtSignal()
    """Other layers are ticked."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setAccessibleName(tr("More labels"))
        self.setToolTip(tr("Further layers whose features are learnt from together with these"))
        self.setDefaultText(tr("No other layer"))
        self.title = caption(tr("And also"))
        self.title.setBuddy(self)
        self._ident = self._field = ""
        self._known: Dict[str, LabelPart] = {}
        self._told: List[LabelPart] = []
        self._filling = False
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(SOON)
        self._later.timeout.connect(self._fill)
        project = QgsProject.instance()
        project.layersAdded.connect(self._on_layers)
        project.layersRemoved.connect(self._on_layers)
        project.layerTreeRoot().nameChanged.connect(self._on_layers)
        self.model().dataChanged.connect(self._on_ticked)  # QGIS's own signal does not tell of each
        self._fill()

    def offer(self, layer: QgsMapLayer | None, field: str) -> None:
        """Offer the layers that can be learnt from together with this one, whose class is in this field."""
        self._ident, self._field = layer.id() if layer is not None else "", field
        self._later.start()

    def tick(self, layers: Sequence[QgsMapLayer]) -> None:
        """Tick these layers, and no others."""
        self._show(self._found(), {layer.id() for layer in layers})

    def parts(self) -> List[LabelPart]:
        """The ticked layers, each with its class field."""
        known = (self._known.get(ident) for ident in self.checkedItemsData() if ident != self._ident)
        return [part for part in known if part is not None and part.alive]

    @slot
    def _on_layers(self) -> None:
        self._later.start()

    @slot
    def _on_ticked(self) -> None:
        if not self._filling and self.parts() != self._told:
            self._told = self.parts()
            self.changed.emit()

    @slot
    def _fill(self) -> None:
        self._show(self._found(), set(self.checkedItemsData()))

    def _found(self) -> List[LabelPart]:
        """The layers that can be learnt from together with the chosen one."""
        found = []
        for layer in QgsProject.instance().mapLayers().values() if self._ident else ():
            if layer.id() == self._ident or not isinstance(layer, QgsVectorLayer) or is_result(layer):
                continue
            field = usual_field(layer, self._field) if layer.geometryType() in SHAPES else ""
            if field:
                found.append(LabelPart(layer, field))
        return sorted(found, key=lambda part: str(part.layer.name()).casefold())

    def _show(self, parts: List[LabelPart], ticked: Set[str]) -> None:
        self._known = {part.layer.id(): part for part in parts}
        self._filling = True
        self.clear()
        for ident, part in self._known.items():
            name = part.layer.name()
            text = name if part.field == self._field else f"{name} ({part.field})"
            state = Qt.CheckState.Checked if ident in ticked else Qt.CheckState.Unchecked
            self.addItemWithCheckState(text, state, ident)
        self._filling = False
        self.setVisible(bool(parts))
        self.title.setVisible(bool(parts))
        self._on_ticked()
