# SPDX-License-Identifier: GPL-3.0-or-later
"""A map made in parts, by several processes or machines, and joined."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tests.timo.tasks.blocks import SIDE, Full, pixels, same
from timo.errors import OutputError, SpecError
from timo.inference.partial import Partial, partial_folder
from timo.inference.plans import Shard
from timo.inference.running import finish
from timo.tasks.reporter import Reporter


def test_parts_of_the_work_join_to_the_same_map(predict, whole, tmp_path):
    for number in (3, 1):
        summary = predict(shard=f"{number}/3")
        assert summary["shard"] == f"{number}/3"
    assert not (tmp_path / "map.tif").exists()
    merge = [sys.executable, "-m", "timo", "merge", str(tmp_path / "map.tif"), "--json"]
    early = subprocess.run(merge, capture_output=True, text=True, check=False)
    assert early.returncode == 1
    assert "1 block is missing" in early.stderr
    predict(shard="2/3")
    ended = subprocess.run(merge, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["pixels_mapped"] == SIDE * SIDE
    assert same(tmp_path / "map.tif", whole.map)
    assert not partial_folder(tmp_path / "map.tif").exists()


def test_a_part_that_there_is_not_is_refused(predict, tmp_path):
    with pytest.raises(SpecError, match="no part 4 of 3"):
        predict(shard="4/3")
    assert list(tmp_path.iterdir()) == []


def test_parts_and_the_whole_are_never_written_at_once(predict, tmp_path):
    folder = partial_folder(tmp_path / "map.tif")
    predict(shard="1/3")
    plan = Partial.open(folder).plan
    with Partial.begun(folder, plan, overwrite=False, shard=Shard(2, 3)):
        for more in ({}, {"shard": "2/3"}, {"overwrite": True, "confidence": str(tmp_path / "c.tif")}):
            with pytest.raises(OutputError, match="Another process"):
                predict(**more)
        predict(shard="3/3")
    assert len(Partial.open(folder).done) == 3


def test_blocks_that_another_part_of_the_work_made_smaller_are_joined(predict, whole, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        Full(4, side=128).patch(patch)
        predict(shard="1/2", batch=8)
    predict(shard="2/2", batch=8)
    with Partial.complete(partial_folder(tmp_path / "map.tif")) as partial:
        finish(partial, Reporter(), overwrite=False)
    assert np.mean(pixels(tmp_path / "map.tif") != pixels(whole.map)) < 1e-3


@pytest.mark.slow
def test_parts_that_were_copied_elsewhere_are_joined_there(predict, whole, tmp_path):
    for number in (1, 2):
        predict(shard=f"{number}/2", confidence=str(tmp_path / "c.tif"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.move(partial_folder(tmp_path / "map.tif"), elsewhere / "mine.tif.partial")
    merge = [sys.executable, "-m", "timo", "merge", str(elsewhere / "mine.tif")]
    assert subprocess.run(merge, capture_output=True, check=False).returncode == 0
    assert same(elsewhere / "mine.tif", whole.map)
    assert (elsewhere / "c.tif").exists()
