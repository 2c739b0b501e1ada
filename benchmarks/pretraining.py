# SPDX-License-Identifier: GPL-3.0-or-later
"""What pre-training without labels is worth where labels are few.

``timo pretrain`` learns from all series of ``../shared/data`` that open, of differing sensors and lengths.
``timo finetune`` learns from a tenth of the labels of the crops of ``benchmarks/accuracy.py``: from random
weights, and ``--from`` the pre-trained encoder. Both get the same labels, drawn by whole fields, another draw
with each seed, and are judged by all labels of the other side. Run from the project's folder:
``python benchmarks/pretraining.py [--seeds 0 1 2]``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.accuracy import (  # noqa: E402
    DATA,
    Case,
    Score,
    crops,
    flood,
    landcover,
    random_forest,
    settings_of,
    timo,
)
from benchmarks.results_file import Figure, report  # noqa: E402
from timo import tasks  # noqa: E402
from timo.errors import TimoError  # noqa: E402
from timo.series.places import open_places  # noqa: E402
from timo.tasks.specs import load  # noqa: E402

SHARE = 0.1  # of the labels
FIELD = 6  # pixels; larger fields are cut, since a class may be one field of half the place
LONGEST = 30  # minutes of the pre-training
# As many steps as take 15 to 20 minutes on 2 cores; the same on every machine.
PRETRAINING: dict[str, Any] = {"epochs": 100, "chip": 32, "batch": 8}
STARTS = ("random weights", "pre-trained", "random forest")


def sources(folder: Path) -> list[str]:
    """Every series of the data: what ``timo pretrain --series`` takes. Those that don't open are named.

    Args:
        folder: For tables of series that are no folder of dated files.
    """
    found = []
    for name in sorted(path for path in DATA.iterdir() if path.is_dir()):
        if name.name == "flood_ombria":
            candidates = next(flood(folder)).series
        elif name.name == "landcover_landsat":
            candidates = next(landcover(folder)).series
        else:
            within = sorted(path for path in name.iterdir() if path.is_dir())
            whole = any(name.glob("*_????????.tif")) or any(name.glob("S2*.tif"))
            candidates = [str(path) for path in ([name] if whole or not within else within)]
        for one in candidates:
            try:
                places = open_places(one)
            except TimoError as error:
                print(f"Not learnt from: {one}: {error}", flush=True)
                continue
            first = places[0].series
            print(f"{one}: {len(places)} places, {first!r}, {', '.join(first.keys)}", flush=True)
            found.append(one)
    return found


def pretrain(bundle: Path, folder: Path, seed: int = 0) -> float:
    """Pre-train on everything; minutes that it took."""
    started = time.perf_counter()
    spec = {"series": sources(folder), "out": str(bundle), "seed": seed, "overwrite": True, **PRETRAINING}
    summary = tasks.run("pretrain", load("pretrain", spec))
    print(summary, flush=True)
    return (time.perf_counter() - started) / 60


def few_labels(values: NDArray[np.uint8], nodata: int, share: float, seed: int) -> NDArray[np.uint8]:
    """A share of the labels of each class, by whole fields, at least one a class.

    Fields are connected pixels of one class, within squares of ``FIELD`` pixels.

    Args:
        values: (H, W) classes.
        nodata: What is no label.
        share: 0 to 1.
        seed: The same seed gives the same labels.
    """
    random = np.random.default_rng(seed)
    rows, columns = np.indices(values.shape) // FIELD
    kept = np.full_like(values, nodata)
    for value in np.unique(values[values != nodata]):
        connected, _ = ndimage.label(values == value)
        keys = np.stack([connected, rows, columns])[:, connected > 0]
        _, field, sizes = np.unique(keys, axis=1, return_inverse=True, return_counts=True)
        wanted, drawn, total = share * sizes.sum(), [], 0
        for one in random.permutation(len(sizes)):
            if total + sizes[one] <= wanted:
                drawn.append(one)
                total += sizes[one]
        chosen = np.isin(field.ravel(), drawn or [int(sizes.argmin())])
        places = np.argwhere(connected > 0)[chosen]
        kept[tuple(places.T)] = value
    return kept


def with_few_labels(case: Case, folder: Path, seed: int) -> Case:
    """The case with a tenth of its labels to learn from, and all to be judged by."""
    with rasterio.open(case.labels) as source:
        values, profile = source.read(1), source.profile
    kept = few_labels(values, int(profile["nodata"]), SHARE, seed)
    path = folder / f"{Path(case.labels).stem}_{seed}.tif"
    with rasterio.open(path, "w", **profile) as out:
        out.write(kept, 1)
    return replace(case, labels=str(path))


def compare(bundle: Path, folder: Path, seeds: Sequence[int], settings: dict[str, Any]) -> list[Figure]:
    """Fine-tune on both sides from random weights and from the bundle."""
    scores: dict[str, list[list[Score]]] = {start: [] for start in STARTS}  # by seed, by side
    for seed in seeds:
        for of_start in scores.values():
            of_start.append([])
        for case in crops(folder):
            few = with_few_labels(case, folder, seed)
            begun = {**settings, "from": str(bundle)}
            scores[STARTS[0]][-1].append(timo(few, folder, seed, settings))
            scores[STARTS[1]][-1].append(timo(few, folder, seed, begun))
            scores[STARTS[2]][-1].append(random_forest(few, seed))
            for start in STARTS:
                print(f"{case.name}, seed {seed}, {start}: {scores[start][-1][-1]}", flush=True)
    return list(figures_of(scores))


def figures_of(scores: dict[str, list[list[Score]]]) -> Iterator[Figure]:
    """Means and spreads over the seeds of scores by start, seed and side, and what pre-training adds."""
    by_seed: dict[tuple[str, str], NDArray[np.float64]] = {}
    for start, of_seeds in scores.items():
        for word, pick in (("macro F1", "figure"), ("accuracy", "accuracy"), ("seconds", "seconds")):
            values = np.array([np.mean([getattr(one, pick) for one in sides]) for sides in of_seeds])
            by_seed[start, word] = values
            part = "A tenth of the labels of crops, mean of both sides"
            spread = (float(values.min()), float(values.max()))
            yield Figure(f"{word}, {start}", float(values.mean()), "", spread=spread, part=part)
    for word in ("macro F1", "accuracy"):
        plain, begun = by_seed[STARTS[0], word], by_seed[STARTS[1], word]
        gain = begun - plain
        margin, most = float(gain.mean()), float(max(np.ptp(plain), np.ptp(begun)))
        part = f"What pre-training adds, {word}"
        yield Figure(
            "pre-trained less from random weights", margin, "", "more than the spread", margin > most,
            spread=(float(gain.min()), float(gain.max())), part=part,
        )  # fmt: skip
        yield Figure("spread over the seeds, the larger of the two", most, "", part=part)


def main() -> None:
    """Pre-train, unless a bundle is given, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--bundle", type=Path, help="a pre-trained encoder, in place of making one; made if absent"
    )
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="FIELD=VALUE", help="of the fine-tuning: tuning"
    )
    arguments = parser.parse_args()
    if not DATA.is_dir():
        print(f"Not measured: {DATA} is not on this machine.")
        return
    settings = settings_of(arguments.set)
    minutes: list[Figure] = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        bundle = arguments.bundle or folder / "encoder"
        if not bundle.exists():
            took = pretrain(bundle, folder)
            limit = f"at most {LONGEST}"
            minutes.append(Figure("pre-training", took, "min", limit, took <= LONGEST, part="Time"))
        figures = [*compare(bundle, folder, arguments.seeds, settings), *minutes]
        whole = minutes and not settings and arguments.seeds == [0, 1, 2]
        title = f"Fine-tuning from a pre-trained encoder ({settings or 'default settings'})"
        report("pretraining", title, figures, *([] if whole else [folder]))  # a part is shown, not kept


if __name__ == "__main__":
    main()
