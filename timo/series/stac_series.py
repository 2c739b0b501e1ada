# SPDX-License-Identifier: GPL-3.0-or-later
"""The scenes that a search found, as a series.

The files are read by the reader of all other series, not by ``odc.stac.load``: that one warps each window by
itself, so that in another coordinate system a pixel hangs on the window that it is read with (in a trial two
thirds of them, by up to 4 of 10,000), and it knows neither the catalogue's scale and offset nor masks.
odc-stac tells the day of a scene by the sun, and the grid around the box.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from affine import Affine

from timo.errors import SeriesError
from timo.series.bands import Band, describe_bands, is_radar
from timo.series.catalog import Frame, common_bands, touches
from timo.series.census import drop_empty
from timo.series.facts import Facts, Mask, Raster, read_facts
from timo.series.grid import Grid
from timo.series.mask_names import scheme_of
from timo.series.masks import SCHEMES
from timo.series.rasters import RasterReader
from timo.series.series import Series
from timo.series.sources import LeftOut, address_path
from timo.series.stac import Scenes, clouds_of, find_scenes
from timo.series.stac_assets import (
    AssetBand,
    added_offset,
    asset_bands,
    choose,
    offset_doubt,
    preference,
    sensor_text,
)

if TYPE_CHECKING:
    from pystac import Item

    from timo.series.stac_search import StacSearch

_OPENED = 16  # files at once: their headers are waited for, not worked on
_SAME_SIZE = 1.001  # pixels whose sides differ by less are equally fine
_CLOSE = 1e-3  # pixels: edges that differ by less are one


@dataclass(frozen=True)
class _Scene:
    """A scene, its day by the sun, its bands, and its cloud masks by their schemes."""

    item: Item
    day: dt.date
    bands: tuple[AssetBand, ...]
    masks: tuple[tuple[str, AssetBand], ...]


@dataclass(frozen=True)
class _Opened:
    """A file of a scene; ``names``: what each of its bands may be asked for by, and its key."""

    scene: _Scene
    raster: Raster
    names: list[tuple[set[str], str]]


def open_search(search: StacSearch, *, keep_empty: bool = False) -> Series:
    """Open what a search finds as one series, on the pixels of its finest band, cut to the box.

    Scenes of one day and one sensor are tiles of one frame; where they overlap, the one that was processed
    last counts, by its name. Of another sensor's scene with the same bands the first collection's counts.

    Args:
        search: What to search for.
        keep_empty: See ``timo.series.series.open_series``.

    Raises:
        SeriesError: See ``timo.series.stac.find_scenes``; or naming the asset that can't be read, or the band
            that no scene has.
    """
    scenes = _scenes(find_scenes(search))
    _check_wanted(search, scenes)
    opened = _open_all(scenes)
    grid = _grid(search, [one.raster for one in opened])
    by_day: dict[dt.date, list[_Opened]] = {}
    left_out: list[LeftOut] = []
    for one in opened:
        if touches(grid, one.raster.grid):
            by_day.setdefault(one.scene.day, []).append(one)
        else:
            left_out.append(LeftOut(one.raster.source, "It does not touch the box of the search."))
    if not by_day:
        raise SeriesError(
            "stac_outside",
            f"The scenes that {search.stac} finds have no pixel in the box.",
            "Search in another box.",
        )
    doubt = offset_doubt(scene.item for scene in scenes)
    frames = []
    for day in sorted(by_day):
        rasters, others = _of_one_sensor(search, by_day[day])
        frames.append(Frame(day, rasters, notes=(doubt,) if doubt else ()))
        left_out += others
    keys = _keys(search, opened, frames)
    reader = RasterReader(grid)
    try:
        full, empty = drop_empty(frames, keys, reader, keep=keep_empty)
    finally:
        reader.close()
    return Series(grid, full, keys, (*left_out, *empty))


def _of_one_sensor(search: StacSearch, day: Sequence[_Opened]) -> tuple[tuple[Raster, ...], list[LeftOut]]:
    """The rasters of a day, each band of one sensor alone, and those of others."""
    order = {name: place for place, name in enumerate(search.collections)}
    # Names of scenes end in when they were processed, or in a running number.
    newest = sorted(day, key=lambda one: one.scene.item.id, reverse=True)
    owners: dict[str, str | None] = {}
    kept, left_out = [], []
    for one in sorted(newest, key=lambda one: order.get(one.scene.item.collection_id or "", len(order))):
        sensor = one.raster.bands[0].sensor
        taken = [band.key for band in one.raster.bands if owners.setdefault(band.key, sensor) != sensor]
        if taken:
            why = f"Another sensor's scene of {one.scene.day} has the band '{taken[0]}' too."
            left_out.append(LeftOut(one.raster.source, why))
        else:
            kept.append(one.raster)
    return tuple(kept), left_out


def summary(found: Scenes) -> dict[str, Any]:
    """What a search found, as JSON values, by the catalogue alone: no file is opened."""
    scenes = _scenes(found)
    bands: dict[str, AssetBand] = {}
    days: dict[dt.date, list[_Scene]] = {}
    for scene in scenes:
        days.setdefault(scene.day, []).append(scene)
        for band in scene.bands:
            bands.setdefault(band.key, band)
    return {
        "search": None,
        "scenes": len(scenes),
        "cloudy": found.cloudy,
        "days": [_summary_of(day, days[day], bands) for day in sorted(days)],
        "bands": [
            {
                "name": band.name,
                "role": band.role,
                "asset": band.asset,
                "scale": band.scale,
                "offset": band.offset,
                "nodata": None if band.nodata is None or not math.isfinite(band.nodata) else band.nodata,
            }
            for band in bands.values()
        ],
        "masks": sorted({band.asset for scene in scenes for _, band in scene.masks}),
        "problems": [] if bands else [f"No asset is a band with a known role; there are {_assets(scenes)}."],
    }


def _summary_of(day: dt.date, scenes: Sequence[_Scene], bands: Iterable[str]) -> dict[str, Any]:
    clouds = [value for scene in scenes if (value := clouds_of(scene.item)) is not None]
    keys = {band.key for scene in scenes for band in scene.bands}
    return {
        "date": day.isoformat(),
        "scenes": [scene.item.id for scene in scenes],
        "clouds": [min(clouds), max(clouds)] if clouds else None,
        "missing": [key for key in bands if key not in keys],
    }


def _scenes(found: Scenes) -> list[_Scene]:
    scenes = []
    for item, day in zip(found.items, _days(found), strict=True):
        known = asset_bands(item)
        masks: dict[str, AssetBand] = {}
        for band in sorted(known, key=preference):
            scheme = scheme_of(band.asset, item.id)
            if scheme in SCHEMES and band.remote:
                masks.setdefault(scheme, band)
        scenes.append(_Scene(item, day, tuple(choose(known, found.search.bands)), tuple(masks.items())))
    return scenes


def _days(found: Scenes) -> list[dt.date]:
    """The day of each scene where the box is, by the sun: a pass over midnight in UTC is one day there."""
    import odc.stac
    from pystac import Item

    middle = (found.search.bbox[0] + found.search.bbox[2]) / 2
    # Without assets: what odc-stac makes of those isn't needed, and fails where an asset lacks a projection.
    bare = [Item(item.id, item.geometry, item.bbox, item.datetime, item.properties) for item in found.items]
    return [parsed.solar_date_at(middle).date() for parsed in odc.stac.parse_items(bare)]


def _open_all(scenes: Sequence[_Scene]) -> list[_Opened]:
    """The files of all scenes, in their order."""
    tasks = []
    for scene in scenes:
        files: dict[str, list[AssetBand]] = {}
        for band in scene.bands:
            files.setdefault(band.asset, []).append(band)
        tasks += [(scene, bands) for bands in files.values()]
    with ThreadPoolExecutor(_OPENED) as pool:
        return list(pool.map(lambda task: _open(*task), tasks))


def _open(scene: _Scene, bands: Sequence[AssetBand]) -> _Opened:
    facts = _facts(scene, bands[0])
    if bands[0].count == 1 and len(facts.indexes) > 1:  # the catalogue doesn't describe the file's bands
        raster = facts.raster()
        names = [(bands[0].names | {band.name.lower(), band.key.lower()}, band.key) for band in raster.bands]
    else:
        raster = Raster(facts.path, facts.grid, _described(scene.item, bands, facts), facts.has_mask)
        names = [(one.names, band.key) for one, band in zip(bands, raster.bands, strict=True)]
    if not is_radar(raster.bands):
        masks = ((SCHEMES[scheme], _facts(scene, band).raster()) for scheme, band in scene.masks)
        raster = replace(
            raster, masks=tuple(Mask(mask.only(mask.bands[:1]), scheme) for scheme, mask in masks)
        )
    return _Opened(scene, raster, names)


def _facts(scene: _Scene, band: AssetBand) -> Facts:
    """What is in an asset's file."""
    if not band.remote:
        raise SeriesError(
            "stac_href",
            f"Asset '{band.asset}' of scene {scene.item.id} lies at {band.href}, which is no web address.",
            "Give the search other bands, or search an API whose files lie on the web.",
        )
    try:
        facts = read_facts(address_path(band.href))
    except SeriesError as error:
        raise SeriesError(
            error.code,
            f"Asset '{band.asset}' of scene {scene.item.id}: {error.message}",
            "Try again, or leave the scene out: enter its name in the search under skip.",
            retryable=error.retryable,
        ) from error
    if facts.grid.rasterio_crs is None:
        raise SeriesError(
            "no_crs",
            f"Asset '{band.asset}' of scene {scene.item.id} has no coordinate system.",
            "Search a collection of terrain-corrected scenes.",
        )
    if len(facts.indexes) < band.index:
        raise SeriesError(
            "band_missing",
            f"Asset '{band.asset}' of scene {scene.item.id} has {len(facts.indexes)} bands, but the "
            f"catalogue describes {band.count}.",
            "Leave the scene out: enter its name in the search under skip.",
        )
    return facts


def _described(item: Item, bands: Sequence[AssetBand], facts: Facts) -> tuple[Band, ...]:
    """The bands of a file as the catalogue describes them, where it is silent the file, then the preset."""
    places = [band.index - 1 for band in bands]
    told = [band.scale is not None or band.offset is not None for band in bands]
    added = added_offset(item)
    described = describe_bands(
        sensor_text(item),
        descriptions=[band.role or band.name for band in bands],
        color_names=[None for _ in bands],
        dtypes=[facts.dtypes[i] for i in places],
        scales=[
            (1.0 if band.scale is None else band.scale) if known else facts.scales[i]
            for band, known, i in zip(bands, told, places)
        ],
        offsets=[
            (band.offset or 0.0) if known else facts.offsets[i] for band, known, i in zip(bands, told, places)
        ],
        nodatas=[facts.nodatas[i] if band.nodata is None else band.nodata for band, i in zip(bands, places)],
        added=facts.added if added is None else added,
    )
    return tuple(
        replace(one, name=band.name, role=band.role, index=facts.indexes[i])
        for one, band, i in zip(described, bands, places, strict=True)
    )


def _grid(search: StacSearch, rasters: Sequence[Raster]) -> Grid:
    """The box in the most common coordinate system of the finest rasters, on the pixels of one of them."""
    import odc.stac
    from odc.geo import resxy_

    sizes = [raster.grid.ground_sample_distance or 0.0 for raster in rasters]
    finest = min(sizes) * _SAME_SIZE
    fine = [raster.grid for raster, size in zip(rasters, sizes) if size <= finest]
    crs = Counter(grid.crs for grid in fine).most_common(1)[0][0]
    lattice = next(grid for grid in fine if grid.crs == crs)
    across, down = lattice.pixel_size
    box = odc.stac.output_geobox([], crs=crs, resolution=resxy_(across, -down), bbox=search.bbox)
    assert box is not None  # noqa: S101 - CRS and resolution were given
    left, bottom, right, top = box.boundingbox
    t = lattice.transform
    if t.b or t.d or t.a < 0 or t.e > 0:  # not upright: every raster is warped
        return Grid(crs, Affine(across, 0, left, 0, -down, top), box.shape.x, box.shape.y)
    # odc-stac's pixels begin at multiples of their size, these where the files' do: to be read as they are.
    first, last = math.floor((left - t.c) / t.a + _CLOSE), math.ceil((right - t.c) / t.a - _CLOSE)
    upper, lower = math.floor((top - t.f) / t.e + _CLOSE), math.ceil((bottom - t.f) / t.e - _CLOSE)
    x, y = lattice.point(first, upper)
    return Grid(crs, Affine(t.a, 0, x, 0, t.e, y), last - first, lower - upper)


def _check_wanted(search: StacSearch, scenes: Sequence[_Scene]) -> None:
    """Make sure that there are bands, and each of those that are asked for."""
    known = {name for scene in scenes for band in scene.bands for name in band.names}
    for wanted in search.bands:
        if wanted.lower() not in known:
            raise SeriesError(
                "band_missing",
                f"No scene of {', '.join(search.collections)} has the band '{wanted}'.",
                f"They have {_assets(scenes)}.",
            )
    if not known:
        raise SeriesError(
            "stac_no_bands",
            f"No asset of {', '.join(search.collections)} is a band with a known role.",
            f"Name the bands in the search; there are {_assets(scenes)}.",
        )


def _assets(scenes: Sequence[_Scene]) -> str:
    """The bands that scenes have, by their keys."""
    keys = dict.fromkeys(band.key for scene in scenes for band in asset_bands(scene.item))
    return ", ".join(list(keys)[:30]) or "no rasters"


def _keys(search: StacSearch, opened: Sequence[_Opened], frames: Sequence[Frame]) -> tuple[str, ...]:
    """The series' bands: those asked for, in this order, else those that keep the most."""
    if not search.bands:
        return common_bands(frames)
    keys: dict[str, None] = {}
    for wanted in search.bands:
        for one in opened:
            keys.update((key, None) for names, key in one.names if wanted.lower() in names)
    return tuple(keys)
