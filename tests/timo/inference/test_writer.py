# SPDX-License-Identifier: GPL-3.0-or-later
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rio_cogeo import cog_validate

from timo.bundle import ClassCard
from timo.errors import OutputError
from timo.inference.outputs import Output, map_type
from timo.inference.targets import Targets, check_raster
from timo.inference.writer import RasterWriter
from timo.series.grid import Grid

GRID = Grid("EPSG:32631", Affine(10, 0, 5e5, 0, -10, 5e6), 300, 70)
CLASSES = [
    ClassCard(value=1, name="forest", color="#1b7837"),
    ClassCard(value=7, name="maize & <wheat>", color="#e08214"),
]


def write(path, grid=GRID, **options):
    common = {"kind": "map", "layer": "map", "dtype": "uint8", "nodata": 255, "bands": ["class"]}
    return RasterWriter(Output(path=str(path), **{**common, **options}), grid, {"TIMO_MODEL": "m"})


def test_a_map_carries_colours_names_nodata_and_what_made_it(tmp_path):
    path = tmp_path / "map.tif"
    values = np.ones((70, 300), np.uint8)
    with write(path, classes=CLASSES) as writer:
        writer.write(values, slice(0, 70), slice(0, 300))
    with rasterio.open(path) as source:
        assert source.nodata == 255
        assert source.colormap(1)[7] == (0xE0, 0x82, 0x14, 255)
        assert source.tags()["TIMO_MODEL"] == "m"
        assert source.transform == GRID.transform
        assert (source.read(1) == 1).all()
    names = [c.text for c in ET.parse(tmp_path / "map.tif.aux.xml").iter("Category")]
    assert names[1] == "forest"
    assert names[7] == "maize & <wheat>"
    labels = {e.get("value"): e.get("label") for e in ET.parse(tmp_path / "map.qml").iter("paletteEntry")}
    assert labels == {"1": "forest", "7": "maize & <wheat>"}


def test_a_failed_write_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), write(tmp_path / "map.tif", classes=CLASSES):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_the_file_that_stood_there(tmp_path):
    (tmp_path / "map.tif").write_text("the analyst's own")
    with pytest.raises(KeyboardInterrupt), write(tmp_path / "map.tif"):
        raise KeyboardInterrupt
    assert (tmp_path / "map.tif").read_text() == "the analyst's own"


@pytest.mark.parametrize(
    ("name", "code"),
    [("nowhere/map.tif", "output_no_folder"), ("map.png", "output_suffix"), ("there.tif", "output_exists")],
)
def test_an_output_that_cannot_be_written_is_refused_at_once(tmp_path, name, code):
    (tmp_path / "there.tif").touch()
    with pytest.raises(OutputError, match=name.split("/")[0]) as caught:
        check_raster(tmp_path / name, overwrite=False)
    assert caught.value.code == code


def test_an_input_is_never_overwritten(tmp_path):
    source = tmp_path / "S2_20200101.tif"
    source.touch()
    with pytest.raises(OutputError, match="one of the inputs"):
        check_raster(source, overwrite=True, sources=[source])


@given(st.sets(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=300))
def test_nodata_of_a_map_is_never_a_class(values):
    dtype, nodata = map_type(sorted(values))
    info = np.iinfo(dtype)
    assert nodata not in values
    assert info.min <= min(values | {nodata}) <= max(values | {nodata}) <= info.max
    if values <= set(range(255)):
        assert (dtype, nodata) == ("uint8", 255)


@pytest.fixture
def full_disk():
    """No file may grow over 40 KiB: as with a full disk, GDAL tells nothing of it when it closes."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40 << 10, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_map_that_the_disk_has_no_room_for_is_an_error_and_not_a_map(tmp_path, full_disk):
    noise = np.random.default_rng(0).random((70, 300)).astype(np.float32)
    with (
        pytest.raises(OutputError, match="be read again"),
        write(tmp_path / "c.tif", dtype="float32") as writer,
    ):
        for column in range(0, 300, 50):  # parts of a tile: they are written when the file is closed
            writer.write(noise[:, column : column + 50], slice(0, 70), slice(column, column + 50))
    assert list(tmp_path.iterdir()) == []


def test_of_several_files_none_is_put_in_place_before_all_are_complete(tmp_path):
    (tmp_path / "old.xml").touch()
    with Targets() as targets:
        for name in ("a.tif", "b.tif"):
            targets.new(tmp_path / name).write_text(name)
        targets.without(tmp_path / "old.xml")
        assert all(path.name.startswith(".") or path.name == "old.xml" for path in tmp_path.iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "b.tif"]


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_map_is_a_cloud_optimised_geotiff(tmp_path, dtype):
    large = Grid("EPSG:32631", GRID.transform, 1500, 1100)
    options = {"classes": CLASSES} if dtype == "uint8" else {"nodata": None}
    with write(tmp_path / "map.tif", large, dtype=dtype, **options) as writer:
        writer.write(np.tile(np.array([1, 7], dtype), (1100, 750)), slice(0, 1100), slice(0, 1500))
    valid, errors, warnings = cog_validate(tmp_path / "map.tif", strict=True)
    assert valid, (errors, warnings)
    with rasterio.open(tmp_path / "map.tif") as source:
        assert source.overviews(1) == [2, 4]
        small = source.read(1, out_shape=(275, 375))
        assert set(np.unique(small)) <= ({1, 7} if dtype == "uint8" else {4.0})
