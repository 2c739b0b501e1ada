# SPDX-License-Identifier: GPL-3.0-or-later
"""Short pauses of a thread that computes, in which the interface's thread gets Python's lock back.

QGIS's bindings let go of the lock at every call into QGIS. Where another thread computes, the interface then
waits five milliseconds for it (``sys.getswitchinterval``), call after call, unless that thread stops itself.
"""

from __future__ import annotations

import time

WORK_S = 0.001
MOST_S = 0.005


class Pauses:
    """To be called between pieces of work, each of a few milliseconds at most: sleeps where a pause is due.

    A pause is as long as the work before it, also where a busy machine made that longer; five milliseconds at
    most.
    """

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Work begins, after the thread has waited for something."""
        self._since = time.perf_counter()

    def __call__(self) -> None:
        """Sleep for a moment if the last pause was long enough ago."""
        worked = time.perf_counter() - self._since
        if worked > WORK_S:
            time.sleep(min(worked, MOST_S))
            self.begin()
