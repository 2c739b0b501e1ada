# SPDX-License-Identifier: GPL-3.0-or-later
"""The model bundle: a folder that holds all that is needed to use a trained model rightly.

``model.json`` describes the model, ``weights.safetensors`` holds its parameters, ``report.html`` tells how it
learnt and how good it is, ``split.gpkg`` shows where it was trained and where it was judged.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from affine import Affine
from msgspec import Struct

from timo import access
from timo.card_checks import faults
from timo.disk import replace_folder, sync, unwritten
from timo.errors import BundleError, OutputError
from timo.hashing import sha256_of
from timo.placing import Placing

if TYPE_CHECKING:
    from torch import Tensor, nn

    from timo.series.grid import Grid
    from timo.series.labels import ClassScheme
    from timo.series.series import Series

FORMAT = 1
CARD = "model.json"
WEIGHTS = "weights.safetensors"
SPLIT = "split.gpkg"
REPORT = "report.html"
MOST_RATIO = 3.0  # of pixels' sides: beyond, what the model learnt to see isn't there


class Architecture(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is needed to build the network again."""

    name: str
    in_chans: int
    num_classes: int
    head_channels: int
    zoom: int
    """How many times frames are enlarged before the network, whose finest features are 4 pixels wide."""
    position: str = "index"
    """What tells dates apart: their order, or "date", the days between them and the season."""
    kind: Literal["segmenter", "classifier", "autoencoder"] = "segmenter"
    """Whether it tells classes of pixels, classes of chips, or none."""
    per_date: bool = False
    """Whether it tells them for every date."""
    cosines: int = 0
    """Of the time, that a pixel's own series is told by, see ``timo.models.pixels``; 0 for not at all."""
    pixel_share: float | None = None
    """What that counts beside what is around the pixel, 0 to 1; None while training is to tell."""

    def build(self) -> nn.Module:
        """The network with initial weights."""
        from timo.models.pixels import PixelSeries, WithPixels
        from timo.models.registry import autoencoder, classifier, segmenter
        from timo.models.zoom import Zoomed

        encoder: dict[str, Any] = {"in_chans": self.in_chans, "position": self.position}
        if self.kind == "autoencoder":
            return autoencoder(self.name, **encoder)
        heads: dict[str, Any] = {"num_classes": self.num_classes, "per_date": self.per_date}
        if self.kind == "classifier":
            return Zoomed(classifier(self.name, **heads, **encoder), self.zoom)
        model = segmenter(self.name, head_channels=self.head_channels, **heads, **encoder)
        zoomed = Zoomed(model, self.zoom)
        if not self.cosines:
            return zoomed
        pixels = PixelSeries(self.in_chans, self.num_classes, self.cosines)
        return WithPixels(zoomed, pixels, self.pixel_share)


class BandCard(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One input band: what it is called, and the values it had in training."""

    key: str
    name: str
    role: str | None
    sensor: str | None
    scale: float
    offset: float
    nodata: float | None
    mean: float
    std: float


class ClassCard(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One class: its value in the map, its name, its colour as #rrggbb."""

    value: int
    name: str
    color: str


class DatesCard(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The dates of training (ISO 8601), and the fewest that the model takes."""

    count: int
    first: str
    last: str
    minimum: int


class Card(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``model.json``."""

    format: int
    task: str
    name: str
    architecture: Architecture
    classes: list[ClassCard]
    bands: list[BandCard]
    dates: DatesCard
    ground_sample_distance: list[float]
    """Width and height of a pixel, in units of the CRS."""
    crs: str | None
    chip: int
    nodata: int
    standardised: Literal["training", "series"] = "training"
    """By whose mean and spread the bands are standardised: the training's, or each series' own."""
    metrics: dict[str, Any]
    training: dict[str, Any]
    licence: str
    weights_sha256: str

    def scheme(self) -> ClassScheme:
        """The class scheme of the maps that this model makes."""
        from timo.series.labels import ClassInfo, ClassScheme

        return ClassScheme(tuple(ClassInfo(c.value, c.name, c.color) for c in self.classes))


def save(
    folder: Path,
    card: Card,
    model: nn.Module,
    *,
    split: Path | None = None,
    report: Callable[[Card], str] | None = None,
    overwrite: bool = False,
    placing: Placing | None = None,
) -> None:
    """Write a bundle as a whole: the folder appears when it is complete, or not at all.

    Args:
        folder: Where the bundle shall stand.
        card: The description; its ``weights_sha256`` is filled in here.
        model: The network with the weights to keep.
        split: A GeoPackage to take along as ``split.gpkg``.
        report: Makes the page ``report.html`` of the complete description.
        overwrite: Replace a bundle that stands there.
        placing: Notes it; one that it knows is replaced, too.

    Raises:
        OutputError: If the folder cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    from timo.series.rasters import reason

    partial = _unfinished(folder)
    try:
        if partial.exists():
            shutil.rmtree(partial)
        partial.mkdir(parents=True)
        state = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
        save_file(state, partial / WEIGHTS, metadata={"format": "pt"})
        card = msgspec.structs.replace(card, weights_sha256=sha256_of(partial / WEIGHTS))
        (partial / CARD).write_bytes(msgspec.json.format(msgspec.json.encode(card), indent=2))
        if report is not None:
            (partial / REPORT).write_text(report(card), encoding="utf-8")
        if split is not None:
            shutil.copyfile(split, partial / SPLIT)
        for file in partial.iterdir():  # a power cut after the renaming leaves no empty one
            sync(file)
        check_writable(folder, overwrite=overwrite, placing=placing)
        if placing is not None:
            placing.path.parent.mkdir(exist_ok=True)
            placing.note({folder / file.name: file for file in partial.iterdir()})
        replace_folder(partial, folder)
    except (OSError, SafetensorError) as error:
        if placing is not None and not folder.exists():
            placing.withdraw()
        raise unwritten(f"The model bundle '{folder}'", folder, error, reason(error)) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def unfinished_bytes(folder: Path) -> int:
    """What a ``save`` that was killed has left beside a bundle's folder; the next one removes it first."""
    return sum(file.stat().st_size for file in _unfinished(folder).glob("*"))


def _unfinished(folder: Path) -> Path:
    return folder.with_name(folder.name + ".partial")


def load_card(folder: Path) -> Card:
    """Read and check a bundle's description; loads no torch.

    Raises:
        BundleError: If the folder is no bundle, one of a format that this version does not know, or makes no
            sense.
    """
    path = folder / CARD
    access.demand(path)
    if not path.is_file():
        raise BundleError(
            "bundle_missing",
            f"'{folder}' is not a model bundle: it has no {CARD}.",
            "Pick a folder that 'timo finetune' wrote.",
        )
    try:
        text = path.read_bytes()
        number = msgspec.json.decode(text, type=_Format).format
        # What is new in another format would be taken for damage.
        card = msgspec.json.decode(text, type=Card) if number == FORMAT else None
    except (msgspec.MsgspecError, OSError, RecursionError) as error:
        raise BundleError(
            "bundle_damaged",
            f"'{path}' cannot be read: {error}.",
            "Restore the bundle, or train the model again.",
        ) from error
    if card is None:
        raise BundleError(
            "bundle_format",
            f"'{path}' has format {number}; this version reads format {FORMAT}.",
            "Use the version of TiMo that made the bundle, or train the model again.",
        )
    if fault := next(faults(card), None):
        raise BundleError(
            "bundle_damaged", f"'{path}' {fault}.", "Restore the bundle, or train the model again."
        )
    return card


class _Format(Struct):
    """What every format says of itself."""

    format: int


def load_model(folder: Path, card: Card) -> nn.Module:
    """Build the bundle's network with its weights, in eval mode, on the CPU.

    Raises:
        BundleError: If the weights are missing, changed, or do not fit the architecture.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from timo.series.rasters import reason

    path = folder / WEIGHTS
    access.demand(path)
    try:
        if sha256_of(path) != card.weights_sha256:
            raise BundleError(
                "bundle_changed",
                f"'{path}' is not the file that {CARD} describes: its checksum differs.",
                "Restore the bundle, or train the model again.",
            )
        state = load_file(path)
        model = card.architecture.build()
        if different := _difference(state, model.state_dict()):
            raise BundleError(
                "bundle_mismatch",
                f"The weights '{path}' are of another network than {CARD} describes: {different}.",
                "Put both files of one model into the folder, or train the model again.",
            )
        model.load_state_dict(state, strict=True)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise BundleError(
            "bundle_damaged",
            f"The weights '{path}' cannot be loaded: {reason(error)}.",
            "Restore the bundle, or train the model again.",
        ) from error
    return model.eval()


def _difference(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """The first tensor that differs in shape, or is in one of the two alone; empty if none does."""
    for name, tensor in wanted.items():
        if name not in found:
            return f"they have no '{name}'"
        there, here = (" x ".join(map(str, one.shape)) or "a number" for one in (found[name], tensor))
        if there != here:
            return f"'{name}' is {there} in the file, and {here} in the network"
    beyond = [name for name in found if name not in wanted]
    return f"the network has no '{beyond[0]}'" if beyond else ""


def check_series(card: Card, series: Series) -> Series:
    """The series with the model's bands in the model's order, for a map of its classes.

    Raises:
        BundleError: If the model makes no maps, or the series doesn't fit: see ``fit_series``.
        SeriesError: If a band is missing, naming the file and the band.
    """
    if not card.classes:
        raise BundleError(
            "bundle_without_classes",
            f"Model '{card.name}' is pre-trained without labels: it knows no classes yet.",
            "Fine-tune a model that starts from it, and map with that one.",
        )
    return fit_series(card, series)


def fit_series(card: Card, series: Series) -> Series:
    """The series with the model's bands in the model's order.

    Raises:
        BundleError: If there are too few dates, or pixels are of quite another size than the model's.
        SeriesError: If a band is missing, naming the file and the band.
    """
    if len(series.dates) < card.dates.minimum:
        found = f"{len(series.dates)} date{'s' if len(series.dates) != 1 else ''}"
        raise BundleError(
            "too_few_dates",
            f"The series has {found}, and model '{card.name}' needs at least {card.dates.minimum}.",
            f"Add dates; the model was trained on {card.dates.count}.",
        )
    ratio, side = pixel_ratio(card, series.grid), series.grid.ground_sample_distance
    if ratio is not None and side is not None and not 1 / MOST_RATIO <= ratio <= MOST_RATIO:
        raise BundleError(
            "pixels_differ",
            f"The series has pixels of {side:.3g} m, and model '{card.name}' was trained on "
            f"{side / ratio:.3g} m.",
            "Take a series of about the model's resolution, or train a model on this one.",
        )
    return series.select_bands([band.key for band in card.bands])


def pixel_ratio(card: Card, grid: Grid) -> float | None:
    """How many times as long the sides of a grid's pixels are as those the model was trained on.

    None where metres are not known of both: without CRS, or of a model trained in degrees.
    """
    from timo.series.grid import Grid

    if card.crs is None or grid.ground_sample_distance is None:
        return None
    across, down = card.ground_sample_distance
    own = Grid(card.crs, Affine(across, 0, 0, 0, -down, 0), 1, 1)
    if own.rasterio_crs is None or own.rasterio_crs.is_geographic or own.ground_sample_distance is None:
        return None
    return grid.ground_sample_distance / own.ground_sample_distance


def check_writable(path: Path, *, overwrite: bool, placing: Placing | None = None) -> None:
    """Fail early, before hours of work, if a bundle cannot be written where it shall stand.

    Args:
        path: Its folder.
        overwrite: Another may stand there already.
        placing: Knows the one that may stand there all the same.

    Raises:
        OutputError: Naming the path and the reason.
    """
    from timo.inference.targets import check_folder

    check_folder(path.parent)
    if not path.exists():
        return
    if not overwrite and not (placing and placing.has(path)):
        raise OutputError(
            "output_exists", f"'{path}' exists already.", "Pick another name, or allow it to be overwritten."
        )
    if not path.is_dir():
        raise OutputError(
            "output_is_file", f"'{path}' is a file; a model bundle is a folder.", "Pick another name."
        )
    if any(path.iterdir()) and not (path / CARD).is_file():
        raise OutputError(
            "output_not_bundle",
            f"The folder '{path}' holds other things than a model bundle and is left as it is.",
            "Pick another folder.",
        )
