# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of finished jobs become layers: once, and of the jobs that were started here."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Deque, Dict, Iterator, List, Optional, Set

from qgis.core import QgsMapLayer, QgsProject
from qgis.PyQt.QtCore import QObject, Qt, QTimer, pyqtSignal

from .backend.jobs import JobView
from .backend.link_state import LinkState
from .i18n import tr
from .layers.results import Result, add_results, read_results
from .log import log
from .shared import Shared
from .timing import slot
from .waiting import Waiting


@dataclass
class _Turn:
    """The results of a job while they are opened, a layer at a time.

    Attributes:
        layers: Those still to come; None: it has not begun.
        added: How many there are.
    """

    job: JobView
    results: List[Result]
    problems: List[str]
    unasked: bool
    layers: Optional[Iterator[QgsMapLayer]] = None
    added: int = 0


class Arrivals(QObject):
    """Waits for the jobs that this window of QGIS submitted, and for those of windows that are gone."""

    added = pyqtSignal(str)
    """The id of the job whose layers are in the project now."""
    asked = pyqtSignal(str)
    """The id of a job that the analyst wants to see."""

    def __init__(self, shared: Shared, parent: QObject) -> None:
        super().__init__(parent)
        self._shared = shared
        self.waiting = Waiting(shared.settings)
        self._of_project: Set[str] = set()
        self._told: Set[str] = set()
        self._looked: Set[str] = set()
        self._closed = False
        self._turns: Deque[_Turn] = deque()
        self._timer = QTimer(self)  # of no interval: it comes when the interface has had its turn
        self._timer.timeout.connect(self._on_turn)
        QgsProject.instance().cleared.connect(self._on_cleared)
        QgsProject.instance().readProject.connect(self._on_read)
        QgsProject.instance().projectSaved.connect(self._on_saved)
        shared.backend.state_changed.connect(self._on_state)
        shared.backend.submitted.connect(self._on_submitted)
        # In a turn of its own, after the pages: QGIS takes its time with a message and with the log.
        shared.backend.jobs_changed.connect(self._on_jobs, Qt.ConnectionType.QueuedConnection)
        shared.backend.jobs_removed.connect(self._on_removed)

    def add(self, job: JobView, unasked: bool = False) -> None:
        """Put a job's results into the project, or say why that cannot be done.

        Args:
            job: The job.
            unasked: Whether nobody asked for it: then it comes into the project it was begun in alone.
        """
        known = (job.summary or {}).get("classes") or ()
        outputs = _outputs(job)
        self._shared.background.run(
            lambda: read_results(outputs, known),
            lambda found: self._queue(_Turn(job, found[0], found[1], unasked)),
            owner=self,
        )

    def close(self) -> None:
        """The plugin is unloaded: another window, or the next start, waits for the jobs that go on."""
        self._closed = True
        self._timer.stop()
        self._turns.clear()
        self.waiting.close()

    @slot
    def _on_state(self, state: LinkState) -> None:
        if state.ready:
            self._look()

    def _look(self) -> None:
        self._shared.background.run(self.waiting.look, self._on_taken, owner=self)

    @slot
    def _on_taken(self, taken: Dict[str, str]) -> None:
        if taken:
            self.waiting.projects.update(taken)
            self._recall()
            self._on_jobs(list(self._shared.backend.jobs.values()))

    @slot
    def _on_cleared(self) -> None:
        """Another project: maps of the former one do not come into it unasked."""
        self._of_project.clear()
        for turn in [turn for turn in self._turns if turn.unasked or turn.layers is not None]:
            self._turns.remove(turn)
            self._offer(turn.job)

    @slot
    def _on_read(self) -> None:
        if QgsProject.instance().fileName():
            self._recall()
            for job in self._of_project & self._told & set(self._shared.backend.jobs):
                self.add(self._shared.backend.jobs[job], unasked=True)  # it ended while another one was open
            self._look()

    @slot
    def _on_saved(self) -> None:
        jobs = self._of_project.intersection(self.waiting.projects)
        self.waiting.keep(jobs, QgsProject.instance().fileName())

    def _recall(self) -> None:
        """Jobs of this project go on belonging to it when it, or QGIS, was closed meanwhile."""
        here = QgsProject.instance().fileName()
        self._of_project |= {job for job, file in self.waiting.projects.items() if file == here}

    @slot
    def _on_submitted(self, _key: str, job: str) -> None:
        view = self._shared.backend.jobs.get(job)
        if view is not None and view.dry_run:
            return
        self._of_project.add(job)
        self.waiting.keep([job], QgsProject.instance().fileName())

    @slot
    def _on_jobs(self, changed: List[JobView]) -> None:
        if self._closed:  # since they were told of
            return
        ended = [job for job in changed if job.final and job.id not in self._told]
        others = {job.id for job in ended if not job.dry_run} - set(self.waiting.projects) - self._looked
        if others:  # of a window that may be gone
            self._looked |= others
            self._look()
        for job in ended:
            if job.id not in self.waiting.projects:
                continue
            self._told.add(job.id)
            arrives = job.task == "predict" and job.state == "succeeded"
            if job.dry_run or not arrives:  # else it is done with when its layers are there
                self.waiting.forget(job.id)
            if not job.dry_run:
                self._tell(job)

    @slot
    def _on_removed(self, gone: List[str]) -> None:
        for job in self.waiting.projects.keys() & set(gone):
            self.waiting.forget(job)

    def _tell(self, job: JobView) -> None:
        if job.state == "failed":
            error = job.error or {}
            # The bar has room for two lines: what to do stands with the job.
            log(
                tr("{task} '{name}' failed: {why}", task=job.task_name, name=job.name,
                   why=error.get("message", "")),
                "error", push=True, button=tr("Show the job"), pressed=lambda: self.asked.emit(job.id),
            )  # fmt: skip
            if error.get("action"):
                log(str(error["action"]), "error")
        elif job.state == "cancelled":
            log(tr("{task} '{name}' was cancelled.", task=job.task_name, name=job.name), push=True)
        elif job.task == "evaluate":
            log(tr("Report '{name}' is ready.", name=job.name), "success", push=True,
                button=tr("Open the report"), pressed=lambda: self.asked.emit(job.id))  # fmt: skip
        elif job.task == "embed":
            log(tr("Features '{name}' are ready.", name=job.name), "success", push=True,
                button=tr("Add to the project"), pressed=lambda: self.asked.emit(job.id))  # fmt: skip
        elif job.task != "predict":
            log(tr("Model '{name}' is trained.", name=job.name), "success", push=True)
        elif job.id in self._of_project:
            self.add(job, unasked=True)
        else:
            self._offer(job)

    def _offer(self, job: JobView) -> None:
        """It was begun in another project: the analyst decides, or opens that one again."""
        new = self.waiting.offer(job.id)
        if not self.waiting.projects.get(job.id):  # that one was never saved
            self.waiting.forget(job.id)
        if not new:  # in an earlier session
            return
        log(tr("Map '{name}' is ready.", name=job.name), "success", push=True,
            button=tr("Add to the project"), pressed=lambda: self.add(job))  # fmt: skip

    def _queue(self, turn: _Turn) -> None:
        self._turns.append(turn)
        self._timer.start(0)

    @slot
    def _on_turn(self) -> None:
        """Open one layer; the others when the interface had its turn."""
        if not self._turns:
            self._timer.stop()
            return
        turn = self._turns[0]
        if turn.unasked and turn.job.id not in self._of_project:  # another project was opened meanwhile
            self._turns.popleft()
            self._offer(turn.job)
            return
        if turn.layers is None:
            for problem in turn.problems:
                log(problem, "warning", push=True)
            project = QgsProject.instance()
            turn.layers = add_results(project, turn.results, turn.job.id, _title(turn.job))
        if next(turn.layers, None) is not None:
            turn.added += 1
            return
        self._turns.popleft()
        self._end(turn)

    def _end(self, turn: _Turn) -> None:
        title = _title(turn.job)
        if turn.added:
            log(tr("Map '{name}' was added to the project.", name=title), "success", push=True)
        elif turn.results:
            log(tr("Map '{name}' is in the project already.", name=title), push=True)
        if turn.job.id in self._of_project or not self.waiting.projects.get(turn.job.id):
            self.waiting.forget(turn.job.id)  # else its own project has it when it is opened
        if turn.results:
            self.added.emit(turn.job.id)


def _outputs(job: JobView) -> Dict[str, str]:
    """Paths by kind, also of a job of an earlier day, of which the events were not told."""
    named = {"polygons": job.spec.get("polygons"), "maps_per_date": job.spec.get("per_date")}
    return {**{kind: str(path) for kind, path in named.items() if path}, **job.outputs()}


def _title(job: JobView) -> str:
    return Path(job.name).stem
