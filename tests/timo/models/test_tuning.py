# SPDX-License-Identifier: GPL-3.0-or-later
"""Fine-tuning: what is frozen stays, learning rates fall with depth, adapters learn and fold away."""

import copy
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from timm.layers import DropPath
from torch.optim.lr_scheduler import OneCycleLR

from timo.errors import ModelError
from timo.models import TiMoClassifier, TiMoEncoder, TiMoMAE, TiMoSegmenter
from timo.models.tuning import add_lora, freeze, group_matcher, merge_lora, parameter_groups

SERIES = (2, 3, 4, 32, 32)


@pytest.fixture
def segmenter(small):
    return TiMoSegmenter(num_classes=3, head_channels=8, drop_path_rate=0.5, **small)


def trained(model, steps=2, rate=0.05):
    """Take a few steps with all that may learn."""
    model.train()
    optimizer = torch.optim.AdamW(parameter_groups(model, rate))
    for _ in range(steps):
        optimizer.zero_grad()
        out = model(torch.randn(SERIES))
        sum(part.square().mean() for part in (out if isinstance(out, list) else [out])).backward()
        optimizer.step()
    return model


def moved(model, before):
    """Names of the state's tensors that are no longer as they were."""
    return {name for name, tensor in model.state_dict().items() if not tensor.equal(before[name])}


def state_of(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


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


# Adapters -------------------------------------------------------------------------------------------------

ALL_TARGETS = ("q", "kv", "proj", "mlp")


@pytest.mark.parametrize("targets", [("q", "kv", "proj"), ALL_TARGETS])
@pytest.mark.parametrize("gradients", [False, True])
def test_fresh_adapters_change_nothing(segmenter, targets, gradients):
    series = torch.randn(SERIES)
    segmenter.eval()
    with torch.set_grad_enabled(gradients):
        expected = segmenter(series)
        add_lora(segmenter, targets=targets)
        assert segmenter.eval()(series).equal(expected)


def test_adapters_and_head_alone_learn(segmenter):
    before = state_of(segmenter)
    count = add_lora(segmenter, rank=4)
    trained(segmenter)
    after = segmenter.state_dict()
    for name, tensor in before.items():
        adapted = name if name in after else ".base_layer.".join(name.rsplit(".", 1))
        if name.startswith("encoder."):
            assert after[adapted].equal(tensor), name
    assert not segmenter.head.fuse.conv.weight.equal(before["head.fuse.conv.weight"])
    learned = {name: p for name, p in segmenter.named_parameters() if p.requires_grad and "lora_" in name}
    assert sum(parameter.numel() for parameter in learned.values()) == count
    assert all(after[name].abs().sum() > 0 for name in learned)
    assert not any("lora_" in name for name in after if "encoder.stages" not in name)


def test_few_parameters_learn(small):
    encoder = TiMoEncoder(**small)
    total = sum(parameter.numel() for parameter in encoder.parameters())
    # q: C + C, kv: C + 2C, proj: C + C for each of a rank, in every block.
    widths = sum(dim * depth for dim, depth in zip(small["embed_dims"], small["depths"]))
    assert add_lora(encoder, rank=1) == 7 * widths
    assert 7 * widths < total / 20
    assert add_lora(TiMoEncoder(**small), rank=1, targets=("mlp",)) == 10 * widths


@pytest.mark.parametrize("kind", [TiMoEncoder, TiMoSegmenter, TiMoClassifier, TiMoMAE])
@pytest.mark.parametrize("targets", [("q", "kv", "proj"), ALL_TARGETS])
def test_merged_adapters_give_the_same_results_under_the_plain_names(small, kind, targets):
    model = kind(**small)
    names = list(model.state_dict())
    add_lora(model, targets=targets, dropout=0.1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.05)
    series, given = torch.randn(SERIES), {"noise": torch.rand(2, 3)} if kind is TiMoMAE else {}
    model.eval()

    def results():
        with torch.no_grad():
            out = model(series, **given)
        out = [out] if isinstance(out, torch.Tensor) else list(out)
        return [part for part in out if part.is_floating_point()]

    adapted = results()
    merge_lora(model)
    assert list(model.state_dict()) == names
    for ours, expected in zip(results(), adapted):
        # Scores of an untrained head go up to 60: of their size, rounding is 4e-7.
        assert (ours - expected).abs().max() <= 1e-5 * expected.abs().max().clamp_min(1)
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(module.training for module in model.train().modules())


def test_merged_weights_load_into_a_plain_model_and_differ_from_those_before(segmenter, small):
    before = state_of(segmenter)
    add_lora(segmenter)
    merge_lora(trained(segmenter))
    plain = TiMoSegmenter(num_classes=3, head_channels=8, **small)
    plain.load_state_dict(segmenter.state_dict(), strict=True)
    changed = moved(plain, before)
    assert "encoder.stages.0.blocks.0.attn.q.weight" in changed
    assert not any("mlp" in name or "embeds" in name for name in changed)


def test_frozen_stages_get_no_adapters(segmenter):
    freeze(segmenter, 2)
    add_lora(segmenter)
    adapted = {name.split(".")[2] for name, _ in segmenter.named_parameters() if "lora_" in name}
    assert adapted == {"2", "3"}
    merge_lora(segmenter)
    free = [all(p.requires_grad for p in stage.parameters()) for stage in segmenter.encoder.stages]
    assert free == [False, False, True, True]


def test_freezing_stops_adapters_and_freeing_starts_them_alone(segmenter):
    add_lora(segmenter)
    freeze(segmenter, 1)
    assert not any(parameter.requires_grad for parameter in segmenter.encoder.stages[0].parameters())
    freeze(segmenter, 0)
    free = {name for name, p in segmenter.encoder.named_parameters() if p.requires_grad}
    assert free == {name for name, _ in segmenter.encoder.named_parameters() if "lora_" in name}
    assert not segmenter.train().encoder.embeds[0].bn.training


def test_checkpointing_gives_adapters_the_same_gradients(segmenter):
    for stage in segmenter.encoder.stages:
        for block in stage.blocks:
            block.drop_path = torch.nn.Identity()
    add_lora(segmenter)
    trained(segmenter)
    series = torch.randn(SERIES)
    gradients = []
    for checkpointing in (False, True):
        segmenter.encoder.set_grad_checkpointing(checkpointing)
        segmenter.zero_grad()
        segmenter(series).square().mean().backward()
        gradients.append({n: p.grad.clone() for n, p in segmenter.named_parameters() if p.requires_grad})
    plain, recomputed = gradients
    assert any("lora_" in name for name in plain)
    for name, gradient in plain.items():
        assert (gradient - recomputed[name]).norm() <= 1e-4 * gradient.norm() + 1e-7, name


@pytest.mark.parametrize("checkpointing", [False, True])
def test_adapters_learn_in_bfloat16(segmenter, checkpointing):
    add_lora(segmenter)
    trained(segmenter)
    segmenter.encoder.set_grad_checkpointing(checkpointing)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        segmenter(torch.randn(SERIES)).float().square().mean().backward()
    for name, parameter in segmenter.named_parameters():
        if parameter.requires_grad:
            assert parameter.dtype == parameter.grad.dtype == torch.float32
            assert parameter.grad.isfinite().all(), name
    adapters = [p for name, p in segmenter.named_parameters() if "lora_A" in name]
    assert all(parameter.grad.abs().sum() > 0 for parameter in adapters)


def test_paths_are_still_dropped_beside_adapters(segmenter):
    add_lora(segmenter)
    dropping = [part.training for part in segmenter.train().encoder.modules() if isinstance(part, DropPath)]
    assert dropping
    assert all(dropping)


def test_adapters_learn_with_rates_by_depth(segmenter):
    add_lora(segmenter)
    groups = parameter_groups(segmenter, 1.0, layer_decay=0.5)
    rate = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    first = segmenter.encoder.stages[0].blocks[0].attn.q.lora_A["default"].weight
    last = segmenter.encoder.stages[3].blocks[0].attn.q.lora_A["default"].weight
    assert (rate[id(first)], rate[id(last)]) == (0.5**6, 0.5)


def test_adapters_come_once_and_again_after_merging(segmenter):
    add_lora(segmenter)
    with pytest.raises(ModelError, match="LoRA adapters already"):
        add_lora(segmenter)
    merge_lora(segmenter)
    merge_lora(segmenter)  # nothing to do
    assert add_lora(segmenter) > 0


def test_adapters_that_went_astray_are_not_folded_in(segmenter):
    add_lora(segmenter)
    before = list(segmenter.state_dict())
    with torch.no_grad():
        segmenter.encoder.stages[3].blocks[0].attn.q.lora_B["default"].weight.fill_(torch.nan)
    with pytest.raises(ModelError, match=r"stages\.3\.blocks\.0\.attn\.q"):
        merge_lora(segmenter)
    assert list(segmenter.state_dict()) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rank": 0}, "rank 0"),
        ({"dropout": 1.0}, "dropout 1"),
        ({"targets": ()}, "no targets"),
        ({"targets": ("q", "heads")}, "no target 'heads'"),
    ],
)
def test_adapters_that_cannot_be_are_refused_and_change_nothing(segmenter, options, words):
    before = list(segmenter.state_dict())
    with pytest.raises(ModelError, match=words) as caught:
        add_lora(segmenter, **options)
    assert caught.value.action
    assert list(segmenter.state_dict()) == before


def test_adapters_for_a_frozen_encoder_are_refused(segmenter):
    freeze(segmenter, 4)
    with pytest.raises(ModelError, match="All stages are frozen"):
        add_lora(segmenter)


def test_without_peft_the_error_says_what_to_install(segmenter, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ModelError) as caught:
        add_lora(segmenter)
    assert caught.value.code == "lora_not_installed"
    assert "pip install 'timo-qgis[lora]'" in caught.value.action


def test_models_are_imported_without_peft():
    code = "import sys, timo.models, timo.models.tuning; sys.exit('peft' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
