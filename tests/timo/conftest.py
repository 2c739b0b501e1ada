# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tests of the library share."""

import os

from hypothesis import settings

# The models of the tests are so small that threads only get in each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("timo", deadline=None)  # no test judges a time
settings.load_profile("timo")
