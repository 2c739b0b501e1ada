# SPDX-License-Identifier: GPL-3.0-or-later
"""``Client``: a connection to the backend whose methods wait for the answer.

Standard library and pyzmq only, in Python 3.9 syntax with relative imports. Not to be used by two threads at
once.

    with Client.connect("connection.json") as client:
        job = client.submit("predict", spec, key="any-string-of-mine")
        for event in client.events(job):
            print(event.seq, event.kind, event.body)
"""

from __future__ import annotations

import socket
import time
import uuid
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any, Deque, Dict, Iterator, List, Mapping, Optional, Sequence, Union

from .core import FIRST_HANDSHAKE_MS, RECONNECT_MS, Core
from .errors import BackendError, ConnectionFailed, RequestError, silent
from .protocol import MOST_LISTED, MOST_REMOVED, Event, Message, default_home, read_connection

GREETING_S = 0.3

__all__ = ["Client", "Event", "default_home"]


class Client:
    """One connection whose methods wait for the answer. Made by ``Client.connect``; a context manager.

    Args:
        core: The connection that it stands on; it may be used beside it, in the same thread.
        path: The connection file, which is read again when the server was started anew.
        timeout: Seconds that a reply may take.
    """

    def __init__(self, core: Core, path: Union[str, Path], timeout: float = 5.0) -> None:
        self.core = core
        self._path = path
        self._timeout = timeout
        self._answers: Dict[str, Optional[Message]] = {}  # by request; None: still awaited
        self._events: Dict[str, Deque[Event]] = {}
        self._settled = False
        self._gone: Optional[ConnectionFailed] = None
        self._gone_at = 0.0
        self._key = self._endpoint = ""
        self._begun = time.monotonic()

    @classmethod
    def connect(
        cls, path: Union[str, Path], timeout: float = 5.0, roots: Optional[Sequence[str]] = None
    ) -> Client:
        """Connect to the server that wrote a connection file.

        Args:
            path: The connection file, or the home folder that holds it.
            timeout: Seconds that this, and later each reply, may take.
            roots: Folders that the jobs of this client may read and write; None for all that the server
                allows.

        Raises:
            ConnectionFailed: There is no file, no server behind it, or it does not answer.
        """
        connection = read_connection(path)
        client = cls(Core(connection), path, timeout)
        client._key, client._endpoint = connection["server_public_key"], connection["endpoint"]
        try:
            client.hello(roots)
            client._settled = True
        except BaseException:
            client.close()
            raise
        return client

    def hello(self, roots: Optional[Sequence[str]] = None) -> Dict[str, Any]:
        """Who the server is: version, protocol, python, pid, home, tasks; its devices; this client to it.

        Args:
            roots: As in ``connect``; they hold for the jobs that are submitted from now on.

        Raises:
            RequestError: A root is no absolute path.
        """
        return self._request("hello", {"roots": None if roots is None else list(roots)})

    def submit(
        self, task: str, spec: Mapping[str, Any], key: Optional[str] = None, gpu: Optional[str] = None
    ) -> str:
        """Put a job into the queue; its id. It is on disk when this returns.

        Args:
            task: ``predict``, ``finetune``: see ``hello()["tasks"]``.
            spec: The task's parameters: the command line's long options with ``_`` for ``-``, absolute paths.
            key: Any string; the same key gives the same job. Without one each call makes a new job.
            gpu: The id of the GPU that it shall run on, of ``hello()["devices"]``; else the first free one.

        Raises:
            RequestError: The spec is not valid, and the error names the field; or there is no such GPU.
        """
        body = {"task": task, "spec": dict(spec), "key": key or uuid.uuid4().hex}
        if gpu is not None:
            body["gpu"] = gpu
        job: str = self._request("submit", body)["job"]
        return job

    def cancel(self, job: str, attempt: Optional[int] = None) -> str:
        """Stop a job, wherever it stands; its state then (``cancelling`` until its worker has ended).

        Args:
            job: Its id.
            attempt: Stop it only while this is its present attempt.

        Raises:
            RequestError: There is no such job, or it is at another attempt.
        """
        body: Dict[str, Any] = {"job": job}
        return self._state("cancel", body if attempt is None else {**body, "attempt": attempt})

    def pause(self, job: str) -> str:
        """Let a job wait, its worker ended, until ``resume``; its state then.

        Raises:
            RequestError: There is no such job.
        """
        return self._state("pause", {"job": job})

    def resume(self, job: str) -> str:
        """Let a paused job have its turn again, from its checkpoint; its state then.

        Raises:
            RequestError: There is no such job, or it is still being paused (``job_pausing``).
        """
        return self._state("resume", {"job": job})

    def finish(self, job: str) -> str:
        """End a training soon, with the best of what it has learnt; its state.

        Raises:
            RequestError: There is no such job, or it is no training.
        """
        return self._state("finish", {"job": job})

    def order(self, job: str, priority: Optional[int] = None, before: Optional[str] = None) -> Dict[str, Any]:
        """Give a job that waits another place in the queue; the job, as in ``jobs``.

        Args:
            job: Its id.
            priority: Jobs with a higher one come first; they begin with 0.
            before: The job that it shall be just before.

        Raises:
            RequestError: One of them doesn't wait.
        """
        return self._request("order", {"job": job, "priority": priority, "before": before})

    def retry(self, job: str, key: Optional[str] = None, gpu: Optional[str] = None) -> str:
        """Try a job that failed or was cancelled again; the new job's id.

        Args:
            job: Its id.
            key: As of ``submit``.
            gpu: The id of another GPU than it had.

        Raises:
            RequestError: There is no such job, it has not failed and was not cancelled, or its GPU is gone.
        """
        body: Dict[str, Any] = {"job": job, "key": key or uuid.uuid4().hex}
        if gpu is not None:
            body["gpu"] = gpu
        new: str = self._request("retry", body)["job"]
        return new

    def _state(self, type: str, body: Mapping[str, Any]) -> str:
        state: str = self._request(type, body)["state"]
        return state

    def remove(self, jobs: Sequence[str], dry_run: bool = False) -> int:
        """Remove jobs that have ended, what they told and what they left in the home; their outputs stay.

        Args:
            jobs: Their ids; one that is removed already is fine.
            dry_run: Remove nothing.

        Returns:
            How many bytes this frees.

        Raises:
            RequestError: There is no such job, or one has not ended (``job_not_ended``); those of the same
                hundred are all there then.
        """
        freed = 0
        for start in range(0, len(jobs), MOST_REMOVED):
            some = list(jobs[start : start + MOST_REMOVED])
            freed += self._request("remove", {"jobs": some, "dry_run": dry_run})["freed"]
        return freed

    def jobs(self) -> List[Dict[str, Any]]:
        """The jobs, newest first."""
        jobs: List[Dict[str, Any]] = []
        more = True
        while more:
            before = {"before": jobs[-1]["id"]} if jobs else {}
            page = self._request("jobs", {"limit": MOST_LISTED, **before})
            jobs += page["jobs"]
            more = page["more"]
        return jobs

    def job(self, job: str) -> Dict[str, Any]:
        """One job, as in ``jobs``, and its finished outputs in ``artifacts``."""
        return self._request("job", {"job": job})

    def metrics(self, job: str) -> Dict[str, Dict[str, List[Any]]]:
        """The curves of a job by name: ``steps`` and ``values``; of long ones every so many-th point."""
        curves: Dict[str, Dict[str, List[Any]]] = self._request("metrics", {"job": job})["curves"]
        return curves

    def stop(self) -> List[str]:
        """End the server; the ids of the jobs that this ends."""
        jobs: List[str] = self._request("stop", {})["jobs"]
        return jobs

    def events(self, job: str, after: int = 0) -> Iterator[Event]:
        """The job's events with numbers above ``after``: first those recorded, then live, until it has ended.

        When the server is started anew meanwhile, this goes on with it, and misses nothing.

        Raises:
            RequestError: There is no such job.
            ConnectionFailed: The server is gone, and no other comes within the timeout.
        """
        ident = self.core.send("subscribe", {"job": job, "after": after})
        queue = self._events.setdefault(ident, deque())
        self._answers[ident] = None
        try:
            last: Optional[int] = None  # the number of the last event of a job that has already ended
            while True:
                while queue:
                    event = queue.popleft()
                    after = event.seq
                    yield event
                    if event.final:
                        return
                answer = self._answers.get(ident)
                if answer is not None:
                    self._answers[ident] = None  # after a reconnection an error may come, too
                    body = _body(answer)
                    last = body["last_seq"] if body["ended"] else None
                if last is not None and after >= last:
                    return
                if not queue:
                    self._turn(200)
        finally:
            self._events.pop(ident, None)
            self._answers.pop(ident, None)
            if not self.core.closed:  # a loop that was left may be cleared away later than the client
                with suppress(BackendError):  # the server is gone, and the subscription with it
                    self.core.send("unsubscribe", {"id": ident})

    def close(self) -> None:
        """End the connection. Jobs go on."""
        self.core.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _request(self, type: str, body: Mapping[str, Any]) -> Dict[str, Any]:
        ident = self.core.send(type, body)
        self._answers[ident] = None
        deadline = time.monotonic() + self._timeout
        try:
            while self._answers[ident] is None:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise self._gone or silent(type, self._timeout)
                self._turn(int(left * 1000) + 1)
            return _body(self._answers[ident])
        finally:
            del self._answers[ident]
            self.core.withdraw(ident)

    def _turn(self, timeout_ms: int) -> None:
        for message in self.core.poll(timeout_ms if self._gone is None else min(timeout_ms, RECONNECT_MS)):
            if message.type == "event":
                if message.id in self._events:
                    self._events[message.id].append(Event.from_body(message.body))
            elif message.type == "lost":
                self._lose(message.body)
            elif message.id in self._answers:
                self._answers[message.id] = message
        if self._gone is not None:
            self._seek(self._gone)

    def _lose(self, body: Mapping[str, Any]) -> None:
        gone = ConnectionFailed(body["code"], body["message"], body["action"], retryable=True)
        if not self._settled:
            if body["code"] == "backend_mute" and self._is_busy():
                return
            raise gone
        if self._gone is None:
            self._gone, self._gone_at = gone, time.monotonic()

    def _is_busy(self) -> bool:
        """Whether a server listens whose loop has no time for a handshake: ZeroMQ itself greets at once."""
        if time.monotonic() - self._begun < FIRST_HANDSHAKE_MS / 1000:
            return False  # whoever hung up by itself is none of ours
        host, _, port = self._endpoint.rpartition("/")[2].rpartition(":")
        try:
            with socket.create_connection((host, int(port)), timeout=GREETING_S) as caller:
                return caller.recv(1) == b"\xff"
        except (OSError, ValueError):
            return False

    def _seek(self, gone: ConnectionFailed) -> None:
        """Look whether the server is back, or another has written the connection file."""
        if self.core.connected:
            self._gone = None
            return
        if time.monotonic() - self._gone_at > self._timeout:
            raise gone
        try:
            connection = read_connection(self._path)
        except ConnectionFailed:
            return
        if connection["server_public_key"] != self._key:
            self._key = connection["server_public_key"]
            self.core.reconnect(connection)


def _body(answer: Optional[Message]) -> Dict[str, Any]:
    assert answer is not None  # noqa: S101
    if answer.type == "error":
        raise RequestError.from_dict(answer.body)
    return answer.body
