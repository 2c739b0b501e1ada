# SPDX-License-Identifier: GPL-3.0-or-later
"""What mends a series: the buttons of the list of checks, and the menu of the table's rows."""

from __future__ import annotations

from typing import Any, List, Sequence, Tuple

from qgis.core import QgsProject, QgsRasterLayer, QgsRasterRange
from qgis.gui import QgsProjectionSelectionDialog
from qgis.PyQt.QtCore import QObject, QPoint, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QInputDialog, QMenu, QWidget

from ..i18n import tr
from ..layers import checks
from ..layers.finding import Finding
from ..timing import inside_qgis, slot, slot_of
from .series_bands import BandsDialog
from .series_table import DATE, SENSOR, SeriesModel
from .series_view import SeriesView


class Fixes(QObject):
    """Dialogs are opened, not waited for: a job's news goes on behind them.

    Args:
        page: Their parent.
    """

    more_asked = pyqtSignal()
    """More dates are wanted."""
    split_asked = pyqtSignal(object)
    """The ids of layers of whose dates layers are wanted."""

    def __init__(self, page: QWidget, model: SeriesModel, view: SeriesView) -> None:
        super().__init__(page)
        self._page = page
        self._model = model
        self._view = view
        view.customContextMenuRequested.connect(self._on_menu)

    @slot
    def mend(self, finding: Finding) -> None:
        """Do what the finding's button says."""
        ids = list(finding.about)
        if finding.kind in (checks.NO_FILE, checks.DUPLICATE, checks.APART):
            self._model.tick_layers(ids, False)
        elif finding.kind == checks.STACKED:
            self.split_asked.emit(ids)
        elif finding.kind == checks.NO_DATE:
            self._view.go_to(ids[0], DATE, edit=True)
        elif finding.kind == checks.NO_CRS:
            self.set_crs(ids)
        elif finding.kind in (checks.FEW, checks.GAP):
            self.more_asked.emit()
        elif finding.kind == checks.NODATA:
            self.set_nodata(ids)
        else:
            self.map_bands(ids)

    def set_crs(self, ids: Sequence[str]) -> None:
        """Ask for the layers' coordinate system; the project keeps it, and jobs are told."""
        with inside_qgis():
            dialog = QgsProjectionSelectionDialog(self._page)
        dialog.setObjectName("timoSeriesCrs")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        layers = self._layers(ids)
        placed = [
            layer.crs() for layer in self._layers(r.layer_id for r in self._model.rows if r.ticked and r.crs)
        ]
        if placed:
            dialog.setCrs(placed[0])

        @slot
        def accepted() -> None:
            with inside_qgis():
                for layer in layers:
                    layer.setCrs(dialog.crs())
            self._changed()

        dialog.accepted.connect(accepted)
        dialog.open()

    def set_nodata(self, ids: Sequence[str]) -> None:
        """Ask for the layers' value of no data; it is theirs in QGIS, too."""
        layers = self._layers(ids)

        @slot
        def given(value: float) -> None:
            with inside_qgis():
                for layer in layers:
                    for band in range(1, layer.bandCount() + 1):
                        layer.dataProvider().setUserNoDataValue(band, [QgsRasterRange(value, value)])
                    layer.triggerRepaint()
            self._changed()

        dialog = QInputDialog(self._page)
        dialog.setObjectName("timoSeriesNodata")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setWindowTitle(tr("Nodata is…"))
        dialog.setLabelText(tr("The value that means no data, in all bands"))
        dialog.setInputMode(QInputDialog.InputMode.DoubleInput)
        dialog.setDoubleRange(-1e38, 1e38)
        dialog.setDoubleDecimals(4)
        dialog.setDoubleValue(0)
        dialog.doubleValueSelected.connect(given)
        dialog.open()

    def map_bands(self, ids: Sequence[str]) -> None:
        """Ask what the bands of the layers' sensor measure."""
        sensors = [row.sensor for row in self._model.rows if row.layer_id in ids]
        if not sensors:
            return
        same = [row for row in self._model.rows if row.sensor == sensors[0] and not row.mask]
        faulty = [row for row in same if row.layer_id in ids]  # their bands stand first
        dialog = BandsDialog(sensors[0], faulty + [row for row in same if row.ticked], self._page)

        @slot
        def accepted() -> None:
            said = dialog.said()
            if said:
                self._model.store.say(dialog.sensor, said)
                self._model.show()

        dialog.accepted.connect(accepted)
        dialog.open()

    @slot
    def _on_menu(self, where: QPoint) -> None:
        ids = self._view.selected()
        if ids:
            self.menu(ids).popup(self._view.viewport().mapToGlobal(where))

    def menu(self, ids: List[str]) -> QMenu:
        """What can be done with these rows."""
        menu = QMenu(self._view)
        menu.setObjectName("timoSeriesRowMenu")
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        entries: List[Tuple[str, Tuple[Any, ...]]] = [
            (tr("Tick"), (self._model.tick_layers, ids, True)),
            (tr("Untick"), (self._model.tick_layers, ids, False)),
        ]
        if self._layers(ids):
            entries += [
                (tr("Edit the date"), (self._view.go_to, ids[0], DATE, True)),
                (tr("Edit the sensor"), (self._view.go_to, ids[0], SENSOR, True)),
                (tr("Bands of the sensor…"), (self.map_bands, ids)),
                (tr("Nodata is…"), (self.set_nodata, ids)),
                (tr("Set the coordinate system…"), (self.set_crs, ids)),
            ]
        for text, action in entries:
            menu.addAction(text).triggered.connect(slot_of(*action))
        return menu

    def _layers(self, ids: Sequence[str]) -> List[QgsRasterLayer]:
        found = (QgsProject.instance().mapLayer(layer_id) for layer_id in ids)
        return [layer for layer in found if layer is not None and layer.isValid()]

    def _changed(self) -> None:
        QgsProject.instance().setDirty(True)
        self._model.refresh()
