# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights from a file into a model: what matched and what did not is told, and too little is an error."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from timo.errors import ModelError
from timo.models.encoder import TiMoEncoder

STEM = "encoder.embeds.0.conv1.weight"
CONTAINERS = ("state_dict", "model")  # where checkpoints of others keep their weights
_PARTS = ("embeds.", "stages.")  # what the names of an encoder alone begin with
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Stem:
    """What became of the stem's filters, one set a band of the model.

    ``how`` is "loaded" (as in the weights), "adapted" (by the bands' names), "reset" (initial values, since
    the weights have another number of bands) or "missing" (no filters that fit: initial values).
    """

    how: Literal["loaded", "adapted", "reset", "missing"]
    kept: tuple[str, ...] = ()
    """Bands whose filters are those of the weights; where bands have no names, "band 1" and so on."""
    new: tuple[str, ...] = ()
    """Bands that the weights don't know."""


@dataclass(frozen=True)
class LoadReport:
    """What loading did. All names are the model's, those of `unexpected` the weights'."""

    source: str
    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    """Not in the weights: these keep their initial values."""
    unexpected: tuple[str, ...]
    """In the weights, and not in the model."""
    mismatched: tuple[tuple[str, Shape, Shape], ...]
    """Name, shape in the weights, shape in the model: these keep their initial values."""
    stem: Stem
    share: float
    """Parameters of the encoder that were loaded over all of them, 0 to 1."""

    def sentence(self) -> str:
        """What happened, for an analyst, in one sentence."""
        told = [f"{_percent(self.share)} of the encoder were loaded from {self.source}"]
        if self.stem.new and self.stem.how == "adapted":
            told.append(f"new bands start from the mean of the known ones' filters: {_listed(self.stem.new)}")
        elif self.stem.how in ("reset", "missing"):
            told.append("the filters that see the bands are learned from nothing")
        anew = [*self.missing, *(name for name, _, _ in self.mismatched)]
        anew = [name for name in anew if _whole(name) != STEM]
        if anew:
            told.append(f"not in them, and learned from nothing: {_listed(_parts(anew))}")
        if self.unexpected:
            told.append(f"in them, and not used: {_listed(_parts(self.unexpected))}")
        return "; ".join(told) + "."

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {**asdict(self), "sentence": self.sentence()}


def encoder_of(model: nn.Module) -> TiMoEncoder:
    """The encoder of a model, or the model itself where it is one.

    Raises:
        ModelError: If it has none.
    """
    encoder = model if isinstance(model, TiMoEncoder) else getattr(model, "encoder", None)
    if not isinstance(encoder, TiMoEncoder):
        name = type(model).__name__
        raise ModelError("no_encoder", f"{name} has no TiMo encoder.", "Give a model of timo.models.")
    return encoder


def load_weights(
    model: nn.Module,
    state: Mapping[str, Tensor],
    *,
    least: float = 0.8,
    stem: Literal["adapt", "reset"] = "adapt",
    bands: Sequence[str] | None = None,
    from_bands: Sequence[str] | None = None,
    source: str = "the weights",
) -> LoadReport:
    """Load what fits of a state dict into a model, and tell what did not.

    Heads may differ (another number of classes, another head, none): they keep their initial values. So may
    the kind of attention, as in weights of a masked autoencoder. If loading fails, the model stays as it was.

    Args:
        model: A `TiMoEncoder`, or a model with one as its `encoder`.
        state: Weights under this package's names, of an encoder alone or of a model with heads;
            `timo.models.official.convert_state_dict` gives published ones these names.
        least: Share of the encoder's parameters that must fit, 0 to 1. The published code loads with
            `strict=False` and says nothing: `least=0.0` is paper-exact. Ours is 0.8, since weights of another
            variant fit nearly nowhere, and a model that starts from nothing by mistake is found out late.
        stem: What happens to the stem's filters where the bands differ. The published code initialises them
            anew where their number differs, and looks at no names: "reset" is paper-exact. Ours, "adapt",
            keeps what was learned, see `adapt_stem`.
        bands: What the model's bands are, such as ("blue", "green", "red", "nir"); see `adapt_stem`.
        from_bands: What the bands of the weights are.
        source: Where the weights are from, such as a file's name, for the report and for errors.

    Returns:
        What was loaded, what is missing, left over, or of another shape.

    Raises:
        ModelError: If less than `least` of the encoder fits (``weights_do_not_fit``), or the bands' names
            don't say how to adapt the stem (``stem_bands``).
    """
    encoder = encoder_of(model)
    if stem not in ("adapt", "reset"):
        raise ModelError("stem_option", f"stem is '{stem}'.", "Choose 'adapt' or 'reset'.")
    there = {_whole(name): tensor for name, tensor in state.items()}
    here = {_whole(name): tensor for name, tensor in model.state_dict().items()}
    own_name = {_whole(name): name for name in model.state_dict()}
    fits = {name: there[name] for name in here if name in there and there[name].shape == here[name].shape}
    outcome = Stem("loaded", kept=_band_names(bands, encoder.in_chans)) if STEM in fits else Stem("missing")
    if STEM in there and there[STEM].shape[:1] + there[STEM].shape[2:] == (*here[STEM].shape[:1], 7, 7):
        if stem == "adapt":
            fits[STEM], outcome = _adapted(there[STEM], from_bands, bands, encoder.in_chans)
        elif STEM not in fits:
            outcome = Stem("reset", new=_band_names(bands, encoder.in_chans))
    report = LoadReport(
        source=source,
        loaded=tuple(own_name[name] for name in here if name in fits),
        missing=tuple(own_name[name] for name in here if name not in there),
        unexpected=tuple(name for name in state if _whole(name) not in here),
        mismatched=tuple(
            (own_name[name], tuple(there[name].shape), tuple(here[name].shape))
            for name in here
            if name in there and name not in fits
        ),
        stem=outcome,
        share=_share(encoder, fits, outcome),
    )
    if report.share < least:
        raise _do_not_fit(report, there, here, least)
    model.load_state_dict({own_name[name]: tensor for name, tensor in fits.items()}, strict=False)
    return report


def adapt_stem(
    weight: Tensor, from_bands: Sequence[str] | None = None, bands: Sequence[str] | None = None
) -> Tensor:
    """A stem's filters for other bands.

    A band that both know keeps its filters exactly, wherever it stands. A new one starts from the mean of all
    filters there are. Bands are matched by name and never by position; filters whose bands have no names on
    either side are given back as they are.

    Args:
        weight: Filters (D, C_from, 7, 7).
        from_bands: What each of the C_from bands is, such as ("blue", "green", "red"); any strings, none
            twice. Two sensors' bands with one role need names that tell them apart, as "sentinel-2 red" does.
        bands: What each of the C bands wanted is.

    Returns:
        Filters (D, C, 7, 7).

    Raises:
        ModelError: If one side's names are missing, are of another number than the bands, or come twice
            (``stem_bands``).
    """
    if from_bands is None and bands is None:
        return weight
    if from_bands is None or bands is None:
        whose = "the weights" if from_bands is None else "the model"
        raise ModelError(
            "stem_bands",
            f"Bands {_listed(bands or from_bands or ())} can't be matched: those of {whose} are not named.",
            f"Name the bands of {whose} too, with {'from_bands' if from_bands is None else 'bands'}.",
        )
    _check_names(from_bands, weight.shape[1], "the weights")
    _check_names(bands, max(1, len(bands)), "the model")
    place = {name: i for i, name in enumerate(from_bands)}
    mean = weight.mean(1)
    return torch.stack([weight[:, place[name]] if name in place else mean for name in bands], dim=1)


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The weights in a file: safetensors (``.safetensors``), or what torch saved (``.pth``, ``.pt``).

    A file of torch's may hold tensors and plain values alone: it is read with `weights_only=True`, which runs
    nothing that is in it. Weights may lie under "state_dict" or "model" in it.

    Returns:
        Tensors by name, on the CPU.

    Raises:
        ModelError: Naming the file, if it is not there, can't be read or holds no weights.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError("weights_missing", f"There is no file {path}.", "Choose a file of weights.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            content: Any = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files fail in as many ways as there are bytes
        raise ModelError(
            "weights_unreadable",
            f"{path.name} can't be read as weights: it is damaged, or holds more than tensors.",
            "Save the model's state_dict() alone, with safetensors or torch.save.",
            detail={"error": str(error)},
        ) from error
    while isinstance(content, Mapping) and (inner := next(filter(content.__contains__, CONTAINERS), None)):
        content = content[inner]
    if not isinstance(content, Mapping) or not content:
        raise _no_weights(path, "nothing by name")
    others = [str(name) for name, value in content.items() if not isinstance(value, Tensor)]
    if others:
        raise _no_weights(path, f"{_listed(others)} beside or in place of tensors")
    return {str(name): tensor for name, tensor in content.items()}


def _no_weights(path: Path, what: str) -> ModelError:
    return ModelError(
        "weights_unreadable",
        f"{path.name} holds {what}, and is no state dict.",
        "Save the model's state_dict() alone, or under 'state_dict' or 'model'.",
    )


def _whole(name: str) -> str:
    """A weight's name in a model with heads, where an encoder's begin with "encoder."."""
    return f"encoder.{name}" if name.startswith(_PARTS) else name


def _adapted(
    weight: Tensor, from_bands: Sequence[str] | None, bands: Sequence[str] | None, in_chans: int
) -> tuple[Tensor, Stem]:
    """The stem's filters for the model's bands, and what became of them."""
    count = weight.shape[1]
    if from_bands is None and bands is None and count != in_chans:
        raise ModelError(
            "stem_bands",
            f"The weights are for {count} bands and the model takes {in_chans}, and neither are named.",
            "Name them with from_bands (of the weights) and bands (of the model), in their order.",
        )
    if bands is not None:
        _check_names(bands, in_chans, "the model")
    adapted = adapt_stem(weight, from_bands, bands)
    names = _band_names(bands, in_chans)
    known = names if from_bands is None else tuple(from_bands)
    kept, new = (tuple(name for name in names if (name in known) is is_kept) for is_kept in (True, False))
    return adapted, Stem("loaded" if names == known else "adapted", kept, new)


def _check_names(names: Sequence[str], count: int, whose: str) -> None:
    if len(names) != count:
        raise ModelError(
            "stem_bands",
            f"{len(names)} bands of {whose} are named ({_listed(names)}), and there are {count}.",
            "Name every band once, in order.",
        )
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise ModelError(
            "stem_bands",
            f"Among the bands of {whose}, {_listed(twice)} comes more than once.",
            "Give each a name of its own, such as 'sentinel-2 red'.",
        )


def _band_names(bands: Sequence[str] | None, count: int) -> tuple[str, ...]:
    return tuple(bands) if bands is not None else tuple(f"band {i + 1}" for i in range(count))


def _share(encoder: TiMoEncoder, fits: Mapping[str, Tensor], stem: Stem) -> float:
    """Loaded parameters of the encoder over all of them; filters of new bands are not loaded ones."""
    total = loaded = 0
    for name, parameter in encoder.named_parameters():
        total += parameter.numel()
        if _whole(name) in fits:
            new = len(stem.new) / encoder.in_chans if _whole(name) == STEM else 0.0
            loaded += round(parameter.numel() * (1 - new))
    return loaded / total


def _do_not_fit(
    report: LoadReport, there: Mapping[str, Tensor], here: Mapping[str, Tensor], least: float
) -> ModelError:
    """The error of weights that fit too little, with the first thing that tells them from the model's."""
    message = (
        f"{_percent(report.share)} of the encoder are in {report.source}, and {least * 100:.0f} % are needed"
    )
    theirs, ours = "in the weights", "in the model"
    action = "Build the model that the weights are of, or choose other weights."
    if not any(name.startswith("encoder.") for name in there):
        first = f", the first being '{next(iter(there))}'" if there else ""
        message += f": they have none of its names among their {len(there)}{first}"
        action = "Give published weights to timo.models.official.convert_state_dict first."
    elif _widths(there) != _widths(here):
        message += f": the stages have {_widths(there)} channels {theirs} and {_widths(here)} {ours}"
    elif _depths(there) != _depths(here):
        message += f": the stages have {_depths(there)} blocks {theirs} and {_depths(here)} {ours}"
    elif report.mismatched:
        name, size, own_size = report.mismatched[0]
        message += f": {name} is {_size(size)} {theirs} and {_size(own_size)} {ours}"
    else:
        message += f": {len(report.missing)} of the model's {len(here)} tensors are not in them"
    return ModelError("weights_do_not_fit", message + ".", action, detail=report.to_dict())


def _widths(state: Mapping[str, Tensor]) -> str:
    norms = (state.get(f"encoder.stages.{i}.norm.weight") for i in range(4))
    return "-".join("none" if norm is None else str(norm.shape[0]) for norm in norms)


def _depths(state: Mapping[str, Tensor]) -> str:
    found = (re.match(r"encoder\.stages\.(\d)\.blocks\.(\d+)\.", name) for name in state)
    blocks = {(int(match[1]), int(match[2])) for match in found if match}
    return "-".join(str(sum(stage == i for stage, _ in blocks)) for i in range(4))


def _parts(names: Iterable[str]) -> list[str]:
    """What names are of: "stages.0.blocks.1.attn.differential" of an encoder, "classifier" of a head."""
    inner = (name.removeprefix("encoder.") for name in names)
    parts = (name.rpartition(".")[0] if name.startswith(_PARTS) else name.split(".")[0] for name in inner)
    return list(dict.fromkeys(parts))


def _listed(names: Sequence[str], most: int = 6) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _percent(share: float) -> str:
    """A share with one decimal, where only all is 100 %."""
    return f"{min(share, 1.0 if share == 1.0 else 0.999) * 100:.1f} %".replace("100.0", "100")


def _size(shape: Shape) -> str:
    return " x ".join(map(str, shape)) or "a number"
