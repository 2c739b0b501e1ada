# SPDX-License-Identifier: GPL-3.0-or-later
"""A model's card: its classes with colours, bands, dates, and how well it did."""

from __future__ import annotations

from typing import Optional

from qgis.core import QgsCoordinateFormatter, QgsCoordinateReferenceSystem, QgsPointXY, QgsUnitTypes
from qgis.PyQt.QtCore import QSize, Qt
from qgis.PyQt.QtGui import QColor, QIcon, QPainter, QPixmap
from qgis.PyQt.QtWidgets import QFormLayout, QFrame, QGridLayout, QLabel, QVBoxLayout, QWidget

from ..compat import caption, form_layout, label
from ..i18n import tr
from ..models import Model

MOST = 24
FEW = 3
"""Classes, and places, that are shown; of more, their number."""


class ModelCard(QFrame):
    """Shows one model; hidden while there is none."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(10, 8, 10, 8)
        self._inner: Optional[QWidget] = None
        self.setVisible(False)

    def show_model(self, model: Optional[Model]) -> None:
        """Show this model, or what is wrong with it."""
        if self._inner is not None:
            self._layout.removeWidget(self._inner)
            self._inner.deleteLater()
            self._inner = None
        self.setVisible(model is not None)
        if model is None:
            return
        self._inner = QWidget()
        form = form_layout(self._inner)
        form.setContentsMargins(0, 0, 0, 0)
        form.setVerticalSpacing(4)
        if model.problem:
            form.addRow(label(model.problem, f"{self.objectName()}Problem"))
        else:
            self._fill(form, model)
        self._layout.addWidget(self._inner)

    def _fill(self, form: QFormLayout, model: Model) -> None:
        if model.pretrained:
            told = tr("Pre-trained: start a training from it.")
            form.addRow(label(told, f"{self.objectName()}Pretrained"))
        else:
            form.addRow(caption(tr("Classes"), top=True), _legend(model))
        form.addRow(caption(tr("Bands"), top=True), label(", ".join(model.bands)))
        dates = (
            tr("{count}, from {first} to {last}", count=model.date_count, first=model.first, last=model.last)
            if model.first
            else str(model.date_count)
        )
        form.addRow(caption(tr("Dates"), top=True), label(dates))
        if model.pixel:
            form.addRow(caption(tr("Pixel"), top=True), label(_pixel(model)))
        if not model.pretrained:
            form.addRow(caption(tr("Accuracy"), top=True), label(model.accuracy_text or tr("Not measured")))
        form.addRow(caption(tr("Trained"), top=True), label(_origin(model)))
        if model.places:
            form.addRow(caption(tr("Place"), top=True), label(_where(model)))


def _origin(model: Model) -> str:
    if not model.trained:
        return model.architecture
    return tr("{architecture}, from {start}", architecture=model.architecture, start=model.trained)


def _where(model: Model) -> str:
    shown = [
        QgsCoordinateFormatter.format(
            QgsPointXY(*place), QgsCoordinateFormatter.Format.FormatDecimalDegrees, 2
        )
        for place in model.places[:FEW]
    ]
    more = len(model.places) - FEW
    return "; ".join([*shown, tr("and {count} more", count=more)] if more > 0 else shown)


def _pixel(model: Model) -> str:
    system = QgsCoordinateReferenceSystem(model.crs) if model.crs else QgsCoordinateReferenceSystem()
    unit = QgsUnitTypes.toAbbreviatedString(system.mapUnits()) if system.isValid() else ""
    return " ".join(
        part for part in (f"{model.pixel:g}", unit, f"({model.crs})" if model.crs else "") if part
    )


def _legend(model: Model) -> QWidget:
    box = QWidget()
    grid = QGridLayout(box)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setHorizontalSpacing(6)
    grid.setVerticalSpacing(2)
    grid.setColumnStretch(1, 1)
    for row, (_, name, color) in enumerate(model.classes[:MOST]):
        swatch = QLabel()
        swatch.setPixmap(color_swatch(color).pixmap(14, 14))
        grid.addWidget(swatch, row, 0, Qt.AlignmentFlag.AlignTop)
        grid.addWidget(label(name), row, 1)
    if len(model.classes) > MOST:
        grid.addWidget(label(tr("and {count} more", count=len(model.classes) - MOST), muted=True), MOST, 1)
    return box


def color_swatch(color: str, size: int = 14) -> QIcon:
    """A small square of a colour; an empty one where the colour is not known yet."""
    pixmap = QPixmap(QSize(size, size))
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    if color:
        painter.setBrush(QColor(color))
    painter.setPen(QColor(127, 127, 127, 160))
    painter.drawRect(0, 0, size - 1, size - 1)
    painter.end()
    return QIcon(pixmap)
