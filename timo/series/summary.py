# SPDX-License-Identifier: GPL-3.0-or-later
"""What was found as a series, as JSON values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from timo.series.bands import Band
from timo.series.catalog import Frame
from timo.series.facts import source_of

if TYPE_CHECKING:
    from timo.series.series import Series

NEARLY_EMPTY = 0.10  # a date with a smaller share of valid pixels is named as a problem


def summarise(series: Series) -> dict[str, Any]:
    """Dates, bands, masks, grid, what is left out and every problem. Reads every pixel once."""
    dates, problems = [], list(series.problems)
    for frame, share, files in zip(series.frames, series.clear_shares(), series.files, strict=True):
        problem = frame.problem
        if share < NEARLY_EMPTY and not frame.missing:
            valid = "none" if share == 0 else "less than 1 %" if share < 0.01 else f"only {share * 100:.0f} %"
            empty = f"{frame.date} is nearly empty: {valid} of its pixels are valid in all bands."
            problem = f"{problem} {empty}" if problem else empty
            problems.append(empty)
        dates.append(
            {
                "date": frame.date.isoformat(),
                "files": list(_of_bands(frame)),
                "masks": [name for name in files if name not in _of_bands(frame)],
                "sensor": _sensor(frame),
                "mask": ", ".join(frame.masks) or None,
                "clear": round(float(share), 4),
                "problem": problem,
            }
        )
    return {
        "dates": dates,
        "bands": [_band(band) for band in series.bands],
        "masks": _masks(series),
        "grid": series.grid.to_dict(),
        "left_out": [{"path": item.path, "reason": item.reason} for item in series.left_out],
        "problems": problems,
    }


def _of_bands(frame: Frame) -> dict[str, None]:
    return dict.fromkeys(source_of(raster.path) for raster in frame.rasters)


def _sensor(frame: Frame) -> str | None:
    sensors = dict.fromkeys(band.sensor for raster in frame.rasters for band in raster.bands if band.sensor)
    return ", ".join(sensors) or None


def _band(band: Band) -> dict[str, Any]:
    return {
        "name": band.name,
        "role": band.role,
        "sensor": band.sensor,
        "scale": band.scale,
        "offset": band.offset,
        "nodata": None if band.nodata is None or math.isnan(band.nodata) else band.nodata,
        "unit": band.unit,
    }


def _masks(series: Series) -> list[dict[str, Any]]:
    """Each kind of mask, what it hides, and at how many dates it is used."""
    hides = {
        mask.scheme.title: mask.scheme.hides
        for frame in series.frames
        for raster in frame.rasters
        for mask in raster.masks
    }
    return [
        {"name": title, "hides": words, "dates": sum(title in frame.masks for frame in series.frames)}
        for title, words in hides.items()
    ]
