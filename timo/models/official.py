# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights under their published names, made to fit the models here.

The published names were read off weight files; the names of this package are its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from torch import Tensor

from timo.errors import ModelError
from timo.models.encoder import PAPER_ATTENTION

_ENCODER = [
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
_DECODER = [
    (r"psp_modules\.(\d)\.1\.", r"head.pyramid.{0}."),
    (r"bottleneck\.", r"head.bottleneck."),
    (r"lateral_convs\.(\d)\.", r"head.laterals.{0}."),
    (r"fpn_convs\.(\d)\.", r"head.smooths.{0}."),
    (r"fpn_bottleneck\.", r"head.fuse."),
]
_CLASSIFIER = r"semseghead\.1\."


def convert_state_dict(
    state: Mapping[str, Tensor], attention: Sequence[str] = PAPER_ATTENTION
) -> dict[str, Tensor]:
    """Published keys of an encoder or a segmenter -> keys for `load_state_dict(strict=True)`.

    Args:
        state: The published state dict; "module." before every key, as DistributedDataParallel leaves it,
            is taken off.
        attention: The attention of each stage of the model to load into. Published full-attention blocks may
            hold a differential term that they never use; it is left out.

    Raises:
        ModelError: Naming the first key that is not of a TiMo encoder or segmenter.
    """
    converted = {}
    for published in state:
        key = published.removeprefix("module.")
        unused = re.match(r"(?:encoder\.)?block(\d)\.\d+\.attn\.cheap_operation\.", key)
        if unused and attention[int(unused[1]) - 1] == "full":
            continue
        name = _convert_key(key)
        if name is None:
            raise ModelError(
                "unknown_weight",
                f"The weights hold '{published}', which is no part of a published TiMo encoder or segmenter.",
                "Give the weights of a TiMo encoder or UPerNet segmenter as published.",
            )
        converted[name] = state[published]
    return converted


def _convert_key(key: str) -> str | None:
    """The name here of a published name, None if it has none."""
    if match := re.match(_CLASSIFIER, key):
        return "classifier." + key[match.end() :]
    part, rules = "", _ENCODER
    if key.startswith("encoder."):
        part, key = "encoder.", key.removeprefix("encoder.")
    elif key.startswith("decoder."):
        rules, key = _DECODER, key.removeprefix("decoder.")
    for pattern, name in rules:
        if match := re.match(pattern, key):
            numbers = [int(number) for number in match.groups()]
            if rules is _ENCODER and numbers:
                numbers[0] -= 1  # published stages count from 1
            return part + name.format(*numbers) + key[match.end() :]
    return None
