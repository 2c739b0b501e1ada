# SPDX-License-Identifier: GPL-3.0-or-later
"""Drives QGIS from inside, from its own event loop: what the scripts of the demo and of the guide share.

What a script is to do stands in a JSON file named by the environment variable TIMO_DEMO, with ``out`` and
``headless`` among its keys. It ends with ``out/qgis.json``: what came of it, or ``{"error": one sentence}``.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from qgis.core import QgsProject
from qgis.PyQt.QtCore import Qt, QTimer
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QAbstractButton, QDockWidget, QLabel, QLineEdit
from qgis.utils import iface, plugins

TASK = json.loads(Path(os.environ["TIMO_DEMO"]).read_text(encoding="utf-8"))
OUT = Path(TASK["out"])
LONGEST_SILENCE = 300


class Wait(NamedTuple):
    """What the story waits for, how it is said when it does not come, and for how many seconds."""

    until: Callable[[], Any]
    what: str
    seconds: float = 60


class FailedError(Exception):
    """It cannot go on; the text is the sentence to print."""


def open_dock() -> Iterator[Wait]:
    """Open the dock; done when the backend is ready."""
    plugins["timo_qgis"].action.trigger()
    yield Wait(lambda: plugins["timo_qgis"].dock, "the dock did not open", 20)
    backend = plugins["timo_qgis"].dock.shared.backend
    yield Wait(lambda: backend.state.phase in ("ready", "missing", "failed"), "the backend did not start", 90)
    if not backend.state.ready:
        raise FailedError(f"{backend.state.message} {backend.state.action}")


def arrange(width: int = 1600, height: int = 1000) -> None:
    """One tidy window: layers on the left, the dock on the right."""
    window = iface.mainWindow()
    for dock in window.findChildren(QDockWidget):
        if dock.objectName() not in ("Layers", "TimoDock"):
            dock.hide()
    if TASK["headless"]:
        window.showNormal()
        window.resize(width, height)
        window.move(0, 0)


def follow(box: Any, at_half: Callable[[], Iterator[Wait]] | None = None) -> Iterator[Wait]:
    """Wait for a job's end; something may be done when it is half done."""
    while not box.job.final:
        if at_half is not None and box.job.fraction > 0.5:
            done, at_half = at_half, None
            yield from done()
        yield Wait(
            partial(_moved, box, box.job), f"the job '{box.job.name}' says nothing any more", LONGEST_SILENCE
        )
    if box.job.state != "succeeded":
        error = box.job.error or {}
        raise FailedError(f"{error.get('message', box.job.state_name)} {error.get('action', '')}".strip())
    if at_half is not None:
        yield from at_half()


def _moved(box: Any, before: Any) -> bool:
    return box.job is not before


def settle() -> Iterator[Wait]:
    """Wait until all is drawn."""
    iface.mapCanvas().refresh()
    for _ in range(3):  # drawing may begin again once widgets have found their sizes
        yield Wait(partial(_still, time.monotonic()), "QGIS does not finish drawing")


def _still(since: float) -> bool:
    return time.monotonic() - since > 0.3 and not iface.mapCanvas().isDrawing()


def page(dock: Any, number: int) -> None:
    """Show one of the dock's pages: 0 Series, 1 Train, 2 Predict, 3 Jobs."""
    dock.tabs.setCurrentIndex(number)


def find(kind: type, name: str) -> Any:
    """The widget of this name; an error where there is none."""
    widget = iface.mainWindow().findChild(kind, name)
    if widget is None:
        raise FailedError(f"The dock has no widget '{name}'.")
    return widget


def click(button: QAbstractButton) -> None:
    """Press it, as a mouse does."""
    QTest.mouseClick(
        button, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, button.rect().center()
    )


def type_text(line: QLineEdit, text: str) -> None:
    """Type a text in place of what is there."""
    line.selectAll()
    QTest.keyClicks(line, text)
    QTest.keyClick(line, Qt.Key.Key_Return)


def reason(name: str) -> str:
    """What the page says beside its button: read when it is needed."""
    return f"label:{name}"


def tell(step: str) -> None:
    """A line for who started the script."""
    print(f"demo: {step}", flush=True)


def finish(result: dict) -> None:
    """Write what came of it; without a display, QGIS ends."""
    part = OUT / "qgis.json.part"
    part.write_text(json.dumps(result), encoding="utf-8")
    part.replace(OUT / "qgis.json")
    if TASK["headless"]:
        QgsProject.instance().clear()  # else QGIS asks what to do with layers in a temporary folder
        QTimer.singleShot(0, iface.actionExit().trigger)


class Driver:
    """Runs the story from QGIS's event loop, so that the interface lives while it waits."""

    def __init__(self, story: Iterator[Wait]) -> None:
        self._story = story
        self._wait: Wait | None = None
        self._since = 0.0
        self._timer = QTimer()
        self._timer.setInterval(100)
        self._timer.timeout.connect(self._step)
        self._timer.start()

    def _step(self) -> None:
        try:
            if self._wait is not None and not self._wait.until():
                if time.monotonic() - self._since > self._wait.seconds:
                    raise FailedError(_sentence(self._wait.what))
                return
            self._wait = next(self._story)
            self._since = time.monotonic()
        except StopIteration:
            self._timer.stop()
        except FailedError as error:
            self._timer.stop()
            finish({"error": str(error)})
        except Exception as error:
            self._timer.stop()
            traceback.print_exc(file=sys.stderr)
            finish({"error": f"The script failed: {error!r}."})


def _sentence(what: str) -> str:
    if what.startswith("label:"):
        text = find(QLabel, what.partition(":")[2]).text()
        return text or "The dock's button stays disabled."
    return f"{what[:1].upper()}{what[1:]}."
