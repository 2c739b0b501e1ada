# SPDX-License-Identifier: GPL-3.0-or-later
"""The dock: the banner and the four pages."""

from __future__ import annotations

from typing import Any, Iterator, List, Mapping, Optional, Sequence

from qgis.gui import QgsDockWidget
from qgis.PyQt.QtCore import QEvent, QSize, Qt, QTimer, QUrl
from qgis.PyQt.QtGui import QDesktopServices, QKeyEvent
from qgis.PyQt.QtWidgets import QTabWidget, QVBoxLayout, QWidget

from ..arrivals import Arrivals
from ..backend.jobs import JobView
from ..backend.link_state import LinkState
from ..backend.survey import shipped, version_of
from ..backend.thread import IDLE
from ..compat import icon
from ..i18n import tr, trn
from ..log import log
from ..shared import Shared
from ..timing import inside_qgis, slot
from .banner import Banner
from .help_button import HelpButton
from .page_jobs import JobsPage
from .page_predict import PredictPage
from .page_series import SeriesPage
from .page_train import TrainPage
from .question import confirm
from .remedies import Remedies
from .result_menu import ResultMenu
from .setup import SetupDialog

SERIES, TRAIN, PREDICT, JOBS = range(4)
GUIDE = ("series", "train", "predict", "jobs")
SOON = 50
"""Milliseconds; old jobs are told in turns, a hundred in each."""


def make_pages(shared: Shared, made: List[Any]) -> Iterator[str]:
    """Make the four pages, a piece each time it is asked for, and put them into a list."""
    series = SeriesPage(shared)
    made.append(series)
    yield "series"
    train = TrainPage(shared, series)
    made.append(train)
    yield "train"
    train.make_form()
    yield "form"
    train.make_rest()
    yield "rest"
    made.append(PredictPage(shared, series))
    yield "predict"
    made.append(JobsPage(shared))
    yield "jobs"


class TimoDock(QgsDockWidget):
    """All of the plugin's interface.

    Args:
        shared: What all pages share.
        made: What ``make_pages`` has made.
        parent: QGIS's main window.
    """

    def __init__(self, shared: Shared, made: Sequence[Any], parent: QWidget) -> None:
        super().__init__("TiMo", parent)
        self.setObjectName("TimoDock")
        self.setAllowedAreas(Qt.DockWidgetArea.LeftDockWidgetArea | Qt.DockWidgetArea.RightDockWidgetArea)
        self.shared = shared
        self.setup: Optional[SetupDialog] = None
        self._other = ""
        """A release of the backend, not ours, that was told of."""
        self.banner = Banner(shared.settings.backend_program)
        self.tabs = QTabWidget()
        self.tabs.setObjectName("timoTabs")
        self.tabs.setDocumentMode(True)
        self.tabs.setIconSize(QSize(18, 18))
        self.series, self.train, self.predict, self.jobs = made
        self.help = HelpButton(GUIDE[0], self, key="")  # F1 is QGIS's in its window: see keyPressEvent
        self.tabs.setCornerWidget(self.help)
        self.arrivals = Arrivals(shared, self)
        self._models_came = QTimer(self)
        self._models_came.setSingleShot(True)
        self.results: Optional[ResultMenu] = None
        self._content = QWidget()
        layout = QVBoxLayout(self._content)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.banner)
        layout.addWidget(self.tabs, 1)
        self._connect()

    def fill(self) -> Iterator[str]:
        """Put the pages in, and the menu of results: piece by piece, as the style looks at every widget."""
        self.setWidget(self._content)
        for page, name, title in (
            (self.series, "series", tr("Series")),
            (self.train, "train", tr("Train")),
            (self.predict, "predict", tr("Predict")),
            (self.jobs, "jobs", tr("Jobs")),
        ):
            self.tabs.addTab(page, icon(name), title)
            yield name
            if page is self.train:
                yield from self.train.fill()
        self.results = ResultMenu(
            self.shared,
            self._run_again,
            self.train.labels,
            lambda: self.tabs.setCurrentIndex(TRAIN),
            self,
        )
        self.more = self.results.button("timoPredict")
        self.predict.box.layout().addWidget(self.more)
        self.predict.follower.changed.connect(self.more.show_job)
        self.tabs.setCurrentIndex(min(max(self.shared.settings.page, 0), JOBS))
        self.help.page = GUIDE[self.tabs.currentIndex()]
        self.tabs.currentChanged.connect(self._on_page)
        yield "results"

    def end(self) -> None:
        """Take out of QGIS what is not the dock's own."""
        if self.setup is not None:
            self.setup.end()
        self.predict.area.close_tool()
        self.train.preview.clear()
        if self.results is not None:
            self.results.close()
        self.arrivals.close()

    def sizeHint(self) -> QSize:
        """Wide enough for the tables, and no wider."""
        return QSize(460, 760)

    @slot
    def event(self, event: QEvent) -> bool:
        """Keep F1 from QGIS's own help while the keyboard is here."""
        if event.type() == QEvent.Type.ShortcutOverride and _is_help(event):
            event.accept()
            return True
        return super().event(event)

    @slot
    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Open the guide with F1."""
        if _is_help(event):
            self.help.show_guide()
        else:
            super().keyPressEvent(event)

    def _connect(self) -> None:
        backend = self.shared.backend
        backend.state_changed.connect(self.banner.show_state)
        backend.state_changed.connect(self._on_state)
        backend.jobs_changed.connect(self._on_jobs)
        self._models_came.timeout.connect(self.predict.refresh)
        self._models_came.timeout.connect(self.train.start.refresh)
        self.banner.retried.connect(self._on_retry)
        self.banner.setup_asked.connect(self.open_setup)
        self.train.model_ready.connect(self._on_model)
        self.series.wanted.connect(self._on_series_wanted)
        self.predict.train_asked.connect(self._on_train_asked)
        self.predict.renamed.connect(self.train.start.follow)
        self.predict.box.opened.connect(self._on_add)
        self.train.box.attach(backend)
        self.predict.box.attach(backend)
        for box in (self.train.box, self.predict.box):
            box.log_asked.connect(self._on_log)
        self.jobs.opened.connect(self._on_open)
        self.jobs.remedies = Remedies(self.shared, self.series)
        self.jobs.pages = {"finetune": self.train, "predict": self.predict}
        self.arrivals.asked.connect(self._on_asked)
        self.opened.connect(backend.start)

    @slot
    def _on_page(self, number: int) -> None:
        self.help.page = GUIDE[number]
        self.shared.settings.save(page=number)
        if number == PREDICT:
            self.predict.refresh()
        elif number == TRAIN:
            self.train.start.refresh()

    @slot
    def _on_retry(self, program: str, replace: bool = False) -> None:
        self.shared.settings.save(backend_program=program)
        self.shared.backend.use(program, replace)

    @slot
    def _on_set_up(self, program: str) -> None:
        """The backend is there anew: the one that runs makes room for it."""
        backend = self.shared.backend
        self._on_retry(program, backend.state.phase == "unsupported")
        if not backend.state.ready:
            return
        busy = [job for job in backend.jobs.values() if not job.final and job.state not in IDLE]
        if not busy:
            backend.restart()
            return
        confirm(
            self,
            tr("Replace the backend that runs by the new one now?"),
            trn(
                "{count} job runs: it stops, and goes on from what it has kept. Otherwise the new one is "
                "started when the old one has ended.",
                "{count} jobs run: they stop, and go on from what they have kept. Otherwise the new one is "
                "started when the old one has ended.",
                len(busy),
            ),
            tr("Replace it"),
            backend.restart,
        )

    @slot
    def _on_state(self, state: LinkState) -> None:
        """Say once that the backend is of another release: what is new in either may not work."""
        told, wanted = str(self.shared.backend.server.get("version", "")), shipped()
        if state.ready and wanted.is_file() and told not in (version_of(wanted), self._other):
            self._other = told
            log(tr("The backend is TiMo {found}, and this plugin needs {wanted}: set it up again.",
                   found=told, wanted=version_of(wanted)), "warning",
                push=True, button=tr("Set up TiMo…"), pressed=self.open_setup)  # fmt: skip

    @slot
    def open_setup(self) -> None:
        """Show the window that sets the backend up."""
        if self.setup is None:
            self.setup = SetupDialog(self.shared, self)
            self.setup.ready.connect(self.banner.program.setFilePath)
            self.setup.ready.connect(self._on_set_up)
        self.setup.open_for()

    @slot
    def _on_model(self, folder: str) -> None:
        self.predict.choose(folder)
        self.tabs.setCurrentIndex(PREDICT)

    def _run_again(self, spec: Mapping[str, Any]) -> None:
        """Submit a predict job, and show it on its page."""
        self.predict.follower.submit(spec)
        self.setUserVisible(True)
        self.tabs.setCurrentIndex(PREDICT)

    @slot
    def _on_add(self, job: str) -> None:
        view = self.shared.backend.jobs.get(job)
        if view is not None:
            self.arrivals.add(view)

    @slot
    def _on_jobs(self, changed: list) -> None:
        if any(job.task in ("finetune", "pretrain") and job.state == "succeeded" for job in changed):
            self._models_came.start(SOON)

    @slot
    def _on_series_wanted(self) -> None:
        self.tabs.setCurrentWidget(self.series)

    @slot
    def _on_train_asked(self) -> None:
        self.tabs.setCurrentWidget(self.train)

    @slot
    def _on_log(self, job: str) -> None:
        self.tabs.setCurrentWidget(self.jobs)
        self.jobs.choose(job)

    @slot
    def _on_asked(self, job: str) -> None:
        view = self.shared.backend.jobs.get(job)
        if view is not None:
            self.setUserVisible(True)
            self._on_open(view)

    @slot
    def _on_open(self, job: JobView) -> None:
        """Show a job on its page; one that has succeeded gives its result."""
        page = {"finetune": self.train, "predict": self.predict}.get(job.task)
        if page is None:
            self._open_other(job)
            return
        page.follower.follow(job.id)
        if job.state != "succeeded":
            self.tabs.setCurrentWidget(page)
        elif job.task == "predict":
            self.arrivals.add(job)
        else:
            self._on_model(job.outputs().get("bundle", ""))

    def _open_other(self, job: JobView) -> None:
        """What a job without a page has made: a report, a raster of features, a model to start from."""
        outputs = job.outputs()
        if job.state != "succeeded":
            return
        if job.task == "evaluate":
            with inside_qgis():
                QDesktopServices.openUrl(QUrl.fromLocalFile(outputs["report"]))
        elif job.task == "pretrain":
            self.train.start.choose(outputs["bundle"])
            self.tabs.setCurrentWidget(self.train)
        elif job.task == "embed":
            with inside_qgis():
                self.shared.iface.addRasterLayer(outputs["features"], job.name)


def _is_help(event: QKeyEvent) -> bool:
    return event.key() == Qt.Key.Key_F1 and event.modifiers() == Qt.KeyboardModifier.NoModifier
