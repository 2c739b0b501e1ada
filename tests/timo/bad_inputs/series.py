# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that make no series, or not the one that was meant: paths, tables, dates, bands, places."""

import numpy as np
from affine import Affine

from tests.scenes import TRANSFORM
from tests.timo.bad_inputs.desk import SIDE, real
from tests.timo.bad_inputs.rows import Table

TABLE = Table()


@TABLE.refused("the folder's name is misspelt", "serise does not exist. Correct the path of the series.")
def _(desk):
    desk.series()
    return "series", desk.folder / "serise"


@TABLE.refused(
    "an empty folder",
    "The folder empty has no rasters (.jp2, .nc, .tif, .tiff, .vrt). Name the folder that holds the dated "
    "rasters themselves.",
)
def _(desk):
    (desk.folder / "empty").mkdir()
    return "series", desk.folder / "empty"


@TABLE.refused(
    "the folder above the series",
    "The folder above has no rasters (.jp2, .nc, .tif, .tiff, .vrt); its sub-folders (field) are not read. "
    "Name "
    "the folder that holds the dated rasters themselves.",
)
def _(desk):
    (desk.folder / "above").mkdir()
    desk.series().rename(desk.folder / "above" / "field")
    return "series", desk.folder / "above"


@TABLE.refused(
    "a glob that matches nothing",
    "No file matches series/*.tiff. Correct the pattern, or name a folder.",
)
def _(desk):
    return "series", desk.series() / "*.tiff"


@TABLE.refused(
    "the address of a bucket",
    "s3://bucket/S2_20200601.tif can't be read: of what is no file, only http and https addresses are. Give "
    "its "
    "https address, or download it and name the file.",
)
def _(desk):
    return "series", "s3://bucket/S2_20200601.tif"


@TABLE.refused(
    "no file's name holds a date",
    "No file of series has a date in its name. Name the files with their date, such as S2_20200801.tif, or "
    "give "
    "a CSV with columns path,date.",
)
def _(desk):
    folder = desk.series(dates=["20200401", "20200601"])
    for name, path in zip(("before", "after"), sorted(folder.glob("*.tif"))):
        path.rename(folder / f"{name}.tif")
    return "series", folder


@TABLE.told(
    "a date that no calendar has",
    "Left out: series/S2_20201332.tif: It has no date in its name.",
)
def _(desk):
    folder = desk.series()
    desk.frame("20201332")
    return "series", folder


@TABLE.told("a date of 1900", "Left out: series/S2_19000101.tif: It has no date in its name.")
def _(desk):
    folder = desk.series()
    desk.frame("19000101")
    return "series", folder


@TABLE.told(
    "a date in the future",
    "Problem: S2_20990601.tif is of 2099-06-01, which is yet to come: check its date.",
)
def _(desk):
    folder = desk.series()
    desk.frame("20990601")
    return "series", folder


@TABLE.told(
    "two dates in one name",
    "Problem: S2_20200501_20201231.tif holds two dates; 2020-05-01 was taken, not 2020-12-31.",
)
def _(desk):
    folder = desk.series()
    desk.frame("20200501_20201231")
    return "series", folder


@TABLE.told(
    "a file was renamed to another date than its metadata tell",
    "Problem: S2_20200501.tif is of 2020-05-01 by its name, but ACQUISITION_DATE says 2020-03-01, which was "
    "taken.",
)
def _(desk):
    folder = desk.series()
    desk.frame("20200501", tags={"ACQUISITION_DATE": "2020-03-01"})
    return "series", folder


@TABLE.told("dates out of order in the table are sorted", "2020-04-01…2020-06-01…2020-08-01")
def _(desk):
    folder = desk.series()
    table = folder / "dates.csv"
    rows = [f"S2_{date.replace('-', '')}.tif,{date}" for date in ("2020-08-01", "2020-04-01", "2020-06-01")]
    table.write_text("\n".join(["path,date", *rows]))
    return "series", table


def table(desk, *rows, encoding="utf-8", name="dates.csv"):
    path = desk.series() / name
    path.write_text("\n".join(rows), encoding=encoding)
    return path


@TABLE.refused(
    "a table whose header is not path,date",
    "series/dates.csv has the columns file, day, not path and date. Give a CSV with columns path,date.",
)
def _(desk):
    return "series", table(desk, "file,day", "S2_20200601.tif,2020-06-01")


@TABLE.refused(
    "a table that names a file which isn't there",
    "Line 3 of series/dates.csv names series/S2_20200602.tif, which does not exist. Correct the path; it is "
    "relative to the CSV.",
)
def _(desk):
    rows = ["path,date", "S2_20200601.tif,2020-06-01", "S2_20200602.tif,2020-06-02"]
    return "series", table(desk, *rows)


@TABLE.refused(
    "a table with a line left blank before the wrong one",
    "Line 4 of series/dates.csv has the date '1.6.2020'. Write it as 2020-08-01.",
)
def _(desk):
    return "series", table(desk, "path,date", "S2_20200401.tif,2020-04-01", "", "S2_20200601.tif,1.6.2020")


@TABLE.refused(
    "a table that gives a file two dates",
    "series/S2_20200601.tif is given twice, with the dates 2020-06-01 and 2020-06-02. Give each file one "
    "date.",
)
def _(desk):
    return "series", table(desk, "path,date", "S2_20200601.tif,2020-06-01", "S2_20200601.tif,2020-06-02")


@TABLE.refused(
    "a table that an old spreadsheet saved, with an umlaut",
    "series/dates.csv can't be read as a CSV: it is no text in UTF-8. Save it as CSV in UTF-8, which "
    "spreadsheets offer.",
)
def _(desk):
    return "series", table(desk, "path,date,Gebiet", "S2_20200601.tif,2020-06-01,Müritz", encoding="latin-1")


@TABLE.refused(
    "a table that isn't there",
    "datse.csv can't be read as a CSV: No such file or directory. Give a CSV with columns path,date.",
)
def _(desk):
    return "series", desk.folder / "datse.csv"


@TABLE.refused(
    "a table of several places where one is looked at",
    "series/dates.csv lists several places. Give a CSV of one place: its files become one series.",
)
def _(desk):
    rows = ["place,path,date", "a,S2_20200601.tif,2020-06-01", "b,S2_20200801.tif,2020-08-01"]
    return "series", table(desk, *rows)


@TABLE.refused(
    "two files have the same date and band",
    "series/S2_20200601.tif and series/S2_20200601_copy.tif are both of 2020-06-01 and both have the band "
    "'red'. Keep one of them, or name the bands in the files if they differ.",
)
def _(desk):
    folder = desk.series()
    desk.frame("20200601_copy")
    return "series", folder


@TABLE.refused(
    "one file has no coordinate system",
    "S2_20200601.tif has no coordinate system, but other files of the series have one. Set its coordinate "
    "system, or take it out of the series.",
)
def _(desk):
    folder = desk.series()
    desk.frame("20200601", crs=None)
    return "series", folder


@TABLE.refused(
    "pictures without coordinates that differ in size",
    "photo_20200701.tif and photo_20200601.tif have no coordinate system and differ in size or place. Set "
    "the "
    "files' coordinate systems, or give files of one size.",
)
def _(desk):
    for date, side in (("20200601", 40), ("20200701", 41)):
        desk.raster(
            f"photos/photo_{date}.tif",
            np.ones((3, side, side), np.uint8),
            crs=None,
            transform=Affine.identity(),
        )
    return "series", desk.folder / "photos"


@TABLE.refused(
    "two places in one folder",
    "S2_20200601_a.tif and S2_20200601_b.tif have the same date and band, but lie far from each other. Give "
    "the "
    "files of one place, or a CSV with columns place,path,date.",
)
def _(desk):
    desk.frame("20200601_a")
    desk.frame("20200601_b", transform=TRANSFORM @ Affine.translation(9000, 0))
    return "series", desk.folder / "series"


@TABLE.told(
    "a date with fewer bands than the others",
    "Left out: series/S2_20200601.tif: 2020-06-01 has no band swir1, which other dates have.",
)
def _(desk):
    folder = desk.series()
    desk.frame("20200601", np.full((2, SIDE, SIDE), 2000, np.uint16), names=("B04", "B08"))
    return "series", folder


@TABLE.told(
    "a mask on one date alone",
    "Problem: S2_20200401.tif (one of 3 dates) has no mask, while other dates have SCL: its clouds are not "
    "masked.",
)
def _(desk):
    folder = desk.series()
    desk.raster("series/SCL_20200601.tif", np.full((SIDE, SIDE), 4, np.uint8))
    return "series", folder


@TABLE.told(
    "scenes of 2022 and later that don't tell Sentinel-2's offset",
    "Problem: S2_20220601.tif may hold Sentinel-2's offset of 1000, which ESA adds since 2022-01-25: no "
    "product "
    "name or metadata tells, and none was taken off. If dark water is near 0.1, set the bands' offset to "
    "-0.1 and "
    "scale to 0.0001 in the files.",
)
def _(desk):
    folder = desk.series()
    desk.frame("20220601")
    return "series", folder


@TABLE.told(
    "radar in decibels on one date, in linear numbers on another",
    "Problem: The radar values are dB in S1_20200601.tif but linear backscatter in S1_20200701.tif: convert "
    "one "
    "of them.",
)
def _(desk):
    for date, value in (("20200601", -12.0), ("20200701", 0.06)):
        desk.raster(f"radar/S1_{date}.tif", np.full((SIDE, SIDE), value, np.float32), names=("VV",))
    return "series", desk.folder / "radar"


@TABLE.refused(
    "many dates stacked in one file, and nothing tells which",
    "stack_20200101.tif has 2 bands named 'VV': it seems a stack of dates. Give a CSV with columns "
    "path,band,date[,name] and a line for each band, or write each date to a raster of its own.",
)
def _(desk):
    values = np.ones((4, SIDE, SIDE), np.float32)
    desk.raster("radar/stack_20200101.tif", values, names=("VV", "VH", "VV", "VH"))
    return "series", desk.folder / "radar"


@TABLE.refused(
    "monthly steps stacked in one file, renamed so that it tells no period (awkward_stacked_timesteps)",
    "togo_20190206.tif has 12 bands of each name, numbered like steps in time, but tells no dates. Give a "
    "CSV with columns path,band,date[,name] and a line for each band, or write each date to a raster of its "
    "own.",
)
def _(desk):
    stack = real("awkward_stacked_timesteps") / "98-togo_2019-02-06_2020-02-01.tif"
    (desk.folder / "togo_20190206.tif").symlink_to(stack)
    return "series", desk.folder / "togo_20190206.tif"


@TABLE.refused(
    "a folder of folders, one a place (parcels_s2s1)",
    "The folder DATA/parcels_s2s1 has no rasters (.jp2, .nc, .tif, .tiff, .vrt); its sub-folders (…) are not "
    "read. Name the folder that holds the dated rasters themselves.",
)
def _(desk):
    return "series", real("parcels_s2s1")


@TABLE.refused(
    "scenes without a date in their names (landcover_landsat)",
    "No file of DATA/landcover_landsat has a date in its name. Name the files with their date, such as "
    "S2_20200801.tif, or give a CSV with columns path,date.",
)
def _(desk):
    return "series", real("landcover_landsat")
