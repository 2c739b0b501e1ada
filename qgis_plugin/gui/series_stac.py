# SPDX-License-Identifier: GPL-3.0-or-later
"""The dialog that searches a STAC catalogue; what it finds becomes a series of its own."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from qgis.core import QgsCoordinateReferenceSystem, QgsRectangle
from qgis.gui import QgsExtentWidget
from qgis.PyQt.QtCore import QDate, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QDateEdit,
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from ..backend.asking import Asking
from ..backend.catalogues import Search
from ..compat import caption, form_layout, label
from ..i18n import tr, trn
from ..shared import Shared
from ..timing import inside_qgis, slot
from .help_button import HelpButton

CATALOGUES = (
    "https://earth-search.aws.element84.com/v1",
    "https://planetarycomputer.microsoft.com/api/stac/v1",
)
COLLECTIONS = ("sentinel-2-l2a", "sentinel-1-grd", "landsat-c2-l2", "hls2-s30", "hls2-l30")


class StacDialog(QDialog):
    """Where, what, when and how clear; ``taken`` tells the search and its days."""

    taken = pyqtSignal(dict, list)

    def __init__(self, shared: Shared, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("timoStac")
        self.setWindowTitle(tr("Search a STAC catalogue"))
        self.searcher = Asking(shared.settings.backend_program, self)
        self._search: Optional[Search] = None
        self._found: Dict[str, Any] = {}
        self._widgets(shared)
        self._build()
        self.searcher.told.connect(self._on_found)
        self.searcher.failed.connect(self._on_failed)
        self.search.clicked.connect(self._on_search)
        self.buttons.accepted.connect(self._on_taken)
        self.buttons.rejected.connect(self.reject)
        self._ask_again()
        self.resize(480, self.sizeHint().height())

    def _widgets(self, shared: Shared) -> None:
        self.address = _choices("timoStacAddress", CATALOGUES, tr("The root of a STAC API"))
        self.collection = _choices(
            "timoStacCollection", COLLECTIONS, tr("Names of collections, separated by commas")
        )
        with inside_qgis():
            self.area = QgsExtentWidget(None, QgsExtentWidget.WidgetStyle.CondensedStyle)
            self.area.setObjectName("timoStacArea")
            self.area.setToolTip(tr("West, east, south and north; from the map, or from a layer"))
            self.area.setOutputCrs(QgsCoordinateReferenceSystem("EPSG:4326"))
            canvas = shared.iface.mapCanvas() if hasattr(shared.iface, "mapCanvas") else None
            if canvas is not None:
                self.area.setMapCanvas(canvas)
                crs = canvas.mapSettings().destinationCrs()
                self.area.setCurrentExtent(canvas.extent(), crs)
                if crs.isValid() and not canvas.extent().isEmpty():
                    self.area.setOutputExtentFromCurrent()
        today = QDate.currentDate()
        self.first = _day("timoStacFirst", today.addYears(-1), tr("First day"))
        self.last = _day("timoStacLast", today, tr("Last day"))
        self.cloud = QSpinBox()
        self.cloud.setObjectName("timoStacCloud")
        self.cloud.setRange(0, 100)
        self.cloud.setValue(30)
        self.cloud.setSuffix(" %")
        self.cloud.setToolTip(tr("Scenes with more clouds are left out; scenes that don't tell are kept"))
        self.search = QPushButton(tr("Search"))
        self.search.setObjectName("timoStacSearch")
        self.busy = QProgressBar()
        self.busy.setObjectName("timoStacBusy")
        self.busy.setRange(0, 0)
        self.busy.setTextVisible(False)
        self.busy.setMaximumHeight(6)
        self.busy.hide()
        self.told = label("", "timoStacTold")
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        self.buttons.addButton(HelpButton("series", self), QDialogButtonBox.ButtonRole.HelpRole)
        self.take = self.buttons.button(QDialogButtonBox.StandardButton.Ok)
        self.take.setObjectName("timoStacTake")
        self.take.setText(tr("Use as series"))

    def _build(self) -> None:
        form = form_layout()
        days = QHBoxLayout()
        days.addWidget(self.first, 1)
        days.addWidget(QLabel(tr("to")))
        days.addWidget(self.last, 1)
        for title, field, buddy in (
            (tr("Catalogue"), self.address, self.address),
            (tr("Collection"), self.collection, self.collection),
            (tr("Area"), self.area, self.area),
            (tr("Days"), days, self.first),
            (tr("Clouds at most"), self.cloud, self.cloud),
        ):
            text = caption(title)
            text.setBuddy(buddy)
            form.addRow(text, field)
        layout = QVBoxLayout(self)
        intro = tr("Nothing is downloaded here: a job reads the pixels of the area when it needs them.")
        layout.addWidget(label(intro, "timoStacIntro", muted=True))
        layout.addLayout(form)
        layout.addWidget(self.search)
        layout.addWidget(self.busy)
        layout.addWidget(self.told)
        layout.addStretch(1)
        layout.addWidget(self.buttons)
        for signal in (
            self.address.currentTextChanged,
            self.collection.currentTextChanged,
            self.area.extentChanged,
            self.first.dateChanged,
            self.last.dateChanged,
            self.cloud.valueChanged,
        ):
            signal.connect(self._ask_again)

    def done(self, result: int) -> None:
        """Closed: an answer that is still awaited is not waited for."""
        self.searcher.stop()
        super().done(result)
        self.deleteLater()

    def _asked(self) -> Search:
        box: QgsRectangle = self.area.outputExtent()
        names = tuple(name.strip() for name in self.collection.currentText().split(",") if name.strip())
        days = [field.date().toPyDate().isoformat() for field in (self.first, self.last)]
        return Search(
            self.address.currentText().strip(),
            names,
            (box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()),
            "/".join(days),
            None if self.cloud.value() == 100 else float(self.cloud.value()),
        )

    def _why_not(self) -> str:
        if not self.address.currentText().strip().startswith(("http://", "https://")):
            return tr("Give the catalogue's address; it begins with https://.")
        if not self.collection.currentText().strip(" ,"):
            return tr("Name a collection, such as sentinel-2-l2a.")
        if not self.area.isValid() or self.area.outputExtent().isEmpty():
            return tr("Set the area: from the map, or from a layer.")
        if self.first.date() > self.last.date():
            return tr("The first day lies behind the last.")
        return ""

    @slot
    def _ask_again(self) -> None:
        """What was found is of another search than the fields say now."""
        self.searcher.stop()
        self._found = {}
        self._show(self._why_not())

    @slot
    def _on_search(self) -> None:
        self._search = self._asked()
        self._found = {}
        self.searcher.start(self._search.arguments())
        if self.searcher.running:
            self._show(tr("Searching…"))

    @slot
    def _on_found(self, found: Dict[str, Any]) -> None:
        self._found = found
        days = found.get("days", [])
        scenes = trn("{count} scene", "{count} scenes", int(found.get("scenes", 0)))
        text = f"{scenes}, " + trn("{count} date", "{count} dates", len(days))
        if days:
            first, last = days[0]["date"], days[-1]["date"]
            text = tr("{counts} from {first} to {last}.", counts=text, first=first, last=last)
        cloudy = int(found.get("cloudy") or 0)
        if cloudy:
            more = trn("{count} more has too many clouds.", "{count} more have too many clouds.", cloudy)
            text = f"{text} {more}"
        roles = [str(band.get("role") or band.get("name")) for band in found.get("bands", [])]
        bands = [tr("Bands: {names}.", names=", ".join(roles))] if roles else []
        self._show("\n".join([text, *bands, *map(str, found.get("problems", []))]))

    @slot
    def _on_failed(self, sentence: str) -> None:
        self._show(sentence)

    @slot
    def _on_taken(self) -> None:
        if self._search is not None and self._found.get("days"):
            self.taken.emit(self._search.kept(), _days(self._found))
            self.accept()

    def _show(self, sentence: str) -> None:
        self.told.setText(sentence)
        self.busy.setVisible(self.searcher.running)
        self.search.setEnabled(not self.searcher.running and not self._why_not())
        self.take.setEnabled(bool(self._found.get("days")) and bool(self._found.get("bands")))


def _days(found: Dict[str, Any]) -> List[Dict[str, Any]]:
    """The days as the project keeps them: clouds are the mean of the clearest and the cloudiest scene."""
    kept = []
    for day in found["days"]:
        clouds = day.get("clouds")
        mean = sum(clouds) / len(clouds) if clouds else None
        kept.append({"date": day["date"], "scenes": list(day["scenes"]), "clouds": mean})
    return kept


def _choices(name: str, choices: Tuple[str, ...], hint: str) -> QComboBox:
    box = QComboBox()
    box.setObjectName(name)
    box.setEditable(True)
    box.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
    box.setMinimumContentsLength(12)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.addItems(list(choices))
    box.setToolTip(hint)
    return box


def _day(name: str, day: QDate, hint: str) -> QDateEdit:
    field = QDateEdit(day)
    field.setObjectName(name)
    field.setCalendarPopup(True)
    field.setDisplayFormat("yyyy-MM-dd")
    field.setToolTip(hint)
    field.setAccessibleName(hint)
    return field
