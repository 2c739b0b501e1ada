# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of finished jobs become layers: once, and of the jobs that were started here."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Set

from qgis.core import QgsProject
from qgis.PyQt.QtCore import QObject, pyqtSignal

from .backend.jobs import JobView
from .i18n import tr
from .layers.results import Result, add_results, read_results
from .log import log
from .shared import Shared
from .timing import slot


class Arrivals(QObject):
    """Waits for the jobs that this QGIS submitted, also across its restarts."""

    added = pyqtSignal(str)
    """The id of the job whose layers are in the project now."""
    asked = pyqtSignal(str)
    """The id of a job that the analyst wants to see."""

    def __init__(self, shared: Shared, parent: QObject) -> None:
        super().__init__(parent)
        self._shared = shared
        self._of_project: Set[str] = set()
        self._recall()
        self._told: Set[str] = set()
        QgsProject.instance().cleared.connect(self._on_cleared)
        QgsProject.instance().readProject.connect(self._on_read)
        QgsProject.instance().projectSaved.connect(self._on_saved)
        shared.backend.submitted.connect(self._on_submitted)
        shared.backend.jobs_changed.connect(self._on_jobs)

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
            lambda found: self._add(job, found[0], found[1], unasked),
            owner=self,
        )

    @slot
    def _on_cleared(self) -> None:
        """Another project: maps of the former one do not come into it unasked."""
        self._of_project.clear()

    @slot
    def _on_read(self) -> None:
        if QgsProject.instance().fileName():
            self._recall()

    @slot
    def _on_saved(self) -> None:
        self._remember(self._of_project.intersection(self._shared.settings.waiting))

    def _remember(self, jobs: Set[str]) -> None:
        """Keep of which project jobs are."""
        here = dict.fromkeys(jobs, QgsProject.instance().fileName())
        self._shared.settings.save(begun={**self._shared.settings.begun, **here})

    def _recall(self) -> None:
        """Jobs of this project go on belonging to it when it, or QGIS, was closed meanwhile."""
        here = QgsProject.instance().fileName()
        self._of_project |= {job for job, file in self._shared.settings.begun.items() if file == here}

    @slot
    def _on_submitted(self, _key: str, job: str) -> None:
        view = self._shared.backend.jobs.get(job)
        if view is not None and view.dry_run:
            return
        self._of_project.add(job)
        self._remember({job})
        self._keep([*self._shared.settings.waiting, job])

    @slot
    def _on_jobs(self, changed: List[JobView]) -> None:
        for job in changed:
            if not job.final or job.id in self._told or job.id not in self._shared.settings.waiting:
                continue
            self._told.add(job.id)
            arrives = job.task == "predict" and job.state == "succeeded" and job.id in self._of_project
            if job.dry_run or not arrives:  # else it is done with when its layers are there
                self._forget(job.id)
            if not job.dry_run:
                self._tell(job)

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
            log(tr("Report '{name}' is ready: it is opened from the Train page.", name=job.name), "success",
                push=True)  # fmt: skip
        elif job.task != "predict":
            log(tr("Model '{name}' is trained.", name=job.name), "success", push=True)
        elif job.id in self._of_project:
            self.add(job, unasked=True)
        else:
            self._offer(job)

    def _offer(self, job: JobView) -> None:
        """It was begun in another project: the analyst decides."""
        log(tr("Map '{name}' is ready.", name=job.name), "success", push=True,
            button=tr("Add to the project"), pressed=lambda: self.add(job))  # fmt: skip

    def _add(self, job: JobView, results: List[Result], problems: List[str], unasked: bool) -> None:
        if unasked and job.id not in self._of_project:  # another project was opened while it was read
            self._forget(job.id)
            self._offer(job)
            return
        for problem in problems:
            log(problem, "warning", push=True)
        layers = add_results(QgsProject.instance(), results, job.id, _title(job))
        if layers:
            log(tr("Map '{name}' was added to the project.", name=_title(job)), "success", push=True)
        elif results:
            log(tr("Map '{name}' is in the project already.", name=_title(job)), push=True)
        self._forget(job.id)
        if results:
            self.added.emit(job.id)

    def _forget(self, job: str) -> None:
        self._keep([one for one in self._shared.settings.waiting if one != job])

    def _keep(self, waiting: List[str]) -> None:
        waiting = waiting[-200:]
        begun = {job: file for job, file in self._shared.settings.begun.items() if job in waiting}
        self._shared.settings.save(waiting=waiting, begun=begun)


def _outputs(job: JobView) -> Dict[str, str]:
    """Paths by kind, also of a job of an earlier day, of which the events were not told."""
    named = {"polygons": job.spec.get("polygons"), "maps_per_date": job.spec.get("per_date")}
    return {**{kind: str(path) for kind, path in named.items() if path}, **job.outputs()}


def _title(job: JobView) -> str:
    return Path(job.name).stem
