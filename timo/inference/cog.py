# SPDX-License-Identifier: GPL-3.0-or-later
"""Pieces of a raster made one cloud-optimised GeoTIFF (COG) with overviews, colours, names and provenance."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import rasterio
import rasterio.shutil

from timo.inference.chips import Rectangle
from timo.inference.outputs import Output
from timo.inference.sidecars import category_names, paletted_style, rgb
from timo.inference.targets import Targets, told
from timo.series import virtual
from timo.series.facts import reason
from timo.series.grid import Grid

TILE = 512
_LOOK = 0.05  # seconds between two looks at a file that grows
_NAMES = {"uint8": "Byte", "uint16": "UInt16", "int32": "Int32", "float32": "Float32"}  # GDAL's types


@dataclass(frozen=True)
class Piece:
    """A file with all bands of a rectangle of the raster."""

    path: Path
    place: Rectangle


def write_cog(
    output: Output,
    grid: Grid,
    pieces: Iterable[Piece],
    tags: Mapping[str, str],
    targets: Targets,
    tick: Callable[[int], None],
) -> Path:
    """Make one raster of its pieces; what none covers is nodata.

    Args:
        output: Which raster.
        grid: Its CRS, transform and size.
        pieces: Its parts; their band ``output.first`` and those that follow.
        tags: Provenance, for the file's metadata.
        targets: Gets the raster and the files beside it.
        tick: Called now and then with the bytes written so far; may raise to stop.

    Returns:
        Where it is until all targets are put in place.

    Raises:
        OutputError: It can't be written, or is not all on the disk.
    """
    path = Path(output.path)
    partial = targets.new(path)
    mosaic = targets.new(path.with_suffix(".vrt"))
    with told(path):
        mosaic.write_bytes(_mosaic(output, grid, pieces, {**tags, **output.tags}))
        _copy(mosaic, partial, "mode" if output.classes else "average", tick)
        targets.drop(mosaic)
        _check_whole(partial)
    aux = path.with_name(path.name + ".aux.xml")
    files = {}
    if output.classes:
        files[path.with_suffix(".qml")] = paletted_style(output.classes)
        files[aux] = category_names(output.classes)
    else:
        targets.without(aux)  # statistics of a map that stood here before
    for target, content in files.items():
        with told(target):
            targets.new(target).write_bytes(content)
    return partial


def _mosaic(output: Output, grid: Grid, pieces: Iterable[Piece], tags: Mapping[str, str]) -> bytes:
    """A virtual raster (GDAL's VRT) of the pieces."""
    pieces = list(pieces)
    root = ET.Element("VRTDataset", rasterXSize=str(grid.width), rasterYSize=str(grid.height))
    if grid.rasterio_crs is not None:
        ET.SubElement(root, "SRS", dataAxisToSRSAxisMapping="1,2").text = grid.rasterio_crs.to_wkt()
    if not grid.transform.is_identity:
        ET.SubElement(root, "GeoTransform").text = ", ".join(repr(v) for v in grid.transform.to_gdal())
    metadata = ET.SubElement(root, "Metadata")
    for key, value in tags.items():
        ET.SubElement(metadata, "MDI", key=key).text = value
    kind = _NAMES[output.dtype]
    for index, name in enumerate(output.bands):
        band = ET.SubElement(root, "VRTRasterBand", dataType=kind, band=str(index + 1))
        ET.SubElement(band, "Description").text = name
        ET.SubElement(band, "NoDataValue").text = "nan" if output.nodata is None else str(output.nodata)
        if output.classes and output.dtype in ("uint8", "uint16"):
            _colors(band, output)
        for piece in pieces:
            _source(band, piece, output.first + index + 1, kind)
    return bytes(ET.tostring(root, encoding="utf-8"))


def _colors(band: ET.Element, output: Output) -> None:
    ET.SubElement(band, "ColorInterp").text = "Palette"
    colors = {c.value: rgb(c.color) for c in output.classes}
    table = ET.SubElement(band, "ColorTable")
    for value in range(max(colors) + 1):
        entry = colors.get(value, (0, 0, 0))
        shown = {f"c{i}": str(part) for i, part in enumerate((*entry, 255), 1)}
        ET.SubElement(table, "Entry", shown)


def _source(band: ET.Element, piece: Piece, number: int, kind: str) -> None:
    virtual.demand(piece.path)
    place = piece.place
    size = {"xSize": str(place.width), "ySize": str(place.height)}
    source = ET.SubElement(band, "SimpleSource")
    ET.SubElement(source, "SourceFilename", relativeToVRT="0").text = str(piece.path.absolute())
    ET.SubElement(source, "SourceBand").text = str(number)
    # With these GDAL opens a piece when it is read, not all at once.
    ET.SubElement(
        source, "SourceProperties", RasterXSize=size["xSize"], RasterYSize=size["ySize"], DataType=kind
    )
    ET.SubElement(source, "SrcRect", {"xOff": "0", "yOff": "0", **size})
    ET.SubElement(source, "DstRect", {"xOff": str(place.column), "yOff": str(place.row), **size})


def _copy(source: Path, target: Path, resampling: str, tick: Callable[[int], None]) -> None:
    """GDAL's own COG driver; in a thread, since rasterio can't ask whether to go on.

    If ``tick`` raises, the thread ends with the process, or when it is done.
    """
    failed: list[OSError] = []

    def copy() -> None:
        try:
            rasterio.shutil.copy(
                source, target, driver="COG", compress="deflate", predictor="yes", blocksize=TILE,
                overview_resampling=resampling, bigtiff="if_safer", num_threads="all_cpus",
            )  # fmt: skip
        except Exception as error:  # GDAL's own have no public type
            failed.append(OSError(errno.EIO, reason(error)))

    thread = threading.Thread(target=copy, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_LOOK)
        tick(target.stat().st_size if target.exists() else 0)
    if failed:
        raise failed[0]


def _check_whole(path: Path) -> None:
    """GDAL writes the last tiles when it closes the file, and tells no failure: is each within the file?"""
    with path.open("r+b") as file:  # Windows syncs no file that is open for reading alone
        os.fsync(file.fileno())
        size = file.seek(0, os.SEEK_END)
    with rasterio.open(path) as written:
        for (row, column), _ in written.block_windows(1):
            for band in written.indexes:
                first, length = (
                    written.get_tag_item(f"BLOCK_{what}_{column}_{row}", dm="TIFF", bidx=band)
                    for what in ("OFFSET", "SIZE")
                )
                if first is None or length is None or int(first) + int(length) > size:
                    raise OSError(errno.EIO, "a part of it is missing")
