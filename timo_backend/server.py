# SPDX-License-Identifier: GPL-3.0-or-later
"""The server: one loop that answers requests, runs the queue and sends events. It never imports torch."""

from __future__ import annotations

import asyncio
import functools
import itertools
import logging
import signal
import sqlite3
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

import zmq
import zmq.asyncio
from zmq.utils.monitor import parse_monitor_message

from timo import __version__
from timo.errors import TimoError
from timo_backend import leftovers, messages, platforms, protocol, settings
from timo_backend.auth import Authenticator, Home, Keys, guard, listen, self_check
from timo_backend.database import is_full
from timo_backend.devices import Devices
from timo_backend.endings import interrupted
from timo_backend.errors import BackendError, RequestError
from timo_backend.feeds import Feeds
from timo_backend.grants import Caller, Grants
from timo_backend.outbox import Outbox
from timo_backend.protocol import Message
from timo_backend.removal import Removal
from timo_backend.requests import Requests
from timo_backend.store import Job, Store
from timo_backend.supervisor import Supervisor

logger = logging.getLogger(__name__)

LINGER_MS = 500
IDLE_S = 30 * 60.0
PRUNE_S = 10 * 60.0
PAUSE_S = 0.02
READ_AGAIN_S = 1.0
SEND_AHEAD = 128  # messages that wait for one client; twice as many as hold events
# Somewhat more than the limit may come in, to be answered with a typed error; beyond this libzmq hangs up.
WIRE_LIMIT = protocol.MAX_BYTES * 2


class Server:
    """One home's server. ``run`` serves until it is told to stop, or nobody needs it any more.

    Args:
        home: The folder, locked by this process.
        idle_s: Seconds without client and job after which it ends by itself.
        worker_command: The worker's program; left out, the real one.
        devices: Of this computer; left out, the real ones.

    Raises:
        StoreError: The home's database cannot be opened.
        HomeError: Another program has it open, or the home's settings make no sense.
    """

    def __init__(
        self,
        home: Home,
        *,
        idle_s: float = IDLE_S,
        worker_command: Sequence[str] | None = None,
        devices: Devices | None = None,
    ) -> None:
        self.home = home
        self._idle_s = idle_s
        allowed = settings.read(home.path)
        self._store = Store(home.database)
        self._feeds = Feeds(self._store.history)
        self._devices = devices or Devices()
        command = {} if worker_command is None else {"worker_command": worker_command}
        grants = Grants(allowed, home.path)
        self._supervisor = Supervisor(self._store, home.logs, self._push, grants, self._devices, **command)
        self._keys = Keys.generate(allowed.all_owners)
        self._clients: set[int] = set()
        self._needed = time.monotonic()
        self._stop = asyncio.Event()
        self._failure: BaseException | None = None
        self._removal = Removal(self._store, home.path, home.logs)
        self._requests = Requests(
            home, self._store, self._supervisor, self._feeds, grants, self._devices, self._serve, self.stop,
            self._removal, self._tell_removed,
        )  # fmt: skip

    async def run(self, ready: Callable[[str], None] = lambda endpoint: None) -> None:
        """Serve until the end; ``ready`` is told the endpoint once clients can connect.

        Raises:
            BackendError: There is no port (``no_port``), or the self-check found it open (``not_guarded``).
            Exception: What the server can't do without has failed.
        """
        context = zmq.asyncio.Context()
        authenticator = Authenticator(context, self._keys)
        authenticator.start()
        self._socket = context.socket(zmq.ROUTER)
        guard(self._socket, self._keys)
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._socket.setsockopt(zmq.MAXMSGSIZE, WIRE_LIMIT)
        self._socket.setsockopt(zmq.SNDHWM, SEND_AHEAD)
        self._outbox = Outbox(self._socket, self._feeds.drop, self._serve)
        monitor = self._socket.get_monitor_socket()
        tasks: list[asyncio.Task[None]] = []
        try:
            endpoint = listen(self._socket)
            await self_check(endpoint, self._keys)
            leftovers.end(leftovers.mark_of(self.home.path))
            for ident, state in self._store.recover(interrupted("ended")).items():
                logger.warning("job %s, left behind by a server that ended: %s", ident, state.value)
            self._removal.finish()
            self._catch_signals()
            tasks = [
                self._keep_up(self._receive(), "answering"),
                self._keep_up(self._watch(monitor), "counting clients"),
                self._keep_up(self._wait_until_idle(), "waiting for the end"),
                self._keep_up(self._prune(), "removing old events"),
            ]
            self.home.write_connection(endpoint, self._keys, __version__)
            logger.info("version %s listens on %s, home %s", __version__, endpoint, self.home.path)
            ready(endpoint)
            tasks.append(self._keep_up(self._try_devices(), "trying the GPUs"))
            self._supervisor.wake()
            await self._stop.wait()
        finally:
            self.home.remove_connection(self._keys)
            self._devices.end()
            await self._supervisor.stop()
            for task in tasks:
                task.cancel()
            self._socket.disable_monitor()
            authenticator.stop()
            context.destroy(linger=LINGER_MS)
            self._store.close()
            logger.info("ended")
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Have ``run`` come to its end."""
        self._stop.set()

    def _keep_up(self, work: Coroutine[Any, Any, None], what: str) -> asyncio.Task[None]:
        """Do something beside all else; should it fail, the server ends: half of one is worse than none."""

        def see(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                logger.error("the server ends, for %s failed", what, exc_info=error)
                self._failure = error
                self.stop()

        task = asyncio.create_task(work)
        task.add_done_callback(see)
        return task

    # sockets ----------------------------------------

    async def _receive(self) -> None:
        while True:
            # To take a message that is there waits for nothing: who sends without end must not stop all else.
            await asyncio.sleep(0)
            frames = await self._socket.recv_multipart(copy=False)
            # The authenticator has seen to this; a message that got round it must not be acted upon.
            owner = self._keys.owner(str(frames[1].get("User-Id"))) if len(frames) == 2 else None
            if owner is None:
                logger.error("a message of %d frames from an unknown peer was dropped", len(frames))
                continue
            peer = frames[0].bytes
            # What the server remembers of a connection goes by its routing id. One that ZeroMQ gave, which
            # begins so, is never given again; one that a client chose may be another owner's tomorrow.
            if not peer.startswith(b"\0"):
                logger.error("a message of a client that chose its own routing id was dropped")
                continue
            self._answer(peer, owner, frames[1].bytes)

    def _answer(self, peer: bytes, owner: str, data: bytes) -> None:
        ident = ""
        try:
            ident, request = messages.read(data)
            body = self._requests.answer(Caller(peer, owner, ident), request)
            if body is not None:
                self._outbox.answer(peer, Message("reply", body, ident))
            if isinstance(request, messages.Subscribe):  # the reply comes before the first event
                self._serve(peer)
        except messages.BadRequestError as error:
            self._refuse(peer, error.id, error)
        except (BackendError, TimoError) as error:  # the answer is too large, among others
            self._refuse(peer, ident, error)
        except sqlite3.Error as error:
            logger.exception("the database failed")
            self._refuse(peer, ident, self._unwritten(error))
        except Exception:
            logger.exception("a request failed")
            failed = RequestError(
                "internal",
                "The backend failed to answer for a reason that it does not know.",
                f"Send {self.home.logs / 'server.log'} with a report of what you did.",
            )
            self._refuse(peer, ident, failed)

    def _refuse(self, peer: bytes, ident: str, error: BackendError | TimoError) -> None:
        self._outbox.answer(peer, Message("error", protocol.shortened(error.to_dict()), ident))

    def _unwritten(self, error: sqlite3.Error) -> RequestError:
        if is_full(error):
            return RequestError(
                "disk_full",
                f"The disk that holds the backend's database {self.home.database} is full.",
                "Make room on it, and try again.",
                retryable=True,
            )
        return RequestError(
            "store_failed",
            f"The backend could not use its database {self.home.database}: {error}.",
            "See that its disk is there and can be written to, and try again.",
            retryable=True,
        )

    def _push(self, job: str) -> None:
        for peer in self._feeds.news(job):
            self._serve(peer)

    def _tell_removed(self, job: Job) -> None:
        for peer in self._feeds.end(job.id, job.last_seq):
            self._serve(peer)

    def _serve(self, peer: bytes) -> None:
        try:
            self._feeds.serve(peer, functools.partial(self._outbox.tell, peer))
        except sqlite3.Error:
            logger.exception("the events cannot be read")
            asyncio.get_running_loop().call_later(READ_AGAIN_S, self._serve, peer)

    async def _watch(self, monitor: zmq.asyncio.Socket) -> None:
        """Count who is connected."""
        while True:
            await asyncio.sleep(0)  # as above
            event = parse_monitor_message(await monitor.recv_multipart())
            if event["event"] == zmq.EVENT_ACCEPTED:
                self._clients.add(event["value"])
            elif event["event"] in (zmq.EVENT_DISCONNECTED, zmq.EVENT_CLOSED):
                self._clients.discard(event["value"])
            self._needed = time.monotonic()

    async def _wait_until_idle(self) -> None:
        while not self._stop.is_set():
            if self._clients or self._supervisor.busy:
                self._needed = time.monotonic()
            left = self._needed + self._idle_s - time.monotonic()
            if left <= 0:
                logger.info("no client and no job for %g minutes", self._idle_s / 60)
                self.stop()
                return
            await asyncio.sleep(min(left, self._idle_s / 10) + 0.01)

    async def _try_devices(self) -> None:
        try:
            while not await self._devices.try_out(self.home.path):
                self._supervisor.wake()
        except Exception:
            logger.exception("the GPUs could not be tried out: jobs run without them")
        finally:
            self._supervisor.wake()

    async def _prune(self) -> None:
        """Remove now and then what is too much of what jobs told, a little at a time."""
        while True:
            await asyncio.sleep(PRUNE_S)
            try:
                for _ in itertools.chain(self._store.history.prune(), self._store.shrink()):
                    await asyncio.sleep(PAUSE_S)
            except sqlite3.Error:
                logger.exception("old events could not be removed")

    def _catch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in platforms.stop_signals():
            try:
                loop.add_signal_handler(number, self.stop)
            except (NotImplementedError, RuntimeError):  # Windows, or not the main thread
                with suppress(ValueError):
                    signal.signal(number, lambda *_: loop.call_soon_threadsafe(self.stop))
