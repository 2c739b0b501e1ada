# SPDX-License-Identifier: GPL-3.0-or-later
"""Published weights load strictly, and what isn't theirs is named."""

import pytest
import torch

from timo.errors import ModelError
from timo.models import TiMoClassifier, TiMoEncoder, TiMoMAE, TiMoSegmenter
from timo.models.official import convert_state_dict, encoder_state_dict
from timo.models.zoom import Zoomed


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


def test_differential_terms_that_an_autoencoder_never_uses_are_left_out(published_autoencoder, small):
    state = published("state.", published_autoencoder)
    state["block1.0.attn.cheap_operation.0.weight"] = torch.zeros(1, 8)
    TiMoMAE(**{**small, "in_chans": 3}).load_state_dict(convert_state_dict(state), strict=True)


@pytest.mark.parametrize("name", ["published_encoder", "published_segmenter", "published_autoencoder"])
def test_no_weight_is_lost_or_made_up(request, name):
    state = published("state.", request.getfixturevalue(name))
    converted = convert_state_dict(state)
    assert len(converted) == len(state)
    assert [value.data_ptr() for value in converted.values()] == [
        value.data_ptr() for value in state.values()
    ]


def test_a_classifiers_weights_are_all_there_but_for_unused_differential_terms(published_classifier, small):
    state = published("state.", published_classifier)
    used = [key for key in state if not key.startswith(("block3", "block4")) or "cheap_operation" not in key]
    assert len(used) < len(state)
    converted = convert_state_dict(state)
    assert [value.data_ptr() for value in converted.values()] == [state[key].data_ptr() for key in used]
    TiMoClassifier(**small).load_state_dict(converted, strict=True)


def test_a_pretrained_autoencoder_starts_an_encoder_all_but_its_differential_terms(
    published_autoencoder, small
):
    pretrained = convert_state_dict(published("state.", published_autoencoder))
    encoder = TiMoEncoder(**{**small, "in_chans": 3})
    missing, unexpected = encoder.load_state_dict(encoder_state_dict(pretrained), strict=False)
    assert unexpected == []
    # torch takes counters of batches that are missing as 0, and doesn't name them.
    own = {key for key in encoder.state_dict() if "differential" in key and "batches" not in key}
    assert set(missing) == own


@pytest.mark.parametrize(
    "model",
    [
        TiMoSegmenter,
        TiMoClassifier,
        TiMoEncoder,
        lambda **encoder: Zoomed(TiMoSegmenter(head_channels=8, **encoder), 2),
    ],
    ids=["segmenter", "classifier", "encoder", "bundle"],
)
def test_the_encoder_of_any_saved_model_starts_another(small, model):
    state = encoder_state_dict(model(**small).state_dict())
    TiMoEncoder(**small).load_state_dict(state, strict=True)


@pytest.mark.parametrize("state", [{}, {"block1.0.norm1.weight": torch.zeros(1)}, {"classifier.bias": None}])
def test_weights_without_an_encoder_are_refused(state):
    with pytest.raises(ModelError, match=f"None of the {len(state)} weights"):
        encoder_state_dict(state)


@pytest.mark.parametrize(
    "name", ["layer1.0.conv1.weight", "decoder.head.weight", "encoder.pos_embed", "decoder_pos_embed"]
)
def test_a_weight_of_another_model_is_named(name):
    with pytest.raises(ModelError) as caught:
        convert_state_dict({name: torch.zeros(1)})
    assert name in caught.value.message


def test_weights_of_two_models_are_not_taken_for_one(published_classifier):
    state = {**published("state.", published_classifier), "decoder_pred.bias": torch.zeros(1)}
    with pytest.raises(ModelError, match=r"decoder_pred\.bias"):
        convert_state_dict(state)
