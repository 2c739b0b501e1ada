# SPDX-License-Identifier: GPL-3.0-or-later
"""Where what is made of a map is written: beside it, or into the home where that cannot be."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest


def test_what_is_made_of_a_map_lies_beside_it(package, tmp_path):
    from timo_qgis.settings import writable

    assert writable(tmp_path) == tmp_path
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is read-only for everyone on Linux alone")
def test_folder_that_cannot_be_written_to_gives_way_to_the_home(package, tmp_path):
    from timo_qgis.settings import writable

    assert writable(Path("/proc")) == tmp_path / "home" / "results"
    assert writable(tmp_path / "gone") == tmp_path / "home" / "results"
