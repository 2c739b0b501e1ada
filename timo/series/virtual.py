# SPDX-License-Identifier: GPL-3.0-or-later
"""What else would be read with a file, found out before it is opened: the parts of a virtual raster (a VRT).

A process that nobody restricted opens whatever it is given. One that a backend started reads no virtual
raster that is computed by a program in it, or made of what lies on servers and in archives. Where folders are
named, it reads formats alone whose files hold all that they show, and follows what they refer to.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree as ET

import rasterio
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from timo import access
from timo.access import Access
from timo.errors import AccessError

# What files begin with that hold all that they show. An HDF5 file, a netCDF of version 4 among them, may be
# made of parts of any others.
_RASTERS = (
    b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"CDF",
    b"\0\0\0\x0cjP", b"\xff\x4f\xff\x51",
)  # fmt: skip
_VECTORS = (b"SQLite format 3\0", b"\0\0\x27\x0a", b"fgb", b"{", b"\xef\xbb\xbf{")
_TIFFS = _RASTERS[:4]
_FORMATS = ("GTiff", "VRT", "netCDF", "JP2OpenJPEG", "PNG", "JPEG", "GIF", "WEBP")
# Of a server's files no beginning is looked at.
_REMOTE_FORMATS = ("GTiff", "JP2OpenJPEG", "PNG", "JPEG")
_READ_TOO = (".ovr", ".msk", ".aux", ".aux.xml")  # with a raster of the name before, by itself
_ROOT = b"<VRTDataset"
_HEAD = 8192
_LARGEST = 64 * 1024 * 1024
_DEEPEST, _MOST = 8, 20_000
# GDAL's names for a part of a file: of a format, the file, and what of it.
_SUBDATASET = re.compile(
    r'(?:NETCDF|HDF5|HDF4_SDS|HDF4_EOS\w*|SENTINEL2_\w+|GPKG):"?(?P<file>(?:[A-Za-z]:[\\/])?[^":]+)"?(?::.*)?'
    r"|GTIFF_(?:DIR|RAW):(?:(?:off:)?\d+:)?(?P<tiff>.+)"
)
_ENCODING = re.compile(rb"""<\?xml[^>]*encoding\s*=\s*['"](?!utf-8['"])""", re.IGNORECASE)
_FROM_HERE = ":::BASE:::"  # the folder of the file that says so


def demand(path: Path) -> None:
    """Refuse a raster that this process may not read, or that is made of such ones.

    Raises:
        AccessError: ``path_denied``, naming the file, or what it refers to.
    """
    allowed = access.present()
    if allowed is None:
        return
    allowed.demand(path)
    try:
        status, folder = path.stat(), path.parent.stat()
    except OSError:  # opening it will say so
        return
    _examine(path, allowed, (status.st_size, status.st_mtime_ns, status.st_ino, folder.st_mtime_ns))


def demand_vector(path: Path) -> None:
    """Refuse a file of features that this process may not read.

    Raises:
        AccessError: ``path_denied``, naming the file, or one beside it.
    """
    allowed = access.present()
    if allowed is None:
        return
    allowed.demand(path)
    if allowed.roots is None:
        return
    if not may_be_vector(path):
        raise AccessError(
            "path_denied",
            f"{path} is of a format that may refer to files outside the folders that this job may use.",
            "Save it as a GeoPackage.",
            detail={"path": str(path)},
        )
    _Examination(allowed).demand_beside(path)


def may_be_vector(path: Path) -> bool:
    """Whether a file is of features, of a format that a process may read to which folders are named."""
    allowed = access.present()
    return allowed is None or allowed.roots is None or _head(path).lstrip(b" \r\n\t").startswith(_VECTORS)


def formats(*, remote: bool) -> list[str] | None:
    """GDAL's names of the formats that this process may read; None for all."""
    allowed = access.present()
    if allowed is None or allowed.roots is None:
        return None
    return list(_REMOTE_FORMATS if remote else _FORMATS)


def demand_own_overviews(path: Path, dataset: DatasetReader) -> None:
    """Refuse an open raster whose metadata name another file as its overviews, which were not read so far.

    Raises:
        AccessError: ``path_denied``, naming the file.
    """
    allowed = access.present()
    if allowed is not None and allowed.roots is not None and dataset.tags(ns="OVERVIEWS"):
        raise _refused(path, "names another file as its overviews")


@lru_cache(maxsize=4096)
def _examine(path: Path, allowed: Access, _stamp: object) -> None:
    _Examination(allowed).examine(path, 0)


class _Examination:
    """Of one file, and of all that is read with it."""

    def __init__(self, allowed: Access) -> None:
        self.allowed = allowed
        self.strict = allowed.roots is not None
        self.seen: set[str] = set()

    def examine(self, path: Path, depth: int) -> None:
        """A file that may be used itself."""
        if str(path) in self.seen or not path.is_file():
            return
        self.seen.add(str(path))
        if depth > _DEEPEST or len(self.seen) > _MOST:
            raise _refused(path, "refers to too many others")
        head = _head(path)
        if self.strict:
            for beside in self.demand_beside(path):
                self.examine(beside, depth + 1)
        if path.name.lower().endswith(".aux.xml"):
            if self.strict:
                self._document(path.read_bytes(), path, depth)
        elif _ROOT in head:
            self._document(path.read_bytes(), path, depth)
        elif self.strict and not head.startswith(_RASTERS):
            raise _refused(path, "is of a format that may refer to files outside the folders of this job")
        elif self.strict and depth and head.startswith(_TIFFS):
            _demand_tiff(path)

    def demand_beside(self, path: Path) -> Iterator[Path]:
        """Refuse links among the files of the same name; those that are read with it."""
        found = []
        for name, is_link in _entries(path.parent, path.parent.stat().st_mtime_ns):
            low = name.lower()
            if not low.startswith((path.name.lower() + ".", path.stem.lower() + ".")) or name == path.name:
                continue
            if is_link:
                self.allowed.demand(path.parent / name)
            if low.endswith(_READ_TOO):
                found.append(path.parent / name)
        return iter(found)

    def _document(self, text: bytes, path: Path, depth: int) -> None:
        if len(text) > _LARGEST:
            raise _refused(path, f"is larger than {_LARGEST >> 20} MiB")
        plain = text.replace(b"<!--", b"").replace(b"<![CDATA[", b"")
        if b"<!" in plain or _ENCODING.search(text[:_HEAD]):
            raise _refused(path, "declares a document type, entities or another encoding than UTF-8")
        try:
            root = ET.fromstring(text)  # noqa: S314 - neither entities nor a document type
        except ET.ParseError as error:
            raise _refused(path, f"is no XML ({error})") from error
        for element in root.iter():
            self._element(element, path, depth)

    def _element(self, element: ET.Element, path: Path, depth: int) -> None:
        # GDAL takes names in either case.
        tag, value = element.tag.lower(), element.text or ""
        given = {name.lower(): text for name, text in element.attrib.items()}
        if tag == "pixelfunctionlanguage" and value.strip().lower() != "c":
            raise _refused(path, f"has pixels computed by a program in {value.strip()}")
        if (tag.endswith("filename") or tag == "sourcedataset") and value.strip():
            relative = given.pop("relativetovrt", "0")
            if relative not in ("0", "1"):
                raise _refused(path, f"says '{relative}' where 0 or 1 is meant")
            folder = path.parent if relative == "1" else Path()  # GDAL's own default is the working folder
            for spelled in dict.fromkeys((value, value.strip())):
                self._part(spelled, folder, path, depth)
        else:
            given[""] = value
        for text in given.values():
            self._mention(text, path, depth)

    def _part(self, value: str, folder: Path, path: Path, depth: int) -> None:
        """A file, a part of one, or another virtual raster as text."""
        if value.lstrip().startswith("<"):
            if depth >= _DEEPEST:
                raise _refused(path, "refers to too many others")
            self._document(value.lstrip().encode(), path, depth + 1)
            return
        if subdataset := _SUBDATASET.fullmatch(value):
            value = subdataset["file"] or subdataset["tiff"]
        self._demand(folder / value if access.is_plain(value) else value, value, path)
        self.examine(folder / value, depth + 1)

    def _mention(self, value: str, path: Path, depth: int) -> None:
        """Other texts are mostly numbers and names; one that is a file's path is taken for one."""
        if len(value) > 4096 or "\0" in value:
            return
        for spelled in dict.fromkeys((value, value.strip())):
            if spelled.lower().startswith("/vsi"):
                raise _refused(path, f"refers to {spelled}")
            place = path.parent / spelled.removeprefix(_FROM_HERE)
            if self.strict and spelled.strip("./\\ \r\n\t") and os.path.lexists(place):
                self._demand(place, spelled, path)
                self.examine(place, depth + 1)

    def _demand(self, place: str | Path, value: str, path: Path) -> None:
        try:
            self.allowed.demand(place)
        except AccessError as error:
            raise _refused(path, f"refers to {value}, which may not be used") from error


def _demand_tiff(path: Path) -> None:
    try:
        with rasterio.open(path, driver="GTiff") as dataset:
            demand_own_overviews(path, dataset)
    except RasterioError:  # reading the virtual raster will say so
        return


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD)
    except OSError:
        return b""


@lru_cache(maxsize=256)
def _entries(folder: Path, _stamp: int) -> tuple[tuple[str, bool], ...]:
    """The names in a folder, and which are links."""
    with os.scandir(folder) as entries:
        return tuple((entry.name, entry.is_symlink()) for entry in entries)


def _refused(path: Path, why: str) -> AccessError:
    return AccessError(
        "path_denied",
        f"{path} is not opened: it {why}.",
        "Make it of GeoTIFFs in the folders that the job may use, or give those themselves.",
        detail={"path": str(path)},
    )
