# SPDX-License-Identifier: GPL-3.0-or-later
"""The real server, whose authenticator stops at SIGCONT: what has no doorkeeper must not be open.

python -m tests.timo_backend.faults.unattended_server HOME
"""

import asyncio
import signal
import sys
from pathlib import Path

from tests.timo_backend import server_program
from timo_backend import auth, server


class Authenticator(auth.Authenticator):
    def start(self):
        super().start()
        asyncio.get_running_loop().add_signal_handler(signal.SIGCONT, self.stop)


if __name__ == "__main__":
    server.Authenticator = Authenticator
    worker = Path(server_program.__file__).with_name("task_worker.py")
    asyncio.run(server_program.serve(sys.argv[1], 1800.0, str(worker)))
