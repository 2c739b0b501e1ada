# SPDX-License-Identifier: GPL-3.0-or-later
"""Fine-tuning: what is frozen stays as it is, and learning rates fall with depth."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim.lr_scheduler import OneCycleLR

from tests.timo.models.steps import SERIES, moved, state_of, trained
from timo.errors import ModelError
from timo.models import TiMoClassifier, TiMoEncoder, TiMoMAE, TiMoSegmenter
from timo.models.tuning import freeze, group_matcher, parameter_groups


@pytest.fixture
def segmenter(small):
    return TiMoSegmenter(num_classes=3, head_channels=8, drop_path_rate=0.5, **small)


# Freezing -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stages", range(5))
def test_training_moves_nothing_of_frozen_stages_and_everything_else(segmenter, stages):
    freeze(segmenter, stages)
    before = state_of(segmenter)
    frozen = {
        name for name in before for i in range(stages) if f"stages.{i}." in name or f"embeds.{i}." in name
    }
    changed = moved(trained(segmenter), before)
    assert changed & frozen == set()
    # Two steps of AdamW with dropped paths may leave single tensors; each part as a whole moves.
    for i in range(stages, 4):
        assert any(f"encoder.stages.{i}." in name for name in changed)
        assert any(f"encoder.embeds.{i}." in name for name in changed)
    assert any(name.startswith("head.") for name in changed)


def test_frozen_stages_drop_nothing_in_training(segmenter):
    freeze(segmenter, 2)
    segmenter.train()
    series = torch.randn(SERIES)
    first, second = segmenter.encoder(series), segmenter.encoder(series)
    assert first[0].equal(second[0])
    assert first[1].equal(second[1])
    assert not first[2].equal(second[2])
    dropping = [stage.training for stage in segmenter.encoder.stages]
    assert dropping == [False, False, True, True]
    assert not segmenter.encoder.embeds[0].bn.training


def test_freezing_fewer_stages_gives_the_others_free(segmenter):
    segmenter.train()
    freeze(segmenter, 4)
    freeze(segmenter, 1)
    free = {name for name, parameter in segmenter.named_parameters() if parameter.requires_grad}
    assert not any("stages.0." in name or "embeds.0." in name for name in free)
    assert all(parameter.requires_grad for parameter in segmenter.encoder.stages[1:].parameters())
    assert [stage.training for stage in segmenter.encoder.stages] == [False, True, True, True]
    freeze(segmenter, 0)
    assert all(parameter.requires_grad for parameter in segmenter.parameters())
    assert all(module.training for module in segmenter.modules())


def test_a_copy_of_a_frozen_model_is_frozen_by_itself(segmenter):
    freeze(segmenter, 2)
    other = copy.deepcopy(segmenter)
    freeze(segmenter, 0)
    segmenter.train()
    other.train()
    assert [stage.training for stage in other.encoder.stages] == [False, False, True, True]
    assert all(stage.training for stage in segmenter.encoder.stages)
    other.eval()
    assert segmenter.encoder.stages[0].training


def test_freezing_changes_no_name_and_no_result(segmenter):
    series, before = torch.randn(SERIES), state_of(segmenter)
    segmenter.eval()
    with torch.no_grad():
        expected = segmenter(series)
        freeze(segmenter, 3)
        assert segmenter(series).equal(expected)
    assert list(segmenter.state_dict()) == list(before)


def test_frozen_stages_need_no_memory_for_gradients(segmenter):
    """Their results have no history, so that a large encoder can be used where it could not be trained."""
    freeze(segmenter, 2)
    stages = segmenter.train().encoder(torch.randn(SERIES))
    assert [stage.requires_grad for stage in stages] == [False, False, True, True]


@pytest.mark.parametrize("stages", [-1, 5])
def test_more_stages_than_there_are_cannot_be_frozen(segmenter, stages):
    with pytest.raises(ModelError, match=f"{stages} stages can't be frozen: the encoder has 4"):
        freeze(segmenter, stages)


# Learning rates -------------------------------------------------------------------------------------------


def test_layers_are_counted_from_the_stem_to_the_head(segmenter):
    layer = group_matcher(segmenter)
    names = [
        "embeds.0.conv1.weight",
        "stages.0.blocks.0.attn.q.weight",
        "stages.0.blocks.1.norm1.bias",
        "embeds.1.conv.weight",
        "embeds.2.norm.weight",
        "stages.2.blocks.1.mlp.fc1.weight",
        "stages.2.norm.weight",
        "stages.3.blocks.0.attn.proj.weight",
    ]
    assert [layer(f"encoder.{name}") for name in names] == [0, 1, 2, 3, 4, 5, 5, 6]
    assert layer("head.fuse.conv.weight") == layer("classifier.bias") == 7


def test_learning_rates_fall_by_the_same_factor_from_layer_to_layer(segmenter):
    groups = parameter_groups(segmenter, 1e-3, layer_decay=0.5)
    rate = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    layer = group_matcher(segmenter)
    for name, parameter in segmenter.named_parameters():
        assert rate[id(parameter)] == pytest.approx(1e-3 * 0.5 ** (7 - layer(name))), name
        assert rate[id(parameter)] <= 1e-3


def test_the_last_block_of_an_encoder_alone_learns_at_the_full_rate(small):
    encoder = TiMoEncoder(**small)
    rates = {group["lr"] for group in parameter_groups(encoder, 1.0, layer_decay=0.5)}
    assert rates == {0.5**i for i in range(7)}


@pytest.mark.parametrize("kind", [TiMoEncoder, TiMoSegmenter, TiMoClassifier, TiMoMAE])
@pytest.mark.parametrize("layer_decay", [0.7, 1.0])
def test_every_parameter_is_in_one_group_and_biases_and_norms_do_not_decay(small, kind, layer_decay):
    model = kind(**small)
    groups = parameter_groups(model, 1e-3, weight_decay=0.05, layer_decay=layer_decay)
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(grouped) == sorted(id(parameter) for parameter in model.parameters())
    decay = {id(parameter): group["weight_decay"] for group in groups for parameter in group["params"]}
    for name, parameter in model.named_parameters():
        plain = parameter.ndim == 1 or name.endswith("mask_token")
        assert decay[id(parameter)] == (0.0 if plain else 0.05), name


@given(st.integers(0, 4))
def test_frozen_parameters_are_left_out_and_the_others_keep_their_rates(stages):
    model = TiMoSegmenter(
        head_channels=8,
        in_chans=2,
        embed_dims=(8, 8, 8, 8),
        num_heads=(1, 1, 1, 1),
        depths=(1, 1, 1, 1),
    )
    everywhere = {
        id(parameter): group["lr"]
        for group in parameter_groups(model, 1.0, layer_decay=0.5)
        for parameter in group["params"]
    }
    freeze(model, stages)
    left = {
        id(parameter): group["lr"]
        for group in parameter_groups(model, 1.0, layer_decay=0.5)
        for parameter in group["params"]
    }
    assert left == {
        id(parameter): everywhere[id(parameter)]
        for parameter in model.parameters()
        if parameter.requires_grad
    }


def test_a_schedule_keeps_the_ratio_of_the_rates(segmenter):
    groups = parameter_groups(segmenter, 1e-3, layer_decay=0.5)
    optimizer = torch.optim.AdamW(groups)
    schedule = OneCycleLR(optimizer, max_lr=[group["lr"] for group in groups], total_steps=10)
    optimizer.step()
    schedule.step()
    rates = {group["lr"] / group["lr_scale"] for group in optimizer.param_groups}
    assert max(rates) == pytest.approx(min(rates))


@pytest.mark.parametrize("layer_decay", [0.0, -0.5, 1.1])
def test_a_decay_that_is_none_is_refused(segmenter, layer_decay):
    with pytest.raises(ModelError, match="decay of the learning rate"):
        parameter_groups(segmenter, 1e-3, layer_decay=layer_decay)


def test_a_model_that_is_all_frozen_has_nothing_to_learn(small):
    encoder = TiMoEncoder(**small)
    freeze(encoder, 4)
    with pytest.raises(ModelError, match="All parameters of the model are frozen"):
        parameter_groups(encoder, 1e-3)
