# SPDX-License-Identifier: GPL-3.0-or-later
"""The dialog "Bands of a sensor": which band measures what, told once for all files of the sensor."""

from __future__ import annotations

from typing import Dict, Mapping, Sequence, Tuple

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QFrame,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from .._client.band_names import ROLES
from ..compat import caption, form_layout, label
from ..i18n import tr
from ..layers.frames import UNUSED, Row
from ..layers.raster_facts import band_key
from .help_button import HelpButton


def bands_of(rows: Sequence[Row]) -> Dict[str, Tuple[int, str]]:
    """By key, the number (from 1) and the role of each band that rasters of one sensor have."""
    found: Dict[str, Tuple[int, str]] = {}
    for row in rows:
        for number, role in enumerate(row.roles):
            found.setdefault(band_key(row.bands, number), (number + 1, role))
    return found


class BandsDialog(QDialog):
    """A role for each band.

    Args:
        sensor: Whose bands; empty where it is not known.
        rows: Its rasters.
        parent: The page.
    """

    def __init__(self, sensor: str, rows: Sequence[Row], parent: QWidget) -> None:
        super().__init__(parent)
        self.sensor = sensor
        self.setObjectName("timoSeriesBands")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        whose = sensor or tr("layers of no known sensor")
        self.setWindowTitle(tr("Bands of {sensor}", sensor=whose))
        self._before = {key: role for key, (_, role) in bands_of(rows).items()}
        self.boxes: Dict[str, QComboBox] = {}
        inner = QWidget()
        form = form_layout(inner)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for key, (number, role) in bands_of(rows).items():
            self._add(form, key, number, role)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setWidget(inner)
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        buttons.addButton(HelpButton("series", self), QDialogButtonBox.ButtonRole.HelpRole)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        text = tr(
            "Say what each band measures. It holds for all files of {sensor}, here and in new projects.",
            sensor=whose,
        )
        layout.addWidget(label(text, "timoSeriesBandsIntro", muted=True))
        layout.addWidget(scroll, 1)
        layout.addWidget(buttons)
        self.resize(380, min(140 + 34 * len(self.boxes), 560))

    def changes(self) -> Mapping[str, str]:
        """The roles that are other than before, by the band's key."""
        chosen = {key: str(box.currentData()) for key, box in self.boxes.items()}
        return {key: role for key, role in chosen.items() if role != self._before[key]}

    def _add(self, form: QFormLayout, key: str, number: int, role: str) -> None:
        box = QComboBox()
        box.setObjectName(f"timoSeriesBand_{key}")
        box.addItem(tr("not known"), "")
        box.addItem(tr("not used"), UNUSED)
        for one in ROLES:
            box.addItem(one, one)
        box.setCurrentIndex(max(box.findData(role), 0))
        box.setToolTip(tr("What this band measures"))
        name = tr("Band {number}", number=number) + ("" if key.startswith("#") else f": {key}")
        title = caption(name)
        title.setBuddy(box)
        form.addRow(title, box)
        self.boxes[key] = box
