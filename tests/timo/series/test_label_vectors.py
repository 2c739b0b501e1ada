# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
import shapely
from affine import Affine
from rasterio.warp import transform as move
from shapely.geometry import box

from timo.errors import LabelError
from timo.series.grid import Grid
from timo.series.label_vectors import read_polygons
from timo.series.labels import NOT_LABELLED, read_labels


def square(grid, row, col, height, width, inset=0.0):
    """The polygon of a window of the grid."""
    left, top = grid.point(col, row)
    right, bottom = grid.point(col + width, row + height)
    return box(left + inset, bottom + inset, right - inset, top - inset)


@pytest.fixture
def fields(tmp_path, write_layer, grid):
    """Two fields of wheat and one of maize."""
    geometries = [square(grid, 2, 3, 4, 5), square(grid, 10, 20, 6, 6), square(grid, 20, 0, 5, 5)]
    return write_layer(
        tmp_path / "fields.gpkg", geometries, crop=["wheat", "maize", "wheat"], number=[1, 7, 1]
    )


def expected_map(grid, windows):
    indices = np.full(grid.shape, NOT_LABELLED, np.uint8)
    for row, col, height, width, index in windows:
        indices[row : row + height, col : col + width] = index
    return indices


def test_polygons_become_class_indices(fields, grid):
    labels = read_labels(fields, grid, "crop")
    expected = expected_map(grid, [(2, 3, 4, 5, 1), (10, 20, 6, 6, 0), (20, 0, 5, 5, 1)])
    np.testing.assert_array_equal(labels.map, expected)
    assert [(info.value, info.name) for info in labels.scheme.classes] == [(1, "maize"), (2, "wheat")]
    np.testing.assert_array_equal(labels.counts, [36, 45])
    assert labels.problems == ()


def test_whole_numbers_keep_their_values(fields, grid):
    labels = read_labels(fields, grid, "number")
    assert [(info.value, info.name) for info in labels.scheme.classes] == [(1, "1"), (7, "7")]


def test_colours_given_by_name_replace_the_palette_s(fields, grid):
    labels = read_labels(fields, grid, "crop", colors={"wheat": "#FFCC00"})
    colors = [info.color for info in labels.scheme.classes]
    assert colors[1] == "#ffcc00"
    assert colors[0] != colors[1]


@pytest.mark.parametrize("suffix", ["gpkg", "shp", "geojson", "fgb"])
@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:32631"])
def test_other_systems_and_formats_give_the_same_labels(tmp_path, write_layer, grid, suffix, crs):
    shapes = [square(grid, 2, 3, 4, 5, inset=2), square(grid, 10, 20, 6, 6, inset=2)]

    def project(points):
        return np.column_stack(move(grid.crs, crs, points[:, 0], points[:, 1]))

    moved = list(shapely.transform(shapes, project))
    path = write_layer(
        tmp_path / f"fields.{suffix}", moved, crs=crs, geometry_type="Polygon", crop=["a", "b"]
    )
    labels = read_labels(path, grid, "crop")
    np.testing.assert_array_equal(labels.map, expected_map(grid, [(2, 3, 4, 5, 0), (10, 20, 6, 6, 1)]))


@pytest.mark.parametrize(
    ("column", "classes"),
    [
        (np.array([True, False]), [(0, "false"), (1, "true")]),
        (np.array([300, -4]), [(-4, "-4"), (300, "300")]),
        (np.array([2.0, 1.0]), [(1, "1"), (2, "2")]),
        (np.array(["10", "9"], object), [(9, "9"), (10, "10")]),
        (np.array(["02", "1"], object), [(1, "02"), (2, "1")]),
        (np.array([" wheat", "Äcker & <b>"], object), [(1, "wheat"), (2, "Äcker & <b>")]),
    ],
)
def test_a_class_field_may_be_of_any_type(tmp_path, write_layer, grid, column, classes):
    shapes = [square(grid, 0, 0, 3, 3), square(grid, 9, 9, 3, 3)]
    labels = read_labels(write_layer(tmp_path / "x.gpkg", shapes, kind=column), grid, "kind")
    assert [(info.value, info.name) for info in labels.scheme.classes] == classes


def test_features_without_a_class_are_counted_and_not_used(tmp_path, write_layer, grid):
    shapes = [square(grid, row, 0, 3, 3) for row in (0, 5, 10, 15)]
    path = write_layer(tmp_path / "x.gpkg", shapes, kind=np.array(["a", None, "b", " "], object))
    labels = read_labels(path, grid, "kind")
    assert labels.counts.sum() == 18
    assert "2 features" in labels.problems[0]
    assert "'kind'" in labels.problems[0]
    numbers = write_layer(tmp_path / "y.gpkg", shapes, kind=np.array([1, np.nan, 2, np.nan]))
    assert read_labels(numbers, grid, "kind").counts.sum() == 18


def test_two_classes_on_a_pixel_are_a_conflict(tmp_path, write_layer, grid):
    shapes = [
        square(grid, 0, 0, 4, 4),
        square(grid, 2, 2, 4, 4),
        square(grid, 20, 20, 2, 2),
        square(grid, 20, 20, 2, 2),
    ]
    labels = read_labels(write_layer(tmp_path / "x.gpkg", shapes, kind=["a", "b", "b", "b"]), grid, "kind")
    assert labels.conflicts == 4
    assert (labels.map[2:4, 2:4] == NOT_LABELLED).all()
    np.testing.assert_array_equal(labels.counts, [12, 16])
    assert "4 pixels" in labels.problems[0]


def test_a_class_between_two_others_is_in_the_conflict_too(tmp_path, write_layer, grid):
    shapes = [square(grid, 0, col, 1, width) for col, width in ((0, 3), (2, 3), (4, 3), (9, 1))]
    labels = read_labels(write_layer(tmp_path / "x.gpkg", shapes, kind=[1, 3, 2, 9]), grid, "kind", ignore=9)
    assert labels.map[0, :10].tolist() == [0, 0, 255, 2, 255, 1, 1, 255, 255, 255]
    assert labels.conflicts == 2
    assert len(labels.problems) == 1


def test_points_label_the_pixel_they_lie_in(tmp_path, write_layer, grid):
    places = [grid.point(3.9, 4.1), grid.point(0.01, 0.01), grid.point(100, 100)]
    path = write_layer(
        tmp_path / "x.geojson", [shapely.Point(*place) for place in places], kind=["a", "b", "a"]
    )
    labels = read_labels(path, grid, "kind")
    assert labels.map[4, 3] == 0
    assert labels.map[0, 0] == 1
    assert labels.counts.sum() == 2


def test_a_pixel_counts_if_its_centre_is_inside(tmp_path, write_layer, grid):
    shapes = [square(grid, 0, 0, 3, 3, inset=4.9), square(grid, 10, 0, 3, 3, inset=5.1)]
    labels = read_labels(write_layer(tmp_path / "x.gpkg", shapes, kind=["a", "b"]), grid, "kind")
    np.testing.assert_array_equal(labels.counts, [9, 1])


def test_multi_polygons_with_z_and_holes_are_burnt(tmp_path, write_layer, grid):
    holed = square(grid, 0, 0, 5, 5).difference(square(grid, 2, 2, 1, 1))
    both = shapely.force_3d(shapely.MultiPolygon([holed, square(grid, 10, 10, 2, 2)]), 7.0)
    shapes = [both, shapely.force_3d(square(grid, 20, 20, 2, 2), 1.0)]
    labels = read_labels(write_layer(tmp_path / "x.gpkg", shapes, kind=["a", "b"]), grid, "kind")
    np.testing.assert_array_equal(labels.counts, [28, 4])
    assert labels.map[2, 2] == NOT_LABELLED


def test_self_crossing_polygons_are_repaired_and_told(tmp_path, write_layer, grid):
    corners = [grid.point(*place) for place in ((0, 0), (10, 10), (10, 0), (0, 10))]
    bow_tie = shapely.Polygon(corners)
    path = write_layer(tmp_path / "x.gpkg", [bow_tie, square(grid, 20, 20, 2, 2)], kind=["a", "b"])
    labels = read_labels(path, grid, "kind")
    assert 40 <= labels.counts[0] <= 60
    assert labels.problems[0] == "1 polygon of x.gpkg crosses itself and was repaired."


def test_lines_are_told_and_not_used(tmp_path, write_layer, grid):
    line = shapely.LineString([grid.point(0, 0), grid.point(9, 9)])
    shapes = [line, square(grid, 0, 0, 2, 2), square(grid, 9, 9, 2, 2), shapely.Polygon()]
    labels = read_labels(write_layer(tmp_path / "x.gpkg", shapes, kind=["a", "a", "b", "b"]), grid, "kind")
    assert labels.counts.sum() == 8
    assert any("neither polygon nor point" in problem for problem in labels.problems)


def test_a_layer_is_chosen_as_qgis_names_it(tmp_path, write_layer, grid):
    path = tmp_path / "x.gpkg"
    shapes = [square(grid, 0, 0, 2, 2), square(grid, 9, 9, 2, 2)]
    write_layer(path, shapes, layer="first", kind=["a", "b"])
    write_layer(path, shapes[::-1], layer="second", append=True, kind=["x", "y"])
    first = read_labels(path, grid, "kind")
    assert "2 layers" in first.problems[0]
    second = read_labels(f"{path}|layername=second", grid, "kind")
    assert [info.name for info in second.scheme.classes] == ["x", "y"]
    assert second.problems == ()


def test_a_class_outside_of_the_series_is_left_out_and_told(tmp_path, write_layer, grid):
    shapes = [square(grid, 0, 0, 2, 2), square(grid, 5, 5, 2, 2), square(grid, 500, 500, 2, 2)]
    labels = read_labels(write_layer(tmp_path / "x.gpkg", shapes, kind=["a", "b", "c"]), grid, "kind")
    assert len(labels.scheme) == 2
    assert "class c" in labels.problems[0]


def refusal(code, path, grid, field="kind"):
    with pytest.raises(LabelError) as caught:
        read_labels(path, grid, field)
    assert caught.value.code == code
    assert caught.value.action
    assert "\n" not in caught.value.message
    return caught.value.message


@pytest.mark.filterwarnings("ignore:'crs' was not provided")
def test_labels_that_cannot_be_used_are_refused_with_a_sentence(tmp_path, write_layer, grid):
    here, there = square(grid, 0, 0, 2, 2), square(grid, 9, 9, 2, 2)
    good = write_layer(tmp_path / "good.gpkg", [here, there], kind=["a", "b"], size=[1.5, 2.25])

    assert "kind, size" in refusal("class_field_missing", good, grid, None)
    message = refusal("class_field_unknown", good, grid, "crop")
    assert "good.gpkg has no field 'crop'" in message
    assert "kind, size" in message
    assert "'size'" in refusal("class_field_decimal", good, grid, "size")

    far = [square(grid, 900, 900, 2, 2), square(grid, 990, 990, 2, 2)]
    assert "far.gpkg" in refusal(
        "labels_elsewhere", write_layer(tmp_path / "far.gpkg", far, kind=["a", "b"]), grid
    )

    same = write_layer(tmp_path / "same.gpkg", [here, there], kind=["a", "a"])
    assert "'a'" in refusal("one_class", same, grid)

    none = write_layer(tmp_path / "none.gpkg", [here, there], kind=np.array([None, None], object))
    assert "none.gpkg" in refusal("no_features", none, grid)

    many = [square(grid, i // 40, i % 40, 1, 1) for i in range(300)]
    ids = write_layer(tmp_path / "ids.gpkg", many, kind=[f"id{i}" for i in range(300)])
    assert "300" in refusal("too_many_classes", ids, grid)

    bare = write_layer(
        tmp_path / "bare.shp", [here, there], crs=None, geometry_type="Polygon", kind=["a", "b"]
    )
    assert "bare.shp has no coordinate system" in refusal("labels_no_crs", bare, grid)
    pixels = Grid(None, Affine.identity(), 40, 30)
    assert "The series has no coordinate system" in refusal("labels_no_crs", good, pixels)

    assert "nowhere.gpkg" in refusal("labels_not_found", tmp_path / "nowhere.gpkg", grid)
    (tmp_path / "text.gpkg").write_text("no layer")
    assert "text.gpkg" in refusal("labels_unreadable", tmp_path / "text.gpkg", grid)
    assert refusal("labels_unreadable", f"{good}|layername=missing", grid)


def test_polygons_of_an_area_are_read_in_the_grid_s_coordinates(tmp_path, write_layer, grid):
    path = write_layer(tmp_path / "area.gpkg", [square(grid, 1, 2, 3, 4)], name=["a"])
    (polygon,) = read_polygons(path, grid)
    assert polygon.equals(square(grid, 1, 2, 3, 4))
    for code, geometries in (
        ("area_outside", [square(grid, 900, 900, 2, 2)]),
        ("no_features", [shapely.Point(*grid.point(1, 1))]),
    ):
        with pytest.raises(LabelError) as caught:
            read_polygons(write_layer(tmp_path / f"{code}.gpkg", geometries, name=["a"]), grid)
        assert caught.value.code == code


def test_real_polygons_partly_outside_are_read(real):
    from timo.series.series import open_series

    folder = real("awkward_s2_l1c_jp2_multires")
    series = open_series(folder / "IMG_DATA")
    labels = read_labels(folder / "s2l1c_ref.gpkg", series.grid, "cid")
    assert len(labels.scheme) == 2
    assert labels.counts.min() > 1000
