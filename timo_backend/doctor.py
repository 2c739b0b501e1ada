# SPDX-License-Identifier: GPL-3.0-or-later
"""What an analyst sends to the makers when something is wrong: versions, home, server, the last failures.

Whatever is missing, damaged or hung becomes a line of it. Nothing is changed, no job's parameters are told,
and the whole text goes through ``Scrubber``.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import zmq
import zmq.asyncio

from timo import __version__
from timo_backend import settings
from timo_backend.auth import Authenticator, Keys, guard, listen, self_check
from timo_backend.client import Client
from timo_backend.errors import BackendError
from timo_backend.migrations import MIGRATIONS
from timo_backend.protocol import CONNECTION_FILE
from timo_backend.scrub import Scrubber

PACKAGES = (
    "torch",
    "timm",
    "lightning-fabric",
    "numpy",
    "rasterio",
    "pyogrio",
    "shapely",
    "msgspec",
    "psutil",
)
GDAL = {"rasterio": "rasterio.__gdal_version__", "pyogrio": "pyogrio.__gdal_version_string__"}
"""Libraries that bring a GDAL of their own, and where they say which."""
LOAD_S = 60.0
ANSWER_S = 2.0  # less than a handshake may take: a server that hangs is not one that is gone
CHECK_S = 10.0
LEAST_FREE = 200 * 1024 * 1024
JOBS, FAILURES, LINES = 200, 3, 60
TAIL = 64 * 1024
LARGE, LONGEST = 1000, 500
"""Characters of a line that is left out, and of one that is cut, once what is private was taken out of it."""
WRONG = "!"

Row = Mapping[str, Any]


class Report:
    """Collects lines; ``wrong`` marks one of them, and the report with it.

    Args:
        home: The backend's folder, which need not be there.
    """

    def __init__(self, home: Path) -> None:
        self.home = Path(os.path.abspath(home.expanduser()))  # noqa: PTH100  # touches no disk
        self.well = True
        self._lines: list[str] = []
        self._paths: set[str] = set()  # of the failed jobs

    def examine(self) -> str:
        """Look at everything, once; the text."""
        now = datetime.now(timezone.utc)
        self._title(f"TiMo backend, report of {now:%Y-%m-%d %H:%M} UTC")
        self._tell(f"A line that begins with '{WRONG}' says that something is wrong.")
        self._tell(
            "Paths, names of user and computer, and keys are taken out. Names of files, layers and classes"
        )
        self._tell("may be left in it: read it before you send it.")
        self._look_at_versions()
        self._look_at_loopback()
        if self._look_at_home():
            rows = self._look_at_server()
            if rows is None:
                rows = self._look_at_database()
            failed = self._look_at_jobs(rows)
            self._show_log("server.log")
            for row in failed:
                self._show_log(f"{row['id']}.log")
        scrubbed = Scrubber.of_this_machine(self.home, self._paths)("\n".join(self._lines))
        return "\n".join(line[:LONGEST] for line in scrubbed.split("\n"))

    def _title(self, text: str) -> None:
        self._lines += ["", f"== {text}"] if self._lines else [f"== {text}"]

    def _tell(self, text: str) -> None:
        for line in text.split("\n"):
            self._lines.append(f"  {line}" if len(line) <= LARGE else f"  (a line of {len(line)} characters)")

    def _wrong(self, text: str) -> None:
        self.well = False
        self._lines.append(f"{WRONG} {' '.join(text.split())}")

    # what runs here ----------------------------------------

    def _look_at_versions(self) -> None:
        self._title("Versions")
        self._tell(f"TiMo {__version__}, Python {platform.python_version()}, {platform.platform()}")
        curve = zmq.has("curve")
        told = (
            f"pyzmq {zmq.pyzmq_version()}, libzmq {zmq.zmq_version()} {'with' if curve else 'without'} CURVE"
        )
        (self._tell if curve else self._wrong)(f"{told}, SQLite {sqlite3.sqlite_version}")
        for name in PACKAGES:
            try:
                self._tell(f"{name} {metadata.version(name)}")
            except metadata.PackageNotFoundError:
                self._wrong(f"{name} is not installed")
        for name, version in GDAL.items():
            self._load(name, version)

    def _load(self, name: str, version: str) -> None:
        """Have another process load a library: a broken one can end the process that does."""
        code = f"import {name}; print({version})"
        try:
            done = subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, timeout=LOAD_S, check=False
            )
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            self._wrong(f"{name} cannot be loaded: {error}")
            return
        if done.returncode == 0:
            self._tell(f"{name} has GDAL {done.stdout.strip()}")
        else:
            last = done.stderr.strip().split("\n")[-1]
            self._wrong(f"{name} cannot be loaded: status {done.returncode}, {last}")

    def _look_at_loopback(self) -> None:
        self._title("Connections on this computer")
        loop = asyncio.SelectorEventLoop()  # as the server's
        try:
            loop.run_until_complete(_try_door())
            self._tell("A server can be reached on 127.0.0.1, and keeps strangers out.")
        except (BackendError, zmq.ZMQError, OSError) as error:
            detail = json.dumps(error.detail) if isinstance(error, BackendError) else ""
            self._wrong(f"No server can be run on 127.0.0.1: {error} {detail}")
        finally:
            loop.close()

    # the home ----------------------------------------

    def _look_at_home(self) -> bool:
        """Whether it is there and can be looked into."""
        self._title("Home")
        try:
            status = self.home.stat()
            entries = sorted(self.home.iterdir())
            sizes = {path.name: path.stat() for path in entries if _is_own(path.name)}
            free = shutil.disk_usage(self.home).free
        except FileNotFoundError:
            self._tell(f"There is no folder {self.home}: no backend has run here.")
            return False
        except OSError as error:
            self._wrong(f"The folder {self.home} cannot be read: {error.strerror}.")
            return False
        self._tell(f"The folder {self.home} holds {len(entries)} things.")
        (self._tell if free >= LEAST_FREE else self._wrong)(f"{_size(free)} are free on its disk.")
        self._look_at_mode("the home", status)
        for name, each in sizes.items():
            self._tell(f"{name}: {_size(each.st_size)}")
            if name == CONNECTION_FILE:
                self._look_at_mode(name, each)
        try:
            logs = [path.stat().st_size for path in (self.home / "logs").iterdir()]
            self._tell(f"logs: {len(logs)} files, {_size(sum(logs))}")
        except OSError as error:
            self._tell(f"logs cannot be read: {error.strerror}")
        return True

    def _look_at_mode(self, what: str, status: os.stat_result) -> None:
        if os.name != "posix":  # there the profile's access list keeps others out
            return
        if status.st_uid != os.getuid():
            self._wrong(f"{what} belongs to another user.")
        mode = stat.S_IMODE(status.st_mode)
        (self._wrong if mode & 0o077 else self._tell)(f"{what} has mode {mode:03o}")

    # the server ----------------------------------------

    def _look_at_server(self) -> list[Row] | None:
        """The newest jobs, as the server that runs tells them; None if none does."""
        self._title("Server")
        try:
            with Client.connect(self.home / CONNECTION_FILE, timeout=ANSWER_S) as client:
                hello, rows = client.hello(), client.jobs()
        except BackendError as error:
            none_runs = error.code in ("backend_not_running", "backend_gone")
            (self._tell if none_runs else self._wrong)(f"{error.code}: {error}")
            return None
        self._tell(f"Version {hello.get('version')} runs as process {hello.get('pid')}.")
        self._tell(
            f"Python {hello.get('python')}, protocol {hello.get('protocol')}, tasks {hello.get('tasks')}"
        )
        if hello.get("version") != __version__:
            self._wrong(
                f"This program is of version {__version__}: end the server, so that a new one starts."
            )
        for name in ("devices", "host"):
            for each in _listed(hello.get(name)):
                self._tell(f"{name}: {json.dumps(each, ensure_ascii=False)}")
        return list(rows)

    def _look_at_database(self) -> list[Row]:
        """The newest jobs, from the file; it is neither changed nor brought up to date."""
        file = self.home / "jobs.sqlite"
        if not file.exists():
            self._tell("There is no job database yet.")
            return []
        try:
            with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=0.5)) as db:
                (version,) = db.execute("PRAGMA user_version").fetchone()
                self._tell(f"The job database has version {version}, this release version {len(MIGRATIONS)}.")
                if version > len(MIGRATIONS):
                    self._wrong("The job database was written by a newer release of the backend.")
                self._check(db)
                return list(_rows(db)) if version else []
        except (sqlite3.Error, ValueError) as error:
            self._wrong(f"The job database cannot be read: {error}")
        return []

    def _check(self, db: sqlite3.Connection) -> None:
        end = time.monotonic() + CHECK_S
        db.set_progress_handler(lambda: time.monotonic() > end, 100_000)
        try:
            (told,) = db.execute("PRAGMA quick_check(1)").fetchone()
            (self._tell if told == "ok" else self._wrong)(f"The job database is checked: {told}")
        except sqlite3.OperationalError as error:
            if "interrupted" not in str(error):
                raise
            self._tell(f"The job database is too large to be checked in {CHECK_S:g} s.")
        finally:
            db.set_progress_handler(None, 0)

    # its jobs ----------------------------------------

    def _look_at_jobs(self, rows: list[Row]) -> list[Row]:
        """The last that failed."""
        self._title("Jobs")
        states = Counter(str(row["state"]) for row in rows)
        counted = ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none"
        self._tell(f"{counted}{f' of the newest {JOBS}' if len(rows) >= JOBS else ''}")
        failed = [row for row in rows if row["state"] == "failed"][:FAILURES]
        for row in failed:
            self._paths |= set(_paths(row["spec"])) | set(_paths(row["summary"]))
            error = row["error"] or {}
            self._tell(f"{row['id']} {row['task']}, attempt {row['attempt']}: {error.get('code')}")
            times = (f"{name} {_moment(row[name])}" for name in ("created", "started", "ended"))
            self._tell(f"  {', '.join(times)}")
            for name in ("message", "action"):
                self._tell(f"  {error.get(name)}")
        return failed

    def _show_log(self, name: str) -> None:
        self._title(f"The end of {name}")
        try:
            lines = _tail(self.home / "logs" / name)
        except OSError as error:
            self._tell(f"It cannot be read: {error.strerror}")
            return
        for line in lines:
            self._tell(line)


async def _try_door() -> None:
    """Do what a server does at its start.

    Raises:
        BackendError: There is no CURVE or no port, strangers are let in, or nobody.
    """
    keys = Keys.generate()
    context = zmq.asyncio.Context()
    authenticator = Authenticator(context, keys)
    authenticator.start()
    try:
        socket = context.socket(zmq.ROUTER)
        guard(socket, keys)
        await self_check(listen(socket), keys)
    finally:
        authenticator.stop()
        context.destroy(linger=0)


def _is_own(name: str) -> bool:
    return name in (CONNECTION_FILE, settings.FILE, "lock") or name.startswith("jobs.sqlite")


def _size(count: int) -> str:
    for unit, power in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if count >= 2**power:
            return f"{count / 2**power:.1f} {unit}"
    return f"{count} bytes"


def _moment(seconds: float | None) -> str:
    return (
        "never" if seconds is None else f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d %H:%M:%S}"
    )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _rows(db: sqlite3.Connection) -> Iterator[Row]:
    names = "id, task, spec, state, attempt, created, started, ended, error, summary"  # since version 1
    for row in db.execute(f"SELECT {names} FROM jobs ORDER BY number DESC LIMIT {JOBS}"):  # noqa: S608
        values = dict(zip(names.split(", "), row))
        yield {
            **values,
            **{name: json.loads(values[name] or "null") for name in ("spec", "error", "summary")},
        }


def _paths(value: Any) -> Iterator[str]:
    """What is an absolute path in a job's parameters."""
    if isinstance(value, str):
        if re.match(r"[\\/]|[A-Za-z]:[\\/]", value):
            yield value
    elif isinstance(value, (list, dict)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _paths(each)


def _tail(file: Path) -> list[str]:
    """The last whole lines of a text: of half a line, half a name would not be known as one."""
    with file.open("rb") as opened:
        size = opened.seek(0, os.SEEK_END)
        opened.seek(max(0, size - TAIL))
        if size > TAIL:
            opened.readline()
        text = opened.read().decode("utf-8", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n").split("\n")[-LINES:]
