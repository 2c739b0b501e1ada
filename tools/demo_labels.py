# SPDX-License-Identifier: GPL-3.0-or-later
"""Write `resources/demo/labels.gpkg` from `resources/demo/polygons.csv`.

The table is where the polygons are edited: one line each with the class, the part (train or test) and the
outline in pixels of the demo series ("column row" pairs, 0 0 is the upper left corner of the raster, whole
numbers lie between pixels). Same table, same bytes.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Container
from pathlib import Path
from typing import Annotated

import numpy as np
import pyogrio
import pyogrio.raw
import shapely
import typer
from affine import Affine

DEMO = Path(__file__).resolve().parent.parent / "resources" / "demo"
LAYER = "labels"
CRS = "EPSG:3035"
# The grid of the series in the nrt wheel: upper left corner and pixel size in metres.
TRANSFORM = Affine(10.0, 0.0, 5271982.57655193, 0.0, -10.0, 2533004.21491519)
# GeoPackage notes when it was written; a fixed day keeps the bytes the same.
WRITTEN = "2024-01-01T00:00:00Z"


def read_polygons(table: Path) -> list[tuple[str, str, shapely.Polygon]]:
    """Class, part and outline of each line of the table, outlines in the CRS of the series (metres)."""
    with table.open(newline="", encoding="utf-8") as lines:
        return [(row["class"], row["part"], _outline(row["outline"])) for row in csv.DictReader(lines)]


def write_labels(table: Path, out: Path, parts: Container[str] = ("train", "test")) -> int:
    """Write the polygons of `table` that belong to `parts`; returns how many.

    They become the layer `labels` with the fields class and part. The table's `labels.qml`, if there is one,
    is copied beside `out` under its name, so that QGIS shows the class colours.
    """
    polygons = [polygon for polygon in read_polygons(table) if polygon[1] in parts]
    out.unlink(missing_ok=True)
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": WRITTEN})
    try:
        pyogrio.raw.write(
            out,
            geometry=shapely.to_wkb(np.array([polygon for _, _, polygon in polygons], dtype=object)),
            field_data=[np.array([row[column] for row in polygons], dtype=object) for column in (0, 1)],
            fields=["class", "part"],
            layer=LAYER,
            driver="GPKG",
            geometry_type="Polygon",
            crs=CRS,
            # 1.2 is what the GDAL of every supported QGIS knows.
            VERSION="1.2",
        )
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})
    style, beside = table.with_name("labels.qml"), out.with_suffix(".qml")
    if style.exists() and style != beside:
        shutil.copyfile(style, beside)
    return len(polygons)


def _outline(text: str) -> shapely.Polygon:
    pixels = np.array([pair.split() for pair in text.split(",")], dtype=float)
    return shapely.Polygon(pixels * (TRANSFORM.a, TRANSFORM.e) + (TRANSFORM.c, TRANSFORM.f))


def main(
    table: Annotated[Path, typer.Option(help="The table of outlines.")] = DEMO / "polygons.csv",
    out: Annotated[Path, typer.Option(help="The GeoPackage to write.")] = DEMO / "labels.gpkg",
) -> None:
    """Write the demo's labels."""
    print(f"{write_labels(table, out)} polygons written to {out}.")


if __name__ == "__main__":
    typer.run(main)
