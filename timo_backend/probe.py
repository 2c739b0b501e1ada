# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds out what torch can do here: ``python -m timo_backend.probe`` prints a ``Trial`` as one JSON line.

A process of its own, since the server never loads torch, and a broken driver can crash or hang whoever
asks it. It ends when its standard input does: the server is gone then.
"""

from __future__ import annotations

import os
import sys
import threading
from types import ModuleType

import msgspec

from timo_backend.trial import AGAIN, Trial, Tried

NICENESS = 10


def main() -> None:
    """Print the line."""
    threading.Thread(target=_end_with_server, daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(NICENESS)  # nobody waits for it but a job that wants a GPU
    sys.stdout.write(msgspec.json.encode(find_out()).decode() + "\n")
    sys.stdout.flush()
    os._exit(0)  # torch's own tear-down can crash


def find_out() -> Trial:
    """Load torch and compute a little on every GPU that it sees."""
    try:
        import torch
    except (ImportError, OSError) as error:  # a library of it is missing, or doesn't fit
        return Trial(error=f"Torch can't be loaded ({_brief(error)}). {AGAIN}")
    gpus, none = [], ""
    try:
        if torch.version.cuda is not None:
            torch.cuda.init()  # type: ignore[no-untyped-call]
            for index in range(torch.cuda.device_count()):
                gpus.append(_try(torch, index))
    except Exception as failed:  # torch's errors about a GPU have no common type; what was found counts
        none = _brief(failed)
    return Trial(
        torch=str(torch.__version__),
        cuda=torch.version.cuda,
        architectures=tuple(torch.cuda.get_arch_list()),
        gpus=tuple(gpus),
        mps_built=torch.backends.mps.is_built(),
        mps=torch.backends.mps.is_available(),
        error=none,
    )


def _try(torch: ModuleType, index: int) -> Tried:
    about = torch.cuda.get_device_properties(index)
    error = ""
    try:
        square = torch.ones(64, 64, device=f"cuda:{index}")
        (square @ square).sum().item()
    except Exception as failed:  # as above
        if "out of memory" not in str(failed):  # others use it up at present: it can be used
            error = _brief(failed)
    ident = f"GPU-{str(about.uuid).removeprefix('GPU-')}"
    return Tried(ident, not error, f"{about.major}.{about.minor}", error)


def _brief(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")[:300]


def _end_with_server() -> None:
    os.read(0, 1)  # nothing ever comes
    os._exit(1)


if __name__ == "__main__":
    main()
