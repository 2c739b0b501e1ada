# SPDX-License-Identifier: GPL-3.0-or-later
"""What is made beside the map of classes: each output a box to tick, its file named like the map."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, Tuple

from qgis.gui import QgsDoubleSpinBox
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from ..compat import plain
from ..i18n import tr
from ..timing import slot

ENDINGS = {
    "confidence": "-confidence.tif",
    "probabilities": "-probabilities.tif",
    "polygons": "-polygons.gpkg",
    "per_date": "-dates",
}


class OutputsBox(QWidget):
    """Ticks for the outputs beside the map.

    Args:
        name: Prefix of the object names.
        values: What was ticked last time: names of ``ENDINGS``, and ``minimum_area`` in square metres.
    """

    changed = pyqtSignal()

    def __init__(self, name: str, values: Mapping[str, Any]) -> None:
        super().__init__()
        self._boxes: Dict[str, QCheckBox] = {}
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(4)
        for kind, text, help_text in _outputs():
            box = QCheckBox(text)
            box.setObjectName(f"{name}{kind.title().replace('_', '')}")
            box.setToolTip(plain(help_text))
            box.setChecked(bool(values.get(kind, kind == "confidence")))
            box.toggled.connect(self._on_change)
            self._boxes[kind] = box
            whole.addWidget(box)
        self.smallest = QgsDoubleSpinBox()
        self.smallest.setObjectName(f"{name}Smallest")
        self.smallest.setRange(0.0, 1e9)
        self.smallest.setDecimals(0)
        self.smallest.setSuffix(" m²")
        self.smallest.setSpecialValueText(tr("10 pixels"))
        self.smallest.setToolTip(plain(tr("Smaller areas go to their largest neighbour.")))
        self.smallest.setValue(float(values.get("minimum_area") or 0))
        self._row = QWidget()
        row = QHBoxLayout(self._row)
        row.setContentsMargins(24, 0, 0, 0)
        caption = QLabel(tr("Smallest polygon"))
        caption.setBuddy(self.smallest)
        row.addWidget(caption)
        row.addWidget(self.smallest, 1)
        whole.insertWidget(whole.indexOf(self._boxes["polygons"]) + 1, self._row)
        self.smallest.valueChanged.connect(self._on_change)
        self._show()

    def offer_dates(self, offered: bool) -> None:
        """Offer maps of every date, which only a model trained for it can make."""
        box = self._boxes["per_date"]
        box.setEnabled(offered)
        box.setText(tr("A map of every date") if offered else tr("A map of every date (not with this model)"))

    def values(self) -> Dict[str, Any]:
        """What is ticked, to be remembered."""
        found: Dict[str, Any] = {kind: box.isChecked() for kind, box in self._boxes.items()}
        return {**found, "minimum_area": self.smallest.value()}

    def files(self, out: Path) -> Dict[str, Path]:
        """The outputs that are ticked, named like the map."""
        return {
            kind: out.with_name(out.stem + ENDINGS[kind])
            for kind, box in self._boxes.items()
            if box.isChecked() and box.isEnabled()
        }

    def spec(self, out: Path) -> Dict[str, Any]:
        """The parameters of the outputs that are ticked."""
        found: Dict[str, Any] = {kind: str(path) for kind, path in self.files(out).items()}
        if "polygons" in found and self.smallest.value():
            found["minimum_area"] = self.smallest.value()
        return found

    @slot
    def _on_change(self) -> None:
        self._show()
        self.changed.emit()

    def _show(self) -> None:
        self._row.setVisible(self._boxes["polygons"].isChecked())


def _outputs() -> List[Tuple[str, str, str]]:
    return [
        (
            "confidence",
            tr("Confidence"),
            tr("How sure the model is at each pixel; 'Where is it unsure?' needs it."),
        ),
        (
            "probabilities",
            tr("Probability of every class"),
            tr("A band for each class; a click on the map can tell them then."),
        ),
        ("polygons", tr("Polygons of the classes"), tr("A GeoPackage, outlines simplified without gaps.")),
        (
            "per_date",
            tr("A map of every date"),
            tr("They play in QGIS's temporal controller."),
        ),
    ]
