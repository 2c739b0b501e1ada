# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets the backend up, step by step, without ever waiting: programs run beside QGIS, disks in a thread."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, List, Optional

from qgis.PyQt.QtCore import QObject, QProcess, QTimer, pyqtSignal

from ..background import Background
from ..i18n import tr
from ..timing import slot
from . import setup_files as files
from . import setup_plan as plan
from .others import for_others, kill, proxy
from .uv_output import Packages, sentence
from .uv_tool import OLDEST, Fetch, unpack

TAIL = 20_000
MEASURE_MS = 1000
FETCH_SHARE = 0.02


@dataclass(frozen=True)
class Request:
    """What the analyst chose.

    Attributes:
        system: As ``Machine`` names it.
        lock: The packages to install, where ``environment`` is not there already.
        uv: The uv of this platform.
        wheels: A folder of wheels to install from; None: from the package index.
        environment: One that is there already.
    """

    system: str
    lock: plan.Lock = plan.NOTHING
    uv: Optional[plan.UvWheel] = None
    wheels: Optional[Path] = None
    environment: Optional[Path] = None


@dataclass(frozen=True)
class Progress:
    """How far it is: what is done, details of it, and the fraction of the whole."""

    title: str
    detail: str = ""
    fraction: float = 0.0


@dataclass(frozen=True)
class Ready:
    """A backend that can compute: its program, and a sentence about the device."""

    program: Path
    device: str


class Installer(QObject):
    """One set-up at a time. After ``failed``, ``start`` goes on with what was downloaded.

    Args:
        home: The backend's folder.
        wheel: The wheel of the library and the backend.
        version: Its release.
        background: Runs what waits for disks.
        parent: Who owns this.
    """

    progressed = pyqtSignal(object)
    """Progress."""
    said = pyqtSignal(str)
    """A line for the details."""
    failed = pyqtSignal(str)
    """Why, and what to do."""
    cancelled = pyqtSignal()
    """Nothing is left of it."""
    finished = pyqtSignal(object)
    """Ready."""

    def __init__(
        self, home: Path, wheel: Path, version: str, background: Background, parent: Optional[QObject] = None
    ) -> None:
        super().__init__(parent)
        self.layout = plan.Layout(home, version)
        self.busy = False
        self._wheel = wheel
        self._background = background
        self._request = Request("")
        self._room = files.Room()
        self._steps: List[plan.Step] = []
        self._number = 0
        self._process: Optional[QProcess] = None
        self._fetch: Optional[Fetch] = None
        self._cancelling = False
        self._device = ""
        self._packages = Packages()
        self._output = self._line = ""
        self._written = 0
        self._measuring = False
        self._timer = QTimer(self)
        self._timer.setInterval(MEASURE_MS)
        self._timer.timeout.connect(self._measure)

    def start(self, request: Request) -> None:
        """Begin; nothing happens while one is going on."""
        if self.busy:
            return
        self.busy, self._cancelling, self._request, self._number = True, False, request, 0
        self._device, self._output, self._written = "", "", 0
        if request.environment is not None:
            self._steps = plan.examine(request.environment, request.system)
            self._run()
            return
        self.progressed.emit(Progress(tr("Looking for room")))
        home, version = self.layout.home, self.layout.version

        def prepare() -> files.Room:
            return files.make_room(home, version, request.lock, request.uv, request.system, request.wheels)

        self._background.run(prepare, self._on_room)

    def cancel(self) -> None:
        """Stop it, and remove what is not done; ``cancelled`` comes."""
        if not self.busy or self._cancelling:
            return
        self._cancelling = True
        self.progressed.emit(Progress(tr("Stopping")))
        if self._fetch is not None:
            self._fetch.cancel()
        elif self._process is not None:
            kill(self._process)

    def close(self) -> None:
        """The plugin is unloaded: end what runs. What is not done is removed by the next set-up."""
        self._cancelling = True
        if self._process is not None:
            self._process.finished.disconnect()
            killing = kill(self._process)
            if killing is not None:
                killing.waitForFinished(1000)
            self._process.waitForFinished(1000)
        self._unlock()

    # -- before the steps ------------------------------------------------------------------------------------

    @slot
    def _on_room(self, room: files.Room) -> None:
        self._room = room
        self.layout = room.layout or self.layout
        request = self._request
        if self._room.trouble:
            self._fail(self._room.trouble)
        elif self._cancelling:
            self._end_cancelled()
        elif self._room.uv is not None:
            self._begin(self._room.uv)
        elif request.uv is None or request.wheels is not None:
            self._fail(
                tr(
                    "The program uv, which makes environments, is not on this computer in release {oldest} "
                    "or newer: put {name} into the folder of wheels, or install uv, and press Retry.",
                    oldest=".".join(map(str, OLDEST)),
                    name=request.uv.name if request.uv else "uv",
                )
            )
        else:
            self.said.emit(f"Downloading {request.uv.url}")
            self._fetch = Fetch(request.uv.url, self.layout.work / request.uv.name, self)
            self._fetch.progressed.connect(self._on_fetching)
            self._fetch.ended.connect(lambda trouble: self._on_fetched(trouble, request.uv))

    @slot
    def _on_fetching(self, come: int, of: int) -> None:
        fraction = come / of if of > 0 else 0.0
        detail = tr("{come:.0f} of {of:.0f} MB", come=come / 1e6, of=of / 1e6) if of > 0 else ""
        self.progressed.emit(Progress(tr("Downloading uv"), detail, FETCH_SHARE * fraction))

    @slot
    def _on_fetched(self, trouble: str, wheel: plan.UvWheel) -> None:
        if self._fetch is not None:
            self._fetch.deleteLater()
            self._fetch = None
        if self._cancelling:
            self._end_cancelled()
            return
        if trouble:
            self.said.emit(trouble)
            self._fail(sentence(trouble))
            return
        system, work = self._request.system, self.layout.work
        target = self.layout.uv(wheel, system)

        def done(wrong: str) -> None:
            if self._cancelling:
                self._end_cancelled()
            elif wrong:
                self.said.emit(wrong)
                self._fail(sentence(wrong))
            else:
                self._begin(target)

        self._background.run(lambda: unpack(work / wheel.name, wheel, system, target), slot(done))

    def _begin(self, uv: Path) -> None:
        request = self._request
        self._steps = plan.install(self.layout, uv, request.lock, self._wheel, request.system, request.wheels)
        self._run()

    # -- the steps -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        step = self._steps[self._number]
        self._packages, self._output, self._line = Packages(), "", ""
        self._tell()
        self.said.emit(f"> {' '.join(step.command)}")
        process = QProcess(self)
        more = {} if self._request.environment else self.layout.variables()
        process.setProcessEnvironment(for_others({**proxy(), **more}))
        if self._request.environment is None:
            process.setWorkingDirectory(str(self.layout.work))
        process.readyReadStandardError.connect(self._on_error_output)
        process.finished.connect(self._on_finished)
        process.errorOccurred.connect(self._on_not_started)
        self._process = process
        process.start(step.command[0], list(step.command[1:]))
        if step.measured:
            self._timer.start()

    @slot
    def _on_error_output(self) -> None:
        if self._process is None:
            return
        text = bytes(self._process.readAllStandardError()).decode(errors="replace")
        self._output = (self._output + text)[-TAIL:]
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            self._packages.take(line)
            self.said.emit(line.rstrip())
        if lines:
            self._tell()

    @slot
    def _on_not_started(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._on_finished(-1)

    @slot
    def _on_finished(self, status: int) -> None:
        process, step = self._process, self._steps[self._number]
        if process is None:
            return
        self._on_error_output()
        self._process = None
        self._timer.stop()
        crashed = process.exitStatus() != QProcess.ExitStatus.NormalExit
        answer = bytes(process.readAllStandardOutput()).decode(errors="replace").strip()
        process.deleteLater()
        if self._cancelling:
            self._end_cancelled()
            return
        wrong = self._judge(step, status != 0 or crashed, answer)
        if wrong:
            self._fail(wrong)
            return
        self._number += 1
        if self._number < len(self._steps):
            self._run()
        else:
            self._finish()

    def _judge(self, step: plan.Step, failed: bool, answer: str) -> str:
        """What is wrong with a step that has ended; empty: nothing."""
        environment = self._request.environment
        if failed and environment is None:
            return sentence(self._output)
        if failed:
            return tr("There is no working TiMo in {folder}: choose another one.", folder=environment)
        if step.answers:
            try:
                found = json.loads(answer)
                self._device = tr(
                    "TiMo {version} computes on {name}: {reason}",
                    version=found["version"],
                    name=found["name"],
                    reason=found["reason"],
                )
            except (ValueError, KeyError, TypeError):
                return sentence(f"error: {answer}")
        elif environment is not None and answer != self.layout.version:
            return tr(
                "The TiMo in {folder} has version {found}, and this plugin needs {wanted}: update it there, "
                "or choose another one.",
                folder=environment,
                found=answer[:40],
                wanted=self.layout.version,
            )
        return ""

    def _finish(self) -> None:
        environment = self._request.environment
        if environment is not None:
            self._end_well(environment)
            return
        self.progressed.emit(Progress(tr("Putting it in place"), fraction=0.99))
        layout = self.layout

        def done(wrong: str) -> None:
            if wrong:
                self.said.emit(wrong)
                self._fail(sentence(wrong))
            else:
                self._end_well(layout.target)

        self._background.run(lambda: files.put_in_place(layout), slot(done))

    # -- the ends --------------------------------------------------------------------------------------------

    def _end_well(self, environment: Path) -> None:
        self._unlock()
        self.busy = False
        program = plan.program(environment, "timo-backend", self._request.system)
        self.finished.emit(Ready(program, self._device))

    def _fail(self, why: str) -> None:
        self._clean(downloads=False, then=lambda: self.failed.emit(why))

    def _end_cancelled(self) -> None:
        self._clean(downloads=True, then=self.cancelled.emit)

    def _clean(self, downloads: bool, then: Callable[[], None]) -> None:
        def done(_: object) -> None:
            self._unlock()
            self.busy = False
            then()

        layout = self.layout
        if self._request.environment is not None or self._room.lock is None:  # nothing of it is ours
            done(None)
        else:
            self._background.run(lambda: files.remove(layout, downloads=downloads), slot(done))

    def _unlock(self) -> None:
        if self._room.lock is not None:
            self._room.lock.unlock()
        self._room = files.Room()

    # -- progress --------------------------------------------------------------------------------------------

    @slot
    def _measure(self) -> None:
        if self._measuring:
            return
        self._measuring = True
        cache = self.layout.cache

        def done(written: int) -> None:
            self._measuring, self._written = False, written
            self._tell()

        self._background.run(lambda: files.size(cache), slot(done))

    def _tell(self) -> None:
        if self._cancelling or self._number >= len(self._steps):
            return
        step, lock = self._steps[self._number], self._request.lock
        before = FETCH_SHARE + sum(each.share for each in self._steps[: self._number])
        part, detail = 0.0, self._packages.now
        if step.measured and lock.on_disk:
            part = min(self._written / lock.on_disk, 1.0)
            written = tr(
                "{written:.1f} of about {whole:.1f} GB",
                written=self._written / 1e9,
                whole=lock.on_disk / 1e9,
            )
            detail = f"{written} · {detail}" if detail else written
        self.progressed.emit(Progress(step.title, detail, before + step.share * part))
