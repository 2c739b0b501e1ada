# SPDX-License-Identifier: GPL-3.0-or-later
"""The Jobs page: all jobs of the backend, also those of earlier days, and what became of each."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional

from qgis.PyQt.QtCore import QPoint, QSize, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QPushButton, QSplitter, QToolButton, QVBoxLayout, QWidget

from ..backend.jobs import JobView, in_words
from ..backend.link_state import LinkState
from ..compat import label
from ..i18n import tr
from ..shared import Shared
from ..timing import slot
from .clean_up import CleanUpDialog
from .job_actions import JobActions
from .job_bar import JobBar, counts
from .job_panel import LOG, JobPanel
from .job_text import describe  # noqa: F401  what a job tells
from .jobs_table import JobsModel
from .jobs_view import JobsView
from .page import Page
from .remedies import Remedies, can_again
from .reveal import reveal
from .why import Remedy, RemedyButton

INTRO = tr("Jobs go on when QGIS is closed. Double-click one to see it on its page, or to use its result.")
PAGES = ("finetune", "predict")
OPEN = {
    "predict": tr("Add to the project"),
    "embed": tr("Add to the project"),
    "finetune": tr("Use this model"),
    "pretrain": tr("Start from it"),
    "evaluate": tr("Report"),
}
BUTTONS = ("pause", "resume", "finish", "retry", "top", "up", "down", "copy", "remove")


class Split(QSplitter):
    """Asks for no more than it must have: its parts scroll themselves, and so the page need not."""

    def sizeHint(self) -> QSize:
        """The least."""
        return self.minimumSizeHint()


class JobsPage(Page):
    """Shows jobs, changes their order, ends them, and opens results."""

    opened = pyqtSignal(object)
    """The JobView whose result is asked for, or that shall be shown on its page."""

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared, "timoJobs", INTRO)
        self.model = JobsModel()
        self.view = JobsView(self.model)
        self.bar = JobBar()
        self.actions = JobActions(shared, self.view.selected, self)
        self.panel = JobPanel(shared)
        self.details = self.panel.words
        self.count = label("", "timoJobsCount", muted=True)
        self.clean = QToolButton()
        self.clean.setObjectName("timoJobsCleanUp")
        self.clean.setText(tr("Clean up…"))
        self.clean.setAccessibleName(tr("Remove jobs that have ended"))
        self.clean.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.told = label("", "timoJobsTold")
        self.told.setVisible(False)
        self.help = RemedyButton("timoJobsToldMend")
        self.cancel = QPushButton()
        self.cancel.setObjectName("timoJobsCancel")
        self.remedies: Optional[Remedies] = None
        """What helps a job of a task that has no page."""
        self.pages: Dict[str, Any] = {}
        """The pages by task."""
        self.remedy = RemedyButton("timoJobsMend")
        self.open = QPushButton(tr("Open"))
        self.open.setObjectName("timoJobsOpen")
        self._build()
        self._connect()
        self._count()
        self._refresh()

    def selected(self) -> Optional[JobView]:
        """The job that the panel shows."""
        return self.view.current()

    def choose(self, job: str) -> None:
        """Select a job, which shows its log."""
        self.bar.show_all()
        self.view.choose(job)

    def _build(self) -> None:
        upper = QWidget()
        column = QVBoxLayout(upper)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.bar)
        column.addWidget(self.view, 1)
        tools = QHBoxLayout()
        tools.setSpacing(0)
        for name in BUTTONS:
            if name in ("top", "copy"):
                tools.addSpacing(10)
            button = QToolButton()
            button.setObjectName(f"timoJobs{name.capitalize()}")
            button.setAutoRaise(True)
            button.setDefaultAction(self.actions.all[name])
            button.setAccessibleName(self.actions.all[name].text())
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            tools.addWidget(button)
        tools.addStretch(1)
        below = QHBoxLayout()
        below.addWidget(self.count, 1)
        below.addWidget(self.clean)
        column.addLayout(below)
        column.addLayout(tools)
        split = Split(Qt.Orientation.Vertical)
        split.addWidget(upper)
        split.addWidget(self.panel)
        split.setStretchFactor(0, 3)
        split.setStretchFactor(1, 2)
        split.setChildrenCollapsible(False)
        self.body.addWidget(split, 1)
        self.footer.addWidget(self.told)
        self.footer.addWidget(self.help, 0, Qt.AlignmentFlag.AlignLeft)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(self.remedy)
        row.addWidget(self.cancel)
        row.addWidget(self.open)
        self.footer.addLayout(row)
        cancel = self.actions.all["cancel"]
        self.cancel.setText(cancel.text())
        self.cancel.setIcon(cancel.icon())
        for action in self.actions.all.values():
            self.view.addAction(action)

    def _connect(self) -> None:
        backend = self.shared.backend
        backend.jobs_changed.connect(self._on_jobs)
        backend.jobs_removed.connect(self._on_removed)
        backend.state_changed.connect(self._on_state)
        self.view.selectionModel().selectionChanged.connect(self._on_selection)
        self.view.selectionModel().currentRowChanged.connect(self._on_selection)
        self.view.doubleClicked.connect(self._on_open)
        self.view.customContextMenuRequested.connect(self._on_menu)
        self.open.clicked.connect(self._on_open)
        self.cancel.clicked.connect(self.actions.all["cancel"].trigger)
        self.model.dropped.connect(self.actions.order)
        self.bar.changed.connect(self._refilter)
        self.clean.clicked.connect(self._on_clean_up)
        self.actions.told.connect(self._on_told)
        self.actions.refused.connect(self._on_refused)

    @slot
    def _on_jobs(self, changed: List[JobView]) -> None:
        self.model.update(changed)
        self._count()
        job = self.selected()
        if job is not None and (job.waiting or any(one.id == job.id for one in changed)):
            self._refresh()

    @slot
    def _on_removed(self, gone: List[str]) -> None:
        self.model.remove(gone)
        self._count()
        self._refresh()

    @slot
    def _on_state(self, state: LinkState) -> None:
        self.model.set_live(state.ready)
        self._count()
        self._refresh()

    @slot
    def _on_selection(self) -> None:
        job = self.selected()
        if job is not None and self.shared.backend.state.ready:
            self.shared.backend.watch(job.id)
        self._refresh()

    @slot
    def _refilter(self) -> None:
        self.view.proxy.show_only(*self.bar.wanted())
        self._refresh()

    def _count(self) -> None:
        jobs = self.model.jobs
        ready = self.shared.backend.state.ready
        text = counts(jobs)
        why = "" if ready else tr("The backend is not ready: see the top of this panel.")
        self.clean.setEnabled(ready)
        self.clean.setToolTip(why or tr("Remove jobs that have ended, and free the disk of what they left"))
        if jobs and not ready:
            text = tr("As last heard of: {counts}", counts=text)
        if text != self.count.text():
            self.count.setText(text)

    def _refresh(self) -> None:
        """The panel and what can be done, for the selection as it is."""
        job = self.selected()
        self.panel.show_job(job)
        self.actions.refresh()
        cancel = self.actions.all["cancel"]
        self.cancel.setEnabled(cancel.isEnabled())
        self.cancel.setToolTip(cancel.toolTip())
        self.remedy.offer(self._remedy(job))
        done = job is not None and job.state == "succeeded"
        self.open.setText(OPEN.get(job.task, tr("Open")) if job is not None and done else tr("Show"))
        why = self._why_not_open(job)
        self.open.setEnabled(not why)
        self.open.setToolTip(why)

    def _remedy(self, job: Optional[JobView]) -> Optional[Remedy]:
        """Another try, where that can help; else what is to be mended first; else the log."""
        if job is None or job.state != "failed":
            return None
        again = self.actions.all["retry"]
        if can_again(job.error) and again.isEnabled():
            return again.text(), again.trigger
        page = self.pages.get(job.task)
        remedies = self.remedies if page is None else page.remedies
        remedy = remedies.of_job(job) if remedies is not None else None
        if remedy is None:
            return tr("Log"), lambda: self.panel.setCurrentIndex(LOG)
        text, act = remedy
        return text, (lambda: self._mend(page, job, act)) if page is not None else act

    def _mend(self, page: Any, job: JobView, act: Callable[[], Any]) -> None:
        """Go where it is mended: on the job's page, which takes its parameters."""
        page.take(job.spec)
        reveal(page)
        act()

    def _why_not_open(self, job: Optional[JobView]) -> str:
        if job is None:
            return tr("Pick a job first.")
        if job.task not in PAGES and job.state != "succeeded":
            return tr("It has no page of its own: its details and its log stand above.")
        if job.final and job.state != "succeeded" and not job.metrics:
            return tr("The job has left nothing to show.")
        return ""

    @slot
    def _on_open(self) -> None:
        job = self.selected()
        if job is not None and not self._why_not_open(job):
            self.opened.emit(job)

    @slot
    def _on_menu(self, place: QPoint) -> None:
        menu = self.actions.menu(self.view)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self.view.viewport().mapToGlobal(place))

    @slot
    def _on_clean_up(self) -> None:
        dialog = CleanUpDialog(self.shared, self.window())
        dialog.told.connect(self._on_told)
        dialog.open()

    @slot
    def _on_told(self, sentence: str) -> None:
        self.told.setText(sentence)
        self.told.setVisible(bool(sentence))
        self.help.offer(None)

    @slot
    def _on_refused(self, error: Mapping[str, Any]) -> None:
        self._on_told(in_words(error))
        self.help.offer(self.remedies.of_refusal(error) if self.remedies is not None else None)
