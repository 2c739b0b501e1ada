# SPDX-License-Identifier: GPL-3.0-or-later
"""``timo series``: what is found as a series, in tables."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Column, Table

from timo.terminal import AsJson, out

_TOLD = 3  # files that are left out for one reason and named
_UNITS = {"linear": "linear backscatter", "numbers": "numbers"}


def series(
    source: Annotated[
        list[str],
        typer.Argument(
            help="A folder, a glob, files, http addresses, or a CSV with columns path,date (and band, name "
            "where a file holds many dates)."
        ),
    ],
    at: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="LON LAT", help="Show the values at a place instead, by date and band."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what is found as a series: dates, bands, masks, grid, what is left out and every problem."""
    if at is not None:
        _show_place(source, at, as_json=as_json)
        return
    from timo.series.series import open_series

    summary = open_series(source).summary()
    if as_json:
        print(json.dumps(summary))  # noqa: T201
        return
    out.print(_dates(summary["dates"]), _bands(summary["bands"]))
    grid = summary["grid"]
    size = " x ".join(f"{side:g}" for side in grid["pixel_size"])
    out.print(f"Grid: {grid['width']} x {grid['height']} pixels of {size}, {_short(grid['crs'])}")
    for mask in summary["masks"]:
        shown = f"at {mask['dates']} of {len(summary['dates'])} dates"
        out.print(f"Mask: {mask['name']} hides {mask['hides']}, {shown}.", soft_wrap=True)
    if not summary["masks"]:
        out.print("Mask: none was found; clouds count as ground.")
    _print_left_out(summary["left_out"])
    for problem in summary["problems"]:
        out.print(f"Problem: {problem}", style="yellow", soft_wrap=True)


def _show_place(source: list[str], at: tuple[float, float], *, as_json: bool) -> None:
    from timo.series.at import values_at

    found = values_at(source, *at)
    if as_json:
        print(json.dumps(found))  # noqa: T201
        return
    bands = found["bands"]
    table = Table(
        "Date",
        *(Column(band["role"] or band["name"], justify="right") for band in bands),
        title=_count(len(found["dates"]), "date") + f" with data at {at[0]:g} {at[1]:g}",
    )
    for t, date in enumerate(found["dates"]):
        values = (band["values"][t] for band in bands)
        table.add_row(date, *("" if value is None else f"{value:.4g}" for value in values))
    out.print(table)


def _dates(dates: list[dict[str, Any]]) -> Table:
    table = Table(
        "Date",
        "Sensor",
        Column("Clear", justify="right"),
        "Mask",
        "Files",
        "Problem",
        title=_count(len(dates), "date"),
    )
    for date in dates:
        names = [Path(file).name for file in date["files"]]
        files = ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")
        table.add_row(
            date["date"], date["sensor"] or "", f"{date['clear']:.0%}", date["mask"] or "none", files,
            date["problem"] or "",
        )  # fmt: skip
    return table


def _bands(bands: list[dict[str, Any]]) -> Table:
    table = Table(
        "Band", "Role", "Sensor", "Unit", "Scale", "Offset", "Nodata", title=_count(len(bands), "band")
    )
    for band in bands:
        unit = band["unit"] or ""
        table.add_row(
            band["name"], band["role"] or "", band["sensor"] or "", _UNITS.get(unit, unit),
            f"{band['scale']:g}", f"{band['offset']:g}",
            "" if band["nodata"] is None else f"{band['nodata']:g}",
        )  # fmt: skip
    return table


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _print_left_out(left_out: list[dict[str, str]]) -> None:
    """Each file with its reason; of those whose reasons differ in numbers alone the first few."""
    told: Counter[str] = Counter()
    for item in left_out:
        kind = re.sub(r"[\d.,-]+", "#", item["reason"].partition(";")[0])
        told[kind] += 1
        if told[kind] <= _TOLD:
            out.print(f"Left out: {item['path']}: {item['reason']}", soft_wrap=True)
    more = sum(count - _TOLD for count in told.values() if count > _TOLD)
    if more:
        out.print(f"Left out for such reasons: {more} more; --json lists them all.")


def _short(crs: str | None) -> str:
    if crs is None:
        return "no coordinate system"
    return crs if len(crs) < 40 else crs.split('"')[1] if '"' in crs else crs[:40]
