# SPDX-License-Identifier: GPL-3.0-or-later
"""A client that writes down each event of its job, and ends without a word when its n-th message comes.

    python -m tests.timo_backend.faults.dying_client HOME SPEC KEY NOTES N

SPEC is JSON; NOTES gets a line ``job seq`` for each event, and what stands there already has been seen. With
N = 0 it lives to the end, and prints how many messages came.
"""

import json
import os
import sys
from collections import deque
from pathlib import Path

from timo_backend.client import Client
from timo_backend.core import Core

poll = Core.poll
waiting = deque()
came = 0


def poll_one(core, timeout_ms=0):
    """One message after the other, so that there is a moment before each."""
    global came  # noqa: PLW0603
    if not waiting:
        waiting.extend(poll(core, timeout_ms))
    if not waiting:
        return []
    came += 1
    if came == int(sys.argv[5]):
        os._exit(9)
    return [waiting.popleft()]


def main(home, spec, key, notes):
    lines = notes.read_text().splitlines() if notes.exists() else []
    after = int(lines[-1].split()[1]) if lines else 0
    with Client.connect(home, timeout=60) as client, notes.open("a") as file:
        job = client.submit("predict", json.loads(spec), key=key)
        for event in client.events(job, after=after):
            file.write(f"{job} {event.seq}\n")
            file.flush()
    print(came)


if __name__ == "__main__":
    Core.poll = poll_one
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]))
