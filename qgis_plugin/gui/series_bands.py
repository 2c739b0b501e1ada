# SPDX-License-Identifier: GPL-3.0-or-later
"""The dialog "Bands of a sensor": which band measures what, told once for all files of the sensor."""

from __future__ import annotations

from typing import Dict, Mapping, NamedTuple, Sequence

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
from ..compat import caption, form_layout, label, plain
from ..i18n import tr
from ..layers.frames import Row
from ..layers.raster_facts import UNUSED
from .help_button import HelpButton


class Band(NamedTuple):
    """A band of one sensor's rasters: what it is called here, what it measures, and whose it is.

    Attributes:
        recalled: Whether its role was said of another series.
        layer: The first that has it.
    """

    title: str
    role: str
    recalled: bool
    layer: str


def bands_of(rows: Sequence[Row]) -> Dict[str, Band]:
    """The bands that rasters of one sensor have, by the key that is kept."""
    found: Dict[str, Band] = {}
    for row in rows:
        for number, (key, name, role) in enumerate(zip(row.band_keys, row.bands, row.roles), 1):
            title = tr("Band {number} of {count}", number=number, count=len(row.bands))
            if name:
                title = tr("Band {number}", number=number) + f": {name}"
            found.setdefault(key, Band(title, role, key in row.recalled, row.name))
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
        self._bands = bands_of(rows)
        self.boxes: Dict[str, QComboBox] = {}
        inner = QWidget()
        form = form_layout(inner)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for key, band in self._bands.items():
            self._add(form, key, band)
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
            "Say what each band measures. It holds for all files of {sensor} with such bands; in new series, "
            "where a file does not tell it.",
            sensor=whose,
        )
        layout.addWidget(label(text, "timoSeriesBandsIntro", muted=True))
        layout.addWidget(scroll, 1)
        layout.addWidget(buttons)
        self.resize(380, min(140 + 34 * len(self.boxes), 560))

    def said(self) -> Mapping[str, str]:
        """The roles that are other than before, or were said of another series alone, by the band's key."""
        chosen = {key: str(box.currentData()) for key, box in self.boxes.items()}
        return {
            key: role
            for key, role in chosen.items()
            if self._bands[key].recalled or role != self._bands[key].role
        }

    def _add(self, form: QFormLayout, key: str, band: Band) -> None:
        box = QComboBox()
        box.setObjectName(f"timoSeriesBand_{key}")
        box.addItem(tr("not known"), "")
        box.addItem(tr("not used"), UNUSED)
        for one in ROLES:
            box.addItem(one, one)
        box.setCurrentIndex(max(box.findData(band.role), 0))
        box.setToolTip(plain(tr("What this band of {name} measures", name=band.layer)))
        title = caption(band.title)
        title.setBuddy(box)
        form.addRow(title, box)
        self.boxes[key] = box
