# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of a raster shows the ground, from a thinned-out read: no nodata, no cloud that a mask tells.

Touches neither layers nor widgets: it runs off the interface's thread, with GDAL and the numpy it brings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

from osgeo import gdal

from .._client.mask_names import is_quality, scheme_of

SIDE = 128
"""Pixels a side that are looked at."""
_LARGE = 20_000_000
"""Pixels; a raster of more that has no overviews is looked at in small windows: all of it would take long."""
_WINDOWS = 8
_ALPHA = 6
Window = Tuple[float, float, float, float]
"""Left, top, width and height as shares of the raster's."""


class Clear(NamedTuple):
    """The share of pixels (0 to 1) that show the ground, and of those that are 0 in all bands unsaid."""

    share: Optional[float]
    filler: Optional[float]


class Question(NamedTuple):
    """What is asked of a raster.

    Attributes:
        path: Its file.
        nodata: What the analyst told; None: the file counts.
        added: What the analyst told beside the file's own; None if nothing.
        zero_is_nodata: Whether its product has 0 there, though the file doesn't say so.
        beside: Files of the same day and place that may be its masks.
    """

    path: str
    nodata: Optional[float]
    added: Optional[float]
    zero_is_nodata: bool
    beside: Tuple[str, ...]


def measure(question: Question) -> Clear:
    """Look at a raster; what can't be read has no shares."""
    try:
        return _measure(question)
    except (RuntimeError, OSError, ValueError, AttributeError):  # GDAL's ways to say that it can't be read
        return Clear(None, None)


def _measure(question: Question) -> Clear:
    import numpy as np

    dataset = gdal.OpenEx(question.path, gdal.OF_RASTER | gdal.OF_READONLY)
    if dataset is None:
        return Clear(None, None)
    stem = Path(question.path).stem
    bands = [dataset.GetRasterBand(number) for number in range(1, dataset.RasterCount + 1)]
    masks, data = [], []
    for band in bands:
        name = band.GetDescription() or (stem if len(bands) == 1 else "")
        scheme = scheme_of(name, stem)
        if scheme:
            masks.append((band, scheme))
        elif not is_quality(name) and band.GetColorInterpretation() != _ALPHA:
            data.append(band)
    looked = data or [band for band, _ in masks]
    if not looked:
        return Clear(None, None)
    windows = _windows(dataset)
    size = _size(dataset, windows)
    zeros, clear = True, True
    says = question.nodata is not None or question.zero_is_nodata
    for band in looked:
        values = _read(band, windows, size)
        nodata = band.GetNoDataValue() if question.nodata is None else question.nodata
        if nodata is None and question.zero_is_nodata:
            nodata = 0
        says = says or nodata is not None or values.dtype.kind == "f" or _has_mask(band)
        if data:
            clear = clear & _valid(np, band, values, (nodata, question.added), windows, size)
        zeros = zeros & (values == 0)
    seen = np.broadcast_to(clear, zeros.shape)
    for band, scheme in [*masks, *_masks_beside(question.beside)]:
        seen = seen & _scheme(scheme).is_clear(_read(band, windows, size))
    return Clear(float(seen.mean()), None if says or not data else float(zeros.mean()))


def _scheme(name: str) -> Any:
    from .._client.masks import SCHEMES

    return SCHEMES[name]


def _masks_beside(paths: Sequence[str]) -> List[Tuple[Any, str]]:
    """First bands of the files that are masks by their names."""
    found = []
    for path in paths:
        scheme = scheme_of(Path(path).stem)
        dataset = gdal.OpenEx(path, gdal.OF_RASTER | gdal.OF_READONLY) if scheme else None
        if dataset is not None and scheme:
            found.append((_Held(dataset), scheme))
    return found


class _Held:
    """A file's first band with its file, which GDAL's Python would close before it."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self.band = dataset.GetRasterBand(1)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.band, name)


def _windows(dataset: Any) -> List[Window]:
    pixels = dataset.RasterXSize * dataset.RasterYSize
    if pixels <= _LARGE or dataset.GetRasterBand(1).GetOverviewCount():
        return [(0.0, 0.0, 1.0, 1.0)]
    side = SIDE // _WINDOWS
    width, height = side / dataset.RasterXSize, side / dataset.RasterYSize
    steps = [(n + 0.5) / _WINDOWS for n in range(_WINDOWS)]
    return [(x, y, width, height) for y in steps for x in steps]


def _size(dataset: Any, windows: Sequence[Window]) -> Tuple[int, int]:
    """Columns and rows to read of each window: the same for a mask, whatever its pixels are."""
    if len(windows) > 1:
        return SIDE // _WINDOWS, SIDE // _WINDOWS
    return min(SIDE, dataset.RasterXSize), min(SIDE, dataset.RasterYSize)


def _read(band: Any, windows: Sequence[Window], size: Tuple[int, int]) -> Any:
    """(windows, rows, columns) by nearest neighbour."""
    import numpy as np

    read = []
    for left, top, width, height in windows:
        column, row = int(left * band.XSize), int(top * band.YSize)
        columns = min(max(round(width * band.XSize), 1), band.XSize - column)
        rows = min(max(round(height * band.YSize), 1), band.YSize - row)
        values = band.ReadAsArray(column, row, columns, rows, buf_xsize=size[0], buf_ysize=size[1])
        if values is None:
            raise OSError("unreadable")
        read.append(values)
    return np.stack(read)


def _has_mask(band: Any) -> bool:
    return bool(band.GetMaskFlags() & gdal.GMF_PER_DATASET)


def _valid(
    np: Any,
    band: Any,
    values: Any,
    nodatas: Sequence[Optional[float]],
    windows: Sequence[Window],
    size: Tuple[int, int],
) -> Any:
    valid = np.isfinite(values)
    for nodata in nodatas:
        if nodata is not None and np.isfinite(nodata):
            with np.errstate(over="ignore"):
                valid &= values != (values.dtype.type(nodata) if values.dtype.kind == "f" else nodata)
    return valid & (_read(band.GetMaskBand(), windows, size) > 0) if _has_mask(band) else valid
