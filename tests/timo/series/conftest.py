# SPDX-License-Identifier: GPL-3.0-or-later
"""Small rasters and layers that the tests write, and the real series where they are present."""

from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine

from timo.series.grid import Grid

DATA = Path(__file__).parents[4] / "shared" / "data"
UTM = "EPSG:32631"
CORNER = Affine(10, 0, 500_000, 0, -10, 5_600_000)


@pytest.fixture
def real():
    """Gives the folder of a real series, or skips."""

    def find(name):
        if not (DATA / name).is_dir():
            pytest.skip(f"no real series '{name}' in ../shared/data")
        return DATA / name

    return find


@pytest.fixture
def write_raster():
    """Writes a GeoTIFF of (bands, rows, columns)."""

    def write(
        path,
        values,
        *,
        crs=UTM,
        transform=CORNER,
        nodata=None,
        names=(),
        scales=(),
        offsets=(),
        tags=None,
        **profile,
    ):
        values = np.asarray(values)
        values = values[None] if values.ndim == 2 else values
        count, height, width = values.shape
        path.parent.mkdir(parents=True, exist_ok=True)
        profile = {
            "driver": "GTiff", "count": count, "height": height, "width": width, "dtype": values.dtype,
            "crs": crs, "transform": transform, "nodata": nodata, **profile,
        }  # fmt: skip
        with rasterio.open(path, "w", **profile) as file:
            file.write(values)
            if names:
                file.descriptions = tuple(names)
            if scales:
                file.scales = tuple(scales)
            if offsets:
                file.offsets = tuple(offsets)
            if tags:
                file.update_tags(**tags)
        return path

    return write


@pytest.fixture
def write_layer():
    """Writes geometries with one column per field; the driver goes by the suffix."""

    def write(path, geometries, *, crs=UTM, append=False, geometry_type="Unknown", layer=None, **columns):
        pyogrio.raw.write(
            path,
            geometry=shapely.to_wkb(np.array(geometries, object)),
            field_data=[np.array(column) for column in columns.values()],
            fields=list(columns),
            geometry_type=geometry_type,
            crs=crs,
            append=append,
            layer=layer,
        )
        return path

    return write


@pytest.fixture
def grid():
    """40 columns, 30 rows of 10 m."""
    return Grid(UTM, CORNER, 40, 30)
