# SPDX-License-Identifier: GPL-3.0-or-later
"""The real server of the home in the first argument; the third is its workers' program, the fourth the GPUs.

With a fifth one it has the product's patience with a worker that hangs. The GPUs' driver does not answer
while the home has a file `silent`; where there is one at the start, that shows soon. SIGUSR1 leaves its
database no more room, as a full disk does; SIGUSR2 gives it room again. SIGWINCH makes it stand still for
some seconds, as a disk that takes long does.
"""

import asyncio
import logging
import signal
import sys
import time
from pathlib import Path

from tests.timo_backend.fake_nvml import FakeNvml
from timo_backend import devices as devices_module
from timo_backend import process
from timo_backend.auth import Home
from timo_backend.devices import Devices
from timo_backend.server import Server

LOOK_S, QUIET_S, HUNG_S = 1.0, 4.0, 1.0  # a test need not wait for half a minute
SILENT_S = 0.5


async def serve(path, idle_s, program, gpus=""):
    home = Home(Path(path))
    home.lock()
    logging.basicConfig(filename=home.logs / "server.log", level=logging.INFO)
    probe = [sys.executable, str(Path(__file__).with_name("fake_probe.py")), gpus]
    nvml = FakeNvml(filter(None, gpus.split(",")), slow=(home.path / "silent").exists)
    devices = Devices(nvml, probe)
    server = Server(home, idle_s=idle_s, worker_command=[sys.executable, program], devices=devices)

    def room(most):
        server._store._db.execute(f"PRAGMA max_page_count = {most}").fetchall()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, room, 1)  # never less than there are
    loop.add_signal_handler(signal.SIGUSR2, room, 2**31)
    loop.add_signal_handler(signal.SIGWINCH, time.sleep, 3.0)
    await server.run(lambda endpoint: print(endpoint, flush=True))


if __name__ == "__main__":
    if not sys.argv[5:]:
        process.LOOK_S, process.QUIET_S, process.HUNG_S = LOOK_S, QUIET_S, HUNG_S
    if Path(sys.argv[1], "silent").exists():
        devices_module.SILENT_S = SILENT_S
    asyncio.run(serve(sys.argv[1], float(sys.argv[2]), *sys.argv[3:5]))
