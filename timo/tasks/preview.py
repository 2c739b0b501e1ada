# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture of what a training has learnt so far: one piece of its validation, beside the labels there."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import rasterio.shutil
import torch
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile
from torch import nn

from timo import access
from timo.disk import fresh
from timo.errors import Cancelled
from timo.inference.outputs import map_type
from timo.inference.sidecars import rgb
from timo.models.pixels import WithPixels
from timo.series.bands import Band
from timo.series.labels import NOT_LABELLED, ClassScheme
from timo.series.rasters import reason
from timo.tasks.reporter import Reporter
from timo.training.data import LabelledChips
from timo.training.engine import Fit
from timo.training.objectives import ClassObjective

SECONDS_BETWEEN = 3.0
SHOWN = (("red", "green", "blue"), ("nir", "red", "green"), ("swir1", "nir", "red"), ("vv", "vh", "vv"))
"""Bands that a picture is made of, the first that a series has."""
DARKEST, BRIGHTEST = 2, 98  # percentiles


class Preview:
    """Keeps ``preview.tif`` up to date; left with the training, this context leaves nothing of it.

    The file's pages are the map and the labels, with the classes' values and colours, and the picture of a
    date. It is replaced as a whole. A training that was cancelled may go on: its preview stays.

    Args:
        folder: Made with the first preview, and removed if nothing else is in it.
        chips: Of the training.
        scheme: The classes.
        objective: Of the training.
        reporter: Told each new preview; what can't be written is a warning, once.
        wanted: Whether there shall be one: of several processes one draws it.
        clock: Seconds, rising.
    """

    def __init__(
        self,
        folder: Path,
        chips: LabelledChips,
        scheme: ClassScheme,
        objective: ClassObjective,
        reporter: Reporter,
        *,
        wanted: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = folder / "preview.tif"
        access.demand(self.path)
        self._piece = chips.richest("validation") if wanted else None
        self._scheme, self._objective, self._reporter = scheme, objective, reporter
        self._clock, self._due = clock, -np.inf
        self._pending: tuple[int, NDArray[np.uint8]] | None = None
        self._warned = False

    def look(self, model: nn.Module, outcome: Fit) -> None:
        """Of ``fit``'s onlooker: draw what the model makes of the piece, if no epoch was better.

        It draws no random number and changes nothing. What comes too soon after the last is written later.
        """
        if self._piece is None:
            return
        if outcome.epoch == len(outcome.history):
            self._pending = outcome.epoch, self._classes(model, outcome.figures.get("pixel_share"))
        if self._pending is not None and self._clock() >= self._due:
            self._show(*self._pending)
            self._pending = None
            self._due = self._clock() + SECONDS_BETWEEN

    @torch.inference_mode()
    def _classes(self, model: nn.Module, share: float | None) -> NDArray[np.uint8]:
        """(chip, chip), or (T, chip, chip), class indices."""
        assert self._piece is not None  # noqa: S101
        device = next(model.parameters()).device
        batch = self._piece.batch
        batch = batch._replace(series=batch.series.to(device), dates=batch.dates.to(device))
        if isinstance(model, WithPixels) and share is not None:
            logits = torch.lerp(*model.both(batch.series, batch.valid, batch.dates), share)
        else:
            (logits,) = self._objective.logits(model, batch)
        found: NDArray[np.uint8] = logits.argmax(1)[0].to(torch.uint8).cpu().numpy()
        return found

    def _show(self, epoch: int, classes: NDArray[np.uint8]) -> None:
        unfinished = self.path.with_suffix(".partial")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fresh(unfinished)
            self._write(unfinished, epoch, classes)
            unfinished.replace(self.path)
        except (OSError, RasterioError) as error:  # of a full disk the checkpoint tells
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)
            if not self._warned:
                self._reporter.log(f"The preview {self.path} cannot be written: {reason(error)}.", "warning")
            self._warned = True
        else:
            self._reporter.artifact(self.path, "preview")

    def _write(self, path: Path, epoch: int, classes: NDArray[np.uint8]) -> None:
        assert self._piece is not None  # noqa: S101
        (frames,), (labels,) = self._piece.batch.series.numpy(), self._piece.batch.labels.numpy()
        series, row, column = self._piece.series.series, self._piece.row, self._piece.column
        side = frames.shape[-1]
        _, valid = self._piece.series.read(row, column, side, side)
        date = len(frames) - 1
        if labels.ndim == 3:  # of every date: the one with most labels
            date = int((labels != NOT_LABELLED).sum((1, 2)).argmax())
            labels, classes = labels[date], classes[date]
        there = (
            slice(max(-row, 0), min(side, series.grid.height - row)),
            slice(max(-column, 0), min(side, series.grid.width - column)),
        )
        infos = self._scheme.classes
        dtype, nodata = map_type([c.value for c in infos])
        values = np.full(NOT_LABELLED + 1, nodata, dtype)
        values[: len(infos)] = [c.value for c in infos]
        mapped = np.where(valid, values[classes], values[NOT_LABELLED])
        picture = picture_of(frames[date], series.bands)
        height, width = (one.stop - one.start for one in there)
        window = series.grid.window(row + there[0].start, column + there[1].start, height, width)
        grid = series.grid.window_grid(window)
        told = [{"value": c.value, "name": c.name, "color": c.color} for c in infos]
        tags = {
            "TIMO_EPOCH": str(epoch),
            "TIMO_DATE": series.dates[date].isoformat(),
            "TIMO_CLASSES": json.dumps(told),
        }
        shape = {
            "driver": "GTiff", "compress": "deflate", "width": width, "height": height,
            "crs": grid.rasterio_crs, "transform": grid.transform,
        }  # fmt: skip
        of_classes = {**shape, "dtype": dtype, "nodata": nodata}
        colors = {c.value: (*rgb(c.color), 255) for c in infos} if dtype != "int32" else None
        _append(path, mapped[there][None], of_classes, tags, colors)
        _append(path, values[labels][there][None], of_classes, {}, colors)
        _append(path, picture[(slice(None), *there)], {**shape, "dtype": "uint8"}, {}, None)

    def __enter__(self) -> Preview:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._piece is None or isinstance(error, Cancelled):
            return
        if error is not None and not isinstance(error, Exception):  # a signal
            return
        with contextlib.suppress(OSError):  # on Windows, while somebody reads it
            self.path.unlink(missing_ok=True)
            self.path.parent.rmdir()  # unless a checkpoint lies there


def picture_of(frame: NDArray[np.float32], bands: Sequence[Band]) -> NDArray[np.uint8]:
    """(C, H, W) to red, green and blue, (3, H, W), each stretched over what there is of it."""
    roles = [band.role for band in bands]
    wanted = next((three for three in SHOWN if set(three) <= set(roles)), None)
    chosen = [roles.index(role) for role in wanted] if wanted else [0, 0, 0]
    shown = frame[chosen]
    low, high = np.percentile(shown, (DARKEST, BRIGHTEST), (1, 2), keepdims=True)
    scaled = (shown - low) / np.maximum(high - low, 1e-6)
    return np.asarray(np.rint(scaled.clip(0, 1) * 255), np.uint8)


def _append(
    path: Path,
    values: NDArray[Any],
    profile: dict[str, Any],
    tags: dict[str, str],
    colors: dict[int, tuple[int, int, int, int]] | None,
) -> None:
    """Write one more page of a GeoTIFF, or its first."""
    more = {"append_subdataset": "YES"} if path.exists() else {}
    with MemoryFile() as memory:
        with memory.open(count=len(values), **profile) as page:
            page.write(values)
            page.update_tags(**tags)
            if colors is not None:
                page.write_colormap(1, colors)
        rasterio.shutil.copy(memory.name, path, driver="GTiff", compress="deflate", **more)
