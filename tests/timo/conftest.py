# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tests of the library share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# The models of the tests are so small that threads only get in each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("timo", deadline=None)  # no test judges a time
settings.load_profile("timo")

SHARED = Path(os.environ.get("TIMO_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.fixture(scope="session")
def shared_data():
    """Real series for development; they are not part of the project."""

    def folder(name):
        path = SHARED / name
        if not path.is_dir():
            pytest.skip(
                f"the series '{name}' is not on this machine: it is not the project's to redistribute"
            )
        return path

    return folder
