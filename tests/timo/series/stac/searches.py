# SPDX-License-Identifier: GPL-3.0-or-later
"""Searches of the catalogue that the tests serve, and refusals of them."""

import pytest
from affine import Affine
from rasterio.warp import transform_bounds

from timo.errors import SeriesError
from timo.series.stac_search import make_search
from timo.series.stac_series import open_search

UTM = "EPSG:32631"
CORNER = Affine(10, 0, 500_000, 0, -10, 5_600_000)
COARSE = Affine(20, 0, 500_000, 0, -20, 5_600_000)
HEIGHT, WIDTH = 60, 80
BOX = transform_bounds(UTM, "EPSG:4326", 500_100, 5_599_500, 500_600, 5_599_900)
YEAR = "2020-01-01/2020-12-31"
RED = {"eo:bands": [{"name": "B04", "common_name": "red"}],
       "raster:bands": [{"nodata": 0, "scale": 0.0001, "offset": -0.1}]}  # fmt: skip
NIR = {"eo:bands": [{"name": "B08", "common_name": "nir"}], "raster:bands": RED["raster:bands"]}
SWIR = {"eo:bands": [{"name": "B11", "common_name": "swir16"}], "raster:bands": RED["raster:bands"]}


def search_of(server, **changes):
    given = {"url": server.url, "collections": ["s2"], "bbox": BOX, "dates": YEAR, **changes}
    return make_search(**given)


def assert_said(search, *parts):
    """The search is refused with one sentence that holds all parts, and says what to do."""
    with pytest.raises(SeriesError) as caught:
        open_search(search) if not callable(search) else search()
    for part in parts:
        assert part in str(caught.value)
    assert caught.value.action
    assert "\n" not in str(caught.value)
    return caught.value
