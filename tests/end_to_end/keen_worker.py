# SPDX-License-Identifier: GPL-3.0-or-later
"""The real worker, except that a training leaves a checkpoint after every step."""

import os
import sys

from timo.training import checkpoint
from timo_backend import worker

if __name__ == "__main__":
    checkpoint.SECONDS_BETWEEN = checkpoint.TIMES_ITS_WRITING = 0.0
    status = worker.main()
    sys.stderr.flush()
    os._exit(status)
