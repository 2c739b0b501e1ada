# SPDX-License-Identifier: GPL-3.0-or-later
"""``timo models``: the variants, and the model bundles on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Column, Table

from timo.terminal import AsJson, out

_PARTS = ("encoder", "segmenter")


def models(
    folder: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR",
            help="Where to look for model bundles, one level deep; can be given several times. "
            "The current folder if left out.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the model variants, and the model bundles in a folder."""
    from timo.models import listing

    folders = folder or [Path()]
    bundles = listing.bundles(folders)
    size = {**listing.INPUT._asdict(), "classes": listing.CLASSES}
    variants = listing.variants()
    if as_json:
        print(json.dumps({"input": size, "variants": variants, "bundles": bundles}))  # noqa: T201
        return
    _print_variants(variants, size)
    if bundles:
        _print_bundles(bundles)
    else:
        looked = ", ".join(f"'{path.resolve()}'" for path in folders)
        out.print(f"No model bundles in {looked}; --folder looks elsewhere.", soft_wrap=True)


def _print_variants(variants: list[dict[str, Any]], size: dict[str, int]) -> None:
    table = Table(
        Column("Model", no_wrap=True),
        Column("Widths", no_wrap=True),
        Column("Depths", no_wrap=True),
        *(Column(f"{part.title()}\nM / GFLOP", justify="right", no_wrap=True) for part in _PARTS),
        caption=(
            "Millions of parameters, and billions of operations (a multiplication and an addition are two) "
            f"for {size['batch']} series of {size['bands']} bands, {size['dates']} dates, {size['height']} x "
            f"{size['width']} pixels and {size['classes']} classes. The segmenter's head is that of "
            "'timo finetune'."
        ),
    )
    for row in variants:
        widths, depths = ("-".join(map(str, row[key])) for key in ("widths", "depths"))
        parts = (f"{row[f'{part}_parameters'] / 1e6:.1f} / {row[f'{part}_gflop']:.0f}" for part in _PARTS)
        table.add_row(row["name"], widths, depths, *parts)
    out.print(table)
    published = [f"{row['name']}: {row['pretrained']}" for row in variants if row["pretrained"]]
    out.print(f"Pre-trained weights: {', '.join(published) or 'none published'}.", soft_wrap=True)


def _print_bundles(bundles: list[dict[str, Any]]) -> None:
    table = Table("Name", "Folder", "Model", "Classes", "Dates", "Bands", "Accuracy", title="Model bundles")
    for row in bundles:
        if row["classes"] is None:
            table.add_row(row["name"], row["path"])
            continue
        dates = f"{row['dates']['count']} ({row['dates']['minimum']} or more)"
        accuracy = "" if row["accuracy"] is None else f"{row['accuracy']:.1%}"
        classes, bands = (", ".join(row[key]) for key in ("classes", "bands"))
        table.add_row(row["name"], row["path"], row["architecture"], classes, dates, bands, accuracy)
    out.print(table)
    for row in bundles:
        if row["problem"]:
            out.print(row["problem"], style="yellow", soft_wrap=True)
