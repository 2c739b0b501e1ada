# SPDX-License-Identifier: GPL-3.0-or-later
"""The Series page: which layers of the project are the series, and of which date each is."""

from __future__ import annotations

from pathlib import Path
from typing import FrozenSet, List

from qgis.core import QgsCoordinateReferenceSystem, QgsProject, QgsRasterLayer
from qgis.gui import QgsFilterLineEdit
from qgis.PyQt.QtCore import Qt, QTimer, pyqtSignal
from qgis.PyQt.QtGui import QShowEvent
from qgis.PyQt.QtWidgets import QCheckBox, QFileDialog, QHBoxLayout, QLabel, QLineEdit, QPushButton

from ..compat import icon, label
from ..layers import frames
from ..layers.label_checks import Places, series_places
from ..layers.sources import safe_name
from ..log import log
from ..shared import Shared
from ..timing import inside_qgis, slot
from .page import Page
from .series_table import SeriesModel, SeriesView

INTRO = (
    "Tick the raster layers that show your area at different dates. Dates are read from the names; "
    "double-click one to change it."
)
RASTERS = "Rasters (*.tif *.tiff *.vrt *.jp2);;All files (*)"


class SeriesPage(Page):
    """Makes the series; the other pages ask it for the file that jobs read."""

    changed = pyqtSignal()

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared, "timoSeries", INTRO)
        self._project = QgsProject.instance()
        self.model = SeriesModel(self._project)
        self.view = SeriesView(self.model)
        self.all = QCheckBox("Tick all")
        self.all.setObjectName("timoSeriesTickAll")
        self.filter = QgsFilterLineEdit()
        self.filter.setObjectName("timoSeriesFilter")
        self.filter.setPlaceholderText("Filter by name or date")
        self.filter.setShowClearButton(True)
        self.add = QPushButton(icon("add"), "Add files…")
        self.add.setObjectName("timoSeriesAdd")
        self.name = QLineEdit(shared.settings.series_name)
        self.name.setObjectName("timoSeriesName")
        self.name.setPlaceholderText("series")
        self.summary = label("", "timoSeriesSummary")
        self.problems = label("", "timoSeriesProblems")
        self._build()
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(50)
        self._later.timeout.connect(self._refresh)
        self._connect()
        self._refresh()

    @property
    def rows(self) -> List[frames.Row]:
        """The table's rows."""
        return self.model.rows

    def why_not(self, fewest: int = 2) -> str:
        """Why what is ticked is no series of so many dates; empty if it is."""
        return frames.why_not(self.rows, fewest)

    def sentence(self) -> str:
        """The series in a few words, for the other pages."""
        return f"{self.name.text().strip() or 'series'}: {frames.brief(self.rows)}"

    def date_count(self) -> int:
        """How many dates the series has."""
        return len(frames.dates(self.rows))

    def series_name(self) -> str:
        """What the analyst calls it."""
        return safe_name(self.name.text() or "series")

    def places(self) -> Places:
        """Where its rasters lie."""
        layers = [self._project.mapLayer(row.layer_id) for row in frames.ticked(self.rows)]
        return series_places([layer for layer in layers if isinstance(layer, QgsRasterLayer)])

    def bands(self) -> FrozenSet[str]:
        """Names of its bands, in small letters; those without a name are not among them."""
        return frozenset(band for row in frames.ticked(self.rows) for band in row.bands if band)

    def crs(self) -> QgsCoordinateReferenceSystem:
        """Its first raster's coordinate system; one that is not valid if there is none."""
        places = self.places()
        return places[0][1] if places else QgsCoordinateReferenceSystem()

    def write(self) -> Path:
        """Write the series where jobs can read it; the file's path.

        Raises:
            OSError: The home cannot be written to.
        """
        self.model.refresh_in_place()  # a layer may have been given another file meanwhile
        return frames.write_csv(self.rows, self.shared.settings.subfolder("series"), self.series_name())

    def _build(self) -> None:
        top = QHBoxLayout()
        top.addWidget(self.all)
        top.addWidget(self.filter, 1)
        top.addWidget(self.add)
        self.body.addLayout(top)
        self.body.addWidget(self.view, 1)
        self.body.addWidget(self.summary)
        self.body.addWidget(self.problems)
        bottom = QHBoxLayout()
        caption = QLabel("Name of the series")
        caption.setBuddy(self.name)
        bottom.addWidget(caption)
        bottom.addWidget(self.name, 1)
        self.body.addLayout(bottom)

    def _connect(self) -> None:
        for signal in (
            self._project.layersAdded,
            self._project.layersRemoved,
            self._project.readProject,
            self._project.cleared,
            self._project.layerTreeRoot().nameChanged,
        ):
            signal.connect(self._soon)
        self.all.clicked.connect(self._on_all)
        self.filter.textChanged.connect(self.view.filter)
        self.filter.textChanged.connect(self._on_model)
        self.add.clicked.connect(self._on_add)
        self.model.changed.connect(self._on_model)
        self.model.rejected.connect(self._on_rejected)
        self.name.editingFinished.connect(self._on_name)

    @slot
    def showEvent(self, event: QShowEvent) -> None:
        """Look at the layers again: not all that can change in them is told."""
        super().showEvent(event)
        self._soon()

    @slot
    def _soon(self) -> None:
        self._later.start()

    @slot
    def _refresh(self) -> None:
        self.model.refresh_in_place()

    @slot
    def _on_all(self) -> None:
        shown = self.view.shown()
        usable = [n for n in shown if self.rows[n].path and self.rows[n].date]
        self.model.tick(usable if self.all.isChecked() else shown, self.all.isChecked())

    @slot
    def _on_model(self) -> None:
        shown = [self.rows[n] for n in self.view.shown()]
        on = sum(row.ticked for row in shown)
        state = Qt.CheckState.PartiallyChecked if 0 < on < len(shown) else Qt.CheckState.Unchecked
        if on and on == len(shown):
            state = Qt.CheckState.Checked
        self.all.setTristate(state == Qt.CheckState.PartiallyChecked)
        self.all.setCheckState(state)
        self.all.setEnabled(bool(shown))
        self.summary.setText(frames.summary(self.rows))
        faulty = [row for row in self.rows if row.problem and (row.ticked or row.date is None)]
        lines = [f"{row.name}: {row.problem}" for row in faulty[:3]]
        if len(faulty) > 3:
            more = len(faulty) - 3
            lines.append(f"{more} more {'is' if more == 1 else 'are'} marked in the column Note.")
        self.problems.setText("\n".join(lines))
        self.problems.setVisible(bool(lines))
        self.changed.emit()

    @slot
    def _on_rejected(self, text: str) -> None:
        log(f"'{text}' is no date. Type one as 2020-06-30, 20200630 or 2020182.", "warning", push=True)

    @slot
    def _on_name(self) -> None:
        self.shared.settings.save(series_name=self.name.text().strip())
        self.changed.emit()

    @slot
    def _on_add(self) -> None:
        with inside_qgis():
            paths, _ = QFileDialog.getOpenFileNames(
                self, "Rasters of the series", self._project.homePath(), RASTERS
            )
            layers = [QgsRasterLayer(path, Path(path).stem, "gdal") for path in paths]
        good = [layer for layer in layers if layer.isValid()]
        bad = [path for path, layer in zip(paths, layers) if not layer.isValid()]
        if bad:
            count = f"{len(bad)} of {len(paths)} files left out"
            log(f"{Path(bad[0]).name} is no raster that QGIS can read ({count}).", "warning", push=True)
        if good:
            group = self._project.layerTreeRoot().insertGroup(0, self.series_name())
            group.setExpanded(False)
            with inside_qgis():
                self._project.addMapLayers(good, False)
                for layer in good:
                    group.addLayer(layer)
