# SPDX-License-Identifier: GPL-3.0-or-later
"""What the bands of a raster are: roles from names, sensors from file names, scaling from file or preset."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from timo.series.presets import RADAR, Preset, Product, preset_for


@dataclass(frozen=True)
class Band:
    """A band of a series: values are ``raw * scale + offset``, in the sensor's physical unit.

    ``role`` is what the band measures (blue, nir, vv, ...), None where its name doesn't tell. ``index`` is
    its place in the file, from 1. ``key`` identifies it among the series' bands. ``limits`` are the raw
    values that the product allows; ``unit`` is None where nothing tells it. ``doubtful``: nothing tells
    whether Sentinel-2's offset is in the numbers.
    """

    name: str
    role: str | None = None
    sensor: str | None = None
    scale: float = 1.0
    offset: float = 0.0
    nodata: float | None = None
    index: int = 1
    limits: tuple[float, float] | None = None
    unit: str | None = None
    doubtful: bool = False

    @property
    def key(self) -> str:
        """The role, or the name of a band without one."""
        return self.role or self.name


_SENSORS: tuple[tuple[str, str], ...] = (
    (r"HLS\.L30", "hls-l30"),
    (r"HLS\.S30", "sentinel-2"),
    (r"(?<![A-Z0-9])M[OYC]D(?:09|13)[A-Z]", "modis"),
    (r"(?<![A-Z0-9])S(?:ENTINEL[-_ ]?)?2[A-D]?(?![A-Z0-9])", "sentinel-2"),
    (r"(?<![A-Z0-9])T\d{2}[A-Z]{3}_\d{8}T\d{6}", "sentinel-2"),
    (r"(?<![A-Z0-9])S(?:ENTINEL[-_ ]?)?1[A-D]?(?![A-Z0-9])", "sentinel-1"),
    (
        r"(?<![A-Z0-9])L(?:ANDSAT[-_ ]?|[COTEM]0?)?(?P<number>[45789])(?:(?![A-Z0-9])|(?=\d{13}))",
        "landsat-",
    ),
)

_SENTINEL_2 = {
    "1": "coastal", "2": "blue", "3": "green", "4": "red", "5": "rededge1", "6": "rededge2", "7": "rededge3",
    "8": "nir", "8a": "nir_narrow", "9": "water_vapour", "10": "cirrus", "11": "swir1", "12": "swir2",
}  # fmt: skip
_LANDSAT_4_TO_7 = {
    "1": "blue", "2": "green", "3": "red", "4": "nir", "5": "swir1", "6": "thermal1", "7": "swir2",
    "8": "pan",
}  # fmt: skip
_LANDSAT_8_9 = {
    "1": "coastal", "2": "blue", "3": "green", "4": "red", "5": "nir", "6": "swir1", "7": "swir2", "8": "pan",
    "9": "cirrus", "10": "thermal1", "11": "thermal2",
}  # fmt: skip
_MODIS = {"1": "red", "2": "nir", "3": "blue", "4": "green", "6": "swir1", "7": "swir2"}
_CODES: dict[str, dict[str, str]] = {
    "sentinel-2": _SENTINEL_2,
    "landsat-4": _LANDSAT_4_TO_7,
    "landsat-5": _LANDSAT_4_TO_7,
    "landsat-7": _LANDSAT_4_TO_7,
    "landsat-8": _LANDSAT_8_9,
    "landsat-9": _LANDSAT_8_9,
    "hls-l30": _LANDSAT_8_9,
    "modis": _MODIS,
}

# Written without separators; STAC's common names among them.
_ALIASES = {
    "coastal": "coastal", "coastalaerosol": "coastal", "ultrablue": "coastal",
    "blue": "blue", "green": "green", "red": "red",
    "rededge1": "rededge1", "rededge2": "rededge2", "rededge3": "rededge3",
    "rededge": "rededge1", "rededge071": "rededge1", "rededge075": "rededge2", "rededge078": "rededge3",
    "nir": "nir", "nearinfrared": "nir", "nir08": "nir_narrow", "nirnarrow": "nir_narrow",
    "narrownir": "nir_narrow", "nir09": "water_vapour", "watervapour": "water_vapour",
    "cirrus": "cirrus", "pan": "pan", "panchromatic": "pan",
    "swir1": "swir1", "swir16": "swir1", "swir2": "swir2", "swir22": "swir2",
    "thermal": "thermal1", "thermal1": "thermal1", "thermal2": "thermal2",
    "lwir": "thermal1", "lwir11": "thermal1", "lwir12": "thermal2",
    "vv": "vv", "vh": "vh", "hh": "hh", "hv": "hv",
}  # fmt: skip
_CODE = re.compile(r"b(?:and)?0*(\d{1,2}a?)")
# Products of one file a band: what stands behind the product's own name.
_BAND_OF_FILE = re.compile(
    r"(?:L[COTEM]\d{2}_L\w{3}_\d{6}_\d{8}_\d{8}_\d{2}_\w{2}_|HLS\.[SL]30\.T\w{5}\.\d{7}T\d{6}\.v\d\.\d\."
    r"|T\d{2}[A-Z]{3}_\d{8}T\d{6}_)(?P<band>\w+?)(?:_\d\dm)?$",
    re.IGNORECASE,
)


def sensor_of(file_name: str, band_names: Sequence[str] = ()) -> str | None:
    """The sensor that took a raster, from its file name, else from its bands' names; None if they don't tell.

    Band names tell Sentinel-2 alone: two digits (B02), B8A or B12, or B8 without Landsat's B10.
    """
    upper = file_name.upper()
    for pattern, sensor in _SENSORS:
        match = re.search(pattern, upper)
        if match:
            return sensor + (match.groupdict().get("number") or "")
    names = {name.upper() for name in band_names}
    if any(re.fullmatch(r"B0[1-9]", name) for name in names) or names & {"B8A", "B12"}:
        return "sentinel-2"
    if "B8" in names and "B4" in names and "B10" not in names:
        return "sentinel-2"
    return None


def role_of(name: str, sensor: str | None = None) -> str | None:
    """What a band of this name measures: 'B13_blue' -> blue, 'red_edge_1' -> rededge1, 'B08' of S2 -> nir.

    A word in the name counts more than a band code, whose meaning hangs on the sensor. None if neither is
    known.
    """
    text = re.sub(r"\bband[ _-]+(?=\d)", "band", name.lower())
    words = [word for word in re.split(r"[^a-z0-9]+", text) if word]
    for length in range(min(4, len(words)), 0, -1):  # longest first, so that red_edge isn't red
        for start in range(len(words) - length, -1, -1):
            role = _ALIASES.get("".join(words[start : start + length]))
            if role:
                return role
    codes = _CODES.get(sensor or "", {})
    for word in reversed(words):
        match = _CODE.fullmatch(word)
        if match and match[1] in codes:
            return codes[match[1]]
    return None


def describe_bands(
    file_name: str,
    *,
    descriptions: Sequence[str | None],
    color_names: Sequence[str | None],
    dtypes: Sequence[str],
    scales: Sequence[float],
    offsets: Sequence[float],
    nodatas: Sequence[float | None],
    added: float | None = None,
) -> tuple[Band, ...]:
    """The bands of one raster, in the file's order, with keys that are unique within it.

    Args:
        file_name: Name of the raster, without its folder and extension.
        descriptions: The bands' descriptions, None or empty where there are none.
        color_names: red, green or blue where the file's colour interpretation says so, else None.
        dtypes: numpy names of the bands' types.
        scales: The file's scales; 1 with offset 0 means that the file doesn't tell.
        offsets: The file's offsets.
        nodatas: The file's nodata values.
        added: What Sentinel-2's processing asks to add to the numbers; None where nothing tells.
    """
    given = [(description or "").strip() for description in descriptions]
    sensor = sensor_of(file_name, [name for name in given if name])
    product = Product(file_name, sensor, added)
    bands: list[Band] = []
    taken: set[str] = set()
    for i, (name, color, dtype) in enumerate(zip(given, color_names, dtypes)):
        role = role_of(name, sensor) if name else color
        if not name and color is None and len(given) == 1:
            name, role = _from_file_name(file_name, sensor)  # noqa: PLW2901
        name = name or color or f"band_{i + 1}"  # noqa: PLW2901
        role = None if role in taken else role
        told = (float(scales[i]), float(offsets[i]))
        # A file of optical bands that holds a radar's too is of two sensors.
        of = None if role in RADAR and sensor != "sentinel-1" else sensor
        preset = preset_for(product, name, role, dtype)
        band = _scaled(Band(name, role, of, *told, nodatas[i], i + 1), preset, product)
        taken.add(band.key)
        bands.append(band)
    # A preset's nodata is the whole file's: beyond its edge no band is valid.
    filler = next((band.nodata for band in bands if band.nodata is not None), None)
    return tuple(replace(band, nodata=filler) if band.nodata is None else band for band in bands)


def _scaled(band: Band, preset: Preset | None, product: Product) -> Band:
    """The band with what the preset adds to the file's own facts."""
    if preset is None:
        return band
    own = (band.scale, band.offset) != (1.0, 0.0)
    return Band(
        band.name,
        band.role,
        band.sensor,
        band.scale if own else preset.scale,
        band.offset if own else preset.offset,
        preset.nodata if band.nodata is None else band.nodata,
        band.index,
        preset.limits,
        preset.unit,
        doubtful=not own and product.doubtful,
    )


def is_radar(bands: Sequence[Band]) -> bool:
    """Whether these are bands of a radar, which clouds don't hide."""
    return bool(bands) and all(band.role in RADAR or band.sensor == "sentinel-1" for band in bands)


def _from_file_name(file_name: str, sensor: str | None) -> tuple[str, str | None]:
    """Name and role of a nameless single band whose file is named after it, such as T33UUU_..._B02."""
    product = _BAND_OF_FILE.search(file_name)
    if product:
        return product["band"], role_of(product["band"], sensor)
    for word in reversed(re.split(r"[^A-Za-z0-9]+", file_name)):
        role = role_of(word, sensor)
        if role:
            return word, role
    return "", None
