# SPDX-License-Identifier: GPL-3.0-or-later
"""What a raster file refers to, found out without opening it: the parts of a virtual raster (GDAL's VRT)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree as ET

from timo import access
from timo.access import Access
from timo.errors import AccessError

# Formats whose files hold all that they show, or lie beside each other under one name. Others name files, or
# addresses, anywhere; they are for a process that may use everything.
SELF_CONTAINED = (
    "GTiff", "VRT", "netCDF", "JP2OpenJPEG", "PNG", "JPEG", "GIF", "BMP", "WEBP", "AAIGrid", "ENVI", "EHdr",
    "GPKG", "SAGA", "SRTMHGT", "DTED", "MEM",
)  # fmt: skip
# Files that GDAL reads with another by itself: a link among them is a way out.
_BESIDE = (".aux.xml", ".ovr", ".msk", ".hdr", ".dbf", ".shx", ".prj", ".cpg", ".qix", ".sbn", ".tfw", ".j2w")
_ROOT = b"<VRTDataset"
_HEAD = 8192
_LARGEST = 16 * 1024 * 1024
_DEEPEST = 8
_SUBDATASET = re.compile(r'(?:NETCDF:"?(?P<netcdf>[^"]+?)"?:[^:"]*|GTIFF_DIR:(?:off:)?\d+:(?P<tiff>.+))')


def demand(path: Path) -> None:
    """Refuse a raster or vector file that this process may not use, or that is made of such ones.

    Raises:
        AccessError: ``path_denied``, naming the file, or the part that a virtual raster refers to.
    """
    allowed = access.present()
    if allowed is None:
        return
    allowed.demand(path)
    for end in _BESIDE:
        for beside in {path.with_suffix(end), path.with_name(path.name + end)}:
            if beside.is_symlink():
                allowed.demand(beside)
    side = path.with_name(path.name + ".aux.xml")
    for one in (path, side):
        try:
            status = one.stat()
        except OSError:
            continue
        _demand_parts(one, allowed, (status.st_size, status.st_mtime_ns, status.st_ino))


def formats(*, remote: bool) -> list[str] | None:
    """GDAL's names of the formats that this process may read; None for all."""
    allowed = access.present()
    if allowed is None or allowed.roots is None:
        return None
    # The parts of a virtual raster on a server can't be checked; they may be files of this machine.
    return [name for name in SELF_CONTAINED if not (remote and name == "VRT")]


@lru_cache(maxsize=4096)
def _demand_parts(path: Path, allowed: Access, _stamp: object) -> None:
    _check(path, allowed, 0)


def _check(path: Path, allowed: Access, depth: int) -> None:
    if not path.is_file():
        return
    with path.open("rb") as file:
        head = file.read(_HEAD)
        if _ROOT not in head and not path.name.endswith(".aux.xml"):
            return
        text = head + file.read(_LARGEST)
    if depth > _DEEPEST or len(text) > _LARGEST:
        raise _refused(path, "refers to too many others")
    _check_text(text, path, allowed, depth)


def _check_text(text: bytes, path: Path, allowed: Access, depth: int) -> None:
    if b"<!" in text.replace(b"<!--", b"").replace(b"<![CDATA[", b""):
        raise _refused(path, "declares a document type or entities")
    try:
        root = ET.fromstring(text)  # noqa: S314 - neither entities nor a document type
    except ET.ParseError as error:
        raise _refused(path, f"is no XML ({error})") from error
    for element in root.iter():
        value = (element.text or "").strip()
        if element.tag == "PixelFunctionLanguage" and value.lower() != "c":
            raise _refused(path, f"has pixels computed by a program in {value}")
        names_file = element.tag.endswith("Filename") or element.tag == "SourceDataset"
        if names_file and value:
            # GDAL's own default is the working folder.
            folder = path.parent if element.get("relativeToVRT") == "1" else Path()
            _check_part(value, folder, path, allowed, depth)
        for other in _texts(element) if not names_file else element.attrib.values():
            _check_mention(other.strip(), path, allowed)


def _texts(element: ET.Element) -> Iterator[str]:
    yield element.text or ""
    yield from element.attrib.values()


def _check_part(value: str, folder: Path, path: Path, allowed: Access, depth: int) -> None:
    """A part may be a file, a subdataset, or another virtual raster as text."""
    if value.startswith("<"):
        if depth >= _DEEPEST:
            raise _refused(path, "refers to too many others")
        _check_text(value.encode(), path, allowed, depth + 1)
        return
    if subdataset := _SUBDATASET.fullmatch(value):
        value = subdataset["netcdf"] or subdataset["tiff"]
    part = folder / value if access.is_plain(value) else value
    _demand_part(part, value, path, allowed)
    _check(Path(part), allowed, depth + 1)


def _check_mention(value: str, path: Path, allowed: Access) -> None:
    """Other texts are mostly numbers and names; one that is a file's path is taken for one."""
    if not value or len(value) > 4096 or "\0" in value:
        return
    if value.lower().startswith("/vsi"):
        raise _refused(path, f"refers to {value}")
    for place in (path.parent / value, Path(value)):
        if os.path.lexists(place):
            _demand_part(place, value, path, allowed)


def _demand_part(place: str | Path, value: str, path: Path, allowed: Access) -> None:
    try:
        allowed.demand(place)
    except AccessError as error:
        raise _refused(path, f"refers to {value}, which may not be used") from error


def _refused(path: Path, why: str) -> AccessError:
    return AccessError(
        "path_denied",
        f"The virtual raster {path} is not opened: it {why}.",
        "Make it of files in the folders that the job may use, or give those files themselves.",
        detail={"path": str(path)},
    )
