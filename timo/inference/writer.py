# SPDX-License-Identifier: GPL-3.0-or-later
"""One raster written block by block, in any order, by one process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from timo.inference.chips import Rectangle
from timo.inference.cog import Piece, write_cog
from timo.inference.outputs import Output
from timo.inference.targets import Targets, check_blocks, told
from timo.series.grid import Grid


def block_profile(grid: Grid, dtype: str, bands: int) -> dict[str, Any]:
    """Options of rasterio for files that results are kept in until all are there."""
    return {
        "driver": "GTiff", "width": grid.width, "height": grid.height, "count": bands,
        "crs": grid.rasterio_crs, "transform": grid.transform, "dtype": dtype,
        "tiled": True, "blockxsize": 256, "blockysize": 256,
        "compress": "deflate", "zlevel": 1, "bigtiff": "if_safer",
        "predictor": 3 if dtype.startswith("float") else 2,
    }  # fmt: skip


class RasterWriter:
    """A raster that appears whole or not at all: left by an exception, this context leaves nothing.

    Args:
        output: Which raster.
        grid: Its CRS, transform and size.
        tags: Provenance: goes into the file's metadata.
    """

    def __init__(self, output: Output, grid: Grid, tags: Mapping[str, str]) -> None:
        self.output, self.grid, self.tags = output, grid, tags
        self.path = Path(output.path)
        self._targets = Targets()
        self._blocks = self._targets.new(self.path.with_suffix(".blocks.tif"))
        nodata = float("nan") if output.nodata is None else output.nodata
        with told(self.path):
            self._dataset = rasterio.open(
                self._blocks, "w", nodata=nodata, **block_profile(grid, output.dtype, len(output.bands))
            )

    def write(self, values: NDArray[Any], rows: slice, columns: slice) -> None:
        """Write a block, (bands, rows, columns) or (rows, columns)."""
        window = Window.from_slices(rows, columns)
        with told(self.path):
            self._dataset.write(values if values.ndim == 3 else values[None], window=window)

    def __enter__(self) -> RasterWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._dataset.close()
            self._targets.__exit__(kind, error, trace)
            return
        with self._targets as targets:
            with told(self.path):
                self._dataset.close()
                check_blocks(self._blocks)
            whole = Piece(self._blocks, Rectangle(0, 0, self.grid.height, self.grid.width))
            write_cog(self.output, self.grid, [whole], self.tags, targets, lambda _: None)
            targets.drop(self._blocks)
