# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks decide what is valid, wherever they lie, and are no bands."""

import numpy as np
import pytest
from affine import Affine

from timo.errors import SeriesError
from timo.series.mask_names import scheme_of, scheme_of_folder
from timo.series.masks import SCHEMES
from timo.series.series import open_series

RED = np.full((4, 6), 1000, np.uint16)
SCL = np.full((4, 6), 4, np.uint16)
SCL[0] = 9  # cloud
SCL[1, :2] = 3  # shadow
CLEAR = (SCL == 4)[None]


def write_s2(folder, write_raster, date="20200801", scl=None, **more):
    bands, names = ([RED, RED + 500, scl], ("B04", "B08", "SCL")) if scl is not None else ([RED], ("B04",))
    return write_raster(folder / f"S2_{date}.tif", np.stack(bands), names=names, **more)


def test_a_mask_in_the_same_file_is_no_band(tmp_path, write_raster):
    write_s2(tmp_path, write_raster, scl=SCL)
    series = open_series(tmp_path)
    assert series.keys == ("red", "nir")
    frames = series.read()
    np.testing.assert_array_equal(frames.valid, CLEAR)
    np.testing.assert_allclose(frames.values[0, 0][CLEAR[0]], 0.1, atol=1e-7)
    assert (frames.values[0, 0][~CLEAR[0]] == 0).all()


@pytest.mark.parametrize(
    ("place", "names"),
    [
        ("SCL_20200801.tif", ()), ("20200801_scl.tif", ("Band 1",)), ("scl/20200801.tif", ()),
        ("scl/SCL_20200801.tif", ("SCL",)),
    ],
)  # fmt: skip
def test_a_mask_beside_or_in_a_folder_of_its_own_is_used(tmp_path, write_raster, place, names):
    write_s2(tmp_path, write_raster)
    write_raster(tmp_path / place, SCL.astype(np.uint8), names=names)
    series = open_series(tmp_path)
    assert series.keys == ("red",)
    np.testing.assert_array_equal(series.read().valid, CLEAR)
    summary = series.summary()
    assert summary["masks"] == [{"name": "SCL", "hides": SCHEMES["scl"].hides, "dates": 1}]
    assert summary["dates"][0]["mask"] == "SCL"
    assert summary["dates"][0]["masks"] == [str(tmp_path / place)]
    assert summary["dates"][0]["clear"] == pytest.approx(CLEAR.mean(), abs=1e-4)


def test_files_that_are_named_one_by_one_bring_no_mask_along(tmp_path, write_raster):
    path = write_s2(tmp_path, write_raster)
    write_raster(tmp_path / "scl" / "20200801.tif", SCL)
    assert open_series([path]).read().valid.all()
    both = open_series([path, write_raster(tmp_path / "SCL_20200801.tif", SCL)])
    np.testing.assert_array_equal(both.read().valid, CLEAR)


def test_a_coarser_mask_is_laid_on_the_grid_by_nearest_neighbour(tmp_path, write_raster):
    write_s2(tmp_path, write_raster)
    coarse = np.uint8([[8, 4, 4], [4, 4, 11]])
    write_raster(tmp_path / "SCL_20200801.tif", coarse, transform=Affine(20, 0, 500_000, 0, -20, 5_600_000))
    expected = np.ones((4, 6), bool)
    expected[:2, :2] = expected[2:, 4:] = False
    series = open_series(tmp_path)
    np.testing.assert_array_equal(series.read().valid[0], expected)
    parts = [series.read(window).valid[0] for window in series.grid.windows(3)]
    assert sum(part.sum() for part in parts) == expected.sum()


def test_clouds_do_not_hide_what_the_radar_sees(tmp_path, write_raster):
    write_s2(tmp_path, write_raster)
    write_raster(tmp_path / "S1_20200801.tif", np.full((4, 6), -12, np.float32), names=("VV",))
    write_raster(tmp_path / "SCL_20200801.tif", SCL)
    frames = open_series(tmp_path).select_bands(["red", "vv"]).read()
    np.testing.assert_array_equal(frames.band_valid[:, 0], CLEAR)
    assert frames.band_valid[:, 1].all()


def test_two_masks_hide_together(tmp_path, write_raster):
    clm = np.zeros((4, 6), np.uint16)
    clm[3] = 1
    write_raster(
        tmp_path / "S2_20200801.tif", np.stack([RED, SCL, clm]), names=("B04", "SCL", "CLM"), nodata=0
    )
    series = open_series(tmp_path)
    np.testing.assert_array_equal(series.read().valid, CLEAR & (clm != 1))
    assert series.frames[0].masks == ("SCL", "CLM")


def test_each_tile_has_its_own_mask(tmp_path, write_raster):
    for tile, (left, code) in {"A": (500_000, 4), "B": (500_060, 8)}.items():
        at = Affine(10, 0, left, 0, -10, 5_600_000)
        write_raster(tmp_path / f"S2_20200801_{tile}.tif", RED, names=("B04",), transform=at)
        write_raster(tmp_path / f"SCL_20200801_{tile}.tif", np.full((4, 6), code, np.uint8), transform=at)
    valid = open_series(tmp_path).read().valid[0]
    assert valid[:, :6].all()
    assert not valid[:, 6:].any()


def test_a_mask_without_a_raster_and_a_raster_without_a_mask_are_named(tmp_path, write_raster):
    write_s2(tmp_path, write_raster)
    write_s2(tmp_path, write_raster, "20200811")
    for date in ("20200801", "20200821"):
        write_raster(tmp_path / "scl" / f"{date}.tif", SCL)
    series = open_series(tmp_path)
    assert len(series.dates) == 2
    assert [item.path for item in series.left_out] == [str(tmp_path / "scl" / "20200821.tif")]
    assert any("S2_20200811.tif" in problem and "no mask" in problem for problem in series.problems)


def test_a_quality_layer_of_unknown_form_is_neither_band_nor_mask_and_named(tmp_path, write_raster):
    write_raster(tmp_path / "S2_20200801.tif", np.stack([RED, SCL]), names=("B04", "QA"))
    series = open_series(tmp_path)
    assert series.keys == ("red",)
    assert series.read().valid.all()
    assert any("QA" in problem for problem in series.problems)


def test_numbers_that_are_no_code_of_the_mask_are_refused(tmp_path, write_raster):
    write_s2(tmp_path, write_raster)
    write_raster(tmp_path / "fmask" / "20200801.tif", np.full((4, 6), 5, np.uint8))  # python-fmask's water
    with pytest.raises(SeriesError) as caught:
        open_series(tmp_path)
    assert caught.value.code == "mask_codes"
    assert "20200801.tif holds the number 5" in caught.value.message


@pytest.mark.parametrize(
    ("scheme", "clear", "hidden"),
    [
        ("scl", [2, 4, 5, 6, 7], [0, 1, 3, 8, 9, 10, 11]),
        ("fmask", [0, 1], [2, 3, 4, 255]),
        # Clear land and clear water of USGS; fill, dilated cloud, cirrus, cloud, shadow, snow.
        ("qa_pixel", [21824, 21952], [1, 21826, 54596, 22280, 23888, 30048]),
        ("pixel_qa", [322, 324, 386], [1, 328, 336, 352]),
        ("bqa", [2720, 2724], [1, 2800, 2976, 3744, 6816]),
        ("qa_radsat", [0], [1, 4, 1 << 9]),
        ("clm", [0], [1, 255]),
        ("qa60", [0], [1024, 2048]),
        # HLS: clear with much aerosol, water; cloud, beside it, shadow, snow, none.
        ("fmask_hls", [64, 160, 224], [194, 196, 200, 208, 255]),
        ("reliability", [0, 1], [2, 3, 255]),
        ("state", [0, 3, 8], [1, 2, 4, 4096]),
    ],
)
def test_codes_of_each_scheme(scheme, clear, hidden):
    codes = np.array(clear + hidden, np.uint16)
    np.testing.assert_array_equal(
        SCHEMES[scheme].is_clear(codes), [True] * len(clear) + [False] * len(hidden)
    )
    assert not SCHEMES[scheme].unknown(codes).size


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("SCL", "scl"), ("scl", "scl"), ("T33UUU_20200801T101021_SCL_20m", "scl"), ("Fmask", "fmask"),
        ("LC08_L2SP_182028_20200801_20210331_02_T1_QA_PIXEL", "qa_pixel"), ("pixel_qa", "pixel_qa"),
        ("HLS.S30.T33UUU.2020214T102031.v2.0.Fmask", "fmask_hls"), ("QA60", "qa60"), ("CLM", "clm"),
        ("B04", None), ("fmasked_red", None), ("muscle", None), ("QA", None),
    ],
)  # fmt: skip
def test_names_tell_the_scheme(name, scheme):
    assert scheme_of(name) == scheme


def test_folders_named_after_a_mask():
    assert [scheme_of_folder(n) for n in ("scl", "SCL_20m", "Fmask", "masks", "s2_20m")] == [
        "scl", "scl", "fmask", None, None,
    ]  # fmt: skip


def test_a_layer_that_marks_clouds_alone_hides_nothing_where_it_is_empty(tmp_path, write_raster):
    clm = np.full((4, 6), 65535, np.uint16)
    clm[3] = 1
    write_raster(tmp_path / "S2_20200801.tif", np.stack([RED, clm]), names=("B04", "CLM"), nodata=65535)
    valid = open_series(tmp_path).read().valid[0]
    np.testing.assert_array_equal(valid, clm != 1)
    scl = np.where(clm == 1, 65535, 4)
    write_raster(tmp_path / "S2_20200801.tif", np.stack([RED, scl]), names=("B04", "SCL"), nodata=65535)
    np.testing.assert_array_equal(open_series(tmp_path).read().valid[0], scl == 4)
