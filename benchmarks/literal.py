# SPDX-License-Identifier: GPL-3.0-or-later
"""A model with parts of it in the literal form: the tests' oracles, put in place with the same weights."""

from __future__ import annotations

import torch
from torch import nn

from tests.timo.models.literal import LiteralFullAttention, LiteralGyroscopeAttention
from tests.timo.models.literal_upernet import LiteralUPerNet
from timo.models import TiMoEncoder, TiMoSegmenter
from timo.models.attention import FullAttention, GyroscopeAttention


def make_literal(model: TiMoEncoder | TiMoSegmenter, *, all_parts: bool = True) -> None:
    """Replace gyroscope attention; with `all_parts` full attention and the UPerNet head too."""
    encoder = model if isinstance(model, TiMoEncoder) else model.encoder
    forms = {GyroscopeAttention: LiteralGyroscopeAttention}
    if all_parts:
        forms[FullAttention] = LiteralFullAttention
    for stage in encoder.stages:
        for block in stage.blocks:
            attn = block.attn
            if literal := forms.get(type(attn)):
                with torch.device("meta"):  # its own initial weights aren't wanted
                    theirs = literal(attn.q.in_features, attn.num_heads)
                block.attn = _with_weights_of(attn, theirs)
    if all_parts and isinstance(model, TiMoSegmenter):
        channels = model.classifier.in_channels
        with torch.device("meta"):
            head = LiteralUPerNet(encoder.embed_dims, channels)
        model.head = _with_weights_of(model.head, head)


def _with_weights_of(ours: nn.Module, literal: nn.Module) -> nn.Module:
    literal.load_state_dict(ours.state_dict(), strict=True, assign=True)
    for ours_parameter, parameter in zip(ours.parameters(), literal.parameters()):
        parameter.requires_grad_(ours_parameter.requires_grad)
    return literal.train(ours.training)
