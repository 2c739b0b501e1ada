# SPDX-License-Identifier: GPL-3.0-or-later
import csv

import numpy as np
import pytest
import shapely
from affine import Affine

from timo.errors import LabelError, SeriesError
from timo.series.labels import NOT_LABELLED
from timo.series.places import labels_of, open_places

CORNERS = {"north": 5_700_000, "south": 5_600_000}


@pytest.fixture
def write_csv(tmp_path):
    def write(name, *rows):
        with (tmp_path / name).open("w", newline="") as file:
            csv.writer(file).writerows(rows)
        return tmp_path / name

    return write


@pytest.fixture
def two_places(tmp_path, write_raster, write_csv):
    """A CSV of two places, far apart, of two and three dates."""
    rows = [("place", "path", "date")]
    for place, dates in (
        ("south", ("2020-05-01", "2020-07-01")),
        ("north", ("2021-05-01", "2021-06-01", "2021-07-01")),
    ):
        for date in dates:
            path = tmp_path / place / f"{date[:4]}-scene-{date[5:7]}.tif"
            bands = [np.full((20, 30), 300 + i, np.int16) for i in range(2 if place == "south" else 3)]
            names = ("B04", "B08", "B11")[: len(bands)]
            write_raster(path, bands, names=names, transform=Affine(10, 0, 500_000, 0, -10, CORNERS[place]))
            rows.append((place, path.relative_to(tmp_path), date))
    return write_csv("places.csv", *rows)


def write_labels(write_raster, path, values, place):
    return write_raster(
        path, np.asarray(values, np.uint8), nodata=0, transform=Affine(10, 0, 500_000, 0, -10, CORNERS[place])
    )


def half(first, second):
    values = np.full((20, 30), first)
    values[:, 15:] = second
    return values


def test_each_place_of_a_csv_is_a_series_of_the_bands_that_all_have(two_places):
    north, south = open_places(two_places)
    assert (north.name, south.name) == ("north", "south")
    assert (len(north.series), len(south.series)) == (3, 2)
    assert north.series.keys == south.series.keys == ("red", "nir")
    assert [date.isoformat() for date in south.series.dates] == ["2020-05-01", "2020-07-01"]


def test_a_folder_is_one_place_without_a_name(tmp_path, write_raster):
    write_raster(tmp_path / "S2_20200501.tif", np.ones((2, 20, 30), np.int16), names=("B04", "B08"))
    (place,) = open_places(tmp_path)
    assert place.name == ""
    assert len(place.series) == 1


def test_places_without_a_common_band_are_named(tmp_path, write_raster, write_csv):
    write_raster(tmp_path / "a.tif", np.ones((1, 20, 30), np.int16), names=("B04",))
    write_raster(tmp_path / "b.tif", np.ones((1, 20, 30), np.int16), names=("B08",))
    source = write_csv(
        "p.csv", ("place", "path", "date"), ("one", "a.tif", "2020-01-01"), ("two", "b.tif", "2020-01-01")
    )
    with pytest.raises(SeriesError, match=r"'one' has the bands red and place 'two' nir"):
        open_places(source)


def test_a_line_without_a_place_among_others_is_named(tmp_path, write_raster, write_csv):
    for name in ("a.tif", "b.tif"):
        write_raster(tmp_path / name, np.ones((1, 20, 30), np.int16), names=("B04",))
    source = write_csv(
        "p.csv", ("place", "path", "date"), ("one", "a.tif", "2020-01-01"), ("", "b.tif", "2020-01-01")
    )
    with pytest.raises(SeriesError, match=r"b\.tif has no place"):
        open_places(source)


def test_labels_of_a_csv_have_one_class_scheme_though_a_place_has_one_class(
    two_places, tmp_path, write_raster, write_csv
):
    write_labels(write_raster, tmp_path / "n.tif", half(2, 7), "north")
    write_labels(write_raster, tmp_path / "s.tif", half(0, 4), "south")
    table = write_csv("labels.csv", ("place", "path"), ("south", "s.tif"), ("north", "n.tif"))
    north, south = labels_of(open_places(two_places), table)
    assert [c.value for c in north.scheme.classes] == [2, 4, 7]
    assert south.scheme == north.scheme
    assert north.counts.tolist() == [300, 0, 300]
    assert south.counts.tolist() == [0, 300, 0]
    assert set(np.unique(south.map)) == {1, NOT_LABELLED}


def test_text_classes_of_several_files_are_matched_by_their_names(
    two_places, tmp_path, write_layer, write_csv
):
    boxes = {place: shapely.box(500_000, y - 200, 500_100, y) for place, y in CORNERS.items()}
    rest = {place: shapely.box(500_150, y - 200, 500_300, y) for place, y in CORNERS.items()}
    write_layer(tmp_path / "n.gpkg", [boxes["north"], rest["north"]], kind=["woods", "field"])
    write_layer(tmp_path / "s.gpkg", [boxes["south"], rest["south"]], kind=["woods", "water"])
    table = write_csv("labels.csv", ("place", "path"), ("south", "s.gpkg"), ("north", "n.gpkg"))
    north, south = labels_of(open_places(two_places), table, "kind")
    names = [c.name for c in north.scheme.classes]
    assert names == ["field", "water", "woods"]
    assert names[north.map[0, 0]] == names[south.map[0, 0]] == "woods"
    assert names[south.map[0, 29]] == "water"


def test_one_layer_may_hold_the_labels_of_all_places(two_places, tmp_path, write_layer):
    boxes = [shapely.box(500_000, y - 200, 500_100, y) for y in CORNERS.values()]
    layer = write_layer(tmp_path / "all.gpkg", boxes, kind=["woods", "water"])
    north, south = labels_of(open_places(two_places), layer, "kind")
    assert north.counts.tolist() == [0, 200]
    assert south.counts.tolist() == [200, 0]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([("place", "path"), ("north", "n.tif")], "has no labels of place 'south'"),
        ([("place", "file"), ("north", "n.tif")], "has the columns place, file, not place and path"),
        ([("place", "path"), ("north", "gone.tif")], "Line 2 of .*gone.tif, which does not exist"),
        ([("place", "path"), ("north", "n.tif"), ("north", "s.tif")], "Line 3 of .* a second file"),
        ([("place", "path")], "lists no labels"),
    ],
)
def test_a_wrong_table_of_labels_is_named(two_places, tmp_path, write_raster, write_csv, rows, sentence):
    write_labels(write_raster, tmp_path / "n.tif", half(1, 2), "north")
    write_labels(write_raster, tmp_path / "s.tif", half(1, 2), "south")
    with pytest.raises(LabelError, match=sentence):
        labels_of(open_places(two_places), write_csv("labels.csv", *rows))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_the_real_flood_chips_are_places_with_radar_and_optical_bands_on_two_dates(real, write_csv):
    root = real("flood_ombria") / "train"
    chips = sorted(path for path in root.iterdir() if path.is_dir())[:3]
    rows = [
        (chip.name, chip / f"{sensor}_{when}.png", date)
        for chip in chips
        for when, date in (("before", "2020-01-01"), ("after", "2020-01-13"))
        for sensor in ("s1", "s2")
    ]
    places = open_places(write_csv("chips.csv", ("place", "path", "date"), *rows))
    masks = write_csv("masks.csv", ("place", "path"), *((chip.name, chip / "mask.png") for chip in chips))
    labels = labels_of(places, masks)
    assert [len(place.series) for place in places] == [2, 2, 2]
    assert places[0].series.grid.shape == (256, 256)
    assert len(places[0].series.bands) == 4
    assert [c.value for c in labels[0].scheme.classes] == [0, 255]
    assert all(one.counts.sum() == 256 * 256 for one in labels)


def test_the_only_place_of_a_table_keeps_its_name(tmp_path, write_raster, write_csv):
    write_raster(tmp_path / "a.tif", np.ones((2, 20, 30), np.int16), names=("B04", "B08"))
    write_labels(write_raster, tmp_path / "l.tif", half(1, 2), "south")
    source = write_csv("p.csv", ("place", "path", "date"), ("one", "a.tif", "2020-01-01"))
    (place,) = places = open_places(source)
    assert place.name == "one"
    (labels,) = labels_of(places, write_csv("labels.csv", ("place", "path"), ("one", "l.tif")))
    assert labels.counts.sum() > 0
