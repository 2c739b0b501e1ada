# SPDX-License-Identifier: GPL-3.0-or-later
"""Rasters that can't be read, or that hold other things than they seem to."""

import os

import numpy as np
import pytest
import rasterio
from affine import Affine

from tests.scenes import TRANSFORM
from tests.timo.bad_inputs.desk import SIDE, SITE, fields, real
from tests.timo.bad_inputs.rows import Table

TABLE = Table()
NAMES = ("B04", "B08", "B11")


def random(dtype=np.float32, count=3):
    return np.random.default_rng(1).uniform(100, 5000, (count, SIDE, SIDE)).astype(dtype)


@TABLE.refused(
    "the server's error page was saved as a GeoTIFF",
    "series/S2_20200601.tif can't be read as a raster: …. Replace the file, or take it out of the series.",
)
def _(desk):
    folder = desk.series()
    (folder / "S2_20200601.tif").write_text("<!DOCTYPE html><title>401 Unauthorized</title>")
    return "series", folder


@TABLE.refused(
    "a file of no bytes, after a full disk",
    "series/S2_20200601.tif can't be read as a raster: …. Replace the file, or take it out of the series.",
)
def _(desk):
    folder = desk.series()
    (folder / "S2_20200601.tif").write_bytes(b"")
    return "series", folder


@TABLE.refused(
    "a download that broke off: the header is there, half of the pixels are not",
    "series/S2_20200601.tif can't be read as a raster: …. Replace the file, or take it out of the series.",
)
def _(desk):
    folder = desk.series()
    whole = (folder / "S2_20200601.tif").read_bytes()
    (folder / "S2_20200601.tif").write_bytes(whole[: len(whole) // 2])
    return "series", folder


@TABLE.refused(
    "a download that broke off, met by a prediction: no half map is left",
    "series/S2_20200601.tif can't be read as a raster: …. Replace the file, or take it out of the series.",
)
def _(desk):
    command = desk.predict()
    path = desk.folder / "series" / "S2_20200601.tif"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return command


@TABLE.refused(
    "a virtual raster whose file has moved",
    "series/S2_20200601.vrt can't be read as a raster: …. Replace the file, or take it out of the series.",
)
def _(desk):
    folder = desk.series()
    (folder / "S2_20200601.tif").unlink()
    (folder / "S2_20200601.vrt").write_text(
        f'<VRTDataset rasterXSize="{SIDE}" rasterYSize="{SIDE}"><SRS>EPSG:32631</SRS>'
        f"<GeoTransform>600000, 10, 0, 5600000, 0, -10</GeoTransform>"
        + "".join(
            f'<VRTRasterBand dataType="UInt16" band="{number}"><Description>{name}</Description>'
            "<SimpleSource>"
            f'<SourceFilename relativeToVRT="1">gone.tif</SourceFilename><SourceBand>{number}</SourceBand>'
            "</SimpleSource></VRTRasterBand>"
            for number, name in enumerate(NAMES, start=1)
        )
        + "</VRTDataset>"
    )
    return "series", folder


@TABLE.refused(
    "a raster of no rows",
    "series/S2_20200601.vrt can't be read as a raster: …. Replace the file, or take it out of the series.",
)
def _(desk):
    folder = desk.series()
    (folder / "S2_20200601.tif").unlink()
    (folder / "S2_20200601.vrt").write_text(
        f'<VRTDataset rasterXSize="{SIDE}" rasterYSize="0"><VRTRasterBand dataType="UInt16" band="1"/>'
        "</VRTDataset>"
    )
    return "series", folder


@TABLE.refused(
    "a raster that the analyst may not read",
    "series/S2_20200601.tif can't be read as a raster: …. Replace the file, or take it out of the series.",
)
def _(desk):
    if os.name != "posix" or os.geteuid() == 0:
        pytest.skip("whoever runs the tests may read all files")
    folder = desk.series()
    (folder / "S2_20200601.tif").chmod(0)
    return "series", folder


@TABLE.refused(
    "an HDF file (awkward_stacked_timesteps)",
    "DATA/awkward_stacked_timesteps/treesat_Abies_alba_S1S2_6x6.h5 is an HDF file. HDF files are not read; "
    "convert it to GeoTIFF or netCDF.",
)
def _(desk):
    return "series", real("awkward_stacked_timesteps/treesat_Abies_alba_S1S2_6x6.h5")


@TABLE.refused(
    "a radar image in complex numbers",
    "S1_20200601.tif has no band of real numbers. Take it out of the series, or convert it to amplitudes.",
)
def _(desk):
    desk.raster("radar/S1_20200601.tif", random(np.complex64, 1))
    return "series", desk.folder / "radar"


@TABLE.refused(
    "a mask in codes of another program",
    "SCL_20200601.tif holds the number 77, which is none of SCL's (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11). "
    "Write the mask in these codes, or take it out of the folder.",
)
def _(desk):
    folder = desk.series()
    desk.raster("series/SCL_20200601.tif", np.full((SIDE, SIDE), 77, np.uint8))
    return "series", folder


@TABLE.refused(
    "every pixel of every date is nodata",
    "No pixel of the series has data on any date; the first file is series/S2_20200401.tif. "
    "Check the files, their nodata values and their masks.",
)
def _(desk):
    folder = desk.series()
    for path in folder.glob("*.tif"):
        desk.frame(path.stem[3:], 0)
    return "series", folder


@TABLE.told(
    "a date of nothing but nodata",
    "Left out: series/S2_20200601.tif: Its scene of 2020-06-01 is nearly empty: none of the pixels are "
    "valid, "
    "where the best date has 100 %.",
)
def _(desk):
    folder = desk.series()
    desk.frame("20200601", 0)
    return "series", folder


@TABLE.told("NaN for no data, and no nodata value", "2020-06-01 │ sentinel-2 │   75% │")
def _(desk):
    folder = desk.series()
    values = random()
    values[:, : SIDE // 2, : SIDE // 2] = np.nan
    desk.frame("20200601", values, nodata=None)
    return "series", folder


@TABLE.told(
    "-9999 in signed 16-bit numbers that no nodata value names",
    "Problem: S2_20200601.tif holds the value -9999, which looks like no data but counts as a measurement: "
    "set it "
    "as the file's nodata value.",
)
def _(desk):
    folder = desk.series()
    values = random(np.int16)
    values[:, : SIDE // 2, : SIDE // 2] = -9999
    desk.frame("20200601", values, nodata=None)
    return "series", folder


@TABLE.told("an orthophoto with an alpha band, which is no band of the ground", "3 bands")
def _(desk):
    for date in ("20200601", "20210601"):
        values = np.concatenate([random(np.uint8), np.full((1, SIDE, SIDE), 255, np.uint8)])
        desk.raster(f"photos/ortho_{date}.tif", values, photometric="RGB", alpha="YES")
    return "series", desk.folder / "photos"


@TABLE.told(
    "a map in colours of a palette lies among the images",
    "Left out: series/landuse_20200601.tif: Its numbers stand for colours or classes, they are no "
    "measurements.",
)
def _(desk):
    folder = desk.series()
    path = desk.raster("series/landuse_20200601.tif", random(np.uint8, 1), photometric="PALETTE")
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {1: (255, 0, 0, 255), 2: (0, 255, 0, 255)})
    return "series", folder


@TABLE.told(
    "reflectance on one date, the sensor's numbers on the others",
    "Problem: Band 'red' has scale 1 and offset 0 in S2_20200401.tif but 0.0001 and 0 in S2_20200601.tif: "
    "check that their "
    "values are comparable.",
)
def _(desk):
    folder = desk.series()
    desk.frame("20200401", random() / 10_000, nodata=None)
    return "series", folder


@TABLE.told(
    "a scene in another coordinate system is brought to the grid of the others",
    "Grid: 128 x 128 pixels of 10 x 10, EPSG:32631",
)
def _(desk):
    folder = desk.series()
    desk.frame("20200601", crs="EPSG:32632", transform=Affine(20, 0, 170_000, 0, -20, 5_610_000))
    return "series", folder


@TABLE.told(
    "pixels of another size and place than on the other dates",
    "Left out: series/S2_20200601.tif: It does not touch the grid of the series.",
)
def _(desk):
    folder = desk.series()
    desk.frame("20200601", transform=TRANSFORM @ Affine.translation(5000, 5000) @ Affine.scale(2))
    return "series", folder


@TABLE.refused(
    "a file whose pixels have no size",
    "S2_20200601.tif has pixels of no size: it doesn't tell where it lies. Set its place and pixel size, or "
    "take it out of the series.",
)
def _(desk):
    folder = desk.series()
    desk.frame("20200601", transform=Affine(0, 0, 600_000, 0, 0, 5_600_000))
    return "series", folder


@TABLE.refused(
    "one file in the coordinates of a building site",
    "S2_20200601.tif has a coordinate system that tells no place on Earth, but other files of the series "
    "have one that does. Set its coordinate system, or take it out of the series.",
)
def _(desk):
    folder = desk.series()
    desk.frame("20200601", crs=SITE)
    return "series", folder


@TABLE.told(
    "a link to a disk that isn't there",
    "Left out: series/S2_20200601.tif: It is a link to a file that isn't there.",
)
def _(desk):
    folder = desk.series()
    (folder / "S2_20200601.tif").unlink()
    (folder / "S2_20200601.tif").symlink_to(desk.folder / "unplugged" / "S2_20200601.tif")
    return "series", folder


@TABLE.refused(
    "polygons in place of the images",
    "parcels.shp can't be read as a raster: …. Replace the file, or take it out of the series.",
)
def _(desk):
    shapes, classes = fields("field", "woods")
    return "series", desk.layer("parcels.shp", shapes, kind=classes)
