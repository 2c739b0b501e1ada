# SPDX-License-Identifier: GPL-3.0-or-later
"""The "Add…" menu: layers of a group, files, all dated rasters of a folder, a search of a catalogue."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, List, Mapping, Optional, Sequence

from qgis.core import QgsLayerTreeGroup, QgsProject, QgsRasterLayer
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import QFileDialog, QMenu, QPushButton

from ..background import Background
from ..compat import icon, menu_button
from ..i18n import tr, trn
from ..layers.adding import MOST, dated_rasters
from ..layers.file_dates import tells_date
from ..layers.series_store import TICKED, Series
from ..log import log
from ..timing import inside_qgis, slot, slot_of
from .series_table import SeriesModel

_TURN = 0.03
"""Seconds that files are opened at a stretch; then the interface has its turn."""


class AddButton(QPushButton):
    """A button with a menu; what it adds is ticked."""

    search_asked = pyqtSignal()
    began = pyqtSignal()
    """A series of layers was begun, as that shown is of a catalogue's scenes."""

    def __init__(self, model: SeriesModel, background: Background) -> None:
        super().__init__(icon("add"), tr("Add"))
        self.setObjectName("timoSeriesAdd")
        self.setToolTip(tr("Layers of a group, files, a folder, or a search of a catalogue"))
        self._model = model
        self._background = background
        self._project = QgsProject.instance()
        self._waiting: List[Path] = []
        self._opened: List[QgsRasterLayer] = []
        self._bad: List[Path] = []
        self._group: Optional[QgsLayerTreeGroup] = None
        self._series: Optional[Series] = None
        self._folder: Optional[Path] = None
        """The folder that is being looked through."""
        self._project.cleared.connect(self._on_cleared)
        menu = QMenu(self)
        menu.setObjectName("timoSeriesAddMenu")
        menu.addAction(tr("Files…")).triggered.connect(self._on_files)
        menu.addAction(tr("Folder with dated rasters…")).triggered.connect(self._on_folder)
        self.groups = menu.addMenu(tr("Layers of a group"))
        self.groups.setObjectName("timoSeriesGroups")
        menu.addSeparator()
        menu.addAction(tr("Search a STAC catalogue…")).triggered.connect(self.search_asked.emit)
        menu.aboutToShow.connect(self.list_groups)
        self.setMenu(menu)
        menu_button(self)

    @slot
    def offer(self) -> None:
        """Open the menu, unless files are being added."""
        if not self.isEnabled():
            return
        self.menu().popup(self.mapToGlobal(self.rect().bottomLeft()))

    @slot
    def list_groups(self) -> None:
        """Fill the sub-menu with the groups that the layer tree has now."""
        self.groups.clear()
        for group in self._project.layerTreeRoot().findGroups(True):
            ids = set(group.findLayerIds())
            layers = self._model.layer_rows()
            rows = [row.layer_id for row in layers if row.layer_id in ids and row.path and row.date]
            if rows:
                count = trn("{count} layer", "{count} layers", len(rows))
                action = self.groups.addAction(f"{group.name()} ({count})".replace("&", "&&"))
                action.triggered.connect(slot_of(self._tick, group.name(), rows))
        self.groups.setEnabled(not self.groups.isEmpty())

    def add(self, paths: Sequence[Path]) -> None:
        """Add files as layers of a new group, a few at a time, and tick them."""
        if paths and not self._waiting:
            self._begin("")
            self._series = self._model.store.current
            self._opened, self._bad = [], []
            self._waiting = list(paths)
            self._group = self._project.layerTreeRoot().insertGroup(0, self._series.name)
            self._group.setExpanded(False)
            self.setEnabled(False)
            QTimer.singleShot(0, self._next)

    def add_to(self, series: Series, paths: Sequence[Path]) -> None:
        """Tick files in a series, and add those that are no layers yet."""
        here = {row.path: row.layer_id for row in self._model.layer_rows()}
        for path in paths:
            if path in here:
                series.put(here[path], TICKED, "true")
        self._model.keep()
        self.add([path for path in paths if path not in here])
        if self._group is not None:
            self._series = series

    def add_folder(self, folder: Path) -> None:
        """Add the dated rasters below a folder."""
        self.setEnabled(False)
        self._folder = folder

        def failed(why: str) -> None:
            self.setEnabled(True)
            log(tr("{folder} cannot be read: {why}.", folder=folder, why=why), "warning", push=True)

        # Hundreds of files may be looked into: not for a project that was closed.
        wanted = lambda: self._folder == folder and not self._background.closed  # noqa: E731
        self._background.run(
            lambda: (folder, dated_rasters(folder, wanted)), self._on_found, failed=failed, owner=self
        )

    @slot
    def _on_files(self) -> None:
        dialog = self._dialog(tr("Rasters of the series"), QFileDialog.FileMode.ExistingFiles)
        rasters, every = tr("Rasters"), tr("All files")
        dialog.setNameFilters([f"{rasters} (*.tif *.tiff *.vrt *.jp2)", f"{every} (*)"])
        dialog.filesSelected.connect(slot(lambda names: self.add([Path(name) for name in names])))
        dialog.open()

    @slot
    def _on_folder(self) -> None:
        dialog = self._dialog(tr("Folder with the rasters of the series"), QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.filesSelected.connect(slot(lambda names: self.add_folder(Path(names[0]))))
        dialog.open()

    def _dialog(self, title: str, mode: Any) -> QFileDialog:
        with inside_qgis():
            dialog = QFileDialog(self, title, self._project.homePath())
            dialog.setObjectName("timoSeriesFiles")
            dialog.setFileMode(mode)
        return dialog

    @slot
    def _on_found(self, found: Any) -> None:
        folder, paths = found
        if folder != self._folder:
            return  # The project that it was for is closed.
        self.setEnabled(True)
        layers = self._model.layer_rows()
        here = {row.path: row.layer_id for row in layers}
        if len(paths) > MOST:
            text = tr(
                "{folder} holds more than {count} rasters: pick a smaller folder.", folder=folder, count=MOST
            )
            log(text, "warning", push=True)
        elif not paths:
            text = tr("{folder} holds no raster that tells its date.", folder=folder)
            log(text, "warning", push=True)
        else:
            self._tick(folder.name, [here[path] for path in paths if path in here])
            self.add([path for path in paths if path not in here])

    @slot
    def _on_cleared(self) -> None:
        """The project is closed: its successor does not get what was to be added to it."""
        self._waiting, self._opened, self._bad = [], [], []
        self._group = self._series = self._folder = None
        self.setEnabled(True)

    @slot
    def _next(self) -> None:
        """Open some more files; when all are open, the project gets them."""
        if self._group is None:
            return
        if sip.isdeleted(self._group):  # The analyst took the group away: no more is wanted.
            self._waiting, self._group = [], None
            self._opened = [layer for layer in self._opened if not sip.isdeleted(layer)]
            self._finish()
            return
        until, batch = time.perf_counter() + _TURN, []
        while self._waiting and time.perf_counter() < until:
            path = self._waiting.pop(0)
            with inside_qgis():
                layer = QgsRasterLayer(str(path), path.stem, "gdal")
            if layer.isValid():
                self._model.reader.read(layer)
                batch.append(layer)
            else:
                self._bad.append(path)
        with inside_qgis():
            self._project.addMapLayers(batch, False)
            for layer in batch:
                self._group.addLayer(layer)
        self._opened += batch
        QTimer.singleShot(0, self._next if self._waiting else self._finish)

    @slot
    def _finish(self) -> None:
        self.setEnabled(True)
        silent = {}
        for layer in self._opened:
            facts = self._model.reader.read(layer)
            if facts.found is None:
                silent[layer.id()] = facts.source
            elif self._series is not None:
                self._series.put(layer.id(), TICKED, "true")
        self._model.store.save()
        if silent and self._series is not None:
            self._tick_told(self._series, silent)
        QTimer.singleShot(0, slot_of(self._model.refresh))
        if self._bad:
            count = len(self._bad)
            text = trn(
                "{name} is no raster that QGIS can read: it was left out.",
                "{name} and others are no rasters that QGIS can read: {count} files were left out.",
                count, name=self._bad[0].name,
            )  # fmt: skip
            log(text, "warning", push=True)
        if not self._opened and self._group is not None:
            self._project.layerTreeRoot().removeChildNode(self._group)
        self._opened, self._group, self._series = [], None, None

    def _tick_told(self, series: Series, sources: Mapping[str, str]) -> None:
        """Tick layers whose names tell no date where their files do."""

        def done(told: List[str]) -> None:
            if not told or not any(one is series for one in self._model.store.all):
                return  # the project is another by now
            for layer_id in told:
                series.put(layer_id, TICKED, "true")
            self._model.keep()

        self._background.run(
            lambda: [layer_id for layer_id, source in sources.items() if tells_date(source)],
            done,
            owner=self,
        )

    def _tick(self, name: str, ids: Sequence[str]) -> None:
        self._begin(name)
        self._model.tick_layers(ids, True)

    def _begin(self, name: str) -> None:
        """Make the series shown one that can have layers: the scenes of a search stay by themselves."""
        store = self._model.store
        if not store.current.search:
            return
        searched = store.current.name
        store.new(name)
        self.began.emit()
        text = tr(
            "Series '{searched}' is of a catalogue's scenes: your layers are in a new series, '{name}'.",
            searched=searched, name=store.current.name,
        )  # fmt: skip
        log(text, push=True)
