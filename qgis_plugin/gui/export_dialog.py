# SPDX-License-Identifier: GPL-3.0-or-later
"""Export: asks for format, area, CRS and file, and writes a result in that shape."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from qgis.core import QgsCoordinateReferenceSystem, QgsProject
from qgis.gui import QgsFileWidget, QgsProjectionSelectionWidget, QgsSpinBox
from qgis.PyQt.QtWidgets import QCheckBox, QComboBox, QMessageBox, QWidget

from ..compat import caption, form_layout, label, plain
from ..i18n import tr
from ..layers import area
from ..layers.export import COG, ENDINGS, TIFF, VECTOR, Export, export
from ..layers.raster_blocks import RasterError, Tick
from ..layers.result_files import POLYGONS, Result, read_result
from ..layers.results import dress, layer_of
from ..layers.sources import layer_file, unique_path
from ..log import log
from ..shared import Shared
from ..timing import inside_qgis, slot
from .area_box import AreaBox
from .task_dialog import TaskDialog


class ExportDialog(TaskDialog):
    """Writes a copy; the map itself is never touched.

    Args:
        shared: What all pages share.
        result: The raster.
        crs: Its CRS; invalid if it has none.
        title: The layer's name.
        parent: The window above which it stands.
    """

    def __init__(
        self,
        shared: Shared,
        result: Result,
        crs: QgsCoordinateReferenceSystem,
        title: str,
        parent: QWidget,
    ) -> None:
        super().__init__(
            "timoExport",
            tr("Export {name}", name=title),
            tr("A copy of the map in another shape, with its colours, class names and origin."),
            tr("Export"),
            "results",
            parent,
        )
        self._shared, self._result, self._crs, self._title = shared, result, crs, title
        self._suggested = ""
        self._widgets()
        self._build()
        self.form.currentIndexChanged.connect(self._on_form)
        self.target.fileChanged.connect(self._on_input)
        self.area.changed.connect(self._on_input)
        self._on_form()

    def why_not(self) -> str:
        """Why it cannot be exported, in a sentence that says what to do; empty if it can."""
        text = self.target.filePath().strip()
        path = Path(text)
        if not text or not path.is_absolute():
            return tr("Give the full path of the file to write.")
        if path.suffix.lower() not in (ENDINGS[self._form], ".tiff" if self._form != VECTOR else ""):
            return tr("Give the file a name that ends in {ending}.", ending=ENDINGS[self._form])
        shown = _shown_by(path)
        if shown:
            return tr(
                "{name} is shown by layer '{layer}': give the copy another name, or remove the layer first.",
                name=path.name,
                layer=shown,
            )
        return self.area.why_not()

    def begin(self) -> None:
        """Write it, having asked about a file that stands there."""
        target = Path(self.target.filePath().strip())
        if target.exists() and not self._may_replace(target):
            return
        crs = self.crs.crs()
        other = crs.isValid() and self._crs.isValid() and crs != self._crs
        chosen, folder = self.area.reader(), self._shared.settings.home_folder / "areas"
        result, form = self._result, self._form
        context = QgsProject.instance().transformContext()
        wkt = crs.toWkt(QgsCoordinateReferenceSystem.WktVariant.WKT_PREFERRED) if other else ""
        sieve = self.sieve.value() if form == VECTOR else 0

        def write(tick: Tick) -> Path:
            cutline: Optional[Path] = None
            if chosen is not None:
                try:
                    folder.mkdir(parents=True, exist_ok=True)
                    cutline = area.write(chosen[0](), chosen[1], folder, context)
                except area.AreaError as error:
                    raise RasterError(str(error)) from error
                except OSError as error:
                    raise RasterError(
                        tr("{folder} cannot be written to: {why}.", folder=folder, why=error.strerror)
                    ) from error
            asked = Export(result.path, target, form, result.classes, wkt, cutline, sieve, result.kind)
            return export(asked, tick)

        self.work(tr("Export {name}", name=self._title), write, self._on_written)

    def done(self, code: int) -> None:
        """The window closes: what was drawn goes off the map."""
        self.area.close_tool()
        super().done(code)

    @property
    def _form(self) -> str:
        return str(self.form.currentData())

    def _widgets(self) -> None:
        self.form = QComboBox()
        self.form.setObjectName("timoExportForm")
        self.form.setToolTip(tr("What kind of file to write"))
        self.form.addItem(tr("GeoTIFF"), TIFF)
        self.form.addItem(tr("Cloud optimised GeoTIFF (COG), with overviews"), COG)
        if self._result.classes:
            self.form.addItem(tr("Polygons of the classes (GeoPackage)"), VECTOR)
        self.form.setMinimumContentsLength(20)
        self.sieve = QgsSpinBox()
        self.sieve.setObjectName("timoExportSieve")
        self.sieve.setRange(1, 100000)
        self.sieve.setClearValue(1, tr("Keep all"))
        self.sieve.setValue(1)
        self.sieve.setSuffix(tr(" pixels"))
        self.sieve.setToolTip(tr("Areas of fewer pixels go to their largest neighbour"))
        self.area = AreaBox("timoExport", self._shared.iface)
        self.area.kind.setItemText(0, tr("The whole map"))
        self.area.kind.setAccessibleName(tr("Area to export"))
        self.crs = QgsProjectionSelectionWidget()
        self.crs.setObjectName("timoExportCrs")
        self.crs.setAccessibleName(tr("Coordinate reference system"))
        self.crs.setToolTip(tr("Another one puts the map on a new grid"))
        self.crs.setCrs(self._crs)
        self.target = QgsFileWidget()
        self.target.setObjectName("timoExportTarget")
        self.target.setAccessibleName(tr("File to write"))
        self.target.setStorageMode(QgsFileWidget.StorageMode.SaveFile)
        self.target.setConfirmOverwrite(False)  # asked for once, by us
        self.target.setDialogTitle(tr("The file to write"))
        self.add = QCheckBox(tr("Add it to the project"))
        self.add.setObjectName("timoExportAdd")
        self.add.setChecked(True)

    def _build(self) -> None:
        form = form_layout()
        self.sieve_caption = caption(tr("Smallest area"))
        for text, widget in (
            (caption(tr("Format")), self.form),
            (self.sieve_caption, self.sieve),
            (caption(tr("Area"), top=True), self.area),
            (caption(tr("CRS")), self.crs),
            (caption(tr("File")), self.target),
            (caption(""), self.add),
        ):
            text.setBuddy(widget)
            form.addRow(text, widget)
        placed = self._crs.isValid()
        self.area.setEnabled(placed)
        self.crs.setEnabled(placed)
        if not placed:
            note = tr("The map has no CRS: it can be exported whole.")
            form.addRow(caption(""), label(note, "timoExportNote", muted=True))
        self.body.addLayout(form)
        self.body.addStretch(1)
        self.setMinimumWidth(460)

    def _may_replace(self, target: Path) -> bool:
        answer = QMessageBox.question(
            self,
            tr("Replace the file?"),
            plain(tr("{name} exists already. Replace it?", name=target.name)),
            QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.No,
            QMessageBox.StandardButton.No,
        )
        return answer == QMessageBox.StandardButton.Yes

    @slot
    def _on_form(self) -> None:
        polygons = self._form == VECTOR
        self.sieve.setVisible(polygons)
        self.sieve_caption.setVisible(polygons)
        self.target.setFilter("GeoPackage (*.gpkg)" if polygons else "GeoTIFF (*.tif *.tiff)")
        if self.target.filePath() in ("", self._suggested):
            source = self._result.path
            ending = ENDINGS[self._form]
            self._suggested = str(unique_path(source.parent, f"{source.stem}-export", ending))
            self.target.setFilePath(self._suggested)
        self.validate()

    @slot
    def _on_input(self) -> None:
        self.validate()

    @slot
    def _on_written(self, path: Path) -> None:
        log(tr("{name} was written to {folder}.", name=path.name, folder=path.parent), "success", push=True)
        if not self.add.isChecked():
            self.accept()
            return
        kind = POLYGONS if self._form == VECTOR else self._result.kind
        classes = self._result.classes
        self._shared.background.run(
            lambda: read_result(kind, path), lambda made: self._add(made, classes), owner=self
        )

    def _add(self, made: Optional[Result], classes: tuple) -> None:
        if made is not None:
            made = Result(made.kind, made.path, made.classes or classes, made.tags)
            layer = layer_of(made, made.path.stem)
            layer.setName(made.path.stem)
            dress(layer, made, "", made.path.stem)
            with inside_qgis():
                QgsProject.instance().addMapLayer(layer, False)
                QgsProject.instance().layerTreeRoot().insertLayer(0, layer)
        self.accept()


def _shown_by(path: Path) -> str:
    """The name of a layer of the project that shows this file; empty if there is none."""
    if not path.exists():
        return ""
    for layer in QgsProject.instance().mapLayers().values():
        file = layer_file(layer)
        if (
            file is not None
            and file.name.lower() == path.name.lower()
            and file.exists()
            and file.samefile(path)
        ):
            return layer.name()
    return ""
