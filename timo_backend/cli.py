# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of the backend: ``timo-backend serve|status|jobs|cancel|remove|stop|doctor``."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import sys
import time
from contextlib import suppress
from datetime import datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Annotated, Any

import typer

from timo import __version__
from timo_backend.auth import Home, default_home
from timo_backend.client import Client
from timo_backend.doctor import Report
from timo_backend.errors import BackendError, ConnectionFailed, HomeError
from timo_backend.other_release import end_other
from timo_backend.protocol import read_connection
from timo_backend.server import IDLE_S, Server

app = typer.Typer(
    help="The TiMo backend: runs jobs for QGIS on this computer.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home", help="The backend's folder; TIMO_HOME, or the platform's usual place.", show_default=False
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, and nothing else.")]
IdleOption = Annotated[float, typer.Option(help="Minutes without client and job until it ends.", min=0.01)]
JobArgument = Annotated[str, typer.Argument(help="The job's id, from `jobs`.")]


def _tell_version(wanted: bool) -> None:
    if wanted:
        _print(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version.")
    ] = (False),
) -> None:
    """The TiMo backend: runs jobs for QGIS on this computer."""


@app.command()
def serve(
    home: HomeOption = None,
    idle: IdleOption = IDLE_S / 60,
) -> None:
    """Run the server, until `stop`, a signal, or half an hour without client and job."""
    place = Home(home or default_home())
    try:
        place.lock()
        _log_to(place.logs / "server.log")
    except OSError as error:
        raise _unusable(place, error) from error

    def ready(endpoint: str) -> None:
        # Who started this may have closed its end since.
        with suppress(OSError):
            _print(f"TiMo backend listens on {endpoint}; connection file {place.connection_file}")

    # pyzmq needs a selector loop; on Windows asyncio's default is another.
    loop = asyncio.SelectorEventLoop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(_serve(place, idle * 60, ready))
    finally:
        loop.close()
        place.unlock()


@app.command()
def status(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Say whether a server runs, and which."""
    with _connect(home) as client:
        hello = client.hello()
        waiting = [job for job in client.jobs() if job["ended"] is None]
    if as_json:
        _print(json.dumps({**hello, "unfinished": len(waiting)}))
        return
    _print(f"TiMo backend {hello['version']} runs as process {hello['pid']} in {hello['home']}")
    _print(f"Unfinished jobs: {len(waiting)}")


@app.command()
def jobs(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the jobs, newest first."""
    with _connect(home) as client:
        rows = client.jobs()
    if as_json:
        _print(json.dumps(rows))
        return
    for row in rows:
        created = datetime.fromtimestamp(row["created"]).astimezone().strftime("%Y-%m-%d %H:%M")
        text = row["error"]["message"] if row["error"] else row["message"]
        _print(f"{row['id']}  {created}  {row['task']:<9} {row['state']:<11} {row['fraction']:>4.0%}  {text}")


@app.command()
def cancel(job: JobArgument, home: HomeOption = None) -> None:
    """Stop a job, waiting or running."""
    with _connect(home) as client:
        _print(f"Job {job} is {client.cancel(job)}")


@app.command()
def remove(
    jobs: Annotated[list[str] | None, typer.Argument(help="Ids of jobs that have ended.")] = None,
    days: Annotated[
        float | None, typer.Option(help="All that ended more than so many days ago; 0: all that have.", min=0)
    ] = None,
    home: HomeOption = None,
) -> None:
    """Remove jobs that have ended, their logs and what they left to go on from; maps and models stay."""
    if not jobs and days is None:
        raise typer.BadParameter("Name jobs, or give --days.")
    with _connect(home) as client:
        chosen = list(jobs or ())
        if days is not None:
            since = time.time() - days * 86_400
            chosen += [
                job["id"] for job in client.jobs() if job["ended"] is not None and job["ended"] <= since
            ]
        chosen = list(dict.fromkeys(chosen))
        freed = client.remove(chosen)
    _print(f"Removed jobs: {len(chosen)}, {freed} bytes freed")


@app.command()
def stop(home: HomeOption = None) -> None:
    """End the server; the jobs that run end with it, those that wait go on with the next server."""
    place = home or default_home()
    try:
        with Client.connect(place) as client:
            ended = client.stop()
    except ConnectionFailed as error:
        if error.code != "protocol_unsupported":
            raise
        end_other(read_connection(place, any_version=True))
        _print("The backend, which is of another release, has ended")
        return
    _print("The backend ends" + (f"; so do the jobs that were running: {', '.join(ended)}" if ended else ""))


@app.command()
def doctor(home: HomeOption = None) -> None:
    """Print a report to send to the makers, without paths, names or keys; status 1 if something is wrong."""
    report = Report(home or default_home())
    text, encoding = report.examine(), sys.stdout.encoding or "utf-8"
    _print(text.encode(encoding, "replace").decode(encoding))
    if not report.well:
        raise typer.Exit(1)


def main() -> None:
    """The program: an expected failure is one sentence on standard error and exit status 1."""
    try:
        app()
    except BackendError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)


async def _serve(home: Home, idle_s: float, ready: Any) -> None:
    try:
        await Server(home, idle_s=idle_s).run(ready)
    except (sqlite3.Error, OSError) as error:
        logging.getLogger(__name__).exception("the server cannot run")
        raise _unusable(home, error) from error


def _unusable(home: Home, error: Exception) -> HomeError:
    return HomeError(
        "home_unusable",
        f"The backend's folder {home.path} cannot be used: {error}.",
        "See that its disk is not full, and try again.",
    )


def _connect(home: Path | None) -> Client:
    return Client.connect(home or default_home())


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _log_to(file: Path) -> None:
    handler = RotatingFileHandler(file, maxBytes=1_000_000, backupCount=2, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)


if __name__ == "__main__":
    main()
