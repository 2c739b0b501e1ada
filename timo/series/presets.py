# SPDX-License-Identifier: GPL-3.0-or-later
"""How known products scale their integers, where their files don't tell."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

RADAR = frozenset({"vv", "vh", "hh", "hv"})
THERMAL = frozenset({"thermal1", "thermal2"})

# Since this day ESA adds 1000 to Sentinel-2's numbers (processing baseline 04.00); older scenes that were
# processed again have it too, so that only the baseline tells.
OFFSET_SINCE = dt.date(2022, 1, 25)
_OFFSET = -1000.0

_HLS = re.compile(r"(?<![A-Z0-9])HLS\.[SL]30\.", re.IGNORECASE)
_LANDSAT_C2 = re.compile(
    r"(?<![A-Z0-9])L[COTEM]\d{2}_L2S[PR]_\d{6}_\d{8}_\d{8}_02_|(?<![A-Z0-9])S[RT]_B\d", re.I
)
_MOD13 = re.compile(r"(?<![A-Z0-9])M[OYC]D13", re.IGNORECASE)
_MOD09 = re.compile(r"(?<![A-Z0-9])M[OYC]D09", re.IGNORECASE)
_BASELINE = re.compile(r"(?<![A-Z0-9])S2[A-D]_MSIL[12][AC]_\d{8}T\d{6}_N(?P<baseline>\d{4})_", re.IGNORECASE)
# Layers of products that come as one file a layer, and that measure no ground: angles, previews, inputs.
_AUXILIARY = re.compile(
    r"_(?:TCI|AOT|WVP|PVI)(?:_\d\dm)?$"
    r"|_(?:ST_(?:ATRAN|CDIST|DRAD|EMIS|EMSD|QA|TRAD|URAD)|SR_(?:ATMOS_OPACITY|CLOUD_QA|QA_AEROSOL)"
    r"|SAA|SZA|VAA|VZA)$"
    r"|\.(?:SAA|SZA|VAA|VZA)$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Preset:
    """Values are ``raw * scale + offset``; ``limits`` are the raw values that the product allows."""

    scale: float
    offset: float = 0.0
    nodata: float | None = None
    limits: tuple[float, float] | None = None
    unit: str = "reflectance"


@dataclass(frozen=True)
class Product:
    """What a raster's name tells of its origin.

    Attributes:
        file_name: Without folder and extension.
        sensor: As ``timo.series.bands.sensor_of`` names it.
        offset: Sentinel-2's number to add to all pixels, -1000 or 0; None where nothing tells.
    """

    file_name: str
    sensor: str | None
    offset: float | None = None

    @property
    def doubtful(self) -> bool:
        """Whether it is a Sentinel-2 scene that doesn't tell its offset; HLS has none."""
        return self.sensor == "sentinel-2" and self.offset is None and not _HLS.search(self.file_name)


def is_auxiliary(file_name: str) -> bool:
    """Whether a file of a known product holds angles, a preview or another layer that is no measurement."""
    return _AUXILIARY.search(file_name) is not None


def baseline_offset(path: Path, tags: dict[str, str]) -> float | None:
    """Sentinel-2's offset from the metadata, else from the product's name in the path; None if neither tells.

    Source: ESA, Sentinel-2 processing baseline 04.00: BOA_ADD_OFFSET and RADIO_ADD_OFFSET are -1000.
    """
    for key, text in tags.items():
        if re.fullmatch(r"(?:BOA|RADIO)_ADD_OFFSET(?:_\w+)?", key):
            try:
                return float(text)
            except ValueError:
                continue
    baseline = tags.get("PROCESSING_BASELINE", "").replace(".", "").removeprefix("N")
    if not baseline.isdecimal():
        found = next((match for part in reversed(path.parts) if (match := _BASELINE.search(part))), None)
        if found is None:
            return None
        baseline = found["baseline"]
    return _OFFSET if int(baseline) >= 400 else 0.0


def preset_for(product: Product, name: str, role: str | None, dtype: str) -> Preset | None:
    """The preset of a band; None where its product is not known, or its numbers are no 16-bit integers.

    Sources: ESA Sentinel-2 product specification (DN 0 is no data, 10000 is reflectance 1); USGS Landsat
    Collection 2 Level 2 guide; HLS user guide 2.0; MODIS user guides of MOD09 and MOD13.
    """
    kind = np.dtype(dtype)
    if kind.kind not in "iu" or kind.itemsize != 2 or role in RADAR:
        return None
    preset = _find(product, name, role, unsigned=kind.kind == "u")
    if preset and preset.nodata is not None and preset.nodata < 0 and kind.kind == "u":
        return replace(preset, nodata=None)  # which these numbers can't be
    return preset


def _find(product: Product, name: str, role: str | None, *, unsigned: bool) -> Preset | None:
    text = f"{product.file_name} {name}"
    if _MOD13.search(product.file_name):
        if re.search(r"ndvi|evi", name, re.IGNORECASE):
            return Preset(1e-4, nodata=-3000, limits=(-2000, 10_000), unit="index")
        return Preset(1e-4, nodata=-1000, limits=(0, 10_000)) if role else None
    if role is None:
        return None
    if _HLS.search(product.file_name):
        return Preset(0.01, nodata=-9999, unit="°C") if role in THERMAL else Preset(1e-4, nodata=-9999)
    if _MOD09.search(product.file_name):
        return Preset(1e-4, nodata=-28_672, limits=(-100, 16_000))
    if _LANDSAT_C2.search(text) and unsigned:
        if role in THERMAL:
            return Preset(0.00341802, 149.0, nodata=0, unit="K")
        return Preset(2.75e-5, -0.2, nodata=0)
    if product.sensor == "sentinel-2":
        return Preset(1e-4, 1e-4 * (product.offset or 0.0), nodata=0 if unsigned else None)
    return None
