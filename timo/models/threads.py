# SPDX-License-Identifier: GPL-3.0-or-later
"""How many threads torch computes with on the CPU."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def computing_threads(number: int) -> Iterator[None]:
    """Let torch compute with so many threads, this one with them.

    Where other threads read files, one is best for small steps: several wait for each other to get a core,
    and keep theirs busy as they wait.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
