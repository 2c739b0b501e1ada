# SPDX-License-Identifier: GPL-3.0-or-later
"""What each file of a date is to the series: bands to learn from, or a mask that tells what is valid."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from timo.series.band_names import role_of
from timo.series.bands import Band, is_radar
from timo.series.facts import Facts, Mask, Raster, name_of, read_facts
from timo.series.mask_names import is_quality, scheme_of
from timo.series.masks import SCHEMES, Scheme
from timo.series.presets import is_auxiliary
from timo.series.sources import DatedFile
from timo.series.tiles import same_extent

# Masks that come with one sensor; the others are made for any.
_SENSORS = {
    "SCL": ("sentinel-2",),
    "CLM": ("sentinel-2",),
    "QA60": ("sentinel-2",),
    "QA_PIXEL": ("landsat", "hls"),
    "QA_RADSAT": ("landsat", "hls"),
    "pixel_qa": ("landsat",),
    "BQA": ("landsat",),
    "pixel reliability": ("modis",),
    "state QA": ("modis",),
}


@dataclass(frozen=True)
class Layers:
    """A file's parts: its raster (None if all is mask), its masks, and why it is left out if it is."""

    file: DatedFile
    raster: Raster | None
    masks: tuple[Mask, ...] = ()
    unused: str | None = None
    notes: tuple[str, ...] = field(default=())


def read_layers(file: DatedFile) -> Layers:
    """Open a file and part it.

    Raises:
        SeriesError: It can't be read as a raster.
    """
    facts = read_facts(file.path, file.variable)
    raster = facts.raster(file.bands, file.names, file.told)
    notes: tuple[str, ...] = (file.note,) if file.note else ()
    if file.mask:
        return Layers(file, None, (_mask(facts, raster, raster.bands[0], SCHEMES[file.mask]),), notes=notes)
    stem = name_of(file.path)
    data: list[Band] = []
    masks: list[Mask] = []
    quality: list[str] = []
    for band in raster.bands:
        scheme = scheme_of(band.name, stem)
        if scheme is None and len(raster.bands) == 1 and _tells_nothing(band):
            scheme = scheme_of(stem)
        if scheme:
            masks.append(_mask(facts, raster, band, SCHEMES[scheme]))
        elif band.role is None and is_quality(band.name):
            quality.append(band.name)
        else:
            data.append(band)
    if len(raster.bands) == 1 and is_auxiliary(stem):
        return Layers(file, None, unused="It is no measurement of the ground.")
    if data and facts.palette:
        return Layers(
            file, None, unused="Its numbers stand for colours or classes, they are no measurements."
        )
    if quality:
        notes += (
            f"The quality layer {', '.join(quality)} is in no form that is known here, and isn't used.",
        )
    if not data:
        return Layers(file, None, tuple(masks), None if masks else "It tells quality alone.", notes)
    return Layers(file, raster.only(data), tuple(masks), notes=notes)


def _tells_nothing(band: Band) -> bool:
    """Whether a band's name leaves it to the file's name what it is; programs write Band 1 by themselves."""
    return role_of(band.name) is None and (
        re.fullmatch(r"b(?:and)?[ _-]?1", band.name, re.IGNORECASE) is not None
        or role_of(band.name, band.sensor) is None
    )


def _mask(facts: Facts, raster: Raster, band: Band, scheme: Scheme) -> Mask:
    """A band as a mask; a nodata value under which the ground is seen is the other bands', not the mask's."""
    nodata = facts.nodatas[facts.indexes.index(band.index)]
    if nodata is not None and np.isfinite(nodata) and scheme.is_clear(np.array([nodata]))[0]:
        nodata = None
    return Mask(raster.only([replace(band, nodata=nodata, scale=1.0, offset=0.0, limits=None)]), scheme)


def attach_masks(layers: Sequence[Layers]) -> list[tuple[Raster, Layers]]:
    """The rasters of one date, each with the masks that speak of it.

    Those of its own file do; those of other files where their sensor fits, and of these, if some have the
    raster's very extent, only they: each tile has its own.
    """
    free = [mask for one in layers if one.raster is None for mask in one.masks]
    found = []
    for one in layers:
        if one.raster is None:
            continue
        masks = list(one.masks)
        if not is_radar(one.raster.bands):
            own = {mask.scheme.title for mask in masks}
            for title in dict.fromkeys(mask.scheme.title for mask in free if mask.scheme.title not in own):
                fitting = [m for m in free if m.scheme.title == title and _speaks_of(m, one.raster)]
                exact = [m for m in fitting if same_extent(m.raster.grid, one.raster.grid)]
                masks += exact or fitting
        found.append((replace(one.raster, masks=tuple(masks)), one))
    return found


def _speaks_of(mask: Mask, raster: Raster) -> bool:
    sensors = _SENSORS.get(mask.scheme.title)
    sensor = raster.bands[0].sensor
    return sensors is None or sensor is None or sensor.startswith(sensors)
