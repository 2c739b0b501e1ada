# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tests of the library and the backend share."""

import os

from hypothesis import settings

from tests.timo_backend.faults.counts import count

# The models of the tests are so small that threads only get in each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# pytest-xdist's processes are told the size of a terminal, which rich would keep to: alone there is none.
for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)

settings.register_profile("timo", deadline=None)  # no test judges a time
settings.load_profile("timo")


def pytest_generate_tests(metafunc):
    """Each test that is marked as one of a fault runs ten times in ``make soak``."""
    if metafunc.definition.get_closest_marker("fault") and (times := count(short=1, all=1)) > 1:
        metafunc.fixturenames.append("time_of_fault")
        metafunc.parametrize("time_of_fault", range(times))
