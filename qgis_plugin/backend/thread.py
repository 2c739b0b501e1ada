# SPDX-License-Identifier: GPL-3.0-or-later
"""The one thread that talks to the backend: it connects, asks, and folds what is told into jobs."""

from __future__ import annotations

import queue
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any, Dict, FrozenSet, Iterable, List, Mapping, Optional, Set

from qgis.PyQt.QtCore import QObject, QThread, pyqtSignal

from .._client.core import Core
from .._client.errors import BackendError, ConnectionFailed
from .._client.other_release import is_there
from .._client.protocol import VERSION, Message, read_connection
from ..i18n import tr
from .jobs import FINAL, JobBook
from .launcher import Launcher
from .link_state import STARTED_UNSUPPORTED, UNSUPPORTED, LinkState, Trouble
from .pauses import Pauses
from .room import make_room

POLL_MS = 50
TELL_EVERY = 0.1
LIST_EVERY = 2.0
LIST_ALL, LIST_NEW = sys.maxsize, 200  # at first and after an order; then those that can have changed
AT_ONCE = 100  # jobs that are listed in one answer, and told to the interface in one turn
MOST_FOLLOWED = 200  # jobs that wait whose events are asked for; the others' states come with the list
HELLO_WITHIN = 5.0
SILENT_AFTER = 15.0
START_WITHIN = 60.0
IDLE = ("queued", "paused")
RESTARTS, RESTARTS_WITHIN = 3, 60.0


@dataclass(frozen=True)
class Command:
    """A request of the interface; ``token`` names it in the answer.

    Of a list, so many jobs are ``wanted``; those ``lost`` were known before it, and it has not told of them.
    """

    type: str
    body: Mapping[str, Any]
    token: str = ""
    wanted: int = 0
    lost: FrozenSet[str] = frozenset()


class _LostError(Exception):
    """The backend went away."""


class LinkThread(QThread):
    """Connects, starts the program where none runs, sends, receives, and folds events into job views."""

    state_changed = pyqtSignal(object)
    greeted = pyqtSignal(object)
    jobs_changed = pyqtSignal(object)
    jobs_removed = pyqtSignal(object)
    answered = pyqtSignal(str, object)
    refused = pyqtSignal(str, object)

    def __init__(self, launcher: Launcher, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self.launcher = launcher
        self.commands: queue.Queue[Command] = queue.Queue()
        self._ending = threading.Event()
        self._retry = threading.Event()
        self._replacing = threading.Event()
        self._book = JobBook()
        self._unanswered: Dict[str, Command] = {}
        self._subscribed: Dict[str, str] = {}
        self._live: Set[str] = set()
        self._list = 0
        self._removals: Optional[int] = None
        self._starts: List[float] = []
        self._pause = Pauses()

    def ask(self, request: str, body: Mapping[str, Any], token: str) -> None:
        """Send a request when connected; ``answered`` or ``refused`` comes with its token."""
        self.commands.put(Command(request, body, token))

    def withdraw(self, token: str) -> bool:
        """Take back a request that was not sent yet; whether it could be."""
        with self.commands.mutex:
            kept = [command for command in self.commands.queue if command.token != token]
            taken = len(kept) < len(self.commands.queue)
            self.commands.queue.clear()
            self.commands.queue.extend(kept)
        return taken

    def retry(self, replace: bool = False) -> None:
        """Try again after a failure.

        Args:
            replace: End the server that speaks another version of the protocol, where one runs.
        """
        if replace:
            self._replacing.set()
        self._retry.set()

    def end(self) -> None:
        """Let the thread run out; jobs go on without it."""
        self._ending.set()
        self._retry.set()

    def run(self) -> None:
        """The thread's life."""
        while not self._ending.is_set():
            core: Optional[Core] = None
            try:
                core = self._connect()
                if core is not None:
                    self._serve(core)
            except _LostError:
                self._tell("connecting", tr("The backend went away; connecting again."))
            except BackendError as error:
                if error.retryable:
                    self._tell("connecting", tr("The backend went away; connecting again."))
                    self._ending.wait(POLL_MS / 1000)
                else:
                    self._fail(Trouble("failed", error.message, error.action))
            except Exception as error:  # nobody would hear of it, and pages would wait for ever
                text = tr("TiMo's connection broke: {why}.", why=f"{type(error).__name__}: {error}")
                self._fail(Trouble("failed", text, tr("Press Retry.")))
            finally:
                if core is not None:
                    core.close()

    # -- connecting ------------------------------------------------------------------------------------------

    def _connect(self) -> Optional[Core]:
        """A connection whose server has answered; None after a failure that was told and waited out."""
        self._tell("connecting", tr("Looking for the backend."))
        started_at: Optional[float] = None
        replacing, dead = self._replacing.is_set(), ""
        self._replacing.clear()
        while not self._ending.is_set():
            connection = self._connection()
            if connection is not None and connection["server_public_key"] != dead:
                if connection["protocol"] == VERSION:
                    core = Core(connection)
                    if self._says_hello(core):
                        return core
                    core.close()
                elif is_there(connection, self._ending.is_set):
                    trouble = STARTED_UNSUPPORTED if started_at is not None else UNSUPPORTED
                    if replacing:
                        self._tell("connecting", tr("The backend of another release is being ended."))
                        trouble = make_room(connection, self.launcher, self._ending.is_set)
                    if trouble is not None:
                        self._fail(trouble)
                        return None
                    replacing = False
                dead = connection["server_public_key"]
            if self._ending.is_set():
                return None
            if started_at is None:
                trouble = self._start()
                if trouble is not None:
                    self._fail(trouble)
                    return None
                started_at = time.monotonic()
            elif self.launcher.ended() and not self._another_answers(dead):
                self._fail(self.launcher.why_ended())
                return None
            elif time.monotonic() - started_at > START_WITHIN:
                self._fail(
                    Trouble(
                        "failed",
                        tr(
                            "The backend was started but did not answer within {seconds} seconds.",
                            seconds=round(START_WITHIN),
                        ),
                        tr("Look into {file}, and press Retry.", file=self.launcher.log_file),
                    )
                )
                return None
            self._ending.wait(0.1)
        return None

    def _start(self) -> Optional[Trouble]:
        now = time.monotonic()
        self._starts = [at for at in self._starts if now - at < RESTARTS_WITHIN]
        if len(self._starts) >= RESTARTS:
            self._starts.clear()
            trouble = self.launcher.why_ended()
            return Trouble("failed", tr("The backend keeps ending."), trouble.action)
        self._starts.append(now)
        trouble = self.launcher.start()
        if trouble is None:
            self._tell("starting", tr("Starting the backend."))
        return trouble

    def _connection(self) -> Optional[Dict[str, Any]]:
        try:
            return read_connection(self.launcher.home, any_version=True)
        except ConnectionFailed:
            return None

    def _another_answers(self, dead: str) -> bool:
        """Whether our program ended because another server took the home in the same moment."""
        for _ in range(20):
            connection = self._connection()
            if connection is not None and connection["server_public_key"] != dead:
                return True
            if self._ending.wait(0.1):
                return True
        return False

    def _says_hello(self, core: Core) -> bool:
        ident = core.send("hello", {"roots": None})  # whatever layers the analyst picks
        until = time.monotonic() + HELLO_WITHIN
        while time.monotonic() < until and not self._ending.is_set():
            for message in core.poll(POLL_MS):
                if message.type == "lost" and message.body["code"] != "backend_mute":  # it may be busy
                    return False
                if message.id == ident:
                    if message.type == "reply":
                        self.greeted.emit(message.body)
                    return message.type == "reply"
        return False

    def _fail(self, trouble: Trouble) -> None:
        """Tell it, and wait until the analyst retries."""
        for command in self._drain() + list(self._unanswered.values()):
            if command.token:
                self.refused.emit(command.token, {"message": trouble.message, "action": trouble.action})
        self._unanswered.clear()
        self._retry.clear()
        self._replacing.clear()
        if self._ending.is_set():
            return
        self._tell(trouble.phase, trouble.message, trouble.action)
        self._retry.wait()

    # -- connected -------------------------------------------------------------------------------------------

    def _serve(self, core: Core) -> None:
        self._tell("ready", tr("The backend is ready."))
        self._subscribed.clear()
        self._live.clear()
        self._list = LIST_ALL
        for command in self._unanswered.values():  # a submit may be repeated: its key makes it one job
            self.commands.put(command)
        self._unanswered.clear()
        told = listed = 0.0
        heard = time.monotonic()
        while not self._ending.is_set():
            now = time.monotonic()
            if self._list or now - listed > LIST_EVERY:
                wanted = self._list or max(LIST_NEW, self._book.depth(self._subscribed))
                self._ask_for_list(core, wanted, self._book.known())
                listed, self._list = now, 0
            for command in self._drain():
                self._send(core, command)
            messages = core.poll(POLL_MS, most=1)
            if not messages:  # it has waited
                self._pause.begin()
            for message in messages:
                heard = now
                self._take(core, message)
                self._pause()
            if now - told > TELL_EVERY:
                changed = self._book.take_changed(AT_ONCE)
                if changed:
                    self.jobs_changed.emit(changed)
                    self._pause()
                if len(changed) < AT_ONCE:  # else more are to be told
                    told = now
            if now - heard > SILENT_AFTER:
                raise _LostError

    def _ask_for_list(self, core: Core, wanted: int, lost: FrozenSet[str], **before: str) -> None:
        asked = {"limit": min(wanted, AT_ONCE), **before}
        self._unanswered[core.send("jobs", asked)] = Command("jobs", asked, wanted=wanted, lost=lost)

    def _send(self, core: Core, command: Command) -> None:
        if command.type == "subscribe":
            self._subscribe(core, str(command.body["job"]))
            return
        try:
            self._unanswered[core.send(command.type, command.body)] = command
        except BackendError as error:
            self.refused.emit(command.token, error.to_dict())

    def _take(self, core: Core, message: Message) -> None:
        if message.type == "lost":
            # What has no answer yet is asked again of the next server, except the list, and not to stop.
            kept = {k: c for k, c in self._unanswered.items() if c.type not in ("jobs", "stop")}
            self._unanswered = kept
            raise _LostError
        if message.type == "event":
            self._take_event(core, message)
            return
        if message.type == "error":  # of a subscription: with the next list it is tried again
            self._subscribed = {job: ident for job, ident in self._subscribed.items() if ident != message.id}
        command = self._unanswered.pop(message.id, None)
        if command is None:
            return
        if message.type == "error":
            if command.token:
                self.refused.emit(command.token, message.body)
            return
        self._take_answer(core, command, message)
        if command.token:
            self.answered.emit(command.token, message.body)

    def _take_event(self, core: Core, message: Message) -> None:
        body = message.body
        if body["kind"] == "removed":
            self._drop([body["job"]])
            core.send("unsubscribe", {"id": message.id})
            return
        if body["kind"] == "gap":  # the curve is kept, although its points' events are not
            asked = {"job": body["job"]}
            self._unanswered[core.send("metrics", asked)] = Command("metrics", asked)
        if self._book.apply(body["job"], body["seq"], body["kind"], body["ts"], body["body"]):
            self._live.discard(body["job"])
            core.send("unsubscribe", {"id": message.id})

    def _take_answer(self, core: Core, command: Command, message: Message) -> None:
        if command.type == "jobs":
            self._take_list(core, command, message.body)
        elif command.type == "remove" and not command.body.get("dry_run"):
            self._drop(message.body["jobs"])
        elif command.type == "metrics":
            self._book.take_curves(str(message.body["job"]), message.body["curves"])
        elif command.type == "submit":
            self._book.know(str(message.body["job"]), command.body["task"], command.body["spec"])
            self._subscribe(core, str(message.body["job"]))
            self._list = LIST_NEW
        elif command.type in ("retry", "order"):  # the list has the new job, or the new places
            self._list = LIST_ALL
            if command.type == "retry":
                self._subscribe(core, str(message.body["job"]))

    def _take_list(self, core: Core, command: Command, body: Mapping[str, Any]) -> None:
        rows = body["jobs"]
        lost = command.lost.difference(row["id"] for row in rows)
        if not body["more"]:
            self._drop(lost)
        elif command.wanted > len(rows):
            self._ask_for_list(core, command.wanted - len(rows), lost, before=rows[-1]["id"])
        removals = int(body.get("removals", 0))
        if self._removals not in (None, removals):  # by whomever: a list of all tells which are gone
            self._list = LIST_ALL
        self._removals = removals
        for row in rows:
            self._pause()
            self._book.take_listed(row)
            if row["state"] in FINAL:
                self._live.discard(row["id"])
            elif row["state"] not in IDLE or len(self._live) < MOST_FOLLOWED:
                self._subscribe(core, row["id"])
                self._live.add(row["id"])

    def _drop(self, jobs: Iterable[str]) -> None:
        """Forget jobs that were removed."""
        gone = self._book.drop(jobs)
        for job in gone:
            self._subscribed.pop(job, None)
            self._live.discard(job)
        if gone:
            self.jobs_removed.emit(gone)

    def _subscribe(self, core: Core, job: str) -> None:
        if job not in self._subscribed:
            self._subscribed[job] = core.send("subscribe", {"job": job, "after": self._book.seen(job)})

    def _drain(self) -> List[Command]:
        found: List[Command] = []
        while True:
            try:
                found.append(self.commands.get_nowait())
            except queue.Empty:
                return found

    def _tell(self, phase: str, message: str, action: str = "") -> None:
        self.state_changed.emit(LinkState(phase, message, action, str(self.launcher.home)))
