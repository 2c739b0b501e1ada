# SPDX-License-Identifier: GPL-3.0-or-later
"""The bands of a STAC item as its catalogue describes them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from timo.series.band_names import role_of, sensor_of
from timo.series.presets import baseline_offset

if TYPE_CHECKING:
    from pystac import Item

_RASTERS = ("image/tiff", "image/jp2", "image/vnd.stac.geotiff", "application/x-geotiff")
_SUFFIXES = (".tif", ".tiff", ".jp2")
_PICTURES = frozenset({"thumbnail", "overview", "visual"})  # roles of assets that are made to be looked at
# Common names of several bands: red edge 1 to 3; the infrared of Landsat 8, and Sentinel-2's narrow one.
_VAGUE = frozenset({"rededge", "nir08", "lwir"})
_UNASKED = (None, "pan")
_APPLIED = "boa_offset_applied"
_BASELINES = ("s2:processing_baseline", "processing:version", "sentinel:processing_baseline")


@dataclass(frozen=True)
class AssetBand:
    """A band of an asset.

    Attributes:
        asset: The asset's key in its item.
        href: Where the file is.
        index: Place of the band in the file, from 1.
        count: How many bands the catalogue says the file has.
        name: The catalogue's name of the band, else the asset's key.
        common: STAC's common name, None if it has none.
        role: What it measures, None if its names don't tell.
        scale, offset: Of the catalogue; None where it doesn't tell.
        nodata: Likewise; NaN is a value.
        picture: Whether the asset is made to be looked at.
        size: Side of its pixels by the catalogue, in whatever unit; infinite if it doesn't tell.
    """

    asset: str
    href: str
    index: int
    count: int
    name: str
    common: str | None
    role: str | None
    scale: float | None
    offset: float | None
    nodata: float | None
    picture: bool
    size: float

    @property
    def names(self) -> set[str]:
        """What it may be asked for by, in small letters."""
        own = (self.asset, f"{self.asset}.{self.index}", self.name, self.common, self.role)
        return {name.lower() for name in own if name}

    @property
    def key(self) -> str:
        """What it is in a series: the role, or the name of a band without one."""
        return self.role or self.name

    @property
    def remote(self) -> bool:
        """Whether it lies on the web: other addresses that a server names are not read."""
        parts = urlsplit(self.href)
        return parts.scheme in ("http", "https") and bool(parts.netloc)


def sensor_text(item: Item) -> str:
    """What tells the sensor of a scene best: its name, its collection's, or its platform's."""
    facts = item.properties
    texts = [item.id, item.collection_id, facts.get("platform"), facts.get("constellation")]
    known = [text for text in texts if isinstance(text, str) and sensor_of(text)]
    return known[0] if known else item.id


def added_offset(item: Item) -> float | None:
    """What is to be added to Sentinel-2's numbers, 0 or -1000; None where nothing tells.

    The bands of Earth Search tell an offset though it is off the pixels already, which the item says; and no
    scene of before baseline 04.00 has one.
    """
    if any(key.endswith(_APPLIED) and bool(item.properties[key]) for key in item.properties):
        return 0.0
    return baseline_offset(Path(item.id), _baseline(item))


def offset_doubt(items: Iterable[Item]) -> str | None:
    """A sentence where some scenes say that the offset is off their pixels, and others that it isn't."""
    told = [bool(item.properties[key]) for item in items for key in item.properties
            if key.endswith(_APPLIED) and baseline_offset(Path(item.id), _baseline(item)) != 0.0]  # fmt: skip
    if all(told) or not any(told):
        return None
    return (
        f"{told.count(False)} of {len(told)} scenes say that Sentinel-2's offset of 2022 is in them, the "
        "others that it is off: catalogues often say so wrongly, compare how bright they are."
    )


def _baseline(item: Item) -> dict[str, str]:
    found = next((item.properties[key] for key in _BASELINES if key in item.properties), None)
    return {"PROCESSING_BASELINE": found} if isinstance(found, str) else {}


def asset_bands(item: Item) -> list[AssetBand]:
    """The bands of all rasters of an item, in its order."""
    sensor = sensor_of(sensor_text(item))
    without = sensor == "sentinel-2" and added_offset(item) == 0.0
    found = []
    for key, asset in item.assets.items():
        facts = asset.to_dict()
        href = asset.get_absolute_href() or asset.href
        if not _is_raster(asset.media_type, href):
            continue
        described = _described(facts, item.properties)
        picture = bool(_PICTURES & set(asset.roles or ())) or key in _PICTURES
        for number, band in enumerate(described, start=1):
            common = _text(band.get("common_name"))
            name = _text(band.get("name")) or key
            offset = _number(band.get("offset"))
            found.append(
                AssetBand(
                    asset=key,
                    href=href,
                    index=number,
                    count=len(described),
                    name=name,
                    common=common,
                    role=_role(common, name, key if len(described) == 1 else "", sensor),
                    scale=_number(band.get("scale")),
                    offset=0.0 if without and offset else offset,
                    nodata=_nodata(band.get("nodata")),
                    picture=picture,
                    size=_size(facts),
                )
            )
    return found


def choose(bands: Sequence[AssetBand], wanted: Sequence[str]) -> list[AssetBand]:
    """Which bands of an item make the frame: one of each key.

    Args:
        bands: Of ``asset_bands``.
        wanted: Names; left out, all bands with a known role but the panchromatic one, whose fine pixels would
            make the grid. What the item lacks is left out.
    """
    best: dict[str, AssetBand] = {}
    for band in sorted(bands, key=preference):
        asked = any(name.lower() in band.names for name in wanted)
        if asked or (not wanted and band.role not in _UNASKED):
            best.setdefault(band.key, band)
    return [band for band in bands if best.get(band.key) is band]


def preference(band: AssetBand) -> tuple[bool, bool, int, float, bool]:
    """A file of the band alone, on the web, fine and tiled for it, comes before copies in other forms."""
    jpeg = urlsplit(band.href).path.lower().endswith(".jp2")
    return not band.remote, band.picture, band.count, band.size, jpeg


def _size(asset: Mapping[str, Any]) -> float:
    transform = asset.get("proj:transform")
    told = transform[0] if isinstance(transform, list) and transform else asset.get("gsd")
    return abs(_number(told) or math.inf)


def _is_raster(media_type: str | None, href: str) -> bool:
    if media_type:
        return media_type.partition(";")[0].strip().lower() in _RASTERS
    return urlsplit(href).path.lower().endswith(_SUFFIXES)


def _described(asset: Mapping[str, Any], properties: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Name, common name, scale, offset and nodata of each band.

    STAC 1.0 has them in the asset's ``eo:bands`` and ``raster:bands``, 1.1 in its ``bands``, where a band
    inherits what its asset and its item say.
    """
    eo, raster, common = (_dicts(asset.get(key)) for key in ("eo:bands", "raster:bands", "bands"))
    found = []
    for i in range(max(len(eo), len(raster), len(common), 1)):
        one, two, new = (bands[i] if i < len(bands) else {} for bands in (eo, raster, common))
        levels = (new, asset, properties)
        band = {
            "name": _first(one.get("name"), new.get("name")),
            "common_name": _first(
                one.get("common_name"), new.get("eo:common_name"), asset.get("eo:common_name")
            ),
            "nodata": _first(two.get("nodata"), *(level.get("nodata") for level in levels)),
        }
        for fact in ("scale", "offset"):
            band[fact] = _first(two.get(fact), *(level.get(f"raster:{fact}") for level in levels))
        found.append(band)
    return found


def _dicts(value: object) -> list[dict[str, Any]]:
    return [one if isinstance(one, dict) else {} for one in value] if isinstance(value, list) else []


def _first(*values: object) -> object:
    return next((value for value in values if value is not None), None)


def _role(common: str | None, name: str, key: str, sensor: str | None) -> str | None:
    """The common name counts most: it is a word of the standard; then the band's name, then the asset's."""
    texts = [name, key, common] if common in _VAGUE else [common, name, key]
    landsat = (sensor or "").startswith(("landsat", "hls-l"))
    for text in texts:
        role = role_of("nir" if landsat and text == "nir08" else text, sensor) if text else None
        if role:
            return role
    return None


def _text(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _number(value: object) -> float | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None


def _nodata(value: object) -> float | None:
    """A number; JSON has no NaN and no infinity, which STAC writes as text."""
    if isinstance(value, str) and value.lower() in ("nan", "inf", "-inf"):
        return float(value)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
