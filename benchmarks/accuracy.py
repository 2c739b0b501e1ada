# SPDX-License-Identifier: GPL-3.0-or-later
"""TiMo beside what an analyst would use instead: a random forest on the same pixels and the same split.

Both learn from the training labels of every labelled set in ``../shared/data`` that is on this machine, and
are judged by the test labels, which neither has seen. The forest has 200 trees, balanced_subsample, and all
dates and bands of a pixel, gaps filled in time. TiMo is ``timo finetune`` and ``timo predict`` with the
task's preset and no other settings. Run from the project's folder: ``python benchmarks/accuracy.py
[SET ...] [--seeds 0 1 2]``.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, f1_score, jaccard_score

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.results_file import Figure, report  # noqa: E402
from timo import tasks  # noqa: E402
from timo.series.labels import NOT_LABELLED, Labels  # noqa: E402
from timo.series.places import Place, labels_of, open_places  # noqa: E402
from timo.tasks.specs import load  # noqa: E402
from tools.demo_data import DATES  # noqa: E402
from tools.demo_labels import DEMO, write_labels  # noqa: E402

DATA = ROOT.parent / "shared" / "data"
TREES = 200
LONGEST = 5  # minutes of a fine-tuning
SLOW = 120  # seconds of a forest


@dataclass(frozen=True)
class Case:
    """Labels to learn from and labels to be judged by.

    Attributes:
        name: What is printed.
        series: To learn from: what ``timo finetune --series`` takes.
        labels: To learn from.
        tests: Series and labels to be judged by.
        more: Parameters of the fine-tuning that say what the data are, such as the class field.
        positive: The class whose IoU is the figure; None for macro F1 over the classes.
        margin: By how much the figure shall be better than the forest's.
    """

    name: str
    series: list[str]
    labels: str
    tests: list[tuple[list[str], str]]
    more: dict[str, Any] = field(default_factory=dict)
    positive: str | None = None
    margin: float = 0.0


@dataclass
class Score:
    """The figure (macro F1, or the IoU of the positive class), the overall accuracy, and seconds it took."""

    figure: float
    accuracy: float
    seconds: float


def crops(folder: Path) -> Iterator[Case]:
    """Columns 0 to 27 against 31 to 59, each learnt from and each judged by; without maize and conflicts."""
    source = DATA / "crops_belgium"
    with rasterio.open(source / "labels.tif") as labels:
        values, profile = labels.read(1), labels.profile
    files = {}
    for name, columns in (("left", slice(0, 28)), ("right", slice(31, 60))):
        kept = np.full_like(values, 255)
        kept[:, columns] = np.where(np.isin(values, (1, 2, 3, 5)), values, 255)[:, columns]
        files[name] = folder / f"{name}.tif"
        with rasterio.open(files[name], "w", **{**profile, "nodata": 255}) as out:
            out.write(kept, 1)
    for one, other in (("left", "right"), ("right", "left")):
        tests = [([str(source)], str(files[other]))]
        more = {"preset": "crops"}
        yield Case(f"crops, {one} to {other}", [str(source)], str(files[one]), tests, more, margin=0.05)


def flood(folder: Path) -> Iterator[Case]:
    """Sorted by name, the first 26 chips to learn from and the last 10 to be judged by."""
    source = DATA / "flood_ombria" / "train"
    chips = sorted(path for path in source.iterdir() if path.is_dir())

    def write(name: str, some: Sequence[Path]) -> tuple[list[str], str]:
        series, labels = folder / f"{name}.csv", folder / f"{name}_labels.csv"
        with series.open("w", newline="") as first, labels.open("w", newline="") as second:
            frames, masks = csv.writer(first), csv.writer(second)
            frames.writerow(("place", "path", "date"))
            masks.writerow(("place", "path"))
            for chip in some:
                # The chips have no dates; what counts is that one is before the other.
                for when, date in (("before", "2020-01-01"), ("after", "2020-01-13")):
                    for sensor in ("s1", "s2"):
                        frames.writerow((chip.name, chip / f"{sensor}_{when}.png", date))
                masks.writerow((chip.name, chip / "mask.png"))
        return [str(series)], str(labels)

    series, labels = write("train", chips[:26])
    tests = [write(chip.name, [chip]) for chip in chips[26:]]
    yield Case("floods", series, labels, tests, {"preset": "flood"}, positive="255", margin=0.05)


def landcover(folder: Path) -> Iterator[Case]:
    """One date; blocks of 79 pixels, one in three to be judged by, 4 pixels to each side of it left out."""
    source = DATA / "landcover_landsat"
    with rasterio.open(source / "landclass96.tif") as labels:
        values, profile = labels.read(1), labels.profile
    rows, columns = np.indices(values.shape)
    side, buffer = 79, 4

    def in_test(row: NDArray[Any], column: NDArray[Any]) -> NDArray[np.bool_]:
        return np.asarray((row // side + column // side) % 3 == 0)

    test = in_test(rows, columns)
    near = np.zeros_like(test)
    for down in (-buffer, 0, buffer):
        for across in (-buffer, 0, buffer):
            near |= in_test((rows + down).clip(0), (columns + across).clip(0))
    files = {"train": ~near, "test": test}
    for name, mask in files.items():
        with rasterio.open(folder / f"{name}.tif", "w", **{**profile, "nodata": 255}) as out:
            out.write(np.where(mask, values, 255).astype(values.dtype), 1)
    listing = folder / "series.csv"
    listing.write_text(f"path,date\n{source / 'lsat7_2002.tif'},2002-05-24\n")
    series = [str(listing)]
    tests = [(series, str(folder / "test.tif"))]
    yield Case("land cover", series, str(folder / "train.tif"), tests, {"preset": "land_cover"})


def forest(folder: Path) -> Iterator[Case]:
    """The demo's polygons on the demo's dates."""
    source = DATA / "forest_romania"
    listing = folder / "series.csv"
    with listing.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(("path", "date"))
        for date in DATES:
            for path in sorted(source.glob(f"**/S2*_{date:%Y%m%d}.tif")):
                writer.writerow((path, date.isoformat()))
    parts = {}
    for part in ("train", "test"):
        parts[part] = folder / f"{part}.gpkg"
        write_labels(DEMO / "polygons.csv", parts[part], (part,))
    series = [str(listing)]
    tests = [(series, str(parts["test"]))]
    more = {"class_field": "class", "preset": "deforestation"}
    yield Case("forest clear-cuts", series, str(parts["train"]), tests, more)


SETS = {
    "crops": ("crops_belgium", crops),
    "flood": ("flood_ombria", flood),
    "landcover": ("landcover_landsat", landcover),
    "forest": ("forest_romania", forest),
}


def timo(case: Case, folder: Path, seed: int, settings: dict[str, Any]) -> Score:
    """Train, map the test series, and compare at the test labels."""
    bundle = folder / "bundle"
    started = time.perf_counter()
    spec = {"series": case.series, "labels": case.labels, "out": str(bundle), "seed": seed, "overwrite": True}
    tasks.run("finetune", load("finetune", {**spec, **case.more, **settings}))
    seconds = time.perf_counter() - started
    truths, mapped = [], []
    for number, (series, labels) in enumerate(case.tests):
        out = folder / f"map{number}.tif"
        request = {"series": series, "model": str(bundle), "out": str(out), "overwrite": True}
        tasks.run("predict", load("predict", request))
        truth, test = _truth(series, labels, case)
        with rasterio.open(out) as source:
            values = source.read(1)
        names = {entry.value: entry.name for entry in _scheme(bundle)}
        truths.append(truth[test])
        mapped.append(np.array([names.get(int(value), "") for value in values[test]], object))
    return _score(case, np.concatenate(truths), np.concatenate(mapped), seconds)


def random_forest(case: Case, seed: int) -> Score:
    """Train on the training pixels, and compare at the test pixels."""
    started = time.perf_counter()
    places = open_places(case.series)
    labels = labels_of(places, case.labels, case.more.get("class_field"))
    names = np.array([entry.name for entry in labels[0].scheme.classes], object)
    pairs = [_taught(place, one) for place, one in zip(places, labels)]
    model = RandomForestClassifier(TREES, class_weight="balanced_subsample", random_state=seed, n_jobs=-1)
    model.fit(np.concatenate([x for x, _ in pairs]), np.concatenate([y for _, y in pairs]))
    seconds = time.perf_counter() - started
    truths, mapped = [], []
    for series, test_labels in case.tests:
        truth, test = _truth(series, test_labels, case)
        truths.append(truth[test])
        mapped.append(names[model.predict(_features(open_places(series)[0])[0][test])])
    return _score(case, np.concatenate(truths), np.concatenate(mapped), seconds)


def _taught(place: Place, labels: Labels) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """(N, T * C) values and (N,) classes of the pixels that TiMo learns from, too: with data on some date."""
    features, seen = _features(place)
    taught = (labels.map != NOT_LABELLED) & seen
    return features[taught], labels.map[taught]


def _truth(series: list[str], labels: str, case: Case) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """(H, W) class names, and where they count."""
    places = open_places(series)
    (one,) = labels_of(places, labels, case.more.get("class_field"))
    names = np.array([entry.name for entry in one.scheme.classes] + [""], object)
    known = one.map != NOT_LABELLED
    return names[np.where(known, one.map, len(names) - 1)], known


def _scheme(bundle: Path) -> Any:
    from timo.bundle import load_card

    return load_card(bundle).classes


def _features(place: Place) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """(H, W, T * C) values, their gaps filled in time, and (H, W) whether any date has data."""
    frames = place.series.read()
    filled = np.nan_to_num(frames.filled())
    T, C, H, W = filled.shape
    return filled.reshape(T * C, H, W).transpose(1, 2, 0), frames.band_valid.any((0, 1))


def _score(case: Case, truth: NDArray[np.object_], mapped: NDArray[np.object_], seconds: float) -> Score:
    truth, mapped = truth.astype(str), mapped.astype(str)
    if case.positive is not None:
        figure = jaccard_score(truth == case.positive, mapped == case.positive)
    else:
        figure = f1_score(truth, mapped, labels=np.unique(truth), average="macro")
    return Score(float(figure), float(accuracy_score(truth, mapped)), seconds)


def main() -> None:
    """Measure the sets named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", choices=[*SETS, []], help="which sets (default: all)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", nargs="*", default=[], metavar="FIELD=VALUE", help="other settings: tuning")
    arguments = parser.parse_args()
    settings = settings_of(arguments.set)
    figures: list[Figure] = []
    for name in arguments.sets or SETS:
        folder, make = SETS[name]
        if not (DATA / folder).is_dir():
            print(f"Not measured: the set '{folder}' is not on this machine.")
            continue
        figures += _measure(make, arguments.seeds, settings)
    if figures and not settings and not arguments.sets and arguments.seeds == [0, 1, 2]:
        report("accuracy", "TiMo (default settings) beside a random forest (200 trees)", figures)
    elif figures:
        with tempfile.TemporaryDirectory() as place:  # a part, or other settings: shown, not kept
            report("accuracy", f"TiMo with {settings or 'default settings'}", figures, Path(place))


def _measure(make: Any, seeds: Sequence[int], settings: dict[str, Any]) -> list[Figure]:
    figures: list[Figure] = []
    ours: list[Score] = []
    theirs: list[Score] = []
    margin, kind = 0.0, ""
    with tempfile.TemporaryDirectory() as place:
        for case in make(Path(place)):
            margin, kind = case.margin, "IoU" if case.positive else "macro F1"
            for seed in seeds:
                # A forest of very many pixels takes its time, and chance means little to it: one is enough.
                large = seed != seeds[0] and theirs[-1].seconds > SLOW
                theirs.append(theirs[-1] if large else random_forest(case, seed))
                ours.append(timo(case, Path(place), seed, settings))
                print(f"{case.name}, seed {seed}: TiMo {ours[-1]}, forest {theirs[-1]}", flush=True)
            k = len(seeds)
            figures += _rows(case.name, kind, ours[-k:], theirs[-k:])
    name = f"{make.__name__}, mean"
    ahead = float(np.mean([s.figure for s in ours]) - np.mean([s.figure for s in theirs]))
    correct = float(np.mean([s.accuracy for s in ours]) - np.mean([s.accuracy for s in theirs]))
    slowest = max(s.seconds for s in ours) / 60
    return [
        *figures,
        *(
            Figure(what, value, unit, f"at {least} {limit:g}", reached, part=name)
            for what, value, unit, least, limit, reached in (
                (f"{kind}: TiMo's less the forest's", ahead, "", "least", margin, ahead >= margin),
                ("accuracy: TiMo's less the forest's", correct, "", "least", 0, correct >= 0),
                ("slowest fine-tuning", slowest, "min", "most", LONGEST, slowest <= LONGEST),
            )
        ),
    ]


def _rows(name: str, kind: str, ours: list[Score], theirs: list[Score]) -> Iterator[Figure]:
    for what, values in (("TiMo", ours), ("random forest", theirs)):
        for word, numbers in (
            (kind, [one.figure for one in values]),
            ("accuracy", [one.accuracy for one in values]),
            ("seconds to learn", [one.seconds for one in values]),
        ):
            spread = (min(numbers), max(numbers))
            yield Figure(f"{word}, {what}", float(np.mean(numbers)), "", spread=spread, part=name)


def settings_of(pairs: Sequence[str]) -> dict[str, Any]:
    """FIELD=VALUE by field; a value that is no JSON is text."""
    settings: dict[str, Any] = {}
    for name, _, text in (pair.partition("=") for pair in pairs):
        try:
            settings[name] = json.loads(text)
        except json.JSONDecodeError:
            settings[name] = text
    return settings


if __name__ == "__main__":
    main()
