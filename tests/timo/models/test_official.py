# SPDX-License-Identifier: GPL-3.0-or-later
"""Published weights load strictly, and what isn't theirs is named."""

import pytest
import torch

from timo.errors import ModelError
from timo.models import TiMoEncoder
from timo.models.official import convert_state_dict


def published(prefix, file):
    return {
        name.removeprefix(prefix): value for name, value in file.tensors.items() if name.startswith(prefix)
    }


def test_names_left_by_distributed_training_are_understood(published_encoder, small):
    state = {f"module.{name}": value for name, value in published("state.", published_encoder).items()}
    TiMoEncoder(**small).load_state_dict(convert_state_dict(state), strict=True)


def test_differential_terms_that_full_attention_never_uses_are_left_out(published_encoder, small):
    state = published("state.", published_encoder)
    state["block3.0.attn.cheap_operation.0.weight"] = torch.zeros(1, 10)
    TiMoEncoder(**small).load_state_dict(convert_state_dict(state), strict=True)


def test_no_weight_is_lost_or_made_up(published_segmenter):
    state = published("state.", published_segmenter)
    converted = convert_state_dict(state)
    assert len(converted) == len(state)
    assert [value.data_ptr() for value in converted.values()] == [
        value.data_ptr() for value in state.values()
    ]


@pytest.mark.parametrize("name", ["layer1.0.conv1.weight", "decoder.head.weight", "encoder.pos_embed"])
def test_a_weight_of_another_model_is_named(name):
    with pytest.raises(ModelError) as caught:
        convert_state_dict({name: torch.zeros(1)})
    assert name in caught.value.message
