# SPDX-License-Identifier: GPL-3.0-or-later
"""``timo stac``: search a STAC catalogue, and keep the search as a series."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from timo.terminal import AsJson, out

_SHOWN = 60  # days; more scroll out of sight


def stac(
    url: Annotated[str, typer.Argument(metavar="URL", help="The root of a STAC API.")],
    collection: Annotated[
        list[str], typer.Option(help="A collection; can be given several times.", show_default=False)
    ],
    bbox: Annotated[
        tuple[float, float, float, float],
        typer.Option(metavar="W S E N", help="West, south, east, north in degrees.", show_default=False),
    ],
    dates: Annotated[
        str,
        typer.Option(metavar="A/B", help="First and last day, 2020-01-01/2020-12-31.", show_default=False),
    ],
    cloud: Annotated[
        float | None,
        typer.Option(
            help="Clouds that a scene may have at most; scenes that don't tell are kept. [%]", min=0, max=100
        ),
    ] = None,
    band: Annotated[
        list[str] | None,
        typer.Option(
            help="A band by asset, name or role; can be given several times. "
            "Left out, all with a known role.",
            show_default=False,
        ),
    ] = None,
    skip: Annotated[
        list[str] | None,
        typer.Option(help="A scene to leave out; can be given several times.", show_default=False),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE.json",
            help="Where to keep the search: every task takes it as its series.",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
    as_json: AsJson = False,
) -> None:
    """Search a STAC catalogue and show what it has; no pixel is read."""
    from timo.series.stac import find_scenes
    from timo.series.stac_search import make_search, write_search
    from timo.series.stac_series import summary

    search = make_search(url, collection, bbox, dates, cloud, band or (), skip or ())
    found = summary(find_scenes(search))
    if save is not None:
        write_search(search, save, overwrite=overwrite)
        found["search"] = str(save)
    if as_json:
        print(json.dumps(found))  # noqa: T201
        return
    _print(found)


def _print(found: dict[str, Any]) -> None:
    days = found["days"]
    table = Table(
        "Date", "Scenes", "Clouds", "Missing", title=f"{found['scenes']} scenes on {len(days)} days"
    )
    for day in days[:_SHOWN]:
        low, high = day["clouds"] or (None, None)
        clouds = "" if low is None else f"{low:.0f} %" if low == high else f"{low:.0f} to {high:.0f} %"
        table.add_row(day["date"], _names(day["scenes"]), clouds, ", ".join(day["missing"]))
    bands = Table("Band", "Role", "Asset", "Scale", "Offset", "Nodata", title=f"{len(found['bands'])} bands")
    for band in found["bands"]:
        facts = ("" if band[key] is None else f"{band[key]:g}" for key in ("scale", "offset", "nodata"))
        bands.add_row(band["name"], band["role"] or "", band["asset"], *facts)
    out.print(table)
    if len(days) > _SHOWN:
        out.print(f"... and {len(days) - _SHOWN} more days, until {days[-1]['date']}.")
    out.print(bands)
    if found["cloudy"]:
        out.print(f"{found['cloudy']} more scenes are beyond the cloud limit.")
    for problem in found["problems"]:
        out.print(problem, style="yellow", soft_wrap=True)
    if "search" in found:
        out.print(f"Kept as {found['search']}: give it to --series, or to 'timo series'.", soft_wrap=True)


def _names(scenes: list[str]) -> str:
    return ", ".join(scenes[:2]) + (f" and {len(scenes) - 2} more" if len(scenes) > 2 else "")
