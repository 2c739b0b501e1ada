# SPDX-License-Identifier: GPL-3.0-or-later
"""What the server answers to each request; ``docs/protocol.md`` says it in words."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
from collections.abc import Callable
from typing import Any

from msgspec import UnsetType

from timo import __version__
from timo.access import Access
from timo.errors import SpecError
from timo.tasks import specs
from timo_backend import messages, paths, protocol
from timo_backend.auth import Home
from timo_backend.devices import Devices
from timo_backend.errors import RequestError, unknown_job
from timo_backend.feeds import Feeds
from timo_backend.grants import Caller, Grants
from timo_backend.removal import Removal
from timo_backend.settings import DEFAULT
from timo_backend.states import State
from timo_backend.store import Job, Store
from timo_backend.supervisor import Supervisor

SPEC_LIMIT = protocol.MAX_BYTES // 2  # a job's row has it, and what a worker may tell in the end
REPLY_LIMIT = protocol.MAX_BYTES * 3 // 4
MOST_CURVES, MOST_POINTS = 300, 10_000

Handler = Callable[[Any, Caller], dict[str, Any] | None]


class Requests:
    """Carries requests out.

    Args:
        home: The server's.
        store: Of its jobs.
        supervisor: Of their workers.
        feeds: Of its clients.
        grants: Of their connections.
        devices: Of its computer.
        serve: Sends a client the events that it has room for.
        stop_server: Lets the server end.
        removal: Of jobs that have ended.
        removed: Called with each job that was removed.
    """

    def __init__(
        self,
        home: Home,
        store: Store,
        supervisor: Supervisor,
        feeds: Feeds,
        grants: Grants,
        devices: Devices,
        serve: Callable[[bytes], None],
        stop_server: Callable[[], None],
        removal: Removal,
        removed: Callable[[Job], None],
    ) -> None:
        self._removal, self._removed = removal, removed
        self._home, self._store, self._supervisor, self._feeds = home, store, supervisor, feeds
        self._grants, self._serve, self._stop_server, self._devices = grants, serve, stop_server, devices
        self._handlers: dict[type[messages.Request], Handler] = {
            kind: getattr(self, f"_{name}") for name, kind in messages.REQUESTS.items()
        }

    def answer(self, caller: Caller, request: messages.Request) -> dict[str, Any] | None:
        """The body of the reply; None where there is none.

        Raises:
            BackendError, TimoError: The request is refused.
            sqlite3.Error: The database failed.
        """
        return self._handlers[type(request)](request, caller)

    def _own(self, ident: str, caller: Caller) -> Job:
        """A job of the caller's; another's is none that it knows."""
        job = self._store.job(ident)
        if job.owner != caller.owner:
            raise unknown_job(ident)
        return job

    def _hello(self, request: messages.Hello, caller: Caller) -> dict[str, Any]:
        if isinstance(request.roots, UnsetType):
            granted = self._grants.known(caller) or Access(())
        else:
            granted = self._grants.name(caller, request.roots)
        return {
            "owner": caller.owner,
            "roots": granted.roots,
            "version": __version__,
            "protocol": protocol.VERSION,
            "python": platform.python_version(),
            "platform": sys.platform,
            "pid": os.getpid(),
            "home": str(self._home.path),
            "tasks": list(specs.SPECS),
            **self._devices.describe(),
        }

    def _ping(self, _request: messages.Ping, _caller: Caller) -> dict[str, Any]:
        return {}

    def _submit(self, request: messages.Submit, caller: Caller) -> dict[str, Any]:
        granted = self._grants.of(caller)
        if known := self._store.find(caller.owner, request.key):
            return self._queue(known, False)
        spec = specs.to_dict(specs.load(request.task, request.spec))
        if len(protocol.dumps(spec).encode()) > SPEC_LIMIT:
            raise SpecError(
                "spec_too_large",
                f"The parameters of task '{request.task}' are over {SPEC_LIMIT // 1024} KiB.",
                "Name a folder or a CSV of the rasters instead of listing them.",
            )
        paths.demand(request.task, spec, granted)
        self._demand_gpu(request.gpu)
        made = self._store.submit(
            request.task, spec, request.key, owner=caller.owner, roots=granted.roots, gpu=request.gpu
        )
        return self._queue(*made)

    def _demand_gpu(self, gpu: str | None) -> None:
        error = None if gpu is None else self._devices.refusal(gpu)
        if error is not None:
            raise error

    def _queue(self, job: Job, new: bool) -> dict[str, Any]:
        if new:
            # After the reply: a client knows the job's id before the worker's first event.
            asyncio.get_running_loop().call_soon(self._supervisor.wake)
        return {"job": job.id, "state": job.state.value, "new": new}

    def _cancel(self, request: messages.Cancel, caller: Caller) -> dict[str, Any]:
        job = self._own(request.job, caller)
        if request.attempt not in (None, job.attempt) and not job.state.final:
            raise RequestError(
                "stale_attempt",
                f"Job '{job.id}' is at attempt {job.attempt}, not {request.attempt}.",
                "Look at the job again, and cancel that attempt if it shall not run.",
                detail={"attempt": job.attempt},
            )
        return self._state(job.id, self._supervisor.cancel(job.id))

    def _pause(self, request: messages.Pause, caller: Caller) -> dict[str, Any]:
        job = self._own(request.job, caller)
        return self._state(job.id, self._supervisor.pause(job.id))

    def _resume(self, request: messages.Resume, caller: Caller) -> dict[str, Any]:
        job = self._own(request.job, caller)
        return self._state(job.id, self._supervisor.resume(job.id))

    def _finish(self, request: messages.Finish, caller: Caller) -> dict[str, Any]:
        job = self._own(request.job, caller)
        return self._state(job.id, self._supervisor.finish_early(job.id))

    def _state(self, ident: str, state: State) -> dict[str, Any]:
        return {"job": ident, "state": state.value}

    def _order(self, request: messages.Order, caller: Caller) -> dict[str, Any]:
        job = self._own(request.job, caller)
        before = None if request.before is None else self._own(request.before, caller).id
        return self._store.order(job.id, request.priority, before).to_dict()

    def _retry(self, request: messages.Retry, caller: Caller) -> dict[str, Any]:
        old = self._own(request.job, caller)
        granted = self._grants.of(caller)
        if known := self._store.find(caller.owner, request.key):
            return self._queue(known, False)
        if old.state not in (State.FAILED, State.CANCELLED):
            raise RequestError(
                "job_not_failed",
                f"Job '{old.id}' has not failed and was not cancelled: it is {old.state.value}.",
                "Submit its parameters as a new job.",
            )
        paths.demand(old.task, old.spec, granted)
        gpu = old.gpu if isinstance(request.gpu, UnsetType) else request.gpu
        self._demand_gpu(gpu)
        owner, roots = caller.owner, granted.roots
        again = self._store.submit(
            old.task, old.spec, request.key, owner=owner, roots=roots, parent=old.id, gpu=gpu
        )
        return self._queue(*again)

    def _remove(self, request: messages.Remove, caller: Caller) -> dict[str, Any]:
        idents = list(dict.fromkeys(request.jobs))
        jobs = [
            self._own(ident, caller) for ident in idents if not self._store.gone.knows(ident, caller.owner)
        ]
        if request.dry_run:
            return {"jobs": idents, "freed": self._removal.measure([job for job in jobs if job.state.final])}
        freed = self._removal.remove(jobs) if jobs else 0
        for job in jobs:
            self._removed(job)
        return {"jobs": idents, "freed": freed}

    def _jobs(self, request: messages.Jobs, caller: Caller) -> dict[str, Any]:
        if request.before is not None and not self._store.gone.knows(request.before, caller.owner):
            self._own(request.before, caller)
        removals = self._store.gone.count(caller.owner)
        jobs: list[dict[str, Any]] = []
        room = REPLY_LIMIT
        for job in self._store.jobs(request.limit + 1, caller.owner, request.before):
            room -= len(protocol.dumps(job.to_dict()).encode())
            if len(jobs) == request.limit or (room < 0 and jobs):
                return {"jobs": jobs, "more": True, "removals": removals}
            jobs.append(job.to_dict())
        return {"jobs": jobs, "more": False, "removals": removals}

    def _job(self, request: messages.Job, caller: Caller) -> dict[str, Any]:
        row = self._own(request.job, caller).to_dict()
        artifacts = self._store.history.artifacts(request.job)
        while (
            artifacts
            and len(protocol.dumps({**row, "artifacts": artifacts}).encode()) > protocol.MAX_BYTES // 2
        ):
            artifacts = artifacts[: len(artifacts) // 2]  # the first outputs are the main ones
        return {**row, "artifacts": artifacts}

    def _metrics(self, request: messages.Metrics, caller: Caller) -> dict[str, Any]:
        curves = self._store.history.metrics(self._own(request.job, caller).id)
        # So that it fits into a message: names are short, a point takes at most some 50 bytes.
        curves = dict(list(curves.items())[:MOST_CURVES])
        every = max(1, -(-sum(map(len, curves.values())) // MOST_POINTS))
        found = {}
        for name, points in curves.items():
            thin = [*points[:-1:every], *points[-1:]]
            found[name] = {"steps": [step for step, _ in thin], "values": [value for _, value in thin]}
        return {"job": request.job, "every": every, "curves": found}

    def _subscribe(self, request: messages.Subscribe, caller: Caller) -> dict[str, Any]:
        job = self._own(request.job, caller)
        if not self._feeds.open(caller.peer, caller.ident, job.id, request.after):
            raise RequestError(
                "too_many_subscriptions", "This client has too many subscriptions.", "End some of them."
            )
        if job.state.final and request.after >= job.last_seq:
            self._feeds.close(caller.peer, caller.ident)
        return {"job": job.id, "state": job.state.value, "last_seq": job.last_seq, "ended": job.state.final}

    def _ack(self, request: messages.Ack, caller: Caller) -> None:
        self._feeds.acknowledge(caller.peer, request.n)
        self._serve(caller.peer)

    def _unsubscribe(self, request: messages.Unsubscribe, caller: Caller) -> dict[str, Any]:
        self._feeds.close(caller.peer, request.id)
        return {}

    def _stop(self, _request: messages.Stop, caller: Caller) -> dict[str, Any]:
        if caller.owner != DEFAULT:
            raise RequestError(
                "not_allowed",
                f"Owner '{caller.owner}' may not end the backend, which has others' jobs.",
                f"Let the owner '{DEFAULT}' do so.",
            )
        asyncio.get_running_loop().call_soon(self._stop_server)
        return {"jobs": self._supervisor.running()}
