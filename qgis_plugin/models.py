# SPDX-License-Identifier: GPL-3.0-or-later
"""Model bundles as the plugin shows them: ``model.json``, tolerant of what newer versions add. No Qt."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Iterable, List, Mapping, Optional, Sequence, Tuple

from .i18n import tr
from .percent import percent

CARD = "model.json"
PRETRAINING = "pretraining"
LARGEST = 4 * 1024 * 1024
MOST_NAMED = 6


@dataclass(frozen=True)
class Model:
    """One bundle.

    Attributes:
        classes: (value, name, #rrggbb).
        accuracy: Overall accuracy on the validation blocks, 0 to 1; None where it is not known.
        pretrained: Whether it was trained without classes: a training can start from it, and it maps nothing.
        problem: Why it cannot be read, as a sentence; empty if it can.
    """

    folder: Path
    name: str
    architecture: str = ""
    classes: Tuple[Tuple[int, str, str], ...] = ()
    bands: Tuple[str, ...] = ()
    date_count: int = 0
    date_minimum: int = 1
    first: str = ""
    last: str = ""
    chip: int = 0
    accuracy: Optional[float] = None
    mean_iou: Optional[float] = None
    trained: str = ""
    told: str = ""
    """What it was trained on, in a sentence."""
    pixel: float = 0.0
    """Width of a pixel in training, in units of ``crs``."""
    pixel_height: float = 0.0
    crs: str = ""
    places: Tuple[Tuple[float, float], ...] = ()
    """(Longitude, latitude) of the middle of each place that it was trained on."""
    per_date: bool = False
    pretrained: bool = False
    problem: str = ""

    @property
    def why_not_map(self) -> str:
        """Why it cannot map, in a sentence that says what to do; empty if it can."""
        if self.pretrained and not self.problem:
            return tr(
                "Model '{name}' is pre-trained and knows no classes: start a training from it.",
                name=self.name,
            )
        return self.problem

    @property
    def accuracy_text(self) -> str:
        """The figures of its validation in words."""
        figures = []
        if self.accuracy is not None:
            figures.append(tr("{share} % of the validation pixels right", share=percent(self.accuracy, 1)))
        if self.mean_iou is not None:
            figures.append(tr("mean IoU {value}", value=f"{self.mean_iou:.2f}"))
        return ", ".join(figures)


def read_model(folder: Path) -> Model:
    """A bundle's card; a model with a ``problem`` where it cannot be read."""
    path = folder / CARD
    try:
        if path.stat().st_size > LARGEST:
            return Model(
                folder, folder.name, problem=tr("{path} is too large to be a model's description.", path=path)
            )
        card = json.loads(path.read_text(encoding="utf-8"))
        return _model(folder, card)
    except FileNotFoundError:
        return Model(
            folder,
            folder.name,
            problem=tr(
                "{folder} holds no {card}: pick the folder of a TiMo model.", folder=folder, card=CARD
            ),
        )
    except KeyError as error:
        return Model(
            folder, folder.name, problem=tr("{path} does not say its {what}.", path=path, what=error.args[0])
        )
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        return Model(folder, folder.name, problem=tr("{path} cannot be read: {why}.", path=path, why=error))


def not_there(folder: str, looking: bool) -> str:
    """Why a model that was asked for cannot be taken.

    Args:
        folder: Its folder.
        looking: Whether it is still looked for.
    """
    if looking:
        return tr("Model '{name}' is being looked for.", name=Path(folder).name)
    return tr(
        "There is no model in {folder} any more: it was renamed, moved or deleted. Pick another one.",
        folder=folder,
    )


def training_of(folder: Path) -> Mapping[str, Any]:
    """The spec of the training that made a bundle; empty where it does not say it."""
    path = folder / CARD
    with suppress(OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
        if path.stat().st_size <= LARGEST:
            spec = json.loads(path.read_text(encoding="utf-8"))["training"]["spec"]
            return spec if isinstance(spec, dict) else {}
    return {}


def bundle_folders(home: Path, others: Iterable[str]) -> List[Path]:
    """The folders of the models trained in a home, newest first, then of those picked elsewhere."""
    own = []
    for path in (home / "models").glob(f"*/{CARD}"):
        try:
            own.append((path.stat().st_mtime, path.parent))
        except OSError:
            continue
    folders = [folder for _, folder in sorted(own, key=lambda entry: -entry[0])]
    return folders + [Path(text) for text in others if Path(text) not in folders]


def find_models(home: Path, others: Iterable[str]) -> List[Model]:
    """The models in these folders."""
    return told_apart([read_model(folder) for folder in bundle_folders(home, others)])


def told_apart(bundles: Sequence[Any]) -> List[Any]:
    """Each ``Model`` or ``Start``, with its folder in the name where others are called alike."""
    names = Counter(one.name for one in bundles)
    folders = Counter(one.folder.name for one in bundles)

    def told(one: Any) -> Any:
        folder = one.folder.name if folders[one.folder.name] == 1 else one.folder
        return one if names[one.name] == 1 else replace(one, name=f"{one.name} ({folder})")

    return [told(one) for one in bundles]


def seen(card: Mapping[str, Any]) -> str:
    """What it saw: without labels or with which classes, on which dates, and from what it began itself."""
    dates = card.get("dates") or {}
    on = tr(
        "{count} dates from {first} to {last}",
        count=dates.get("count", "?"), first=dates.get("first", "?"), last=dates.get("last", "?"),
    )  # fmt: skip
    began = str((card.get("training") or {}).get("started_from") or "random weights").partition(" (")[0]
    if began == "random weights":
        began = tr("random weights")
    names = [str(one["name"]) for one in card.get("classes") or ()]
    if card["task"] == "pretraining" or not names:
        return tr("Pre-trained without labels on {seen}, from {began}.", seen=on, began=began)
    shown = ", ".join(names[:MOST_NAMED]) + (" …" if len(names) > MOST_NAMED else "")
    return tr("Learnt {classes} on {seen}, from {began}.", classes=shown, seen=on, began=began)


def _model(folder: Path, card: Mapping[str, Any]) -> Model:
    if card["task"] not in ("segmentation", PRETRAINING):
        return Model(
            folder,
            folder.name,
            problem=tr("{folder} is a model of a kind that this version cannot map with.", folder=folder),
        )
    pretrained = card["task"] == PRETRAINING
    classes = () if pretrained else card["classes"]
    dates = card.get("dates", {})
    metrics = card.get("metrics", {})
    pixels = [_number(size) or 0.0 for size in card.get("ground_sample_distance") or ()] or [0.0]
    return Model(
        folder=folder,
        name=str(card.get("name") or folder.name),
        architecture=str(card["architecture"]["name"]),
        classes=tuple((int(c["value"]), str(c["name"]), str(c.get("color", ""))) for c in classes),
        bands=tuple(str(band.get("role") or band["name"]) for band in card["bands"]),
        date_count=int(dates.get("count", 0)),
        date_minimum=int(dates.get("minimum", 1)),
        first=str(dates.get("first", "")),
        last=str(dates.get("last", "")),
        chip=int(card.get("chip", 0)),
        accuracy=_number(metrics.get("overall_accuracy")),
        mean_iou=_number(metrics.get("mean_iou")),
        trained=_trained(card.get("training", {})),
        told=seen(card),
        pixel=pixels[0],
        pixel_height=pixels[-1],
        crs=str(card.get("crs") or ""),
        places=_places(card.get("training", {})),
        per_date=bool(card["architecture"].get("per_date", False)),
        pretrained=pretrained,
    )


def _trained(training: Any) -> str:
    start = training.get("started_from") if isinstance(training, dict) else None
    return (tr("random weights") if start == "random weights" else str(start)) if start else ""


def _places(training: Any) -> Tuple[Tuple[float, float], ...]:
    found = []
    for extent in (training.get("extents") if isinstance(training, dict) else None) or ():
        with suppress(TypeError, ValueError):  # to be told, and no reason not to use a model
            west, south, east, north = map(float, extent)
            middle = (west + east + (360 if east < west else 0)) / 2  # across the date line
            found.append((middle - 360 if middle > 180 else middle, (south + north) / 2))
    return tuple(found)


def _number(value: Any) -> Optional[float]:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
