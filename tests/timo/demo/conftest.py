# SPDX-License-Identifier: GPL-3.0-or-later
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
# The demo's programs import each other by name, as they do when they are run from tools/.
sys.path.insert(0, str(ROOT / "tools"))


@pytest.fixture
def labels() -> Path:
    return ROOT / "resources" / "demo" / "labels.gpkg"


@pytest.fixture
def polygons() -> Path:
    return ROOT / "resources" / "demo" / "polygons.csv"


@pytest.fixture
def wheel() -> Path:
    path = ROOT / "build" / "demo" / "download" / "nrt-0.1.0-py3-none-any.whl"
    if not path.exists():
        pytest.skip("needs the wheel that `make demo` downloads")
    return path


@pytest.fixture
def shared() -> Path:
    folder = ROOT.parent / "shared" / "data" / "forest_romania"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data/forest_romania")
    return folder
