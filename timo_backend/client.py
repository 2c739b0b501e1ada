# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of the backend: ``Core``, which never blocks, and ``Client``, which does.

Standard library and pyzmq only, in Python 3.9 syntax with relative imports: the plugin carries this file in
its package ``_client``. Neither class may be used by two threads at once.

    with Client.connect("connection.json") as client:
        job = client.submit("predict", spec, key="any-string-of-mine")
        for event in client.events(job):
            print(event.seq, event.kind, event.body)
"""

from __future__ import annotations

import time
import uuid
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any, Deque, Dict, Iterator, List, Mapping, Optional, Set, Union

import zmq
from zmq.utils.monitor import parse_monitor_message

from . import protocol
from .errors import BackendError, ConnectionFailed, ProtocolError, RequestError, gone, silent
from .protocol import CONNECTION_FILE, Event, Message, default_home, read_connection

__all__ = ["CONNECTION_FILE", "Client", "Core", "Event", "Message", "default_home", "read_connection"]

RECONNECT_MS = 100
HANDSHAKE_MS = 3000
LINGER_MS = 300

_GONE = (
    zmq.EVENT_CLOSED,  # nobody listens there
    zmq.EVENT_DISCONNECTED,  # somebody does, and hung up before the handshake was done
    zmq.EVENT_HANDSHAKE_FAILED_AUTH,
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL,
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL,
)


class Core:
    """One connection that never blocks: ``send`` a request, ``poll`` for what has come.

    It opens again by itself when the connection breaks while the server lives, sends unanswered requests
    again (every request may be repeated) and resumes subscriptions after the last event seen: no gap, no
    event twice. When the server is gone, ``poll`` gives one message of type ``lost`` whose body is an error.
    A new server has new keys: go on with ``reconnect(read_connection(path))``.

    Args:
        connection: The content of a connection file.
    """

    def __init__(self, connection: Mapping[str, Any]) -> None:
        self._context = zmq.Context()
        self._pending: Dict[str, Message] = {}
        self._subscriptions: Dict[str, Dict[str, Any]] = {}
        self._acknowledged: Dict[str, int] = {}
        self._resuming: Set[str] = set()  # subscriptions that were asked for again
        self._settled: List[Message] = []  # answers that need no server
        self._open(connection)

    def _open(self, connection: Mapping[str, Any]) -> None:
        self.connected = False
        self._lost = False
        self._handshakes = 0
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, LINGER_MS)
        self._socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
        self._socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        self._socket.setsockopt(zmq.MAXMSGSIZE, 2 * protocol.MAX_BYTES)
        self._socket.curve_serverkey = connection["server_public_key"].encode("ascii")
        self._socket.curve_publickey = connection["client_public_key"].encode("ascii")
        self._socket.curve_secretkey = connection["client_secret_key"].encode("ascii")
        self._monitor = self._socket.get_monitor_socket()
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        self._poller.register(self._monitor, zmq.POLLIN)
        self._socket.connect(connection["endpoint"])

    def send(self, type: str, body: Mapping[str, Any]) -> str:
        """Send a request; its id, which the reply carries (and each event, for ``subscribe``).

        Raises:
            ProtocolError: The request is too large (``message_too_large``) or not JSON.
        """
        message = Message(type, dict(body), uuid.uuid4().hex)
        data = protocol.encode(message)
        if type == "unsubscribe":
            self._forget(str(body.get("id")))
        if type == "subscribe":
            self._subscriptions[message.id] = {"job": body.get("job"), "after": body.get("after", 0)}
        if type != "ack":
            self._pending[message.id] = message
        self._put(data)
        return message.id

    def poll(self, timeout_ms: int = 0) -> List[Message]:
        """What has arrived, in order; waits up to ``timeout_ms`` for something to arrive.

        Types: ``reply`` and ``error`` (one for each request, with its id), ``event`` (with the id of its
        ``subscribe``), and ``lost`` (the server is gone; body: an error).
        """
        ready = dict(self._poller.poll(0 if self._settled else timeout_ms))
        messages, self._settled = self._settled, []
        if self._monitor in ready:
            messages.extend(self._watch())
        if self._socket in ready:
            messages.extend(self._receive())
        return messages

    def reconnect(self, connection: Mapping[str, Any]) -> None:
        """Go on with another server of the same home: unanswered requests and subscriptions move there.

        Not a ``stop``: it was for the server that is gone, and is answered with an error that says so.
        """
        self._shut(linger=0)
        self._open(connection)
        for message in [one for one in self._pending.values() if one.type == "stop"]:
            del self._pending[message.id]
            self._settled.append(Message("error", gone(refused=False).to_dict(), message.id))
        self._resume()

    def withdraw(self, ident: str) -> None:
        """Wait no more for the answer to a request: it is not sent again."""
        self._pending.pop(ident, None)

    def close(self) -> None:
        """End the connection; what was just sent still leaves, if the server is there."""
        self._shut(LINGER_MS if self.connected else 0)
        self._context.term()

    def _shut(self, linger: int) -> None:
        self._socket.disable_monitor()
        self._monitor.close(linger=0)
        self._socket.close(linger=linger)

    def _put(self, data: bytes) -> None:
        try:
            self._socket.send(data, zmq.NOBLOCK)
        except zmq.Again as error:
            raise ConnectionFailed(
                "backend_silent",
                "The backend does not take requests at present.",
                "Try again.",
                retryable=True,
            ) from error

    def _receive(self) -> Iterator[Message]:
        # No more than one window's worth, so that a flood of events cannot keep the caller in here.
        for _ in range(protocol.WINDOW):
            try:
                data = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                message = protocol.decode(data)
            except ProtocolError as error:
                yield Message("error", error.to_dict())
                continue
            if self._is_news(message):
                yield message

    def _is_news(self, message: Message) -> bool:
        if message.type != "event":
            self._resuming.discard(message.id)
            if message.id and self._pending.pop(message.id, None) is None:
                return False  # the second answer to a request that was sent again
            if message.type == "error":
                self._forget(message.id)
            return True
        subscription = self._subscriptions.get(message.id)
        seq = message.body.get("seq")
        if subscription is None or not isinstance(seq, int) or seq <= subscription["after"]:
            return False
        if seq != subscription["after"] + 1 and message.body.get("kind") != "gap":
            if message.id not in self._resuming:  # once, not for each event that was under way
                self._subscribe(message.id)
            return False
        subscription["after"] = seq
        self._acknowledge(message.id, seq)
        return True

    def _acknowledge(self, ident: str, seq: int) -> None:
        if seq - self._acknowledged.get(ident, 0) < protocol.WINDOW // 4:
            return
        try:
            self._put(protocol.encode(Message("ack", {"id": ident, "seq": seq}, uuid.uuid4().hex)))
            self._acknowledged[ident] = seq
        except ConnectionFailed:
            return  # the next event acknowledges this one too

    def _watch(self) -> Iterator[Message]:
        while self._monitor.poll(0):
            event = parse_monitor_message(self._monitor.recv_multipart())["event"]
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self.connected, self._lost = True, False
                self._handshakes += 1
                if self._handshakes > 1:
                    self._resume()
            elif event == zmq.EVENT_DISCONNECTED and self.connected:
                self.connected = False  # libzmq dials again: what comes next tells whether the server lives
            elif event in _GONE:
                self.connected = False
                if not self._lost:
                    self._lost = True
                    yield Message("lost", gone(event == zmq.EVENT_HANDSHAKE_FAILED_AUTH).to_dict())

    def _resume(self) -> None:
        for message in list(self._pending.values()):
            if message.type != "subscribe":
                self._put(protocol.encode(message))
        for ident in self._subscriptions:
            self._subscribe(ident)

    def _subscribe(self, ident: str) -> None:
        self._resuming.add(ident)
        body = dict(self._subscriptions[ident])
        self._acknowledged[ident] = body["after"]
        self._put(protocol.encode(Message("subscribe", body, ident)))

    def _forget(self, ident: str) -> None:
        self._subscriptions.pop(ident, None)
        self._acknowledged.pop(ident, None)
        self._resuming.discard(ident)


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
        self._key = ""

    @classmethod
    def connect(cls, path: Union[str, Path], timeout: float = 5.0) -> Client:
        """Connect to the server that wrote a connection file.

        Args:
            path: The connection file, or the home folder that holds it.
            timeout: Seconds that this, and later each reply, may take.

        Raises:
            ConnectionFailed: There is no file, no server behind it, or it does not answer.
        """
        connection = read_connection(path)
        client = cls(Core(connection), path, timeout)
        client._key = connection["server_public_key"]
        try:
            client.hello()
            client._settled = True
        except BaseException:
            client.close()
            raise
        return client

    def hello(self) -> Dict[str, Any]:
        """Who the server is: version, protocol, python, pid, home, tasks."""
        return self._request("hello", {})

    def submit(self, task: str, spec: Mapping[str, Any], key: Optional[str] = None) -> str:
        """Put a job into the queue; its id. It is on disk when this returns.

        Args:
            task: ``predict``, ``finetune``: see ``hello()["tasks"]``.
            spec: The task's parameters: the command line's long options with ``_`` for ``-``, absolute paths.
            key: Any string; the same key gives the same job. Without one each call makes a new job.

        Raises:
            RequestError: The spec is not valid; the error names the field.
        """
        body = {"task": task, "spec": dict(spec), "key": key or uuid.uuid4().hex}
        job: str = self._request("submit", body)["job"]
        return job

    def cancel(self, job: str) -> str:
        """Stop a job, wherever it stands; its state then (``cancelling`` until its worker has ended).

        Raises:
            RequestError: There is no such job.
        """
        state: str = self._request("cancel", {"job": job})["state"]
        return state

    def jobs(self) -> List[Dict[str, Any]]:
        """The jobs, newest first."""
        jobs: List[Dict[str, Any]] = self._request("jobs", {})["jobs"]
        return jobs

    def job(self, job: str) -> Dict[str, Any]:
        """One job, as in ``jobs``."""
        return self._request("job", {"job": job})

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
                    body = _body(self._answers.pop(ident))
                    last = body["last_seq"] if body["ended"] else None
                if last is not None and after >= last:
                    return
                if not queue:
                    self._turn(200)
        finally:
            self._events.pop(ident, None)
            self._answers.pop(ident, None)
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
            raise gone
        if self._gone is None:
            self._gone, self._gone_at = gone, time.monotonic()

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
