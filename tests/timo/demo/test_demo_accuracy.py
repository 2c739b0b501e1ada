# SPDX-License-Identifier: GPL-3.0-or-later
import json
import subprocess
import sys
from pathlib import Path

import demo_accuracy
import numpy as np
import pyogrio.raw
import pytest
import rasterio
import shapely
from affine import Affine
from rasterio.warp import transform_geom

from timo.errors import LabelError, OutputError

SIZE = 20
CRS = "EPSG:3035"
TRANSFORM = Affine(10, 0, 5_000_000, 0, -10, 2_500_000)
FOREST, CLEARED, NODATA = 1, 4, 255
AUX = (
    '<?xml version="1.0"?><PAMDataset><PAMRasterBand band="1"><CategoryNames>'
    "<Category/><Category>forest</Category><Category/><Category/><Category>cleared</Category>"
    "</CategoryNames></PAMRasterBand></PAMDataset>"
)


def box(column, row, right, bottom, crs=CRS):
    """A polygon in pixels of the grid."""
    x, y, size = TRANSFORM.c, TRANSFORM.f, TRANSFORM.a
    polygon = shapely.box(x + column * size, y - bottom * size, x + right * size, y - row * size)
    return (
        polygon if crs == CRS else shapely.geometry.shape(transform_geom(CRS, crs, polygon.__geo_interface__))
    )


def write_labels(path, rows, crs=CRS, fields=("class", "part")):
    pyogrio.raw.write(
        path,
        geometry=shapely.to_wkb(np.array([polygon for *_, polygon in rows], dtype=object)),
        field_data=[np.array([row[i] for row in rows], dtype=object) for i in (0, 1)],
        fields=list(fields), layer="labels", driver="GPKG", geometry_type="Polygon", crs=crs,
    )  # fmt: skip
    return path


def write_raster(path, layers, nodata, **more):
    count, height, width = layers.shape
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width, dtype=layers.dtype,
        nodata=nodata, **{"crs": CRS, "transform": TRANSFORM, **more},
    ) as out:  # fmt: skip
        out.write(layers)
        if count > 1:
            out.descriptions = ("B04", "B08")


def write_map(path, values, **more):
    write_raster(path, values[None].astype("uint8"), NODATA, **more)
    path.with_name(path.name + ".aux.xml").write_text(AUX)
    return path


def rows(crs=CRS):
    """West trains, east tests; the upper half is cleared at the last date. 4 x 5 pixels each."""
    return [
        ("cleared", "train", box(1, 1, 5, 6, crs)),
        ("forest", "train", box(1, 12, 5, 17, crs)),
        ("cleared", "test", box(12, 1, 16, 6, crs)),
        ("forest", "test", box(12, 12, 16, 17, crs)),
    ]


@pytest.fixture
def truth():
    values = np.full((SIZE, SIZE), FOREST)
    values[: SIZE // 2] = CLEARED
    return values


@pytest.fixture
def series(tmp_path, truth):
    folder = tmp_path / "series"
    folder.mkdir()
    for number, day in enumerate(("20180701", "20190701", "20200701")):
        red = np.where((truth == CLEARED) & (number == 2), 1500, 300)
        nir = np.where((truth == CLEARED) & (number == 2), 2000, 4000)
        noise = np.random.default_rng(number).integers(0, 50, (2, SIZE, SIZE))
        write_raster(folder / f"S2_{day}.tif", (np.stack([red, nir]) + noise).astype("uint16"), 0)
    return folder


@pytest.fixture
def labels_file(tmp_path):
    return write_labels(tmp_path / "labels.gpkg", rows())


def test_right_map_scores_one_and_the_forest_learns_it_too(tmp_path, truth, series, labels_file):
    report = demo_accuracy.assess(write_map(tmp_path / "map.tif", truth), labels_file, series)
    assert report["classes"] == ["cleared", "forest"]
    assert report["pixels"] == {part: {"cleared": 20, "forest": 20} for part in ("train", "test")}
    assert report["polygons"] == {part: {"cleared": 1, "forest": 1} for part in ("train", "test")}
    for who in ("timo", "random_forest"):
        assert report[who]["overall_accuracy"] == report[who]["mean_iou"] == report[who]["mean_f1"] == 1
        assert report[who]["confusion"] == {
            "truth": ["cleared", "forest"],
            "mapped": ["cleared", "forest", "no data"],
            "counts": [[20, 0, 0], [0, 20, 0]],
        }


def test_figures_are_those_counted_by_hand(tmp_path, truth, series, labels_file):
    truth[1, 12:16] = FOREST  # 4 of 20 cleared pixels missed
    truth[16, 12:14] = NODATA  # 2 of 20 forest pixels not mapped: wrong
    truth[8:10, 18:] = FOREST  # in no polygon
    timo = demo_accuracy.assess(write_map(tmp_path / "map.tif", truth), labels_file, series)["timo"]
    assert timo["confusion"]["counts"] == [[16, 4, 0], [0, 18, 2]]
    assert timo["overall_accuracy"] == pytest.approx(34 / 40)
    cleared, forest = (timo["per_class"][name] for name in ("cleared", "forest"))
    assert cleared == {
        "pixels": 20, "users_accuracy": 1, "producers_accuracy": 0.8,
        "f1": pytest.approx(16 / 18), "iou": pytest.approx(16 / 20),
    }  # fmt: skip
    assert forest == {
        "pixels": 20, "users_accuracy": pytest.approx(18 / 22), "producers_accuracy": pytest.approx(0.9),
        "f1": pytest.approx(18 / 21), "iou": pytest.approx(18 / 24),
    }  # fmt: skip


def test_class_never_mapped_has_no_users_accuracy_and_the_report_is_json(
    tmp_path, truth, series, labels_file
):
    truth[:] = FOREST
    report = demo_accuracy.assess(write_map(tmp_path / "map.tif", truth), labels_file, series)
    assert report["timo"]["per_class"]["cleared"]["users_accuracy"] is None
    assert report["timo"]["per_class"]["cleared"]["producers_accuracy"] == 0
    assert report["timo"]["overall_accuracy"] == 0.5
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_forest_is_the_same_each_time_and_never_sees_the_test_labels(tmp_path, truth, series, labels_file):
    path = write_map(tmp_path / "map.tif", truth)
    first = demo_accuracy.assess(path, labels_file, series)["random_forest"]
    assert demo_accuracy.assess(path, labels_file, series)["random_forest"] == first
    swapped = [(name if part == "train" else {"cleared": "forest", "forest": "cleared"}[name], part, polygon)
               for name, part, polygon in rows()]  # fmt: skip
    other = demo_accuracy.assess(path, write_labels(tmp_path / "swapped.gpkg", swapped), series)
    assert other["random_forest"]["overall_accuracy"] == 0


def test_test_pixels_that_are_valid_at_no_date_are_wrong_for_the_forest(tmp_path, truth, series, labels_file):
    for file in series.glob("*.tif"):
        with rasterio.open(file, "r+") as out:
            values = out.read()
            values[:, 1, 12:16] = 0
            out.write(values)
    forest = demo_accuracy.assess(write_map(tmp_path / "map.tif", truth), labels_file, series)[
        "random_forest"
    ]
    assert forest["confusion"]["counts"] == [[16, 0, 4], [0, 20, 0]]


def test_pixel_counts_if_its_centre_lies_in_the_polygon(tmp_path, truth, series):
    edge = [
        *rows()[:2],
        ("cleared", "test", box(11.6, 1.4, 15.4, 5.4)),
        ("forest", "test", box(12, 12, 16, 17)),
    ]
    report = demo_accuracy.assess(
        write_map(tmp_path / "map.tif", truth), write_labels(tmp_path / "edge.gpkg", edge), series
    )
    assert report["pixels"]["test"]["cleared"] == 3 * 4


def test_pixels_of_two_classes_do_not_count(tmp_path, truth, series):
    both = [*rows(), ("forest", "test", box(12, 1, 16, 2))]
    report = demo_accuracy.assess(
        write_map(tmp_path / "map.tif", truth), write_labels(tmp_path / "both.gpkg", both), series
    )
    assert report["pixels"]["test"] == {"cleared": 16, "forest": 20}


def test_labels_may_lie_in_another_crs(tmp_path, truth, series):
    degrees = write_labels(tmp_path / "degrees.gpkg", rows("EPSG:4326"), crs="EPSG:4326")
    report = demo_accuracy.assess(write_map(tmp_path / "map.tif", truth), degrees, series)
    assert report["pixels"]["test"] == {"cleared": 20, "forest": 20}
    assert report["timo"]["overall_accuracy"] == 1


def test_map_on_another_grid_is_refused(tmp_path, truth, series, labels_file):
    path = write_map(tmp_path / "map.tif", truth, transform=Affine(10, 0, 5_000_010, 0, -10, 2_500_000))
    with pytest.raises(OutputError, match="not on the grid"):
        demo_accuracy.assess(path, labels_file, series)


def test_map_without_class_names_is_refused(tmp_path, truth, series, labels_file):
    path = write_map(tmp_path / "map.tif", truth)
    path.with_name("map.tif.aux.xml").unlink()
    with pytest.raises(OutputError, match=r"map\.tif\.aux\.xml"):
        demo_accuracy.assess(path, labels_file, series)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"fields": ("class", "teil")}, "no field 'part'"),
        ({"rows": [("cleared", "both", box(1, 1, 5, 6))]}, "'both'"),
        ({"rows": rows()[:2]}, "no polygon of the part 'test'"),
    ],
)
def test_labels_that_do_not_serve_are_named(tmp_path, truth, series, change, named):
    arguments = {"rows": rows(), **change}
    labels = write_labels(tmp_path / "odd.gpkg", arguments.pop("rows"), **arguments)
    with pytest.raises(LabelError, match=named):
        demo_accuracy.assess(write_map(tmp_path / "map.tif", truth), labels, series)


def test_program_prints_the_figures_and_writes_them(tmp_path, truth, series, labels_file):
    path = write_map(tmp_path / "map.tif", truth)
    options = [
        "--map",
        path,
        "--labels",
        labels_file,
        "--series",
        series,
        "--json",
        tmp_path / "accuracy.json",
    ]
    done = run(options)
    assert done.returncode == 0, done.stderr
    assert "overall accuracy" in done.stdout
    assert json.loads((tmp_path / "accuracy.json").read_text())["timo"]["overall_accuracy"] == 1


def test_program_fails_with_one_sentence(tmp_path, series, labels_file):
    done = run(["--map", tmp_path / "none.tif", "--labels", labels_file, "--series", series])
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "none.tif" in done.stderr


def run(options):
    command = [sys.executable, str(Path(demo_accuracy.__file__)), *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, check=False)
