# SPDX-License-Identifier: GPL-3.0-or-later
"""Small work off the interface's thread: model cards, counts of features, results' metadata."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Optional

from qgis.PyQt.QtCore import QObject, pyqtSignal

from .log import log
from .timing import slot


class Background(QObject):
    """Runs functions in two threads of its own and hands the results to the interface's thread."""

    _done = pyqtSignal(object, object, object)

    def __init__(self, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self._pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="timo")
        self._closed = False
        self._done.connect(self._deliver)

    def run(self, function: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Call a function in a thread; ``done`` gets its result on the interface's thread.

        Args:
            function: Touches no widget and no layer. What it raises is logged, and ``done`` is not called.
            done: Takes the result.
        """
        if not self._closed:
            self._pool.submit(self._call, function, done)

    def close(self) -> None:
        """Drop what has not begun; nothing is delivered any more."""
        self._closed = True
        self._pool.shutdown(wait=False)

    def _call(self, function: Callable[[], Any], done: Callable[[Any], None]) -> None:
        try:
            result, error = function(), None
        except Exception as caught:
            result, error = None, caught
        if not self._closed:
            self._done.emit(done, result, error)

    @slot
    def _deliver(self, done: Callable[[Any], None], result: Any, error: Optional[Exception]) -> None:
        if self._closed:
            return
        if error is not None:
            log(f"{type(error).__name__}: {error}", "warning")
            return
        done(result)
