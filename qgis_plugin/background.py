# SPDX-License-Identifier: GPL-3.0-or-later
"""Small work off the interface's thread: model cards, counts of features, results' metadata."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Callable, Optional

from qgis.PyQt import sip
from qgis.PyQt.QtCore import QObject, pyqtSignal

from .log import log
from .timing import slot


@dataclass(frozen=True)
class _Callbacks:
    """Who waits for a result; see ``Background.run``."""

    done: Callable[[Any], None]
    failed: Optional[Callable[[str], None]]
    owner: Optional[QObject]


class Background(QObject):
    """Runs functions in two threads of its own and hands the results to the interface's thread."""

    _done = pyqtSignal(object, object, object)

    def __init__(self, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self._pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="timo")
        self._closed = False
        self._done.connect(self._deliver)

    def run(
        self,
        function: Callable[[], Any],
        done: Callable[[Any], None],
        *,
        failed: Optional[Callable[[str], None]] = None,
        owner: Optional[QObject] = None,
    ) -> None:
        """Call a function in a thread; ``done`` gets its result on the interface's thread.

        Args:
            function: Touches no widget and no layer. What it raises is logged.
            done: Takes the result.
            failed: Takes what was raised, as text, in place of ``done``: nobody shall wait for ever.
            owner: Whose the callbacks are: once it is deleted, nothing is delivered.
        """
        if not self._closed:
            self._pool.submit(self._call, function, _Callbacks(done, failed, owner))

    @property
    def closed(self) -> bool:
        """Whether nobody waits for anything any more: what takes long looks at it."""
        return self._closed

    def close(self) -> None:
        """Drop what has not begun; nothing is delivered any more."""
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _call(self, function: Callable[[], Any], callbacks: _Callbacks) -> None:
        try:
            result, error = function(), None
        except Exception as caught:
            result, error = None, caught
        if not self._closed:
            self._done.emit(callbacks, result, error)

    @slot
    def _deliver(self, callbacks: _Callbacks, result: Any, error: Optional[Exception]) -> None:
        gone = callbacks.owner is not None and sip.isdeleted(callbacks.owner)
        if self._closed:
            return
        if error is not None:
            log(f"{type(error).__name__}: {error}", "warning")
            if callbacks.failed is not None and not gone:
                callbacks.failed(str(error) or type(error).__name__)
        elif not gone:
            callbacks.done(result)
