# SPDX-License-Identifier: GPL-3.0-or-later
from unittest.mock import Mock

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

from tests.label_maps import labels_of
from tests.scenes import make_scene
from timo.errors import LabelError
from timo.series import prepared
from timo.series.labels import NOT_LABELLED
from timo.series.prepared import PreparedSeries, statistics
from timo.series.seen_labels import seen_labels
from timo.series.series import open_series


@pytest.fixture(scope="module")
def holed(tmp_path_factory):
    """A series without data in its first 40 rows, and in its last columns on one date alone."""
    scene = make_scene(tmp_path_factory.mktemp("scene"))
    for path in sorted(scene.folder.glob("*.tif")):
        with rasterio.open(path, "r+") as file:
            values = file.read()
            values[:, :40] = 0
            if path.name.endswith("0601.tif"):
                values[:, :, 100:] = 0
            file.write(values)
    return open_series(scene.folder)


def everywhere(top, bottom, side=128):
    """Labels on all pixels: of one class above row 40, of another below."""
    return labels_of(np.repeat(np.uint8([top, bottom]), [40, side - 40])[:, None].repeat(side, 1))


@pytest.mark.parametrize("kept", [True, False])
def test_labels_where_no_date_has_data_do_not_teach(holed, monkeypatch, kept):
    monkeypatch.setattr(prepared, "SAMPLE_SIDE", 48)
    labels = everywhere(0, 0)
    labels.map[60:, 60:] = 1
    labels.map[:, 5] = NOT_LABELLED
    labels = labels_of(labels.map)
    series = PreparedSeries(holed, statistics([holed]), keep=kept)
    (found,), told = seen_labels([labels], [series], "fields.gpkg")
    expected = labels.map.copy()
    expected[:40] = NOT_LABELLED
    np.testing.assert_array_equal(found.map, expected)
    np.testing.assert_array_equal(found.counts, np.bincount(expected.ravel(), minlength=256)[:2])
    assert told == [f"{40 * 127} labelled pixels of fields.gpkg lie where no date has data: not used."]


def test_labels_of_every_date_go_with_the_ground(holed):
    labels = everywhere(0, 1)
    labels.map[50:60] = 0
    labels = labels_of(labels.map)
    labels.dated = np.stack([labels.map] * len(holed.dates))
    (found,), _ = seen_labels([labels], [PreparedSeries(holed, statistics([holed]), keep=True)], "fields")
    assert (found.dated[:, :40] == NOT_LABELLED).all()
    np.testing.assert_array_equal(found.dated[:, 40:], labels.dated[:, 40:])


def test_where_all_labels_have_data_nothing_is_changed_or_said(holed):
    labels = everywhere(NOT_LABELLED, 0)
    labels.map[80:] = 1
    labels = labels_of(labels.map)
    (found,), told = seen_labels([labels], [PreparedSeries(holed, statistics([holed]), keep=True)], "x")
    assert found is labels
    assert told == []


def test_a_single_class_that_is_left_is_no_lesson(holed):
    series = PreparedSeries(holed, statistics([holed]), keep=True)
    with pytest.raises(LabelError, match="No label but those of class 'class 2' of x lies") as caught:
        seen_labels([everywhere(0, 1)], [series], "x")
    assert caught.value.code == "labels_without_data"


def test_a_large_series_is_read_only_where_labels_lie(holed, monkeypatch):
    monkeypatch.setattr(prepared, "SAMPLE_SIDE", 32)
    series = PreparedSeries(holed, statistics([holed]), keep=False)
    read = Mock(side_effect=holed.read)
    monkeypatch.setattr(series, "series", Mock(read=read))
    wanted = np.zeros((128, 128), np.bool_)
    wanted[70, 100] = True
    assert series.seen(wanted).sum() == 1
    read.assert_called_once_with(Window(96, 64, 32, 32))
