# SPDX-License-Identifier: GPL-3.0-or-later
"""What the server answers to each request; ``docs/protocol.md`` says it in words."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
from collections.abc import Callable
from typing import Any

from timo import __version__
from timo.errors import SpecError
from timo.tasks import specs
from timo_backend import messages, protocol
from timo_backend.auth import Home
from timo_backend.errors import RequestError
from timo_backend.feeds import Feeds
from timo_backend.paths import demand_absolute
from timo_backend.states import State
from timo_backend.store import Job, Store
from timo_backend.supervisor import Supervisor

SPEC_LIMIT = protocol.MAX_BYTES // 2
REPLY_LIMIT = protocol.MAX_BYTES * 3 // 4
MOST_CURVES, MOST_POINTS = 300, 10_000

Handler = Callable[[Any, bytes, str], dict[str, Any] | None]


class Requests:
    """Carries requests out.

    Args:
        home: The server's.
        store: Of its jobs.
        supervisor: Of their workers.
        feeds: Of its clients.
        serve: Sends a client the events that it has room for.
        stop_server: Lets the server end.
    """

    def __init__(
        self,
        home: Home,
        store: Store,
        supervisor: Supervisor,
        feeds: Feeds,
        serve: Callable[[bytes], None],
        stop_server: Callable[[], None],
    ) -> None:
        self._home, self._store, self._supervisor, self._feeds = home, store, supervisor, feeds
        self._serve, self._stop_server = serve, stop_server
        self._handlers: dict[type[messages.Request], Handler] = {
            kind: getattr(self, f"_{name}") for name, kind in messages.REQUESTS.items()
        }

    def answer(self, peer: bytes, ident: str, request: messages.Request) -> dict[str, Any] | None:
        """The body of the reply; None where there is none.

        Raises:
            BackendError, SpecError: The request is refused.
            sqlite3.Error: The database failed.
        """
        return self._handlers[type(request)](request, peer, ident)

    def _hello(self, _request: messages.Hello, *_: object) -> dict[str, Any]:
        return {
            "version": __version__,
            "protocol": protocol.VERSION,
            "python": platform.python_version(),
            "platform": sys.platform,
            "pid": os.getpid(),
            "home": str(self._home.path),
            "tasks": list(specs.SPECS),
        }

    def _ping(self, _request: messages.Ping, *_: object) -> dict[str, Any]:
        return {}

    def _submit(self, request: messages.Submit, *_: object) -> dict[str, Any]:
        spec = specs.to_dict(specs.load(request.task, request.spec))
        demand_absolute(request.task, spec)
        if len(protocol.dumps(spec)) > SPEC_LIMIT:
            raise SpecError(
                "spec_too_large",
                f"The parameters of task '{request.task}' are over {SPEC_LIMIT // 1024} KiB.",
                "Name a folder or a CSV of the rasters instead of listing them.",
            )
        return self._queue(*self._store.submit(request.task, spec, request.key))

    def _queue(self, job: Job, new: bool) -> dict[str, Any]:
        if new:
            # After the reply: a client knows the job's id before the worker's first event.
            asyncio.get_running_loop().call_soon(self._supervisor.wake)
        return {"job": job.id, "state": job.state.value, "new": new}

    def _cancel(self, request: messages.Cancel, *_: object) -> dict[str, Any]:
        job = self._store.job(request.job)
        if request.attempt not in (None, job.attempt) and not job.state.final:
            raise RequestError(
                "stale_attempt",
                f"Job '{job.id}' is at attempt {job.attempt}, not {request.attempt}.",
                "Look at the job again, and cancel that attempt if it shall not run.",
                detail={"attempt": job.attempt},
            )
        return self._state(job.id, self._supervisor.cancel(job.id))

    def _pause(self, request: messages.Pause, *_: object) -> dict[str, Any]:
        return self._state(request.job, self._supervisor.pause(request.job))

    def _resume(self, request: messages.Resume, *_: object) -> dict[str, Any]:
        return self._state(request.job, self._supervisor.resume(request.job))

    def _finish(self, request: messages.Finish, *_: object) -> dict[str, Any]:
        return self._state(request.job, self._supervisor.finish_early(request.job))

    def _state(self, ident: str, state: State) -> dict[str, Any]:
        return {"job": ident, "state": state.value}

    def _order(self, request: messages.Order, *_: object) -> dict[str, Any]:
        return self._store.order(request.job, request.priority, request.before).to_dict()

    def _retry(self, request: messages.Retry, *_: object) -> dict[str, Any]:
        old = self._store.job(request.job)
        if old.state not in (State.FAILED, State.CANCELLED):
            raise RequestError(
                "job_not_failed",
                f"Job '{old.id}' has not failed and was not cancelled: it is {old.state.value}.",
                "Submit its parameters as a new job.",
            )
        return self._queue(*self._store.submit(old.task, old.spec, request.key, parent=old.id))

    def _jobs(self, request: messages.Jobs, *_: object) -> dict[str, Any]:
        jobs: list[dict[str, Any]] = []
        room = REPLY_LIMIT
        for job in self._store.jobs(request.limit):
            room -= len(protocol.dumps(job.to_dict()).encode())
            if room < 0 and jobs:
                return {"jobs": jobs, "more": True}
            jobs.append(job.to_dict())
        return {"jobs": jobs, "more": False}

    def _job(self, request: messages.Job, *_: object) -> dict[str, Any]:
        row = self._store.job(request.job).to_dict()
        artifacts = self._store.history.artifacts(request.job)
        while (
            artifacts
            and len(protocol.dumps({**row, "artifacts": artifacts}).encode()) > protocol.MAX_BYTES // 2
        ):
            artifacts = artifacts[: len(artifacts) // 2]  # the first outputs are the main ones
        return {**row, "artifacts": artifacts}

    def _metrics(self, request: messages.Metrics, *_: object) -> dict[str, Any]:
        curves = self._store.history.metrics(self._store.job(request.job).id)
        # So that it fits into a message: names are short, a point takes at most some 50 bytes.
        curves = dict(list(curves.items())[:MOST_CURVES])
        every = max(1, -(-sum(map(len, curves.values())) // MOST_POINTS))
        found = {}
        for name, points in curves.items():
            thin = [*points[:-1:every], *points[-1:]]
            found[name] = {"steps": [step for step, _ in thin], "values": [value for _, value in thin]}
        return {"job": request.job, "every": every, "curves": found}

    def _subscribe(self, request: messages.Subscribe, peer: bytes, ident: str) -> dict[str, Any]:
        job = self._store.job(request.job)
        if not self._feeds.open(peer, ident, job.id, request.after):
            raise RequestError(
                "too_many_subscriptions", "This client has too many subscriptions.", "End some of them."
            )
        if job.state.final and request.after >= job.last_seq:
            self._feeds.close(peer, ident)
        return {"job": job.id, "state": job.state.value, "last_seq": job.last_seq, "ended": job.state.final}

    def _ack(self, request: messages.Ack, peer: bytes, _ident: str) -> None:
        self._feeds.acknowledge(peer, request.n)
        self._serve(peer)

    def _unsubscribe(self, request: messages.Unsubscribe, peer: bytes, _ident: str) -> dict[str, Any]:
        self._feeds.close(peer, request.id)
        return {}

    def _stop(self, _request: messages.Stop, *_: object) -> dict[str, Any]:
        asyncio.get_running_loop().call_soon(self._stop_server)
        return {"jobs": self._supervisor.running()}
