# SPDX-License-Identifier: GPL-3.0-or-later
import csv

import numpy as np
import pytest
import shapely
from affine import Affine

from timo.errors import LabelError
from timo.series.dated_labels import dated_labels_of
from timo.series.labels import NOT_LABELLED
from timo.series.places import open_places

CORNER = (500_000, 5_600_000)


@pytest.fixture
def places(tmp_path, write_raster):
    for date in ("20200501", "20200701", "20200901"):
        write_raster(
            tmp_path / "s" / f"S2_{date}.tif", np.ones((2, 20, 30), np.int16), names=("B04", "B08"),
            transform=Affine(10, 0, CORNER[0], 0, -10, CORNER[1]),
        )  # fmt: skip
    return open_places(tmp_path / "s")


def box(row, column, height, width):
    left, top = CORNER[0] + 10 * column, CORNER[1] - 10 * row
    return shapely.box(left, top - 10 * height, left + 10 * width, top)


@pytest.mark.parametrize("as_text", [True, False])
def test_a_feature_counts_on_the_frame_of_its_date_alone(places, tmp_path, write_layer, as_text):
    dates = ["2020-05-01", "2020-07-01", "2020-07-01"]
    layer = write_layer(
        tmp_path / "l.gpkg", [box(0, 0, 5, 5), box(0, 0, 5, 5), box(10, 10, 5, 5)],
        kind=["woods", "bare", "woods"],
        day=dates if as_text else np.array(dates, "datetime64[D]"),
    )  # fmt: skip
    (labels,) = dated_labels_of(places, layer, "kind", "day")
    assert [c.name for c in labels.scheme.classes] == ["bare", "woods"]
    assert labels.dated.shape == (3, 20, 30)
    assert labels.dated[0, 0, 0] == 1
    assert labels.dated[1, 0, 0] == 0
    assert labels.dated[1, 12, 12] == 1
    assert (labels.dated[2] == NOT_LABELLED).all()
    assert np.count_nonzero(labels.dated != NOT_LABELLED) == 75
    assert labels.map[0, 0] == 0  # the latest
    assert labels.counts.tolist() == [25, 25]


def test_features_of_dates_without_a_frame_are_counted_and_told(places, tmp_path, write_layer):
    layer = write_layer(
        tmp_path / "l.gpkg", [box(0, 0, 5, 5), box(8, 0, 5, 5), box(8, 9, 5, 5)], kind=["a", "b", "a"],
        day=["2020-05-01", "2020-05-01", "2020-05-02"],
    )  # fmt: skip
    (labels,) = dated_labels_of(places, layer, "kind", "day")
    assert labels.problems == ("1 feature of l.gpkg has a date in 'day' that no frame has: not used.",)


def test_a_table_gives_a_raster_for_each_date(places, tmp_path, write_raster):
    for name, values in (("may.tif", (1, 2)), ("september.tif", (2, 3))):
        raster = np.full((20, 30), values[0], np.uint8)
        raster[10:] = values[1]
        write_raster(tmp_path / name, raster, nodata=0, transform=Affine(10, 0, CORNER[0], 0, -10, CORNER[1]))
    table = tmp_path / "labels.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(
            [("path", "date"), ("may.tif", "2020-05-01"), ("september.tif", "2020-09-01")]
        )
    (labels,) = dated_labels_of(places, table)
    assert [c.value for c in labels.scheme.classes] == [1, 2, 3]
    assert labels.dated[:, 0, 0].tolist() == [0, NOT_LABELLED, 1]
    assert labels.dated[:, 19, 0].tolist() == [1, NOT_LABELLED, 2]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (
            [("path", "date"), ("may.tif", "2020-05-02")],
            "Line 2 of labels.csv is of 2020-05-02, which is no date",
        ),
        ([("path", "date"), ("gone.tif", "2020-05-01")], "Line 2 of labels.csv names .*gone.tif"),
        ([("path", "date"), ("may.tif", "spring")], "Line 2 of labels.csv has no date"),
        (
            [("place", "path", "date"), ("there", "may.tif", "2020-05-01")],
            "of place 'there', which the series",
        ),
        ([("path", "date")], "No label of labels.csv is of a date of the series"),
    ],
)
def test_a_wrong_table_of_dated_labels_is_named(places, tmp_path, write_raster, rows, sentence):
    write_raster(tmp_path / "may.tif", np.ones((20, 30), np.uint8))
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    with pytest.raises(LabelError, match=sentence):
        dated_labels_of(places, tmp_path / "labels.csv")


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        (None, "No field of l.gpkg was named"),
        ("when", "l.gpkg has no field 'when'"),
        ("kind", "Field 'kind' of l.gpkg holds no dates"),
    ],
)
def test_a_wrong_field_of_dates_is_named(places, tmp_path, write_layer, field, sentence):
    layer = write_layer(tmp_path / "l.gpkg", [box(0, 0, 5, 5)], kind=["a"], day=["2020-05-01"])
    with pytest.raises(LabelError, match=sentence):
        dated_labels_of(places, layer, "kind", field)
