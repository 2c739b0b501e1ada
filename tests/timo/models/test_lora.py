# SPDX-License-Identifier: GPL-3.0-or-later
"""LoRA adapters: they alone learn, change nothing when fresh, and fold away."""

import subprocess
import sys

import pytest
import torch
from timm.layers import DropPath

from tests.timo.models.steps import SERIES, moved, state_of, trained
from timo.errors import ModelError
from timo.models import TiMoClassifier, TiMoEncoder, TiMoMAE, TiMoSegmenter
from timo.models.tuning import add_lora, freeze, merge_lora, parameter_groups

ALL_TARGETS = ("q", "kv", "proj", "mlp")


@pytest.fixture
def segmenter(small):
    return TiMoSegmenter(num_classes=3, head_channels=8, drop_path_rate=0.5, **small)


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
