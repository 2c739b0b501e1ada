# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done with the selected jobs: an action each, for buttons, menu and keyboard."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Set

from qgis.PyQt.QtCore import QObject, Qt, pyqtSignal
from qgis.PyQt.QtGui import QGuiApplication, QKeySequence
from qgis.PyQt.QtWidgets import QAction, QMenu, QWidget

from ..backend import turns
from ..backend.job_rules import can, why_not
from ..backend.jobs import JobView
from ..backend.removal import Removal
from ..compat import icon
from ..i18n import tr, trn
from ..shared import Shared
from ..timing import slot
from .clean_up import KEPT, LOST, removed
from .job_text import report
from .question import confirm, confirm_cancel

# Name, text, icon, keys, and the rule of job_rules that it stands under; None opens a new group of a menu.
ACTIONS = (
    ("pause", tr("Pause"), "job-pause", "", "pause"),
    ("resume", tr("Go on"), "job-resume", "", "resume"),
    ("finish", tr("Stop and keep the best"), "job-finish", "", "finish"),
    ("cancel", tr("Cancel"), "job-cancel", "Del", "cancel"),
    ("retry", tr("Try again"), "job-retry", "Ctrl+R", "retry"),
    None,
    (turns.TOP, tr("Move to the top"), "job-top", "Ctrl+Home", "order"),
    (turns.UP, tr("Move up"), "job-up", "Ctrl+Up", "order"),
    (turns.DOWN, tr("Move down"), "job-down", "Ctrl+Down", "order"),
    None,
    ("copy", tr("Copy report"), "job-copy", "Ctrl+Shift+C", ""),
    ("remove", tr("Remove"), "job-remove", "Shift+Del", "remove"),
)


class JobActions(QObject):
    """The actions, enabled as the selection asks for.

    Args:
        shared: What all pages share.
        selected: Gives the selected jobs.
        parent: The page: it asks questions.
    """

    told = pyqtSignal(str)
    """A sentence on what became of a request; empty when the next one is sent."""
    refused = pyqtSignal(object)
    """The backend's error, where it does not do what was asked for."""

    def __init__(self, shared: Shared, selected: Callable[[], List[JobView]], parent: QWidget) -> None:
        super().__init__(parent)
        self._shared = shared
        self._selected = selected
        self._page = parent
        self._asked: Set[str] = set()
        self.all: Dict[str, QAction] = {}
        done = {
            "copy": self._on_copy,
            "remove": self._on_remove,
            "cancel": self._on_cancel,
            "retry": self._on_retry,
        }
        for entry in ACTIONS:
            if entry is None:
                continue
            name, text, picture, keys, rule = entry
            action = QAction(icon(picture), text, self)
            action.setObjectName(f"timoJobs{name.capitalize()}Action")
            if keys:
                action.setShortcut(QKeySequence(keys))
                # Of the table alone: Del pressed in the map deletes what is selected there, and ends no job.
                action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
            if rule == "order":
                action.triggered.connect(self._mover(name))
            else:
                action.triggered.connect(done.get(name) or self._asker(name))
            self.all[name] = action
        shared.backend.refused.connect(self._on_refused)
        shared.backend.answered.connect(self._on_answered)
        self.refresh()

    def menu(self, parent: QWidget) -> QMenu:
        """The actions that can be taken now, as a menu."""
        menu = QMenu(parent)
        menu.setToolTipsVisible(True)
        for entry in ACTIONS:
            if entry is None:
                menu.addSeparator()
            elif self.all[entry[0]].isEnabled():
                menu.addAction(self.all[entry[0]])
        return menu

    def refresh(self) -> None:
        """Enable what can be done now; the tool tip of the others says why not."""
        jobs = self._selected()
        ready = self._shared.backend.state.ready
        for entry in ACTIONS:
            if entry is None:
                continue
            name, text, _, keys, rule = entry
            why = why_not(rule, jobs, ready) if rule else ("" if jobs else tr("Pick a job first."))
            if rule == "order" and not why and not self._steps(name, jobs):
                why = tr("It cannot go any further that way.")
            action = self.all[name]
            if action.isEnabled() == bool(why):
                action.setEnabled(not why)
            tip = f"{text} ({QKeySequence(keys).toString(QKeySequence.SequenceFormat.NativeText)})"
            tip = f"{tip if keys else text}{': ' + why if why else ''}"
            if action.toolTip() != tip:
                action.setToolTip(tip)

    def order(self, moving: Sequence[str], before: Optional[str]) -> None:
        """Bring jobs that wait before another; None: to the end."""
        waiting = [job.id for job in turns.in_turn(self._shared.backend.jobs.values())]
        self._send_order(turns.moves(waiting, moving, before))

    def _steps(self, where: str, jobs: Sequence[JobView]) -> list:
        waiting = [job.id for job in turns.in_turn(self._shared.backend.jobs.values())]
        return turns.step(waiting, {job.id for job in jobs}, where)

    def _send_order(self, steps: Sequence[Sequence[str]]) -> None:
        self.told.emit("")
        for job, before in steps:
            self._asked.add(self._shared.backend.ask("order", job=job, before=before))

    def _mover(self, where: str) -> Callable[[], None]:
        @slot
        def move() -> None:
            self._send_order(self._steps(where, self._selected()))

        return move

    def _asker(self, request: str) -> Callable[[], None]:
        @slot
        def ask() -> None:
            self.told.emit("")
            for job in self._able(request):
                self._asked.add(self._shared.backend.ask(request, job=job.id))

        return ask

    def _able(self, action: str) -> List[JobView]:
        return [job for job in self._selected() if can(action, job)]

    @slot
    def _on_cancel(self) -> None:
        jobs = self._able("cancel")
        confirm_cancel(self._page, jobs, lambda: self._cancel(jobs))

    def _cancel(self, jobs: Sequence[JobView]) -> None:
        self.told.emit("")
        for job in jobs:
            self._asked.add(self._shared.backend.cancel(job.id))

    @slot
    def _on_retry(self) -> None:
        self.told.emit("")
        for job in self._able("retry"):
            self._asked.add(self._shared.backend.retry(job.id))

    @slot
    def _on_copy(self) -> None:
        names = self._shared.backend.device_name
        texts = [report(job, names(job.device)) for job in self._selected()]
        QGuiApplication.clipboard().setText("\n\n\n".join(texts))

    @slot
    def _on_remove(self) -> None:
        jobs = self._able("remove")
        one = len(jobs) == 1
        confirm(
            self._page,
            tr("Remove {name}?", name=jobs[0].name)
            if one
            else trn("Remove {count} job?", "Remove {count} jobs?", len(jobs)),
            f"{LOST} {KEPT}",
            tr("Remove it") if one else tr("Remove them"),
            lambda: self._remove([job.id for job in jobs]),
        )

    def _remove(self, jobs: Sequence[str]) -> None:
        self.told.emit("")
        removal = Removal(self._shared.backend, jobs, self)
        removal.ended.connect(lambda freed, why: self.told.emit(why or removed(len(jobs), freed)))
        removal.start()

    @slot
    def _on_refused(self, token: str, error: Mapping[str, Any]) -> None:
        if token in self._asked:
            self._asked.discard(token)
            self.refused.emit(error)

    @slot
    def _on_answered(self, token: str, body: Mapping[str, Any]) -> None:
        if token not in self._asked:
            return
        self._asked.discard(token)
        if token.startswith("finish "):
            job = self._shared.backend.jobs.get(str(body.get("job", "")))
            if job is not None and not job.final:
                self.told.emit(tr("{name} ends soon, with the best it has learnt.", name=job.name))
