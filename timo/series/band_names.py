# SPDX-License-Identifier: GPL-3.0-or-later
"""What names tell: the sensor by a raster's name, a band's role by its own. The plugin has this file, too."""

from __future__ import annotations

import re
from collections.abc import Sequence

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


SENSORS = ("sentinel-1", *_CODES)
"""All that names can tell."""
ROLES = tuple(dict.fromkeys(_ALIASES.values()))
"""What bands can measure, in the order of wavelengths, radar last."""


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


def name_from_file(file_name: str, sensor: str | None) -> tuple[str, str | None]:
    """Name and role of a nameless single band whose file is named after it, such as T33UUU_..._B02."""
    product = _BAND_OF_FILE.search(file_name)
    if product:
        return product["band"], role_of(product["band"], sensor)
    for word in reversed(re.split(r"[^A-Za-z0-9]+", file_name)):
        role = role_of(word, sensor)
        if role:
            return word, role
    return "", None
