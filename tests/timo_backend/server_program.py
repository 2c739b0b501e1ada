# SPDX-License-Identifier: GPL-3.0-or-later
"""The real server of the home in the first argument, with ``task_worker.py`` as its workers' program."""

import asyncio
import sys
from pathlib import Path

from timo_backend.auth import Home
from timo_backend.server import Server


async def serve(path, idle_s):
    home = Home(Path(path))
    home.lock()
    worker = [sys.executable, str(Path(__file__).with_name("task_worker.py"))]
    await Server(home, idle_s=idle_s, worker_command=worker).run(lambda endpoint: print(endpoint, flush=True))


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], float(sys.argv[2])))
