# SPDX-License-Identifier: GPL-3.0-or-later
"""A place of a search: what its scenes measure there, without opening those that lie elsewhere."""

import numpy as np
import pytest
from affine import Affine

from tests.timo.series.stac.searches import BOX, CORNER, search_of
from tests.timo.series.test_at import degrees
from timo.errors import SeriesError
from timo.series.at import values_at
from timo.series.stac_search import write_search
from timo.series.stac_series import open_search

FAR = CORNER @ Affine.translation(2000, 2000)


@pytest.fixture
def search(server, scene, tmp_path):
    for month in (3, 6, 9):
        scene(f"S2A_31UDS_2020{month:02}05_0_L2A", f"2020-{month:02}-05T10:56:31Z")
    scene("S2A_31UDT_20200706_0_L2A", "2020-07-06T10:56:31Z", transform=FAR, coarse=FAR @ Affine.scale(2))
    path = tmp_path / "search.json"
    write_search(search_of(server), path)
    return path


def test_the_values_are_those_of_the_series_and_other_scenes_stay_closed(search, server):
    series = open_search(search_of(server))
    frames = series.read()
    (rows, cols) = np.nonzero(frames.valid.all(axis=0))
    for row, col in ((rows[0], cols[0]), (rows[-1], cols[-1])):
        server.asked.clear()
        found = values_at(search, *degrees(series, int(row), int(col)))
        assert found["dates"] == ["2020-03-05", "2020-06-05", "2020-09-05"]
        assert [band["role"] for band in found["bands"]] == ["red", "nir", "swir1"]
        told = np.array([band["values"] for band in found["bands"]], np.float32).T
        np.testing.assert_array_equal(told[:, :2], frames.values[:, :2, row, col])
        np.testing.assert_allclose(told[:, 2], frames.values[:, 2, row, col], atol=2e-4)
        assert not any("31UDT" in path for _, path in server.asked)


def test_beside_the_box_of_the_search_nothing_is_measured(search, server):
    nothing = {"dates": [], "bands": []}
    assert values_at(search, -60.0, -3.0) == nothing
    assert values_at(search, (BOX[0] + BOX[2]) / 2, BOX[3] + 1e-4) == nothing, "though scenes lie there"
    server.items.clear()
    assert values_at(search, (BOX[0] + BOX[2]) / 2, (BOX[1] + BOX[3]) / 2) == nothing


def test_a_catalogue_that_does_not_answer_is_told_so(search, server):
    server.answers["/search"] = (503, b"busy")
    with pytest.raises(SeriesError, match="503"):
        values_at(search, (BOX[0] + BOX[2]) / 2, (BOX[1] + BOX[3]) / 2)
