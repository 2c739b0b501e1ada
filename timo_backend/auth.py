# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may talk to the server: the home folder, its keys, its lock, and the connection file."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import zmq
import zmq.asyncio
from zmq.auth.asyncio import AsyncioAuthenticator
from zmq.utils.monitor import parse_monitor_message

from timo_backend import platforms, protocol
from timo_backend.errors import BackendError, HomeError
from timo_backend.protocol import CONNECTION_FILE, default_home
from timo_backend.settings import DEFAULT

__all__ = ["Authenticator", "Home", "Keys", "default_home", "guard", "listen", "self_check"]

logger = logging.getLogger(__name__)

ZAP_DOMAIN = "timo"
HANDSHAKE_MS = 5000


@dataclass(frozen=True)
class Keys:
    """The CURVE key pairs of one run of the server, Z85 text. A new run has new ones."""

    server_public: bytes
    server_secret: bytes = field(repr=False)
    clients: Mapping[str, tuple[bytes, bytes]] = field(repr=False)  # public and secret, by their owners

    @classmethod
    def generate(cls, owners: Iterable[str] = (DEFAULT,)) -> Keys:
        """Fresh keys, for the server and each owner.

        Raises:
            BackendError: ZeroMQ was built without CURVE (``not_guarded``).
        """
        try:
            return cls(*zmq.curve_keypair(), {owner: zmq.curve_keypair() for owner in owners})
        except zmq.ZMQError as error:
            raise _not_guarded(str(error), None) from error

    def owner(self, public: str | bytes) -> str | None:
        """Whose key it is; None of a stranger's."""
        key = public.encode() if isinstance(public, str) else public
        return next((name for name, (own, _) in self.clients.items() if own == key), None)


class Home:
    """The folder that holds a server's database, logs, lock and connection file; its owner's alone.

    Args:
        path: The folder; made, with mode 0700, if it is not there.

    Raises:
        HomeError: It is no folder, belongs to someone else, or can be read by others and holds other files.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        self._lock: IO[str] | None = None
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._close_to_others()
            self.logs.mkdir(exist_ok=True)
        except OSError as error:
            raise HomeError(
                "home_unusable",
                f"The backend's folder {self.path} cannot be used: {error.strerror or error}.",
                "Give another one with --home or TIMO_HOME.",
            ) from error

    @property
    def connection_file(self) -> Path:
        """What a client needs to get in; of mode 0600."""
        return self.connection_of(DEFAULT)

    @property
    def database(self) -> Path:
        """The SQLite file of jobs and events."""
        return self.path / "jobs.sqlite"

    @property
    def logs(self) -> Path:
        """The folder of the server's and the workers' log files."""
        return self.path / "logs"

    def lock(self) -> None:
        """Take the home for this process until it ends.

        Raises:
            HomeError: Another server has it (``server_running``).
        """
        handle = (self.path / "lock").open("a+", encoding="ascii")
        try:
            platforms.lock(handle)
        except OSError as error:
            handle.close()
            raise HomeError(
                "server_running",
                f"A backend already runs in {self.path}.",
                "Use that one, or end it with `timo-backend stop`.",
            ) from error
        self._lock = handle

    def unlock(self) -> None:
        """Let another server have the home."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def write_connection(self, endpoint: str, keys: Keys, version: str) -> None:
        """Write each owner's connection file, whole or not at all, readable by this user alone."""
        for old in self._connections():  # of owners that there are no more
            old.unlink(missing_ok=True)
        started = time.time()
        for owner, (public, secret) in keys.clients.items():
            content = {
                "protocol": protocol.VERSION,
                "version": version,
                "endpoint": endpoint,
                "server_public_key": keys.server_public.decode("ascii"),
                "client_public_key": public.decode("ascii"),
                "client_secret_key": secret.decode("ascii"),
                "pid": os.getpid(),
                "started": started,
            }
            path = self.connection_of(owner)
            part = path.with_name(f"{path.name}.{os.getpid()}.part")
            part.unlink(missing_ok=True)
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(json.dumps(content, indent=1) + "\n")
            platforms.replace(part, path)

    def remove_connection(self, keys: Keys) -> None:
        """Take the connection files away, those that are still the ones with these keys."""
        for path in self._connections():
            try:
                content: Any = json.loads(path.read_text(encoding="utf-8"))
                if content["server_public_key"] == keys.server_public.decode("ascii"):
                    path.unlink()
            except (OSError, ValueError, KeyError, TypeError):
                continue

    def connection_of(self, owner: str) -> Path:
        """An owner's connection file."""
        name = Path(CONNECTION_FILE)
        return self.path / (name if owner == DEFAULT else f"{name.stem}-{owner}{name.suffix}")

    def _connections(self) -> list[Path]:
        name = Path(CONNECTION_FILE)
        return [self.connection_file, *self.path.glob(f"{name.stem}-*{name.suffix}")]

    def _close_to_others(self) -> None:
        if platforms.is_foreign(self.path):
            raise HomeError(
                "home_foreign",
                f"The folder {self.path} belongs to another user.",
                "Give one of your own with --home or TIMO_HOME.",
            )
        # A folder with other things in it was not made for this: its mode is not ours to change.
        ours = (self.path / "lock").exists() or not any(self.path.iterdir())
        if platforms.is_open(self.path):
            if not ours:
                raise HomeError(
                    "home_shared",
                    f"The folder {self.path} can be read by other users and holds other files.",
                    "Give a new folder with --home or TIMO_HOME.",
                )
            platforms.close(self.path)


class Authenticator(AsyncioAuthenticator):
    """Answers libzmq's question who may connect: who has an owner's key, from this machine."""

    def __init__(self, context: zmq.asyncio.Context, keys: Keys) -> None:
        super().__init__(context)
        self._keys = keys
        self.allow("127.0.0.1")
        self.configure_curve_callback(ZAP_DOMAIN, self)

    def callback(self, _domain: str, key: bytes) -> bool:
        """Whether the key, which libzmq has proven to be the peer's, is an owner's."""
        return self._keys.owner(key) is not None

    async def handle_zap_message(self, msg: list[bytes]) -> None:
        """Answer one question; one that can't be answered costs that connection alone, not all to come."""
        try:
            await super().handle_zap_message(msg)
        except Exception:
            logger.exception("a connection could not be judged, and is not let in")


def guard(socket: zmq.Socket[Any], keys: Keys) -> None:
    """Make a socket, before it is bound, one that only the authenticator's clients get through."""
    socket.curve_server = True
    socket.curve_publickey = keys.server_public
    socket.curve_secretkey = keys.server_secret
    socket.zap_domain = ZAP_DOMAIN.encode("ascii")
    # Without this libzmq lets everybody in while the authenticator does not run.
    socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
    socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)


def listen(socket: zmq.Socket[Any]) -> str:
    """Open a port for this computer's programs alone; its endpoint.

    Raises:
        BackendError: There is none to be had (``no_port``).
    """
    try:
        return f"tcp://127.0.0.1:{socket.bind_to_random_port('tcp://127.0.0.1')}"
    except zmq.ZMQError as error:
        raise BackendError(
            "no_port",
            f"The backend can't open a port of this computer: {error}.",
            "See that programs may use the address 127.0.0.1, or restart the computer.",
            retryable=True,
        ) from error


async def self_check(endpoint: str, keys: Keys) -> None:
    """Dial the server with an owner's key, which must be let in, and with a random one, which must not.

    Raises:
        BackendError: The server's door does not work (``not_guarded``).
    """
    own = await _dial(endpoint, keys, *keys.clients[DEFAULT])
    stranger = await _dial(endpoint, keys, *zmq.curve_keypair())
    if own is not zmq.Event.HANDSHAKE_SUCCEEDED or stranger is not zmq.Event.HANDSHAKE_FAILED_AUTH:
        raise _not_guarded(getattr(own, "name", None), getattr(stranger, "name", None))


def _not_guarded(own: str | None, stranger: str | None) -> BackendError:
    return BackendError(
        "not_guarded",
        "The backend ended: this machine's ZeroMQ library does not keep strangers out.",
        "Install pyzmq 25 or later from its wheel, which has CURVE built in.",
        detail={"own": own, "stranger": stranger},
    )


async def _dial(endpoint: str, keys: Keys, public: bytes, secret: bytes) -> zmq.Event | None:
    outcomes = (
        zmq.Event.HANDSHAKE_SUCCEEDED,
        zmq.Event.HANDSHAKE_FAILED_AUTH,
        zmq.Event.HANDSHAKE_FAILED_PROTOCOL,
        zmq.Event.HANDSHAKE_FAILED_NO_DETAIL,
    )
    context = zmq.asyncio.Context()
    socket = context.socket(zmq.DEALER)
    try:
        socket.linger = 0
        socket.curve_serverkey = keys.server_public
        socket.curve_publickey, socket.curve_secretkey = public, secret
        monitor = socket.get_monitor_socket()
        socket.connect(endpoint)
        while True:
            frames = await asyncio.wait_for(monitor.recv_multipart(), HANDSHAKE_MS / 1000)
            event = zmq.Event(parse_monitor_message(frames)["event"])
            if event in outcomes:
                return event
    except asyncio.TimeoutError:
        return None
    finally:
        socket.disable_monitor()
        context.destroy(linger=0)
