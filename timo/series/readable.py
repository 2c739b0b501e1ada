# SPDX-License-Identifier: GPL-3.0-or-later
"""What a process reads to which folders are named: formats whose files hold all that they show."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from timo import access

HEAD = 8192
LIST_S = 60.0
# What files are called, and begin with. An HDF5 file, a netCDF of version 4 among them, may be made of parts
# of any others.
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_JPEG = (b"\xff\xd8\xff",)
_JSON = (b"{", b"\xef\xbb\xbf{")
RASTERS: Mapping[str, tuple[bytes, ...]] = {
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".ovr": _TIFF,
    ".msk": _TIFF,
    ".jp2": (b"\0\0\0\x0cjP", b"\xff\x4f\xff\x51"),
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".png": (b"\x89PNG",),
    ".gif": (b"GIF8",),
    ".webp": (b"RIFF",),
    ".nc": (b"CDF",),
}
VECTORS: Mapping[str, tuple[bytes, ...]] = {
    ".gpkg": (b"SQLite format 3\0",),
    ".shp": (b"\0\0\x27\x0a",),
    ".fgb": (b"fgb",),
    ".geojson": _JSON,
    ".json": _JSON,
}
OPENED = ("GTiff", "VRT", "netCDF", "JP2OpenJPEG", "PNG", "JPEG", "GIF", "WEBP")
OPENED_FAR = ("GTiff", "JP2OpenJPEG", "PNG", "JPEG")
"""GDAL's names of the formats of rasters; of those on a server, where no beginning is looked at."""
FORMATS = frozenset({*OPENED, "COG", "MEM", "BIGGIF", "GPKG", "GeoJSON", "ESRI Shapefile", "FlatGeobuf"})
"""All of GDAL's formats that such a process needs, to read and to write."""

VRT_ELEMENTS = frozenset(
    {
        "vrtdataset", "srs", "geotransform", "gcplist", "gcp", "metadata", "mdi", "vrtrasterband",
        "colorinterp", "nodatavalue", "hidenodatavalue", "colortable", "entry", "categorynames",
        "category", "description", "unittype", "offset", "scale", "simplesource", "complexsource",
        "averagedsource", "sourcefilename", "sourceband", "sourceproperties", "srcrect", "dstrect",
        "nodata", "usemaskband", "scaleoffset", "scaleratio", "lut", "maskband", "overviewlist",
        "histograms", "histitem", "histmin", "histmax", "bucketcount", "includeoutofrange",
        "approximate", "histcounts", "blockxsize", "blockysize", "gdalwarpoptions", "warpmemorylimit",
        "resamplealg", "workingdatatype", "option", "sourcedataset", "transformer", "approxtransformer",
        "maxerror", "basetransformer", "genimgprojtransformer", "srcgeotransform", "srcinvgeotransform",
        "dstgeotransform", "dstinvgeotransform", "reprojecttransformer", "reprojectiontransformer",
        "sourcesrs", "targetsrs", "bandlist", "bandmapping", "srcnodatareal", "srcnodataimag",
        "dstnodatareal", "dstnodataimag", "srcalphaband", "dstalphaband",
    }
)  # fmt: skip
VRT_ATTRIBUTES = frozenset(
    {
        "rasterxsize", "rasterysize", "subclass", "dataaxistosrsaxismapping", "coordinateepoch",
        "datatype", "band", "blockxsize", "blockysize", "relativetovrt", "shared", "xoff", "yoff",
        "xsize", "ysize", "key", "domain", "c1", "c2", "c3", "c4", "projection", "id", "pixel", "line",
        "x", "y", "z", "resampling", "name", "src", "dst",
    }
)  # fmt: skip
"""What a virtual raster has that puts rasters together, scales or warps them, in small letters.

GDAL reads a value from an element or an attribute alike, and many name files; of these, none but
``VRT_FILES`` do.
"""
VRT_FILES = frozenset({"sourcefilename", "sourcedataset"})
VRT_DOMAINS = frozenset({"", "image_structure"})
"""Of metadata: others say where overviews and locations are."""


def head(path: Path) -> bytes:
    """What a file begins with; nothing of one that can't be read."""
    try:
        with path.open("rb") as file:
            return file.read(HEAD)
    except OSError:
        return b""


def is_of(kinds: Mapping[str, tuple[bytes, ...]], path: Path) -> bool:
    """Whether a file is of one of these kinds, by its name and its beginning."""
    return head(path).startswith(kinds.get(path.suffix.lower(), ()))


def has_virtual_tables(path: Path) -> bool:
    """Whether a GeoPackage has tables that lie elsewhere; its index in space is a virtual one, too."""
    if path.suffix.lower() != ".gpkg":
        return False
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            found = db.execute("SELECT sql FROM sqlite_master WHERE sql LIKE '%virtual%'").fetchall()
    except sqlite3.Error:  # reading it will say so
        return False
    return any(not re.match(r"(?is)create virtual table \S+ using rtree\s*\(", sql) for (sql,) in found)


def narrow() -> None:
    """Leave this process's GDALs the formats alone that it may read where folders are named.

    To be called before one of them is loaded. Each has formats of its own, which another process
    lists.

    Raises:
        subprocess.SubprocessError: They can't be listed.
    """
    if not access.is_limited():
        return
    command = [sys.executable, "-c", _LIST]
    listed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=LIST_S).stdout
    os.environ["GDAL_SKIP"] = ",".join(sorted(set(listed.split("\n")) - FORMATS - {""}))


_LIST = """
import rasterio, pyogrio
with rasterio.Env() as env:
    print(*env.drivers(), *pyogrio.list_drivers(), sep="\\n")
"""
