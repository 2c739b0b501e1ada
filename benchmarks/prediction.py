# SPDX-License-Identifier: GPL-3.0-or-later
"""Prediction at any size: memory that doesn't grow, a pipeline near what the files allow, no seams.

The series is the demo's, repeated to 2,000 x 2,000 pixels, and that 10 x 10 times in a virtual raster. Each
run is a process of its own.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import numpy as np
import rasterio
import torch
from numpy.typing import NDArray

from benchmarks import terratorch
from benchmarks.results_file import Figure, report
from timo import bundle
from timo.inference.blocks import BlockPredictor
from timo.inference.chips import Rectangle, offsets
from timo.inference.ready import ready_model, ready_series
from timo.inference.sizing import Size
from timo.series.series import open_series
from timo.tasks import run as run_task
from timo.tasks.specs import load
from tools.demo_data import prepare
from tools.demo_labels import DEMO, write_labels

SIDE = 2000
TIMES = 10
DATES = 4
BANDS = 4
GROWTH = 1.1
OF_LIMIT = 0.5
OF_MODEL = 0.9
SEAM = 1.05


@dataclass(frozen=True)
class Place:
    """Where the benchmark's files are."""

    small: Path
    large: Path
    bundle: Path


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        fine_tuned = fine_tune(folder)
        place = Place(tiled(folder), repeated(folder), small_bundle(fine_tuned, folder))
        figures = [
            *pipeline(place, folder),
            *with_model(place, folder),
            *seams(fine_tuned),
            *terratorch.compare("free", place.small, place.bundle, folder),
            *terratorch.compare("model", place.small, place.bundle, folder),
        ]
    report(
        "prediction",
        f"{DATES} dates x {BANDS} bands; {SIDE} and {SIDE * TIMES} pixels a side; chips of 64 pixels",
        figures,
    )


def fine_tune(folder: Path) -> Path:
    """A bundle trained on the demo's polygons."""
    labels, out = folder / "labels.gpkg", folder / "fine-tuned"
    write_labels(DEMO / "polygons.csv", labels, ("train",))
    spec = {"series": str(prepare()), "labels": str(labels), "class_field": "class", "out": str(out)}
    print(run_task("finetune", load("finetune", spec)), flush=True)
    return out


def small_bundle(fine_tuned: Path, folder: Path) -> Path:
    """``timo_small`` with random weights for the tiled series: what it says doesn't matter here."""
    card = bundle.load_card(fine_tuned)
    first, out = card.dates.first, folder / "small"
    dates = msgspec.structs.replace(card.dates, count=DATES, first=first, minimum=1)
    network = msgspec.structs.replace(
        card.architecture, name="timo_small", in_chans=BANDS, cosines=0, pixel_share=None, zoom=1,
        num_classes=BANDS,
    )  # fmt: skip
    classes = [
        bundle.ClassCard(value=i + 1, name=f"class {i}", color=f"#{i:02x}{i:02x}ff") for i in range(BANDS)
    ]
    card = msgspec.structs.replace(
        card, architecture=network, dates=dates, bands=card.bands[:BANDS], classes=classes, chip=64,
        standardised="training",
    )  # fmt: skip
    bundle.save(out, card, network.build())
    return out


def tiled(folder: Path) -> Path:
    """One file a date, the demo's pixels side by side."""
    out = folder / "tiled"
    out.mkdir()
    for path in sorted(prepare().glob("*.tif"))[:DATES]:
        with rasterio.open(path) as source:
            values, profile, names = source.read(), source.profile, source.descriptions
        times = -(-SIDE // values.shape[1])
        values = np.tile(values, (1, times, times))[:BANDS, :SIDE, :SIDE]
        profile.update(
            width=SIDE, height=SIDE, count=BANDS, tiled=True, blockxsize=256, blockysize=256,
            compress="deflate", driver="GTiff",
        )  # fmt: skip
        with rasterio.open(out / path.name, "w", **profile) as target:
            target.write(values)
            target.descriptions = names[:BANDS]
    return out


def repeated(folder: Path) -> Path:
    """The same files, repeated by GDAL's virtual rasters."""
    out = folder / "repeated"
    out.mkdir()
    for path in sorted((folder / "tiled").glob("*.tif")):
        with rasterio.open(path) as source:
            side = str(SIDE * TIMES)
            root = ET.Element("VRTDataset", rasterXSize=side, rasterYSize=side)
            ET.SubElement(root, "SRS").text = source.crs.to_wkt()
            ET.SubElement(root, "GeoTransform").text = ", ".join(map(repr, source.transform.to_gdal()))
            for index, name in enumerate(source.descriptions, 1):
                band = ET.SubElement(root, "VRTRasterBand", dataType="UInt16", band=str(index))
                ET.SubElement(band, "Description").text = name
                if source.nodata is not None:
                    ET.SubElement(band, "NoDataValue").text = str(source.nodata)
                for row in range(TIMES):
                    for column in range(TIMES):
                        one = ET.SubElement(band, "SimpleSource")
                        ET.SubElement(one, "SourceFilename").text = str(path)
                        ET.SubElement(one, "SourceBand").text = str(index)
                        size = {"xSize": str(SIDE), "ySize": str(SIDE)}
                        ET.SubElement(one, "SrcRect", {"xOff": "0", "yOff": "0", **size})
                        at = {"xOff": str(column * SIDE), "yOff": str(row * SIDE)}
                        ET.SubElement(one, "DstRect", {**at, **size})
        (out / path.with_suffix(".vrt").name).write_bytes(ET.tostring(root))
    return out


def case(kind: str, series: Path, model: Path, folder: Path) -> dict[str, float]:
    """One run in a process of its own."""
    made = folder / "out"
    made.mkdir()
    command = [sys.executable, "-m", "benchmarks.prediction_case", kind, str(series), str(model)]
    ended = subprocess.run([*command, str(made / "map.tif")], stdout=subprocess.PIPE, check=True)
    shutil.rmtree(made)
    found: dict[str, float] = json.loads(ended.stdout)
    print(kind, series.name, found, flush=True)
    return found


def pipeline(place: Place, folder: Path) -> list[Figure]:
    """Memory at two sizes, and speed beside rasterio alone."""
    small, large = (case("free", series, place.bundle, folder) for series in (place.small, place.large))
    theirs = [case("limit", series, place.bundle, folder) for series in (place.small, place.large)]
    growth = large["peak_mb"] / small["peak_mb"]
    part = "The pipeline, with a model that costs nothing"
    figures = []
    for ours, limit, side in zip((small, large), theirs, (SIDE, SIDE * TIMES), strict=True):
        ratio, whole = limit["seconds"] / ours["seconds"], side > SIDE
        figures += [
            Figure(
                f"speed, {side} pixels a side", ours["pixels"] / ours["seconds"] / 1e6, "Mpixel/s", part=part
            ),
            Figure(
                "of rasterio alone on the same blocks",
                ratio,
                "",
                f"at least {OF_LIMIT}" if whole else "",
                ratio >= OF_LIMIT if whole else None,
                part=part,
                note="" if whole else "opening series and model is much of it",
            ),
            Figure(f"peak memory, {side} pixels a side", ours["peak_mb"], "MB", part=part),
        ]
    return [
        *figures,
        Figure("growth of the peak", growth, "x", f"at most {GROWTH}", growth <= GROWTH, part=part),
    ]  # fmt: skip


def with_model(place: Place, folder: Path) -> list[Figure]:
    """How much of the time is timo_small's."""
    found = case("model", place.small, place.bundle, folder)
    share = found["model_seconds"] / found["seconds"]
    part = f"timo_small, {SIDE} pixels a side"
    return [
        Figure("speed", found["pixels"] / found["seconds"] / 1e3, "kpixel/s", part=part),
        Figure(
            "share of the time that is the model's", share, "", f"at least {OF_MODEL}", share >= OF_MODEL,
            part=part,
        ),
    ]  # fmt: skip


def seams(fine_tuned: Path) -> list[Figure]:
    """Steps of probabilities across chips' borders beside those at other pixels, blended and hard-tiled."""
    card = bundle.load_card(fine_tuned)
    series = bundle.check_series(card, open_series(str(prepare())))
    device = torch.device("cpu")
    predictor = BlockPredictor(
        ready_model(fine_tuned, card, device), ready_series(series, card), chip=card.chip,
        size=Size(1024, 8, 2), device=device,
    )  # fmt: skip
    height, width = series.grid.shape
    block = Rectangle(0, 0, height, width)
    (whole,) = predictor.run([block], lambda _: None)
    blended = whole.probabilities.numpy()
    hard = np.zeros_like(blended)
    chip = card.chip
    frames = predictor.read(predictor.chips(block))
    starts = [[*range(0, side - chip + 1, chip), side - chip] for side in (height, width)]
    for row in starts[0]:
        for column in starts[1]:
            one = Rectangle(row, column, chip, chip)
            part = predictor.predict(one, [(row, column)], frames, lambda _: None)
            hard[:, one.rows, one.columns] = part.probabilities.numpy()
    borders = [
        sorted({*offsets(side, chip), *(o + chip for o in offsets(side, chip))} - {0, side})
        for side in (height, width)
    ]
    ratio, tiled_ratio = step_ratio(blended, borders), step_ratio(hard, [s[1:] for s in starts])
    accuracy = card.metrics["overall_accuracy"]
    part = "Seams, a model fine-tuned on the demo's polygons"
    return [
        Figure("its accuracy on held-out labels", accuracy, "", part=part),
        Figure(
            "step across chips' borders, of that elsewhere", ratio, "", f"at most {SEAM}", ratio <= SEAM,
            part=part,
        ),
        Figure("hard-tiled it would be", tiled_ratio, "", part=part),
    ]  # fmt: skip


def step_ratio(probabilities: NDArray[np.float32], borders: list[list[int]]) -> float:
    """Mean absolute difference of neighbours across borders, over that of all other neighbours."""
    across, other = [], []
    for axis, places in ((1, borders[0]), (2, borders[1])):
        steps = np.abs(np.diff(probabilities, axis=axis)).mean(0)
        is_border = np.zeros(steps.shape[axis - 1], bool)
        is_border[[place - 1 for place in places]] = True
        across.append(np.compress(is_border, steps, axis - 1).ravel())
        other.append(np.compress(~is_border, steps, axis - 1).ravel())
    return float(np.concatenate(across).mean() / np.concatenate(other).mean())


if __name__ == "__main__":
    main()
