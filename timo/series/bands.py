# SPDX-License-Identifier: GPL-3.0-or-later
"""What the bands of a raster are: what their names tell, and scaling from file or preset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from timo.series.band_names import name_from_file, role_of, sensor_of
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
    told_sensor: str | None = None,
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
        told_sensor: Who took it, where an analyst says so; None: names tell.
    """
    given = [(description or "").strip() for description in descriptions]
    sensor = told_sensor or sensor_of(file_name, [name for name in given if name])
    product = Product(file_name, sensor, added)
    bands: list[Band] = []
    taken: set[str] = set()
    for i, (name, color, dtype) in enumerate(zip(given, color_names, dtypes)):
        role = role_of(name, sensor) if name else color
        if not name and color is None and len(given) == 1:
            name, role = name_from_file(file_name, sensor)  # noqa: PLW2901
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
