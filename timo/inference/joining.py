# SPDX-License-Identifier: GPL-3.0-or-later
"""The blocks of a prediction become its rasters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from timo.errors import OutputError
from timo.inference.cog import write_cog
from timo.inference.partial import Partial, placed
from timo.inference.plans import grid_of
from timo.inference.polygons import write_polygons
from timo.inference.targets import Targets, check_raster, check_target, told
from timo.series.words import counted


def check_complete(partial: Partial) -> None:
    """Fail unless every block is there.

    Raises:
        OutputError: Saying how many are not.
    """
    left = partial.todo()
    if left:
        first = left[0]
        raise OutputError(
            "blocks_missing",
            f"{counted(len(left), 'block is', 'blocks are')} missing in '{partial.folder}',"
            f" the first at row {first.row}, column {first.column}.",
            "Run the command, or the shards, that have not ended.",
        )


def join(partial: Partial, *, overwrite: bool, tick: Callable[[float], None]) -> None:
    """Write all rasters, and put them in place together.

    Args:
        partial: With every block.
        overwrite: Replace rasters that stand there.
        tick: Called now and then with the share that is done, 0 to 1; may raise to stop.

    Raises:
        OutputError: Blocks are missing, or a raster can't be written. The blocks are kept.
    """
    check_complete(partial)
    _check_targets(partial, overwrite=overwrite)
    with Targets() as targets:
        first = Path(partial.plan.outputs[0].path)
        if not partial.is_placed:
            first = _rasters(partial, targets, tick)
        if partial.plan.polygons is not None:
            _polygons(partial, first, targets)
        _check_targets(partial, overwrite=overwrite)  # minutes may have passed
        partial.placing(targets.made)


def _check_targets(partial: Partial, *, overwrite: bool) -> None:
    for output in partial.plan.outputs:
        path = Path(output.path)
        if output.kind == "maps_per_date":
            with told(path.parent):
                path.parent.mkdir(exist_ok=True)
        check_raster(path, overwrite=overwrite or placed(partial.folder, path))
    if partial.plan.polygons is not None:
        path = Path(partial.plan.polygons.path)
        may = overwrite or placed(partial.folder, path)
        check_target(path, "GeoPackage", (".gpkg",), overwrite=may)


def _rasters(partial: Partial, targets: Targets, tick: Callable[[float], None]) -> Path:
    """Write all of them; where the first is until all are put in place."""
    grid, outputs, made = grid_of(partial.plan), partial.plan.outputs, []
    for number, output in enumerate(outputs):
        pieces = partial.pieces(output.layer)
        whole = max(sum(partial.done[piece.place].bytes[output.layer] for piece in pieces), 1)

        def written(size: int, number: int = number, whole: int = whole) -> None:
            tick((number + min(size / whole, 1)) / len(outputs))

        made.append(write_cog(output, grid, pieces, partial.plan.tags, targets, written))
    return made[0]


def _polygons(partial: Partial, raster: Path, targets: Targets) -> None:
    plan = partial.plan
    assert plan.polygons is not None  # noqa: S101
    try:
        write_polygons(plan.polygons, raster, plan.outputs[0].classes, plan.tags, targets)
    except MemoryError as error:
        raise OutputError(
            "polygons_too_many",
            f"The machine's memory is not enough for the polygons of '{Path(plan.outputs[0].path).name}'.",
            "Run the same command without polygons, or with larger ones: no block is done again.",
        ) from error
