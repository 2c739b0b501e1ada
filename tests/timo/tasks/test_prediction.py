# SPDX-License-Identifier: GPL-3.0-or-later
"""A map of many blocks: interrupted and gone on with, in parts, of an area, with too little memory."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import rasterio.features
import shapely
from rio_cogeo import cog_validate

from tests.scenes import TRANSFORM, write_frame, write_polygons
from tests.timo.tasks.blocks import SIDE, SMALL, Full, Stopping, pixels, same
from timo.errors import Cancelled, LabelError, ModelError, OutputError, SeriesError
from timo.inference import sizing
from timo.inference.partial import Partial, partial_folder
from timo.series.prepared import PreparedSeries
from timo.tasks.reporter import Reporter


@pytest.mark.parametrize("blocks", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 3))])
def test_killed_after_any_block_the_same_command_goes_on_and_makes_the_same_map(
    large, bundle, whole, tmp_path, blocks
):
    out = tmp_path / "map.tif"
    arguments = ["predict", "--series", str(large), "--model", str(bundle), "--out", str(out), "--json"]
    code = f"{SMALL} from timo.cli import main; main({arguments!r})"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
    journal, end = partial_folder(out) / "journal-1-of-1.jsonl", time.monotonic() + 120
    while not journal.exists() or journal.read_bytes().count(b"\n") < blocks:
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    again = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert "done already" in again.stderr
    assert json.loads(again.stdout)["pixels_mapped"] == SIDE * SIDE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["map.qml", "map.tif", "map.tif.aux.xml"]
    assert same(out, whole.map)


def test_killed_while_its_files_are_put_in_place_the_same_command_ends_it(large, bundle, whole, tmp_path):
    out, confidence = tmp_path / "map.tif", tmp_path / "confidence.tif"
    arguments = ["predict", "--series", str(large), "--model", str(bundle), "--out", str(out)]
    arguments += ["--confidence", str(confidence)]
    killed = """
import os, pathlib
real = pathlib.Path.replace
def replace(path, target):
    real(path, target)
    if pathlib.Path(target).name == "confidence.tif":
        os.kill(os.getpid(), 9)
pathlib.Path.replace = replace
"""
    code = f"{SMALL} from timo.cli import main; main({arguments!r})"
    command = [sys.executable, "-c", killed + code]
    assert subprocess.run(command, capture_output=True, check=False).returncode == -signal.SIGKILL
    assert confidence.exists()
    assert not out.exists()
    command[-1] = code
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert pixels(confidence).shape == (2, SIDE, SIDE)
    assert same(out, whole.map)
    assert not partial_folder(out).exists()
    assert not list(tmp_path.glob(".*"))
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "exists already" in refused.stderr


def test_cancelled_it_keeps_what_is_done_and_goes_on(predict, whole, tmp_path):
    folder = partial_folder(tmp_path / "map.tif")
    with pytest.raises(Cancelled):
        predict(reporter=Stopping(folder, 2))
    assert [path.name for path in tmp_path.iterdir()] == ["map.tif.partial"]
    going_on = Stopping(folder, 99)
    summary = predict(reporter=going_on)
    assert any("are done already" in line for line in going_on.lines)
    assert summary["pixels_mapped"] == SIDE * SIDE
    assert same(tmp_path / "map.tif", whole.map)


def test_a_journal_line_that_was_cut_short_is_a_block_that_is_not_done(predict, whole, tmp_path):
    folder = partial_folder(tmp_path / "map.tif")
    with pytest.raises(Cancelled):
        predict(reporter=Stopping(folder, 2))
    journal = folder / "journal-1-of-1.jsonl"
    journal.write_bytes(journal.read_bytes()[:-7])
    next((folder / "blocks").glob("*.tif")).unlink()
    predict()
    assert same(tmp_path / "map.tif", whole.map)


def test_other_parameters_or_sources_do_not_go_on_with_the_blocks_of_another_map(predict, large, tmp_path):
    folder = partial_folder(tmp_path / "map.tif")
    with pytest.raises(Cancelled):
        predict(reporter=Stopping(folder, 2))
    with pytest.raises(OutputError, match="other parameters") as caught:
        predict(confidence=str(tmp_path / "c.tif"))
    assert caught.value.code == "partial_differs"
    frame = next(large.glob("*.tif"))
    before = frame.stat()
    os.utime(frame, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    try:
        with pytest.raises(OutputError, match=f"{frame.name} has changed"):
            predict()
        predict(overwrite=True)  # begins anew
    finally:
        os.utime(frame, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (tmp_path / "map.tif").exists()
    assert not folder.exists()


def test_two_processes_never_write_one_map(predict, tmp_path):
    out = tmp_path / "map.tif"
    with pytest.raises(Cancelled):
        predict(reporter=Stopping(partial_folder(out), 1))
    with Partial.complete(partial_folder(out)), pytest.raises(OutputError, match="Another process"):
        predict()
    assert not partial_folder(out).exists()


def test_what_an_interrupted_removal_left_is_no_part_of_another_map(predict, whole, tmp_path):
    folder = partial_folder(tmp_path / "map.tif")
    with pytest.raises(Cancelled):
        predict(reporter=Stopping(folder, 2))
    for path in (folder / "blocks").glob("*.tif"):
        path.write_bytes(bytes(path.stat().st_size))  # of the right size, and wrong
    (folder / "plan.json").unlink()
    predict()
    assert same(tmp_path / "map.tif", whole.map)


def test_the_area_is_never_replaced_by_the_map(predict, tmp_path):
    area = area_of("raster", tmp_path)
    content = Path(area).read_bytes()
    with pytest.raises(OutputError, match="one of the inputs"):
        predict("area.tif", aoi=area, overwrite=True)
    assert Path(area).read_bytes() == content


def area_of(kind, folder):
    """Rows 40 to 119 and columns 60 to 99, as polygons in degrees, as a raster or as an extent."""
    left, top = TRANSFORM @ (60, 40)
    right, bottom = TRANSFORM @ (100, 120)
    if kind == "extent":
        return f"{left},{bottom},{right},{top}"
    if kind == "polygons":
        path = folder / "area.gpkg"
        write_polygons(path, [(40, 60, 80, 40, "here")])
        return str(path)
    if kind == "degrees":
        from rasterio.warp import transform

        xs, ys = transform("EPSG:32631", "EPSG:4326", [left, right, right, left], [top, top, bottom, bottom])
        path = folder / "degrees.gpkg"
        polygon = np.array([shapely.to_wkb(shapely.Polygon(zip(xs, ys, strict=True)))], object)
        pyogrio.raw.write(path, polygon, [], [], geometry_type="Polygon", crs="EPSG:4326")
        return str(path)
    path = folder / "area.tif"
    mask = np.zeros((SIDE, SIDE), np.uint16)
    mask[40:120, 60:100] = 3
    write_frame(path, {"mask": mask})
    return str(path)


@pytest.mark.parametrize("kind", ["extent", "polygons", "degrees", "raster"])
def test_of_an_area_that_alone_is_mapped_and_as_it_would_be_in_the_whole(predict, whole, tmp_path, kind):
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    chips = []
    reporter = Reporter()
    reporter.progress = lambda fraction, message: chips.append(fraction)
    summary = predict(aoi=area_of(kind, inputs), reporter=reporter)
    mapped = pixels(tmp_path / "map.tif")[0]
    expected = np.full((SIDE, SIDE), 255, np.uint8)
    expected[40:120, 60:100] = pixels(whole.map)[0, 40:120, 60:100]
    different = mapped != expected
    # Coordinates in degrees come back a hair beside the pixels' edges.
    assert np.count_nonzero(different) <= (240 if kind == "degrees" else 0)
    assert summary["pixels_mapped"] == np.count_nonzero(mapped != 255)


@pytest.mark.parametrize(
    ("area", "code"),
    [("0,0,10,10", "area_outside"), ("10,10,0,0", "area_empty"), ("nowhere.gpkg", "area_not_found")],
)
def test_an_area_that_cannot_be_is_refused_before_anything_is_written(predict, tmp_path, area, code):
    with pytest.raises(LabelError) as caught:
        predict(aoi=area)
    assert caught.value.code == code
    assert list(tmp_path.iterdir()) == []


def test_an_area_that_holds_no_pixel_is_said_to(predict, tmp_path):
    left, top = TRANSFORM @ (60.1, 40.1)
    with pytest.raises(LabelError, match="No pixel of the area"):
        predict(aoi=f"{left},{top - 1},{left + 1},{top}")
    assert list(tmp_path.iterdir()) == []


def test_out_of_memory_the_batch_is_halved_then_the_block_and_the_map_is_the_same(
    predict, whole, monkeypatch, tmp_path
):
    Full(4, side=128).patch(monkeypatch)
    reporter = Stopping(tmp_path, 99)
    predict(reporter=reporter, batch=8)
    assert [line for line in reporter.lines if "4 chips at once" in line]
    assert [line for line in reporter.lines if "128 pixels a side" in line]
    assert np.mean(pixels(tmp_path / "map.tif") != pixels(whole.map)) < 1e-3


def test_out_of_memory_a_third_time_it_says_what_it_needed(predict, monkeypatch, tmp_path):
    Full(0).patch(monkeypatch)
    with pytest.raises(ModelError, match=r"GB is free\. Blocks of 128 pixels take \d") as caught:
        predict(batch=8)
    assert caught.value.code == "out_of_memory"
    assert list(tmp_path.iterdir()) == []


def test_probabilities_do_not_depend_on_block_and_batch(predict, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(sizing, "BEST_SIDE", 512)
    predict(batch=3, probabilities=str(tmp_path / "p.tif"))
    one, other = (pixels(path).astype(int) for path in (tmp_path / "p.tif", whole.probabilities))
    assert np.abs(one - other).max() <= 1  # of 250: where rounding has a tie
    assert np.mean(one != other) < 1e-3


def test_a_dry_run_of_what_was_begun_tells_what_is_left_of_it(predict, tmp_path):
    with pytest.raises(Cancelled):
        predict(reporter=Stopping(partial_folder(tmp_path / "map.tif"), 2))
    whole, rest = predict("other.tif", dry_run=True), predict(dry_run=True)
    assert rest["blocks"] + rest["blocks_done"] == whole["blocks"] == 4
    assert rest["blocks_done"] >= 2
    assert rest["chips"] < whole["chips"]
    assert predict("other.tif", dry_run=True, shard="2/3")["blocks"] == 1
    with pytest.raises(OutputError, match="other parameters"):
        predict(dry_run=True, probabilities=str(tmp_path / "p.tif"))
    anew = predict(dry_run=True, probabilities=str(tmp_path / "p.tif"), overwrite=True)
    assert (anew["blocks"], anew["blocks_done"]) == (4, 0)


def test_a_dry_run_writes_nothing_and_counts_right(predict, tmp_path):
    told = predict(dry_run=True)
    assert list(tmp_path.iterdir()) == []
    assert told["blocks"] == 4
    assert told["seconds"] > 0
    assert told["memory_bytes"] > 1e8
    assert told["disk_bytes"] > SIDE * SIDE
    assert told["disk_free_bytes"] > told["disk_bytes"]
    summary = predict()
    assert told["seconds"] / 20 < summary["seconds"] < told["seconds"] * 20 + 20


@pytest.mark.parametrize("damage", ["cut short", "gone"])
def test_a_source_that_is_damaged_on_the_way_is_named_and_the_blocks_stay(
    predict, large, whole, tmp_path, monkeypatch, damage
):
    frame = sorted(large.glob("*.tif"))[2]
    content, stamp, folder = frame.read_bytes(), frame.stat(), partial_folder(tmp_path / "map.tif")
    real = PreparedSeries.read

    def read(series, *window):
        end = time.monotonic() + 60
        while (folder / "plan.json").exists() and not Partial.open(folder).done and reads:
            assert time.monotonic() < end
            time.sleep(0.01)
        reads.append(window)
        if len(reads) == 3:
            frame.write_bytes(content[: len(content) // 2]) if damage == "cut short" else frame.unlink()
            series.series._reader.close()  # what GDAL decoded before needs no file
        return real(series, *window)

    reads = []
    try:
        with monkeypatch.context() as patch:
            patch.setattr(PreparedSeries, "read", read)
            with pytest.raises(SeriesError, match=frame.name):
                predict()
    finally:
        frame.write_bytes(content)
        os.utime(frame, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert not (tmp_path / "map.tif").exists()
    assert Partial.open(folder).done
    predict()
    assert same(tmp_path / "map.tif", whole.map)


def test_a_full_disk_is_said_and_the_same_command_goes_on(predict, whole, tmp_path, monkeypatch):
    real, calls = Path.replace, []

    def full(path, target):
        if path.suffix == ".partial":
            calls.append(path)
            if len(calls) == 3:
                raise OSError(28, "No space left on device")
        return real(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(OutputError, match="No space left on device"):
            predict()
    assert not (tmp_path / "map.tif").exists()
    predict()
    assert same(tmp_path / "map.tif", whole.map)


def test_every_raster_is_a_cloud_optimised_geotiff_that_says_what_made_it(predict, large, tmp_path):
    more = {kind: str(tmp_path / f"{kind}.tif") for kind in ("confidence", "probabilities")}
    predict(**more)
    for name in ("map.tif", "confidence.tif", "probabilities.tif"):
        valid, errors, warnings = cog_validate(tmp_path / name, strict=True)
        assert valid, (name, errors, warnings)
        with rasterio.open(tmp_path / name) as source:
            tags = source.tags()
        assert {"TIMO_MODEL_SHA256", "TIMO_SPEC", "TIMO_VERSIONS"} <= tags.keys()
        frame = next(large.glob("*.tif"))
        assert f"{frame.name} ({frame.stat().st_size} bytes)" in tags["TIMO_SOURCES"]
    best, margin = pixels(tmp_path / "confidence.tif")
    probabilities = pixels(tmp_path / "probabilities.tif") / 250
    np.testing.assert_allclose(best - margin, np.sort(probabilities, 0)[-2], atol=0.005)


def test_a_least_area_that_is_larger_than_the_map_is_no_fault(predict, whole, tmp_path):
    predict(polygons=str(tmp_path / "polygons.gpkg"), minimum_area=1e9)
    _, _, _, (_, _, areas) = pyogrio.raw.read(tmp_path / "polygons.gpkg", layer="classes")
    assert sum(areas) == pytest.approx(SIDE * SIDE * 100, rel=1e-6)


def test_polygons_fill_the_map_without_gaps_and_none_is_too_small(predict, whole, tmp_path):
    path = tmp_path / "polygons.gpkg"
    summary = predict(polygons=str(path), minimum_area=2000)  # 20 pixels
    assert summary["polygons"] == str(path)
    meta, _, wkb, (values, names, areas) = pyogrio.raw.read(path, layer="classes")
    outlines = shapely.from_wkb(wkb)
    assert meta["crs"] == "EPSG:32631"
    assert shapely.is_valid(outlines).all()
    assert shapely.coverage_is_valid(outlines)
    assert shapely.area(shapely.union_all(outlines)) == pytest.approx(SIDE * SIDE * 100, rel=1e-6)
    assert sum(areas) == pytest.approx(SIDE * SIDE * 100, rel=1e-6)
    assert min(areas) >= 2000 / 2  # the outline was simplified after small ones were merged
    assert dict(zip(values, names, strict=True)) == {1: "field", 2: "woods"}
    burnt = rasterio.features.rasterize(
        zip(outlines, values, strict=True), out_shape=(SIDE, SIDE), transform=TRANSFORM
    )
    assert np.mean(burnt != pixels(whole.map)[0]) < 0.05
    corners = sum(len(shapely.get_coordinates(one)) for one in outlines)
    with rasterio.open(tmp_path / "map.tif") as source:
        raw = [shapely.geometry.shape(s) for s, _ in rasterio.features.shapes(source.read(1))]
    assert corners < sum(len(shapely.get_coordinates(one)) for one in raw)
    with closing(sqlite3.connect(path)) as database:
        (style,) = database.execute("SELECT styleQML FROM layer_styles WHERE useAsDefault").fetchone()
    assert "woods" in style


def test_polygons_need_a_geopackage(predict, tmp_path):
    with pytest.raises(OutputError, match=r"ends in \.gpkg"):
        predict(polygons=str(tmp_path / "polygons.shp"))
    assert list(tmp_path.iterdir()) == []
