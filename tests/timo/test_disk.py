# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk that is full, for real: a small file system of its own."""

import errno
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch

from tests.small_disk import small_disk
from timo.disk import is_full, replace_folder, write_whole
from timo.errors import OutputError
from timo.inference.targets import told
from timo.training.checkpoint import Checkpoint


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "disk", megabytes=2) as place:
        yield place


@pytest.mark.fault
def test_a_checkpoint_that_finds_no_room_is_told_so_and_the_last_one_loads(disk):
    checkpoint = Checkpoint(disk / "model.training", "key")
    checkpoint.save({"weights": torch.ones(1000)})
    with pytest.raises(OutputError) as caught:
        checkpoint.save({"weights": torch.ones(1_000_000)})
    assert caught.value.code == "disk_full" and caught.value.retryable
    state, doubt = Checkpoint(disk / "model.training", "key").load()
    assert doubt is None and state["weights"].equal(torch.ones(1000))
    assert [file.name for file in (disk / "model.training").iterdir()] == ["checkpoint.pt"]


@pytest.mark.fault
def test_a_raster_that_finds_no_room_is_told_so(disk):
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "width": 2000, "height": 2000}
    values = np.random.default_rng(0).integers(0, 255, (2000, 2000), np.uint8)
    with pytest.raises(OutputError) as caught, told(disk / "map.tif"):
        with rasterio.open(disk / "map.tif", "w", **profile) as file:
            file.write(values, 1)
        if (disk / "map.tif").stat().st_size < values.size:  # GDAL tells no failure of what it writes at last
            raise OSError(errno.EIO, "a part of it is missing")
    assert caught.value.code == "disk_full"


@pytest.mark.fault
def test_a_small_file_that_finds_no_room_leaves_nothing(disk):
    with pytest.raises(OSError, match="No space left"):
        write_whole(disk / "placing", bytes(4 << 20))
    assert not list(disk.iterdir())


def test_another_failure_is_not_a_full_disk(tmp_path):
    assert not is_full(PermissionError(errno.EACCES, "no"), tmp_path / "map.tif")
    try:
        raise RuntimeError("torch's words") from OSError(errno.ENOSPC, "No space left on device")
    except RuntimeError as error:
        assert is_full(error, tmp_path)


def folder(path, content):
    path.mkdir()
    (path / "model").write_text(content)
    return path


def shown(path):
    return {one.name: (one / "model").read_text() for one in path.iterdir()}


def test_a_folder_is_replaced_by_another(tmp_path):
    folder(tmp_path / "M", "old")
    replace_folder(folder(tmp_path / "M.partial", "new"), tmp_path / "M")
    assert shown(tmp_path) == {"M": "new"}


@pytest.mark.parametrize("error", [OSError("no"), KeyboardInterrupt()])
def test_a_folder_is_where_it_was_when_its_successor_is_stopped_on_the_way(tmp_path, monkeypatch, error):
    old = folder(tmp_path / "M", "old")
    new, rename = folder(tmp_path / "M.partial", "new"), Path.rename

    def stopped(self, target):
        if self == new:
            raise error
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", stopped)
    with pytest.raises(type(error)):
        replace_folder(new, old)
    assert shown(tmp_path) == {"M": "old", "M.partial": "new"}


def test_what_a_killed_run_has_set_aside_is_not_removed_by_one_that_replaces_nothing(tmp_path):
    folder(tmp_path / ".M.replaced", "old")
    replace_folder(folder(tmp_path / "M.partial", "new"), tmp_path / "M")
    assert shown(tmp_path) == {".M.replaced": "old", "M": "new"}


def test_a_leftover_that_cannot_be_removed_is_in_nobody_s_way(tmp_path, monkeypatch):
    folder(tmp_path / "M", "old")
    folder(tmp_path / ".M.replaced", "older")
    monkeypatch.setattr("shutil.rmtree", lambda path, ignore_errors=False: None)
    replace_folder(folder(tmp_path / "M.partial", "new"), tmp_path / "M")
    assert shown(tmp_path) == {".M.replaced": "older", ".M.replaced1": "old", "M": "new"}
