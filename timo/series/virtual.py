# SPDX-License-Identifier: GPL-3.0-or-later
"""What else would be read with a file, found out before it is opened: the parts of a virtual raster (a VRT).

A process that nobody restricted opens whatever it is given. One that a backend started reads no virtual
raster that is computed by a program in it, or made of what lies on servers and in archives. Where folders are
named, it reads formats alone whose files hold all that they show, and follows what they refer to.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree as ET

import rasterio
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from timo import access
from timo.access import Access
from timo.errors import AccessError
from timo.series import readable

_READ_TOO = (".ovr", ".msk", ".aux.xml")  # with a raster of the name before, by itself
_ROOT = b"<VRTDataset"
_BEGINNING = re.compile(rb"(?:\xef\xbb\xbf)?(?:<\?xml[^>]*\?>\s*)?<VRTDataset[\s>]")
_LARGEST = 64 * 1024 * 1024
_DEEPEST, _MOST = 8, 20_000
_ENCODING = re.compile(rb"""<\?xml[^>]*encoding\s*=\s*['"](?!utf-8['"])""", re.IGNORECASE)
_SUBDATASET = re.compile(
    r"(?:NETCDF|HDF5|HDF4_\w+|SENTINEL2_\w+|GPKG|GTIFF_DIR|GTIFF_RAW|NITF_IM):(?!.*/vsi)"
)
_ADDRESS = re.compile(r"/vsi\w*[/?]|[a-z][a-z0-9+.-]*://", re.IGNORECASE)


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
    access.demand(path)
    allowed = access.present()
    if allowed is None or not access.is_limited():
        return
    if not may_be_vector(path) or readable.has_virtual_tables(path):
        raise AccessError(
            "path_denied",
            f"{path} is of a format that may refer to files outside the folders that this job may use.",
            "Save it as a GeoPackage.",
            detail={"path": str(path)},
        )
    _Examination(allowed).demand_beside(path)


def may_be_vector(path: Path) -> bool:
    """Whether a file is of features, of a format that a process may read to which folders are named."""
    return not access.is_limited() or readable.is_of(readable.VECTORS, path)


def formats(*, remote: bool) -> list[str] | None:
    """GDAL's names of the formats in which this process may read rasters; None for all."""
    if not access.is_limited():
        return None
    return list(readable.OPENED_FAR if remote else readable.OPENED)


def demand_own_overviews(path: Path, dataset: DatasetReader) -> None:
    """Refuse an open raster whose metadata name another file as its overviews, which were not read so far.

    Raises:
        AccessError: ``path_denied``, naming the file.
    """
    if access.is_limited() and dataset.tags(ns="OVERVIEWS"):
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
        """A file that may be used itself; what it names is seen from where it really lies, as GDAL does."""
        given, path = path, Path(os.path.realpath(path))
        if str(given) in self.seen or not os.path.lexists(path):
            return
        self.seen.add(str(given))
        if depth > _DEEPEST or len(self.seen) > _MOST:
            raise _refused(path, "refers to too many others")
        if not path.is_file():
            if self.strict:
                raise _refused(path, "is no file")
            return
        is_virtual = _ROOT in readable.head(path)
        if self.strict:
            for beside in self.demand_beside(given):
                if beside.name.lower().endswith(".aux.xml"):
                    self._look_beside(beside)
                else:
                    self.examine(beside, depth + 1)
            self._examine_strictly(path, depth, is_virtual=is_virtual)
        elif is_virtual:
            self._look_into(path.read_bytes(), path, depth)

    def _examine_strictly(self, path: Path, depth: int, *, is_virtual: bool) -> None:
        if is_virtual:
            if path.suffix.lower() == ".vrt" and _BEGINNING.match(readable.head(path)):
                self._read_strictly(path, depth)
                return
        elif readable.is_of(readable.RASTERS, path):
            if depth:
                _demand_plain(path)
            return
        raise _refused(path, "is of a format that may refer to files outside the folders of this job")

    def demand_beside(self, path: Path) -> list[Path]:
        """Refuse links among the files of the same name; those that are read with it."""
        entries = _entries(path.parent, path.parent.stat().st_mtime_ns)
        found = {
            name: is_link for end in (path.name, path.stem) for name, is_link in entries.get(end.lower(), ())
        }
        found.pop(path.name, None)
        for name, is_link in found.items():
            if is_link:
                self.allowed.demand(path.parent / name)
        return [path.parent / name for name in found if name.lower().endswith(_READ_TOO)]

    def _parsed(self, path: Path, text: bytes) -> Iterator[ET.Element]:
        if len(text) > _LARGEST:
            raise _refused(path, f"is larger than {_LARGEST >> 20} MiB")
        plain = text.replace(b"<!--", b"").replace(b"<![CDATA[", b"")
        if b"<!" in plain or _ENCODING.search(text[: readable.HEAD]):
            raise _refused(path, "declares a document type, entities or another encoding than UTF-8")
        try:
            return ET.fromstring(text).iter()  # noqa: S314 - neither entities nor a document type
        except ET.ParseError as error:
            raise _refused(path, f"is no XML ({error})") from error

    def _look_into(self, text: bytes, path: Path, depth: int) -> None:
        """Refuse what is never read, whatever a process may use: programs, servers and archives."""
        for element in self._parsed(path, text):
            tag = element.tag.lower().rpartition("}")[2]
            value = (element.text or "").strip()
            for name, given in {tag: value, **element.attrib}.items():
                words = given.strip()
                if name.lower() == "pixelfunctionlanguage" and words.lower() != "c":
                    raise _refused(path, f"has pixels computed by a program in {words}")
                if _ADDRESS.match(words) and (tag != "mdi" or words.lower().startswith("/vsi")):
                    raise _refused(path, f"refers to {words}, which may not be used")
            if (tag.endswith("filename") or tag == "sourcedataset") and value:
                self._look_at_part(value, element.get("relativeToVRT") == "1", path, depth)

    def _look_at_part(self, value: str, relative: bool, path: Path, depth: int) -> None:
        if value.startswith("<"):
            if depth >= _DEEPEST:
                raise _refused(path, "refers to too many others")
            self._look_into(value.encode(), path, depth + 1)
        elif access.is_plain(value):
            part = (path.parent if relative else Path()) / value
            self._demand(part, value, path)
            self.examine(part, depth + 1)
        elif not _SUBDATASET.match(value):
            raise _refused(path, f"refers to {value}, which may not be used")

    def _look_beside(self, path: Path) -> None:
        """Of what GDAL keeps beside a raster, only what names another file matters."""
        text = path.read_bytes().lower()
        if b"overview_file" in text or b"/vsi" in text or b"geolocation" in text:
            raise _refused(path, "names other files")

    def _read_strictly(self, path: Path, depth: int) -> None:
        text = path.read_bytes()
        if b"\r" in text.replace(b"\r\n", b""):
            raise _refused(path, "has a line's end that is read in two ways")
        for element in self._parsed(path, text):
            tag, value = element.tag.lower(), element.text or ""
            given = {name.lower(): text for name, text in element.attrib.items()}
            known = tag in readable.VRT_ELEMENTS and readable.VRT_ATTRIBUTES.issuperset(given)
            twice = len(given) < len(element.attrib)
            if not known or twice or given.get("domain", "").lower() not in readable.VRT_DOMAINS:
                raise _refused(path, f"has a part <{element.tag}> that is not read where folders are named")
            if tag not in readable.VRT_FILES:
                continue
            relative = given.get("relativetovrt", "0")
            fits = value == value.strip() and access.is_plain(value) and relative in ("0", "1")
            if not fits or not {"relativetovrt", "shared"}.issuperset(given):
                raise _refused(path, f"refers to {value}, which may not be used")
            part = (path.parent if relative == "1" else Path()) / value
            self._demand(part, value, path)
            self.examine(part, depth + 1)

    def _demand(self, place: Path, value: str, path: Path) -> None:
        try:
            self.allowed.demand(place)
        except AccessError as error:
            raise _refused(path, f"refers to {value}, which may not be used") from error


def _demand_plain(path: Path) -> None:
    try:
        with rasterio.open(path) as dataset:
            demand_own_overviews(path, dataset)
    except RasterioError:  # reading the virtual raster will say so
        return


@lru_cache(maxsize=256)
def _entries(folder: Path, _stamp: int) -> Mapping[str, list[tuple[str, bool]]]:
    """The names in a folder, and which are links, by what stands before any of their dots."""
    found: dict[str, list[tuple[str, bool]]] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            low, is_link = entry.name.lower(), entry.is_symlink()
            for dot in (place for place, letter in enumerate(low) if letter == "."):
                found.setdefault(low[:dot], []).append((entry.name, is_link))
    return found


def _refused(path: Path, why: str) -> AccessError:
    return AccessError(
        "path_denied",
        f"{path} is not opened: it {why}.",
        "Make it of GeoTIFFs in the folders that the job may use, or give those themselves.",
        detail={"path": str(path)},
    )
