# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing results as GeoTIFFs that appear whole or not at all, with colours, names and provenance."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window

from timo.errors import OutputError
from timo.series.rasters import reason

if TYPE_CHECKING:
    from timo.series.grid import Grid
    from timo.series.labels import ClassScheme

PROBABILITY_SCALE = 250
PROBABILITY_NODATA = 255


def check_folder(folder: Path) -> None:
    """Fail if no file can be made in a folder.

    Raises:
        OutputError: Naming the folder.
    """
    if not folder.is_dir():
        raise OutputError(
            "output_no_folder",
            f"The folder '{folder}' for the output does not exist.",
            "Make it, or pick another.",
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(
            "output_unwritable",
            f"The folder '{folder}' cannot be written to.",
            "Pick one that you may write to.",
        )


def check_raster(path: Path, *, overwrite: bool, sources: Sequence[Path] = ()) -> None:
    """Fail early, before hours of work, if a raster cannot be written where it shall stand.

    Raises:
        OutputError: Naming the path and the reason.
    """
    check_folder(path.parent)
    if path.suffix.lower() not in (".tif", ".tiff"):
        raise OutputError(
            "output_suffix",
            f"The output '{path}' is not named as a GeoTIFF.",
            "Give it a name that ends in .tif.",
        )
    if path.is_dir():
        raise OutputError("output_is_folder", f"The output '{path}' is a folder.", "Give the name of a file.")
    if any(path.exists() and source.exists() and path.samefile(source) for source in sources):
        raise OutputError(
            "output_is_input",
            f"The output '{path}' is one of the inputs.",
            "Pick another name for the output.",
        )
    if path.exists() and not overwrite:
        raise OutputError(
            "output_exists", f"'{path}' exists already.", "Pick another name, or allow it to be overwritten."
        )


def map_type(values: Sequence[int]) -> tuple[str, int]:
    """Data type and nodata value of a map of these class values: the smallest that has room for both."""
    for dtype in ("uint8", "uint16", "int32"):
        info = np.iinfo(dtype)
        if info.min <= min(values) and max(values) <= info.max:
            taken = set(values)
            for nodata in itertools.chain((info.max, info.min), range(info.max)):
                if nodata not in taken:
                    return dtype, int(nodata)
    raise OutputError(
        "class_values", "The class values do not fit a raster of 32 bits.", "Renumber the classes from 1."
    )


class RasterWriter:
    """A GeoTIFF written block by block under a temporary name, and renamed when all is done.

    Use as a context manager: left by an exception it removes what it wrote, else it puts the file in place.

    Args:
        path: Where the file shall stand.
        grid: Its CRS, transform and size.
        dtype: Its data type.
        nodata: Its nodata value.
        bands: Names of its bands.
        tags: Provenance: goes into the file's metadata.
        scheme: The classes, if the raster holds class values: gives it colours, names and a QGIS style.
    """

    def __init__(
        self,
        path: Path,
        grid: Grid,
        *,
        dtype: str,
        nodata: float,
        bands: Sequence[str],
        tags: Mapping[str, str],
        scheme: ClassScheme | None = None,
    ) -> None:
        self.path = path
        self.partial = path.with_name(f".{path.name}.partial")
        self.scheme = scheme
        self.nodata = nodata
        self.dtype = dtype
        self._finished: list[tuple[Path, Path]] = []
        """Files that are complete, each with the name that it gets."""
        profile: dict[str, Any] = {
            "driver": "GTiff", "dtype": dtype, "nodata": nodata, "count": len(bands),
            "width": grid.width, "height": grid.height, "crs": grid.crs, "transform": grid.transform,
            "tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate",
            "predictor": 1 if dtype == "uint8" else 3 if dtype.startswith("float") else 2,
            "bigtiff": "if_safer",
        }  # fmt: skip
        with self._told():
            self.dataset = rasterio.open(self.partial, "w", **profile)
            self.dataset.update_tags(**tags)
            self.dataset.descriptions = tuple(bands)
            if scheme is not None and dtype in ("uint8", "uint16"):
                self.dataset.write_colormap(1, {c.value: (*_rgb(c.color), 255) for c in scheme.classes})

    def write(self, values: NDArray[Any], rows: slice, columns: slice) -> None:
        """Write a block, (bands, rows, columns) or (rows, columns)."""
        window = Window.from_slices(rows, columns)
        with self._told():
            self.dataset.write(values if values.ndim == 3 else values[None], window=window)

    def finish(self) -> None:
        """Complete the file under its temporary name, so that of several none is in place before all are.

        Raises:
            OutputError: What was written is not all on the disk.
        """
        if self._finished:
            return
        with self._told():
            self.dataset.close()
            with self.partial.open("rb") as file:
                os.fsync(file.fileno())
            self._check_whole()
            self._finished.append((self.partial, self.path))
            for target, content in self._sidecars().items():
                partial = target.with_name(f".{target.name}.partial")
                self._finished.insert(0, (partial, target))
                partial.write_bytes(content)

    def __enter__(self) -> RasterWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with self._told():
                if kind is not None:
                    self.dataset.close()
                    return
                self.finish()
                self._aux.unlink(missing_ok=True)  # statistics of a map that stood here before
                for partial, target in self._finished:
                    partial.replace(target)
        finally:
            for partial in (self.partial, *(one for one, _ in self._finished)):
                partial.unlink(missing_ok=True)

    def _check_whole(self) -> None:
        """Read every block again: GDAL writes the last ones when it closes the file, and tells no failure."""
        try:
            with rasterio.open(self.partial) as written:
                for (row, column), window in written.block_windows(1):
                    sizes = [
                        written.get_tag_item(f"BLOCK_SIZE_{column}_{row}", dm="TIFF", bidx=band)
                        for band in written.indexes
                    ]
                    if None in sizes:
                        raise OSError(errno.EIO, "a part of it is missing")
                    written.read(window=window)
        except (OSError, RasterioError) as error:
            raise OSError(errno.EIO, f"what was written can't be read again ({reason(error)})") from None

    @property
    def _aux(self) -> Path:
        return self.path.with_name(self.path.name + ".aux.xml")

    def _sidecars(self) -> dict[Path, bytes]:
        files: dict[Path, bytes] = {}
        if self.scheme is not None:
            files[self.path.with_suffix(".qml")] = paletted_style(self.scheme)
            if self.dtype in ("uint8", "uint16"):
                files[self._aux] = category_names(self.scheme)
        return files

    @contextlib.contextmanager
    def _told(self) -> Any:
        try:
            yield
        except (OSError, RasterioError) as error:
            raise OutputError(
                "output_unwritable",
                f"'{self.path}' cannot be written: {reason(error)}.",
                "Pick a folder that you may write to, on a disk with space.",
            ) from error


def category_names(scheme: ClassScheme) -> bytes:
    """GDAL's sidecar (PAM) with a name for each class value; rasterio cannot set them."""
    names = {c.value: c.name for c in scheme.classes}
    root = ET.Element("PAMDataset")
    band = ET.SubElement(root, "PAMRasterBand", band="1")
    categories = ET.SubElement(band, "CategoryNames")
    for value in range(max(names) + 1):
        ET.SubElement(categories, "Category").text = names.get(value, "")
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True))


def paletted_style(scheme: ClassScheme) -> bytes:
    """A QGIS style (.qml) that names and colours the classes; beside the map QGIS takes it by itself."""
    root = ET.Element("qgis", version="3.22")
    pipe = ET.SubElement(root, "pipe")
    renderer = ET.SubElement(
        pipe, "rasterrenderer", type="paletted", band="1", opacity="1", alphaBand="-1", nodataColor=""
    )
    palette = ET.SubElement(renderer, "colorPalette")
    for c in scheme.classes:
        ET.SubElement(palette, "paletteEntry", value=str(c.value), color=c.color, label=c.name, alpha="255")
    return b"<!DOCTYPE qgis>\n" + bytes(ET.tostring(root, encoding="utf-8"))


def _rgb(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)
