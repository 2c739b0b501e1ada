# SPDX-License-Identifier: GPL-3.0-or-later
"""The Series page: which layers of the project are the series, and of which date each is."""

from __future__ import annotations

import datetime as dt
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, FrozenSet, Iterator, List, Optional, Sequence, Tuple

from qgis.core import QgsCoordinateReferenceSystem, QgsProject, QgsRasterLayer
from qgis.gui import QgsFilterLineEdit
from qgis.PyQt.QtCore import Qt, QTimer, pyqtSignal
from qgis.PyQt.QtGui import QShowEvent
from qgis.PyQt.QtWidgets import QCheckBox, QHBoxLayout

from ..compat import label
from ..i18n import tr
from ..layers import frames
from ..layers.checks import findings
from ..layers.file_dates import FileDates
from ..layers.label_checks import Places, series_places
from ..layers.raster_facts import UNUSED
from ..layers.series_file import write_series
from ..layers.series_store import TICKED, SeriesStore
from ..layers.showing import show_only
from ..layers.sources import safe_name
from ..log import log
from ..shared import Shared
from ..timing import inside_qgis, slot
from .finding_list import FindingList
from .page import Page
from .series_bar import SeriesBar
from .series_clear import ClearCounter
from .series_dates import DateReader
from .series_fixes import Fixes
from .series_sources import AddButton
from .series_split import Splitter
from .series_stac import StacDialog
from .series_table import SeriesModel
from .series_view import SeriesView
from .timeline import Mark, TimeLine
from .why import helped

INTRO = tr(
    "Tick the raster layers that show your area at different dates. Dates come from the files; "
    "double-click one to change it."
)
SOON = 50
"""Milliseconds; changes of many layers come one by one."""
TURN = 0.005
"""Seconds that layers are looked into at a stretch."""


class SeriesPage(Page):
    """Makes the series; the other pages ask it for the file that jobs read."""

    changed = pyqtSignal()
    wanted = pyqtSignal()
    """What another page says can be done here."""

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared, "timoSeries", INTRO)
        self._project = QgsProject.instance()
        self.store = SeriesStore(self._project, shared.settings)
        self.model = SeriesModel(self._project, self.store)
        self._told: Optional[Tuple[str, List[frames.Row]]] = None  # what `changed` last stood for
        self._turns = False
        self._seen: Sequence[str] = ()  # the layers that a click on a date has shown
        self.view = SeriesView(self.model)
        self.bar = SeriesBar(self.store)
        self.all = QCheckBox(tr("Tick all"))
        self.all.setObjectName("timoSeriesTickAll")
        self.all.setToolTip(tr("Tick the layers that the filter leaves, or untick them"))
        self.filter = QgsFilterLineEdit()
        self.filter.setObjectName("timoSeriesFilter")
        self.filter.setPlaceholderText(tr("Filter by name or date"))
        self.filter.setAccessibleName(tr("Filter by name or date"))
        self.filter.setShowClearButton(True)
        self.add = AddButton(self.model, shared.background)
        self.timeline = TimeLine("timoSeriesTimeLine")
        self.summary = label("", "timoSeriesSummary")
        self.problems = FindingList("timoSeriesProblems")
        self.fixes = Fixes(self, self.model, self.view)
        self.clear = ClearCounter(self.model, shared.background, self)
        self.file_dates = DateReader(self.model, shared.background, self)
        self.splitter = Splitter(shared, self.model, self.add, self)
        self._build()
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._refresh)
        self._connect()
        self._later.start(0)

    @property
    def rows(self) -> List[frames.Row]:
        """The table's rows."""
        return self.model.rows

    def why_not(self, fewest: int = 1) -> str:
        """Why what is ticked is no series of so many dates; empty if it is."""
        why = helped(frames.why_not(self.rows, fewest), tr("Page Series"), self.wanted.emit)
        if not why and self.file_dates.waits_for(self.rows):
            return tr("The dates of the series' files are being read.")
        return why

    def sentence(self) -> str:
        """The series in a few words, for the other pages."""
        return f"{self.store.current.name}: {frames.brief(self.rows)}"

    def dates(self) -> List[dt.date]:
        """The series' dates, each once."""
        return frames.dates(self.rows)

    def date_count(self) -> int:
        """How many dates the series has."""
        return len(self.dates())

    def series_name(self) -> str:
        """What the analyst calls it."""
        return safe_name(self.store.current.name)

    def places(self) -> Places:
        """Where its rasters lie."""
        layers = [self._project.mapLayer(row.layer_id) for row in frames.ticked(self.rows)]
        return series_places([layer for layer in layers if isinstance(layer, QgsRasterLayer)])

    def bands(self) -> FrozenSet[str]:
        """All names that its bands go by: their own in small letters, and what they measure."""
        rows = frames.ticked(self.rows)
        named = {band for row in rows for band in (*row.bands, *row.roles)}
        return frozenset(named - {"", UNUSED})

    def crs(self) -> QgsCoordinateReferenceSystem:
        """Its first raster's coordinate system; one that is not valid if there is none."""
        places = self.places()
        return places[0][1] if places else QgsCoordinateReferenceSystem()

    def write(self) -> Path:
        """Write the series where jobs can read it; the file's path.

        Raises:
            OSError: The home cannot be written to.
        """
        self.model.refresh()  # a layer may have been given another file meanwhile
        folder = self.shared.settings.subfolder("series")
        return write_series(self.rows, self.store.current, folder, self.series_name())

    def _build(self) -> None:
        self.body.addWidget(self.bar)
        top = QHBoxLayout()
        top.addWidget(self.all)
        top.addWidget(self.filter, 1)
        top.addWidget(self.add)
        self.body.addLayout(top)
        self.body.addWidget(self.view, 1)
        self.body.addWidget(self.timeline)
        self.body.addWidget(self.summary)
        self.body.addWidget(self.problems)

    def _connect(self) -> None:
        for signal in (
            self._project.layersAdded,
            self._project.layersRemoved,
            self._project.layerTreeRoot().nameChanged,
        ):
            signal.connect(self._soon)
        self._project.readProject.connect(self._on_project)
        self._project.cleared.connect(self._on_project)
        self.bar.chosen.connect(self._on_chosen)
        self.bar.renamed.connect(self._on_renamed)
        self.all.clicked.connect(self._on_all)
        self.filter.textChanged.connect(self.view.filter)
        self.filter.textChanged.connect(self._on_model)
        self.model.changed.connect(self._on_model)
        self.model.counted.connect(self._show_rows)
        self.model.rejected.connect(self._on_rejected)
        self.file_dates.told.connect(self._on_told)
        self.file_dates.settled.connect(self.changed)
        self.add.search_asked.connect(self._on_search)
        self.add.began.connect(self._on_began)
        self.problems.mended.connect(self.fixes.mend)
        self.fixes.more_asked.connect(self.add.offer)
        self.fixes.split_asked.connect(self.splitter.split)
        self.timeline.chosen.connect(self._on_mark)
        self.view.selectionModel().currentRowChanged.connect(self._on_row)

    @slot
    def showEvent(self, event: QShowEvent) -> None:
        """Look at the layers again: not all that can change in them is told."""
        super().showEvent(event)
        self.file_dates.look_again()
        self._soon()

    @slot
    def _soon(self) -> None:
        self.model.read_anew()
        self._later.start(SOON)

    @slot
    def _refresh(self) -> None:
        """Read what has come, hundreds of layers perhaps: the interface has its turn between."""
        if self.model.read(TURN):
            QTimer.singleShot(0, self._show_read)
        else:
            self._later.start(0)

    @slot
    def _show_read(self) -> None:
        with self._in_turns():
            self.model.show()

    @slot
    def _on_told(self, told: Dict[str, FileDates]) -> None:
        with self._in_turns():
            self.model.show_told(told)

    @slot
    def _on_project(self) -> None:
        self.store.load()
        self.bar.refresh()
        self._soon()

    @slot
    def _on_began(self) -> None:
        self.bar.refresh()
        self.model.show()

    @slot
    def _on_chosen(self) -> None:
        self.model.show()

    @slot
    def _on_renamed(self) -> None:
        self.shared.settings.save(series_name=self.store.current.name)
        self.changed.emit()

    @slot
    def _on_all(self) -> None:
        shown = self.view.shown()
        usable = [n for n in shown if (self.rows[n].path or self.rows[n].scenes) and self.rows[n].date]
        # Where none has a date all are ticked: what is wrong with them then stands below.
        with self._in_turns():
            self.model.tick((usable or shown) if self.all.isChecked() else shown, self.all.isChecked())

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
        if self._turns:
            QTimer.singleShot(0, self._show_rows)
        else:
            self._show_rows()

    @contextmanager
    def _in_turns(self) -> Iterator[None]:
        """What is done here with all layers of a project may not be done at once with what comes of it."""
        self._turns = True
        try:
            yield
        finally:
            self._turns = False

    @slot
    def _show_rows(self) -> None:
        self.problems.show_findings(findings(self.rows))
        self.timeline.show_marks(_marks(self.rows))
        # Most looks at the layers find nothing new, and the other pages ask for no clear share.
        told = (self.store.current.name, list(self.rows))
        if told != self._told:
            self._told = told
            self.changed.emit()

    @slot
    def _on_search(self) -> None:
        dialog = StacDialog(self.shared, self)
        dialog.taken.connect(self._on_searched)
        dialog.open()

    @slot
    def _on_searched(self, search: Dict[str, Any], days: List[Dict[str, Any]]) -> None:
        """What was found is a series of its own, all of its days ticked."""
        self.store.new(search["collections"][0])
        series = self.store.current
        series.search, series.days = search, days
        for day in days:
            series.put(day["date"], TICKED, "true")
        self.store.save()
        self.bar.refresh()
        self.model.show()

    @slot
    def _on_mark(self, mark: Mark) -> None:
        """Show a date's images on the map, and no others of the series; what is not of it stays as it is."""
        self.view.go_to(mark.layers[0])
        rows = frames.ticked(self.rows) or [row for row in self.rows if row.date]
        images = [row for row in self.rows if row.layer_id in mark.layers and not row.mask]
        ticked = [row for row in images if row.ticked]
        shown = [row.layer_id for row in ticked or images] or mark.layers[:1]
        among = {*(row.layer_id for row in rows), *self._seen, *shown}
        with inside_qgis():
            show_only(self._project, shown, among, self.shared.iface.layerTreeView())
        self._seen = shown

    @slot
    def _on_row(self) -> None:
        current = self.view.current()
        date = next((row.date for row in self.rows if row.layer_id == current), None)
        self.timeline.show_current(date)

    @slot
    def _on_rejected(self, text: str) -> None:
        message = tr("'{typed}' is no date. Type one as 2020-06-30, 20200630 or 2020182.", typed=text)
        log(message, "warning", push=True)


def _marks(rows: List[frames.Row]) -> List[Mark]:
    """A mark for each date."""
    days: Dict[dt.date, List[frames.Row]] = {}
    for row in rows:
        if row.date is not None:
            days.setdefault(row.date, []).append(row)
    return [
        Mark(
            date,
            tuple(row.layer_id for row in sorted(same, key=lambda row: not row.ticked)),
            next((row.sensor for row in same if not row.mask), same[0].sensor),
            any(row.ticked for row in same),
            any(row.problem for row in same),
            _told(date, same),
        )
        for date, same in days.items()
    ]


def _told(date: dt.date, rows: List[frames.Row]) -> str:
    told = []
    for row in rows[:3]:
        facts = [row.sensor] if row.sensor else []
        if row.clear is not None:
            facts.append(tr("{share} % clear", share=round(100 * row.clear)))
        facts += [row.problem] if row.problem else []
        told.append(row.name + (f" ({', '.join(facts)})" if facts else ""))
    more = [tr("{count} more", count=len(rows) - 3)] if len(rows) > 3 else []
    return f"{date.isoformat()}: {', '.join(told + more)}"
