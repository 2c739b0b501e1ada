# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs as the plugin knows them: the backend's list and the events folded together."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Any, Container, Dict, FrozenSet, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from ..i18n import tr
from .points import Curve, Point, Points

FINAL = frozenset({"succeeded", "failed", "cancelled"})
TASKS = {
    "finetune": tr("Train"),
    "predict": tr("Predict"),
    "evaluate": tr("Evaluate"),
    "pretrain": tr("Pre-train"),
    "embed": tr("Embed"),
}
# What a task makes first, and where it lies below its output.
MADE = {"predict": ("map", ""), "embed": ("features", ""), "evaluate": ("report", "index.html")}
STATES = {
    "queued": tr("Waiting"),
    "starting": tr("Starting"),
    "running": tr("Running"),
    "cancelling": tr("Stopping"),
    "pausing": tr("Pausing"),
    "paused": tr("Paused"),
    "interrupted": tr("Interrupted"),
    "succeeded": tr("Done"),
    "failed": tr("Failed"),
    "cancelled": tr("Cancelled"),
}
LISTED = (
    "task", "state", "created", "started", "ended", "message", "error", "summary", "spec", "last_seq",
    "attempt", "priority", "place", "parent", "device",
)  # fmt: skip
"""What the backend's list tells of a job."""
LOG_LINES = 2000


@dataclass(frozen=True)
class JobView:
    """One job at one moment, as pages show it.

    Attributes:
        metrics: Curves by name: points (step, value) in order of arrival.
        artifacts: Outputs: (kind, path).
        preview: Of a training that runs: the file that shows what it has learnt, and the event that told it.
        logs: Lines: (level, message); the last of them where they are many.
        unlogged: How many lines before these are kept no more.
        error: The backend's error as a mapping with ``message`` and ``action``.
        created, started, ended: Seconds since 1970-01-01 UTC.
        attempt: How often its worker was started.
        place: Its place among those that wait, of the same priority the lower first.
        parent: The job that it is a new try of.
        device: What it was last started on, as ``hello`` names it.
    """

    id: str
    task: str = ""
    state: str = "queued"
    created: Optional[float] = None
    started: Optional[float] = None
    ended: Optional[float] = None
    fraction: float = 0.0
    message: str = ""
    eta_s: Optional[float] = None
    error: Optional[Mapping[str, Any]] = None
    summary: Optional[Mapping[str, Any]] = None
    spec: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Points] = field(default_factory=dict)
    logs: Tuple[Tuple[str, str], ...] = ()
    unlogged: int = 0
    artifacts: Tuple[Tuple[str, str], ...] = ()
    preview: Tuple[str, int] = ("", 0)
    last_seq: int = 0
    attempt: int = 0
    priority: int = 0
    place: float = 0.0
    parent: Optional[str] = None
    device: Optional[str] = None

    def logged_since(self, known: int) -> Tuple[Tuple[str, str], ...]:
        """The log's lines after the first ``known`` that were told; those that are kept."""
        return self.logs[max(0, known - self.unlogged) :]

    @property
    def logged(self) -> int:
        """How many lines were told."""
        return self.unlogged + len(self.logs)

    @property
    def final(self) -> bool:
        """Whether it has ended."""
        return self.state in FINAL

    @property
    def waiting(self) -> bool:
        """Whether it stands in the queue."""
        return self.state == "queued"

    @property
    def dry_run(self) -> bool:
        """Whether it only estimates: no job that an analyst knows of."""
        return bool(self.spec.get("dry_run"))

    @property
    def task_name(self) -> str:
        """The task in words."""
        return TASKS.get(self.task, self.task)

    @property
    def state_name(self) -> str:
        """The state in words."""
        return STATES.get(self.state, self.state)

    @cached_property
    def name(self) -> str:
        """The name of what it makes; a filter of the table asks all jobs for it."""
        return Path(str(self.spec.get("out", self.id))).name

    def outputs(self) -> Dict[str, str]:
        """Paths of its outputs by kind."""
        if self.dry_run:
            return {}
        found = dict(self.artifacts)
        for kind in ("map", "confidence", "probabilities", "bundle"):
            path = (self.summary or {}).get(kind)
            if isinstance(path, str):
                found.setdefault(kind, path)
        if self.state == "succeeded":
            kind, below = MADE.get(self.task, ("bundle", ""))
            found.setdefault(kind, str(Path(str(self.spec.get("out", ""))) / below))
        return {kind: path for kind, path in found.items() if path}


class _Record:
    """A job while it is being told.

    Attributes:
        seen: The number of the last event that was applied.
        listed: The number of the last event that the backend's list knew of.
    """

    def __init__(self, ident: str) -> None:
        self.values: Dict[str, Any] = {"id": ident}
        self.metrics: Dict[str, Curve] = {}
        self.logs: List[Tuple[str, str]] = []
        self.told = 0  # lines of the log
        self.artifacts: Dict[str, str] = {}
        self.seen = self.listed = 0
        # Curves and logs are long, and most news is of neither: each view shares those that did not change.
        self._curves: Dict[str, Points] = {}
        self._lines: Optional[Tuple[Tuple[str, str], ...]] = ()

    def point(self, name: str, step: int, value: float) -> None:
        self.metrics.setdefault(name, Curve()).add(step, value)
        self._curves.pop(name, None)

    def curve(self, name: str, points: Iterable[Point]) -> None:
        self.metrics[name] = Curve(points)
        self._curves.pop(name, None)

    def line(self, level: str, message: str) -> None:
        self.logs.append((level, message))
        self.told += 1
        if len(self.logs) > 2 * LOG_LINES:
            del self.logs[:-LOG_LINES]
        self._lines = None

    def view(self) -> JobView:
        for name, curve in self.metrics.items():
            if name not in self._curves:
                self._curves[name] = curve.points()
        if self._lines is None:
            self._lines = tuple(self.logs[-LOG_LINES:])
        return JobView(
            **self.values,
            metrics=dict(self._curves),
            logs=self._lines,
            unlogged=self.told - len(self._lines),
            artifacts=tuple(self.artifacts.items()),
        )


class JobBook:
    """All jobs, and which of them changed since they were last taken."""

    def __init__(self) -> None:
        self._records: Dict[str, _Record] = {}
        self._changed: Dict[str, None] = {}  # the first that changed is told first
        self._removed: Set[str] = set()

    def known(self) -> FrozenSet[str]:
        """The ids of all."""
        return frozenset(self._records)

    def depth(self, followed: Container[str]) -> int:
        """How many of the newest jobs the list has to tell of, so that none is left out that goes on.

        Args:
            followed: Jobs whose events tell how they stand: they need no list.
        """
        unheard = (
            one.values
            for job, one in self._records.items()
            if job not in followed and one.values.get("state") not in FINAL
        )
        oldest = min((values.get("created") or inf for values in unheard), default=inf)
        return sum((one.values.get("created") or inf) >= oldest for one in self._records.values())

    def drop(self, jobs: Iterable[str]) -> List[str]:
        """Forget jobs that were removed, for good: answers and events that tell of them may be under way.

        Returns:
            Those that were known.
        """
        gone = [job for job in jobs if self._records.pop(job, None) is not None]
        self._removed.update(gone)
        for job in gone:
            self._changed.pop(job, None)
        return gone

    def seen(self, job: str) -> int:
        """The number of the last event of a job that was applied."""
        record = self._records.get(job)
        return record.seen if record else 0

    def take_listed(self, row: Mapping[str, Any]) -> None:
        """Take a job as the backend lists it: that is right, unless events have told something newer."""
        ident = str(row["id"])
        if ident in self._removed:
            return
        record = self._records.setdefault(ident, _Record(ident))
        if record.seen > int(row.get("last_seq") or 0):
            return  # the events are ahead of this answer
        record.listed = int(row.get("last_seq") or 0)
        new = {name: row[name] for name in LISTED if row.get(name) is not None}
        new["fraction"] = float(row.get("fraction") or 0.0)
        if any(record.values.get(name) != value for name, value in new.items()):
            record.values.update(new)
            self._changed[ident] = None

    def know(self, job: str, task: str, spec: Mapping[str, Any]) -> None:
        """Take what was submitted: events may come before the list that says it."""
        values = self._records.setdefault(job, _Record(job)).values
        values.setdefault("task", task)
        values.setdefault("spec", spec)
        values.setdefault("place", inf)  # behind all others, until the list says where
        self._changed = {job: None, **self._changed}  # pages wait for it

    def apply(self, job: str, seq: int, kind: str, ts: float, body: Mapping[str, Any]) -> bool:
        """Take one event.

        Returns:
            Whether the job has ended with it.
        """
        if job in self._removed:
            return True
        record = self._records.setdefault(job, _Record(job))
        if seq <= record.seen:
            return False
        record.seen = seq
        self._changed[job] = None
        values = record.values
        values["last_seq"] = max(seq, values.get("last_seq", 0))
        old = seq < record.listed  # replayed: how it stands is known, and does not go back
        if kind == "state":
            if not old:
                self._state(record, ts, body)
            return body.get("state") in FINAL
        if kind == "progress" and not old:
            values["fraction"] = float(body.get("fraction") or 0.0)
            values["message"] = str(body.get("message", ""))
            values["eta_s"] = body.get("eta_s")
        elif kind == "metric" and body.get("value") is not None:
            record.point(str(body["name"]), int(body["step"]), float(body["value"]))
        elif kind == "log":
            record.line(str(body.get("level", "info")), str(body.get("message", "")))
        elif kind == "artifact" and body["kind"] == "preview":
            values["preview"] = (str(body["path"]), seq)
        elif kind == "artifact":
            record.artifacts[str(body["kind"])] = str(body["path"])
        return False

    def take_curves(self, job: str, curves: Mapping[str, Mapping[str, Sequence[Any]]]) -> None:
        """Take whole curves, in the place of those that came point by point."""
        record = self._records.get(job)
        if record is None:  # it was removed meanwhile
            return
        for name, curve in curves.items():
            pairs = zip(curve["steps"], curve["values"])
            record.curve(name, ((int(step), float(value)) for step, value in pairs if value is not None))
        self._changed[job] = None

    def take_changed(self, most: Optional[int] = None) -> List[JobView]:
        """The jobs that changed since they were last taken, as they are now; no more than so many of them."""
        taken = list(self._changed)[:most]
        for job in taken:
            del self._changed[job]
        return [self._records[job].view() for job in taken]

    @staticmethod
    def _state(record: _Record, ts: float, body: Mapping[str, Any]) -> None:
        values = record.values
        state = values["state"] = str(body.get("state"))
        for name in ("error", "summary", "attempt", "device"):
            if body.get(name) is not None:
                values[name] = body[name]
        if state == "running":
            values["started"] = ts
        if state in ("queued", "paused"):
            values["eta_s"] = None
        if state in FINAL:
            values["ended"] = ts
            values["eta_s"] = None
            if state == "succeeded":
                values["fraction"] = 1.0


def in_words(error: Optional[Mapping[str, Any]]) -> str:
    """An error of the backend: what is wrong, and what to do."""
    error = error or {}
    return f"{error.get('message', '')} {error.get('action', '')}".strip()


def time_left(seconds: Optional[float]) -> str:
    """Time left in words, as coarse as such a guess is."""
    if seconds is None:
        return ""
    if seconds < 50:
        return tr("about {seconds} s left", seconds=max(5, round(seconds / 5) * 5))
    if seconds < 3300:
        return tr("about {minutes} min left", minutes=round(seconds / 60))
    return tr("about {hours} h left", hours=f"{seconds / 3600:.1f}")
