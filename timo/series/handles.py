# SPDX-License-Identifier: GPL-3.0-or-later
"""Open files that are kept for the next reading."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, Protocol, TypeVar

_MOST = 600  # GDAL itself has no limit; systems grant a process 1024 files, macOS 256


class Closeable(Protocol):
    """Anything that can be closed."""

    def close(self) -> object:
        """Let go of it."""


H = TypeVar("H", bound=Closeable)


class HandlePool(Generic[H]):
    """Hands out open files, one to a thread at a time, and keeps them open afterwards.

    Threads that read the same file get a handle each. Those idle for longest are closed when there are many.
    A forked process starts with none, since the parent's handles can't be shared.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: OrderedDict[tuple[Hashable, int], H] = OrderedDict()  # by key and a running number
        self._numbers: dict[Hashable, list[int]] = {}
        self._pid = os.getpid()
        self._number = 0
        self._most = min(_MOST, _file_limit() // 2)

    @contextlib.contextmanager
    def borrow(self, key: Hashable, opener: Callable[[], H]) -> Iterator[H]:
        """A handle for the block alone; ``opener`` makes one if none is idle. After an error it is closed."""
        handle = self._take(key) or opener()
        try:
            yield handle
        except BaseException:
            handle.close()
            raise
        for old in self._give(key, handle):
            old.close()

    def close(self) -> None:
        """Close the idle ones."""
        with self._lock:
            idle, self._idle, self._numbers = list(self._idle.values()), OrderedDict(), {}
        for handle in idle:
            handle.close()

    def _take(self, key: Hashable) -> H | None:
        with self._lock:
            if self._pid != os.getpid():
                self._idle, self._numbers, self._pid = OrderedDict(), {}, os.getpid()
            numbers = self._numbers.get(key)
            return self._idle.pop((key, numbers.pop())) if numbers else None

    def _give(self, key: Hashable, handle: H) -> list[H]:
        """Take a handle back; those that are too many are for the caller to close."""
        with self._lock:
            self._number += 1
            self._idle[key, self._number] = handle
            self._numbers.setdefault(key, []).append(self._number)
            spare = []
            while len(self._idle) > self._most:
                (old_key, number), old = self._idle.popitem(last=False)
                self._numbers[old_key].remove(number)
                spare.append(old)
            return spare


def _file_limit() -> int:
    try:
        import resource
    except ImportError:  # Windows, where the limit isn't on files
        return 2 * _MOST
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 2 * _MOST if limit == resource.RLIM_INFINITY else limit
