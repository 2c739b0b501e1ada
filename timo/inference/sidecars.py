# SPDX-License-Identifier: GPL-3.0-or-later
"""Files beside a map of classes: their names and colours, for GDAL and for QGIS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from xml.etree import ElementTree as ET

# Columns of GDAL's attribute table: name, type (0 whole number, 2 text) and usage (GDALRATFieldUsage).
_COLUMNS = (
    ("Value", 0, 5),
    ("Class", 2, 2),
    ("Red", 0, 6),
    ("Green", 0, 7),
    ("Blue", 0, 8),
)
_LONGEST = 65535  # entries of a list of names


class Class(Protocol):
    """One class: its value in the map, its name, its colour as #rrggbb."""

    @property
    def value(self) -> int:
        """What stands in the raster."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def color(self) -> str:
        """#rrggbb."""


def category_names(classes: Sequence[Class]) -> bytes:
    """GDAL's sidecar (PAM) with a name for each class value, as list and as attribute table.

    The list has an entry for every value from 0 on: there is none where values are negative or huge.
    """
    names = {c.value: c.name for c in classes}
    root = ET.Element("PAMDataset")
    band = ET.SubElement(root, "PAMRasterBand", band="1")
    if min(names) >= 0 and max(names) <= _LONGEST:
        categories = ET.SubElement(band, "CategoryNames")
        for value in range(max(names) + 1):
            ET.SubElement(categories, "Category").text = names.get(value, "")
    table = ET.SubElement(band, "GDALRasterAttributeTable", tableType="thematic")
    for index, (title, kind, usage) in enumerate(_COLUMNS):
        column = ET.SubElement(table, "FieldDefn", index=str(index))
        for tag, text in (("Name", title), ("Type", kind), ("Usage", usage)):
            ET.SubElement(column, tag).text = str(text)
    for index, c in enumerate(classes):
        row = ET.SubElement(table, "Row", index=str(index))
        for cell in (c.value, c.name, *rgb(c.color)):
            ET.SubElement(row, "F").text = str(cell)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True))


def paletted_style(classes: Sequence[Class]) -> bytes:
    """A QGIS style (.qml) that names and colours the classes; beside the map QGIS takes it by itself."""
    root = ET.Element("qgis", version="3.22")
    pipe = ET.SubElement(root, "pipe")
    renderer = ET.SubElement(
        pipe, "rasterrenderer", type="paletted", band="1", opacity="1", alphaBand="-1", nodataColor=""
    )
    palette = ET.SubElement(renderer, "colorPalette")
    for c in classes:
        ET.SubElement(palette, "paletteEntry", value=str(c.value), color=c.color, label=c.name, alpha="255")
    return b"<!DOCTYPE qgis>\n" + bytes(ET.tostring(root, encoding="utf-8"))


def rgb(color: str) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, of #rrggbb."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def categorised_style(classes: Sequence[Class]) -> str:
    """A QGIS style of polygons whose field ``value`` is a class."""
    root = ET.Element("qgis", version="3.22", styleCategories="Symbology")
    renderer = ET.SubElement(root, "renderer-v2", type="categorizedSymbol", attr="value", symbollevels="0")
    categories = ET.SubElement(renderer, "categories")
    symbols = ET.SubElement(renderer, "symbols")
    for number, c in enumerate(classes):
        ET.SubElement(
            categories, "category", value=str(c.value), label=c.name, symbol=str(number), render="true"
        )
        symbol = ET.SubElement(symbols, "symbol", name=str(number), type="fill", alpha="1")
        layer = ET.SubElement(symbol, "layer", {"class": "SimpleFill"}, enabled="1", locked="0")
        fill = ",".join(str(part) for part in (*rgb(c.color), 255))
        for key, value in (
            ("color", fill),
            ("style", "solid"),
            ("outline_color", "70,70,70,255"),
            ("outline_width", "0.1"),
            ("outline_width_unit", "MM"),
            ("outline_style", "solid"),
        ):
            ET.SubElement(layer, "prop", k=key, v=value)
    return "<!DOCTYPE qgis>\n" + ET.tostring(root, encoding="unicode")
