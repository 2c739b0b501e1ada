# SPDX-License-Identifier: GPL-3.0-or-later
"""``timo merge``: the parts of a prediction become its map."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from timo.terminal import AsJson, TerminalReporter, print_summary


def merge(
    out: Annotated[Path, typer.Argument(metavar="MAP", help="The map, as 'timo predict --out' named it.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output if it exists.")] = False,
    as_json: AsJson = False,
) -> None:
    """Join the parts that 'timo predict --shard' made."""
    from timo.inference.partial import Partial, partial_folder
    from timo.inference.running import finish

    with Partial.complete(partial_folder(out)) as partial, TerminalReporter("merge") as reporter:
        partial.move(out.absolute())
        summary = finish(partial, reporter, overwrite=overwrite)
    if as_json:
        print(json.dumps(summary))  # noqa: T201
    else:
        print_summary(summary)
