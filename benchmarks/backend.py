# SPDX-License-Identifier: GPL-3.0-or-later
"""How quick and how small the backend is: a real server, real workers, this machine's disk.

The tasks of most parts are those of the backend's tests, which need no model; the one that trains is real.
"""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

import numpy as np
import psutil
import rasterio

from benchmarks.results_file import Figure, report
from tests.scenes import make_scene
from tests.timo_backend.conftest import ServerProcess, final, wait_for, wait_until_running
from timo_backend.client import Client
from timo_backend.errors import ConnectionFailed

SUBMITS = 300
EVENTS = 100_000
SUSTAINED_S = 10.0
MISSED = 10_000
CANCELS = 30
REAL_CANCELS = 20
WIDER = 16
STARTS = 5
PROGRAM = [sys.executable, "-m", "timo_backend", "serve", "--home"]


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        server(Path(folder)) as running,
        running.client() as client,
    ):
        figures = [
            *submits(client, Path(folder)),
            *events(client, running),
            *cancels(client),
        ]
    figures += [*starts(), *stale_files()]
    with tempfile.TemporaryDirectory() as folder:
        figures += real_jobs(Path(folder))
    report("backend", "The backend, with tasks that cost nothing, and real ones", figures)


@contextmanager
def server(folder: Path) -> Iterator[ServerProcess]:
    """A running server of a home in a folder."""
    running = ServerProcess(folder / "home").start()
    try:
        yield running
    finally:
        running.kill()


def spec(act: str, out: Path = Path(os.devnull)) -> dict[str, object]:
    """Of a task of the tests' worker."""
    return {"series": ["/series"], "model": f"/acts/{act}", "out": str(out)}


def timed(call: Callable[[], object]) -> float:
    """Milliseconds."""
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1000


def spread_of(times: list[float]) -> tuple[float, float, float]:
    """Median, 95th and 99th percentile."""
    hundredths = quantiles(times, n=100)
    return median(times), hundredths[94], hundredths[98]


def submits(client: Client, folder: Path) -> list[Figure]:
    """A submit is on disk when it is answered: beside it, what one write with fsync takes there."""
    hold = client.submit("predict", spec("hold"))
    wait_until_running(client, hold)  # what is submitted waits: its own start isn't measured with it
    times = [timed(lambda: client.submit("predict", spec("succeed-1"))) for _ in range(SUBMITS)]
    for row in client.jobs():
        if row["state"] == "queued":
            client.cancel(row["id"])
    client.cancel(hold)
    final(client, hold)
    with (folder / "sync").open("wb") as file:

        def sync() -> None:
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())

        bare = [timed(sync) for _ in range(SUBMITS)]
    p50, _, p99 = spread_of(times)
    alone, _, alone99 = spread_of(bare)
    part = "Submit, on disk when answered"
    return [
        Figure("p50", p50, "ms", "at most 10", p50 <= 10, f"{alone:.3g}: fsync alone", part=part),
        Figure("p99", p99, "ms", "at most 50", p99 <= 50, f"{alone99:.3g}: fsync alone", part=part),
    ]


def events(client: Client, running: ServerProcess) -> list[Figure]:
    """From the worker over the disk to the client, until it has all; and those that a client missed."""
    number, took = EVENTS, 0.0
    with tempfile.TemporaryDirectory() as folder:
        while took < SUSTAINED_S:  # on a quick machine with a larger job
            job = client.submit("predict", spec(f"succeed-{number}", Path(folder) / f"{number}.tif"))
            got, begun = 0, 0.0
            for event in client.events(job):
                if event.kind == "metric":  # before them the worker starts
                    got += 1
                    begun = begun or time.perf_counter()
            took = time.perf_counter() - begun
            assert got == number + 1, "the last one is of another curve"
            number *= 2
    rate = got / took
    last = client.job(job)["last_seq"]

    def attach() -> None:
        with running.client() as other:
            assert sum(1 for _ in other.events(job, after=last - MISSED)) == MISSED

    again = median(timed(attach) for _ in range(5)) / 1000
    part = "Events"
    return [
        Figure("recorded and sent", rate, "a second", "at least 5000", rate >= 5000, part=part),
        Figure(
            f"connect, and fetch {MISSED:,} missed ones", again, "s", "at most 0.5", again <= 0.5, part=part
        ),
    ]  # fmt: skip


def cancels(client: Client) -> list[Figure]:
    """From the click to the answer, and to the end of the worker."""
    answers, ends = [], []
    for _ in range(CANCELS):
        job = client.submit("predict", spec("hold"))
        wait_until_running(client, job)
        started = time.perf_counter()
        answers.append(timed(lambda job=job: client.cancel(job)))
        final(client, job)
        ends.append(time.perf_counter() - started)
    answered, ended = spread_of(answers)[1], spread_of(ends)[1]
    part = "Cancel, p95, of a task that looks at its flag 50 times a second"
    return [
        Figure("answered", answered, "ms", "at most 50", answered <= 50, part=part),
        Figure("ended", ended, "s", "at most 2", ended <= 2, part=part),
    ]


def real_jobs(folder: Path) -> list[Figure]:
    """The same of a training of `timo_tiny` and of a prediction with it; and what their server holds then."""
    scene = make_scene(folder)
    wide = widen(scene.folder, folder / "wide")
    taught = {"labels": str(scene.labels), "class_field": "kind", "model": "timo_tiny"}
    learn = {"series": [str(scene.folder)], **taught}
    model = str(folder / "model")
    figures = []
    with served(folder / "real") as process, Client.connect(folder / "real", timeout=120.0) as client:
        once = final(client, client.submit("finetune", {**learn, "out": model, "epochs": 1}))
        assert once["state"] == "succeeded", once
        for task, given in (
            ("finetune", {**learn, "epochs": 10_000}),
            ("predict", {"series": [str(wide)], "model": model}),
        ):
            figures += real_cancels(client, folder, task, given)
        return [*figures, *size(process.pid)]


def real_cancels(client: Client, folder: Path, task: str, given: dict[str, object]) -> list[Figure]:
    """Of one task, at random moments of its work."""
    chance = random.Random(0)  # noqa: S311 - no secret
    at_work = "metric" if task == "finetune" else "progress"
    answers, ends = [], []
    for number in range(REAL_CANCELS):
        out = folder / f"{task}{number}{'.tif' if task == 'predict' else ''}"
        job = client.submit(task, {**given, "out": str(out)})
        wait_for(client, job, lambda event: event.kind == at_work)
        time.sleep(chance.uniform(0.0, 3.0))
        started = time.perf_counter()
        answers.append(timed(lambda job=job: client.cancel(job)))
        assert final(client, job)["state"] == "cancelled"
        ends.append(time.perf_counter() - started)
    answered, ended = spread_of(answers)[1], spread_of(ends)[1]
    part = f"Cancel, p95 of {REAL_CANCELS}, of a {task} with timo_tiny"
    spread = (min(ends), max(ends))
    return [
        Figure("answered", answered, "ms", "at most 50", answered <= 50, part=part),
        Figure("ended", ended, "s", "at most 2", ended <= 2, spread=spread, part=part),
    ]


def widen(folder: Path, wide: Path) -> Path:
    """The same rasters, many times beside each other: a map of them takes minutes."""
    wide.mkdir()
    for path in sorted(folder.glob("*.tif")):
        with rasterio.open(path) as file:
            bands = np.tile(file.read(), (1, WIDER, WIDER))
            profile = {**file.profile, "height": bands.shape[1], "width": bands.shape[2]}
            with rasterio.open(wide / path.name, "w", **profile) as target:
                target.write(bands)
                target.descriptions = file.descriptions
    return wide


def stale_files() -> list[Figure]:
    """Until a client says that its connection file is of a server that is gone."""
    with tempfile.TemporaryDirectory() as folder:
        running = ServerProcess(Path(folder) / "home").start()
        running.kill()
        file = running.home / "connection.json"
        free = median(timed(lambda: refused(file)) for _ in range(5)) / 1000
        with socket.socket() as other:
            port = int(running.endpoint.rpartition(":")[2])
            other.bind(("127.0.0.1", port))
            other.listen()
            taken = median(timed(lambda: refused(file)) for _ in range(5)) / 1000
    part = "A connection file of a server that was killed, noticed"
    return [
        Figure("its port is free", free, "s", "below 1", free < 1, part=part),
        Figure("its port is a mute program's", taken, "s", "below 1", taken < 1, part=part),
    ]


def refused(file: Path) -> None:
    """Connect, and be told that nobody is there."""
    try:
        Client.connect(file, timeout=60.0)
    except ConnectionFailed:
        return
    raise AssertionError("somebody answered")


def size(pid: int) -> list[Figure]:
    """What a server holds after its work."""
    megabytes = psutil.Process(pid).memory_info().rss / 1e6
    maps = Path(f"/proc/{pid}/maps").read_text()
    heavy = [name for name in ("libtorch", "numpy") if name in maps]
    return [
        Figure("memory", megabytes, "MB", "at most 80", megabytes <= 80, part="The server"),
        Figure("of torch and numpy loaded", len(heavy), "", "none", not heavy, part="The server"),
    ]


@contextmanager
def served(home: Path) -> Iterator[subprocess.Popen[str]]:
    """`timo-backend serve` of a home, as an analyst starts it; it is ready."""
    process = subprocess.Popen([*PROGRAM, str(home)], stdout=subprocess.PIPE, text=True)
    try:
        process.stdout.readline()  # type: ignore[union-attr]
        yield process
    finally:
        process.terminate()
        process.wait()


def starts() -> list[Figure]:
    """From the command to the first answer."""
    times = []
    for _ in range(STARTS):
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            with served(Path(folder) / "home"), Client.connect(Path(folder) / "home"):
                times.append(time.perf_counter() - started)
    took = median(times)
    spread = (min(times), max(times))
    return [
        Figure(
            "from `serve` to the first answer", took, "s", "at most 2", took <= 2, spread=spread, part="Start"
        )
    ]


if __name__ == "__main__":
    main()
