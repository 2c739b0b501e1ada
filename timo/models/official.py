# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights under their published names, made to fit the models here.

The published names were read off weight files; the names of this package are its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor

from timo.errors import ModelError
from timo.models.encoder import PAPER_ATTENTION

Rules = Sequence[tuple[str, str]]
"""Start of a published name, with numbers in groups -> start of the name here."""

# {0} is a stage, which the published names count from 1.
_STAGES: Rules = [
    (r"patch_embed1\.conv\.0\.", r"embeds.0.conv1."),
    (r"patch_embed1\.conv\.1\.", r"embeds.0.bn."),
    (r"patch_embed1\.conv\.3\.", r"embeds.0.conv2."),
    (r"patch_embed(\d)\.proj\.", r"embeds.{0}.conv."),
    (r"patch_embed(\d)\.norm\.", r"embeds.{0}.norm."),
    (r"block(\d)\.(\d+)\.attn\.cheap_operation\.0\.", r"stages.{0}.blocks.{1}.attn.differential.project."),
    (r"block(\d)\.(\d+)\.attn\.cheap_operation\.1\.", r"stages.{0}.blocks.{1}.attn.differential.norm."),
    (r"block(\d)\.(\d+)\.", r"stages.{0}.blocks.{1}."),
    (r"norm(\d)\.", r"stages.{0}.norm."),
]
_SEGMENTER: Rules = [
    (r"decoder\.psp_modules\.(\d)\.1\.", r"head.pyramid.{0}."),
    (r"decoder\.bottleneck\.", r"head.bottleneck."),
    (r"decoder\.lateral_convs\.(\d)\.", r"head.laterals.{0}."),
    (r"decoder\.fpn_convs\.(\d)\.", r"head.smooths.{0}."),
    (r"decoder\.fpn_bottleneck\.", r"head.fuse."),
    (r"semseghead\.1\.", r"classifier."),
]
_CLASSIFIER: Rules = [(r"head\.", r"classifier.")]
_AUTOENCODER: Rules = [
    (r"decoder_embed\.", r"decoder.embed."),
    (r"mask_token$", r"decoder.mask_token"),
    (r"decoder_blocks\.(\d+)\.", r"decoder.stage.blocks.{0}."),
    (r"decoder_norm\.", r"decoder.stage.norm."),
    (r"decoder_pred\.", r"decoder.predict."),
]
# A model is told by its names that no other has. Of a segmenter's, the encoder's have a prefix.
_MODELS = {"segmenter": _SEGMENTER, "classifier": _CLASSIFIER, "autoencoder": _AUTOENCODER}


def convert_state_dict(
    state: Mapping[str, Tensor], attention: Sequence[str] = PAPER_ATTENTION
) -> dict[str, Tensor]:
    """Published keys of an encoder, segmenter, classifier or autoencoder -> keys to load here strictly.

    The result fits `load_state_dict(strict=True)` of `TiMoEncoder`, `TiMoSegmenter`, `TiMoClassifier` or
    `TiMoMAE` of the same sizes; which of them, the keys tell.

    Args:
        state: The published state dict; "module." before every key, as DistributedDataParallel leaves it,
            is taken off.
        attention: The attention of each stage of the model to load into; an autoencoder's is full in all.
            Published full-attention blocks may hold a differential term that they never use; it is left out.

    Raises:
        ModelError: Naming the first key that is of none of these models, or of another than the rest.
    """
    keys = {published: published.removeprefix("module.") for published in state}
    model = _model_of(keys.values())
    if model == "autoencoder":
        attention = ("full",) * 4
    converted = {}
    for published, key in keys.items():
        unused = re.match(r"(?:encoder\.)?block(\d)\.\d+\.attn\.cheap_operation\.", key)
        if unused and attention[int(unused[1]) - 1] == "full":
            continue
        name = _rename(key, model)
        if name is None:
            raise ModelError(
                "unknown_weight",
                f"The weights hold '{published}', which is no part of a published TiMo {model}.",
                "Give the weights of a TiMo encoder, segmenter, classifier or autoencoder as published.",
            )
        converted[name] = state[published]
    return converted


def encoder_state_dict(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The encoder's part of a model's weights, under the names of `TiMoEncoder`.

    An autoencoder's stages have full attention and so no differential term: where the encoder to load into
    has gyroscope attention, those terms stay as initialised.

    Args:
        state: Weights under this package's names: converted, or saved from an encoder, a segmenter (in a
            bundle or not), a classifier or an autoencoder.

    Raises:
        ModelError: If there is no weight of an encoder among them.
    """
    inside = {
        name[match.end() :]: value
        for name, value in state.items()
        if (match := re.match(r"(?:segmenter\.)?encoder\.(?=embeds\.|stages\.)", name))
    }
    inside = inside or {name: value for name, value in state.items() if re.match(r"embeds\.|stages\.", name)}
    if not inside:
        found = f"; the first is '{next(iter(state))}'" if state else ""
        raise ModelError(
            "no_encoder_weights",
            f"None of the {len(state)} weights is of a TiMo encoder{found}.",
            "Convert published weights with timo.models.official.convert_state_dict first.",
        )
    return inside


def _model_of(keys: Iterable[str]) -> str:
    """Which model the published keys are of: one of `_MODELS`, or an encoder alone."""
    for key in keys:
        for model, rules in _MODELS.items():
            if _apply(rules, key):
                return model
        if key.startswith("encoder."):
            return "segmenter"
    return "encoder"


def _rename(key: str, model: str) -> str | None:
    """The name here of a model's published name, None if it has none."""
    if name := _apply(_MODELS.get(model, ()), key):
        return name
    if model == "segmenter":
        if not key.startswith("encoder."):
            return None
        key = key.removeprefix("encoder.")
    name = _apply(_STAGES, key, first=1)
    return name if name is None or model == "encoder" else f"encoder.{name}"


def _apply(rules: Rules, key: str, first: int = 0) -> str | None:
    """Rename by the first rule that fits; `first` is what the first number counts from."""
    for pattern, name in rules:
        if match := re.match(pattern, key):
            numbers = [int(number) for number in match.groups()]
            if numbers:
                numbers[0] -= first
            return name.format(*numbers) + key[match.end() :]
    return None
