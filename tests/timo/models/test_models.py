# SPDX-License-Identifier: GPL-3.0-or-later
"""Every registered variant, and what the encoder and segmenter promise beyond parity."""

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

import timo.models  # noqa: F401  # registers the variants
from timo.errors import ModelError
from timo.models import TiMoEncoder, TiMoSegmenter
from timo.models.checks import check_inputs
from timo.models.registry import HEAD_CHANNELS, VARIANTS, segmenter

MILLIONS = {"timo_base": 90.2, "timo_large": 296.9, "timo_huge": 672.5}
# large and huge take gigabytes: they are counted, and run with depths of 1.
RUN = {name: {"depths": (1, 1, 1, 1)} if name in ("timo_large", "timo_huge") else {} for name in VARIANTS}
SMALLER = ("timo_tiny", "timo_small")
# What takes a backward, or two models at once: the base one too with depths of 1.
SHALLOW = {name: {} if name in SMALLER else {"depths": (1, 1, 1, 1)} for name in VARIANTS}


def create(name, **options):
    return timm.create_model(name, in_chans=3, **RUN[name], **options)


@pytest.mark.parametrize("name", VARIANTS)
def test_variant_is_registered_and_gives_four_stages_of_any_size(name):
    model = create(name).eval()
    assert isinstance(model, TiMoEncoder)
    with torch.no_grad():
        stages = model(torch.randn(1, 2, 3, 32, 96))
    dims = VARIANTS[name]["embed_dims"]
    assert [tuple(stage.shape) for stage in stages] == [
        (1, 2, dim, 32 // stride, 96 // stride) for dim, stride in zip(dims, (4, 8, 16, 32))
    ]
    assert all(stage.isfinite().all() for stage in stages)


@pytest.mark.parametrize(("name", "millions"), MILLIONS.items())
def test_variant_has_the_papers_number_of_parameters(name, millions):
    with torch.device("meta"):
        model = timm.create_model(name)
    assert sum(parameter.numel() for parameter in model.parameters()) / 1e6 == pytest.approx(
        millions, abs=0.05
    )


def test_constructor_without_arguments_is_the_published_base_model():
    with torch.device("meta"):
        named, plain = timm.create_model("timo_base"), TiMoEncoder()
    shapes = [{name: tensor.shape for name, tensor in model.state_dict().items()} for model in (named, plain)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("name", VARIANTS)
def test_every_parameter_of_a_variant_gets_a_gradient(name):
    model = timm.create_model(name, in_chans=3, **SHALLOW[name])
    series = torch.randn(1, 2, 3, 32, 64)
    sum((stage * torch.randn_like(stage)).mean() for stage in model(series)).backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
        assert parameter.grad.any(), parameter_name


@pytest.mark.parametrize("name", VARIANTS)
def test_saved_weights_of_a_variant_give_the_same_features(name, tmp_path):
    first, second = (timm.create_model(name, in_chans=2, **SHALLOW[name]).eval() for _ in range(2))
    series = torch.randn(1, 2, 2, 64, 32)
    with torch.no_grad():
        assert not first(series)[-1].equal(second(series)[-1])
        save_file(first.state_dict(), tmp_path / "weights.safetensors")
        second.load_state_dict(load_file(tmp_path / "weights.safetensors"), strict=True)
        assert all(ours.equal(expected) for ours, expected in zip(second(series), first(series)))


@pytest.mark.parametrize("name", SMALLER)
def test_every_parameter_of_a_segmenter_gets_a_gradient(name):
    model = segmenter(name, num_classes=3, in_chans=5)
    model(torch.randn(2, 3, 5, 32, 64)).square().mean().backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
        assert parameter.grad.any(), parameter_name


@pytest.mark.parametrize("name", SMALLER)
def test_saved_weights_give_the_same_map(name, tmp_path):
    first, second = (segmenter(name, num_classes=4, in_chans=2).eval() for _ in range(2))
    save_file(first.state_dict(), tmp_path / "weights.safetensors")
    second.load_state_dict(load_file(tmp_path / "weights.safetensors"), strict=True)
    series = torch.randn(1, 2, 2, 64, 32)
    with torch.no_grad():
        assert first(series).equal(second(series))


@pytest.mark.parametrize("name", VARIANTS)
def test_segmenter_of_a_variant_has_an_analysts_head(name):
    with torch.device("meta"):
        model = segmenter(name, num_classes=3, in_chans=4)
        wider = segmenter(name, num_classes=3, in_chans=4, head_channels=96)
    assert model.classifier.in_channels == HEAD_CHANNELS[name]
    assert wider.classifier.in_channels == 96


def test_segmenter_defaults_to_the_papers_head_and_one_map(small):
    model = TiMoSegmenter(**small).eval()
    assert model.classifier.in_channels == small["embed_dims"][-1]
    with torch.no_grad():
        assert model(torch.randn(2, 3, 4, 32, 64)).shape == (2, 6, 32, 64)


def test_segmenter_per_date_gives_a_map_for_every_date(small):
    model = TiMoSegmenter(num_classes=5, head_channels=8, per_date=True, **small).eval()
    with torch.no_grad():
        assert model(torch.randn(2, 3, 4, 32, 64)).shape == (2, 3, 5, 32, 64)


def test_the_order_of_frames_matters(small):
    model = TiMoEncoder(**small).eval()
    series = torch.randn(1, 3, 4, 32, 32)
    with torch.no_grad():
        forward, back = model(series)[3], model(series.flip(1))[3].flip(1)
    assert (forward - back).abs().max() > 1e-3


def test_samples_of_a_batch_do_not_touch_each_other(small):
    model = TiMoEncoder(**small).eval()
    series = torch.randn(3, 4, 4, 32, 32)
    with torch.no_grad():
        together, alone = model(series)[3], model(series[1:2])[3]
    torch.testing.assert_close(together[1:2], alone, atol=1e-5, rtol=0)


def test_as_published_dates_change_nothing(small):
    model = TiMoEncoder(**small).eval()
    series = torch.randn(1, 3, 4, 32, 32)
    with torch.no_grad():
        for ours, plain in zip(model(series, dates=torch.tensor([[10, 400, 3]])), model(series)):
            assert ours.equal(plain)


def test_sorted_the_order_of_the_files_is_no_matter(small):
    model = TiMoEncoder(**small, position="sorted").eval()
    published = TiMoEncoder(**small).eval()
    published.load_state_dict(model.state_dict())
    series, dates = torch.randn(2, 4, 4, 32, 32), torch.tensor([[5, 9, 12, 400], [3, 3, 8, 10]])
    mixed = torch.tensor([2, 0, 3, 1])
    with torch.no_grad():
        in_order, as_published = model(series, None, dates)[3], published(series)[3]
        other = model(series[:, mixed], None, dates[:, mixed])[3]
    torch.testing.assert_close(in_order, as_published, atol=1e-6, rtol=0)
    torch.testing.assert_close(other, in_order[:, mixed], atol=1e-5, rtol=0)


def test_by_date_gaps_and_seasons_count_and_the_calendar_does_not(small):
    model = TiMoEncoder(**small, position="date").eval()
    series, dates = torch.randn(1, 3, 4, 32, 32), torch.tensor([[17000, 17010, 17100]])
    with torch.no_grad():
        stage = model(series, None, dates)[3]
        later_gap = model(series, None, dates + torch.tensor([[0, 0, 60]]))[3]
        other_season = model(series, None, dates + 182)[3]
        four_years_on = model(series, None, dates + 1461)[3]
    assert (stage - later_gap).abs().max() > 1e-3
    assert (stage - other_season).abs().max() > 1e-3
    assert (stage - four_years_on).abs().max() < 0.02 * (stage - other_season).abs().max()


def test_by_date_the_order_of_the_frames_is_no_matter(small):
    model = TiMoSegmenter(head_channels=8, **small, position="date").eval()
    series, dates = torch.randn(1, 4, 4, 32, 32), torch.tensor([[17000, 17010, 17100, 17300]])
    mixed = torch.tensor([3, 1, 0, 2])
    with torch.no_grad():
        ours, other = model(series, None, dates), model(series[:, mixed], None, dates[:, mixed])
    torch.testing.assert_close(ours, other, atol=1e-5, rtol=0)


def test_scaled_gyroscope_attention_is_the_published_one_with_scaled_projections(small):
    """q . k / sqrt(d): every score is d ** -0.5 of the published one, and the differential term is not."""
    scaled, published = TiMoEncoder(**small, scale_gyroscope=True).eval(), TiMoEncoder(**small).eval()
    weights = scaled.state_dict()
    for stage, head_dim in enumerate((8, 16)):
        for block in range(small["depths"][stage]):
            for part in ("weight", "bias"):
                kv = weights[f"stages.{stage}.blocks.{block}.attn.kv.{part}"].clone()
                kv[: len(kv) // 2] *= head_dim**-0.5
                weights[f"stages.{stage}.blocks.{block}.attn.kv.{part}"] = kv
    published.load_state_dict(weights)
    series = torch.randn(1, 3, 4, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(scaled(series)[3], published(series)[3], atol=1e-5, rtol=0)


@pytest.mark.parametrize("padded", [False, True])
def test_checkpointing_changes_memory_alone(small, padded):
    plain, saving = (TiMoSegmenter(head_channels=8, **small, drop_path_rate=0.2).train() for _ in range(2))
    saving.load_state_dict(plain.state_dict())
    saving.encoder.set_grad_checkpointing()
    series, valid = torch.randn(2, 3, 4, 32, 64), None
    if padded:
        valid = torch.ones(2, 3, 32, 64, dtype=torch.bool)
        valid[0, 2] = False
    for model in (plain, saving):
        torch.manual_seed(1)  # drops the same paths
        model(series, valid).square().mean().backward()
    for (name, ours), expected in zip(saving.named_parameters(), plain.parameters()):
        torch.testing.assert_close(ours.grad, expected.grad, msg=name)
    for (name, ours), expected in zip(saving.named_buffers(), plain.buffers()):
        torch.testing.assert_close(ours, expected, msg=name)


def test_checkpointing_keeps_fewer_numbers_for_the_backward(small):
    kept = []
    for checkpointing in (False, True):
        model = TiMoEncoder(**{**small, "depths": (2, 2, 4, 2)}).train()
        model.set_grad_checkpointing(checkpointing)
        saved = 0

        def pack(tensor):
            nonlocal saved
            saved += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            model(torch.randn(1, 4, 4, 64, 64))
        kept.append(saved)
    assert kept[1] < kept[0] / 4


def test_every_block_of_a_stage_is_dropped_at_most_at_the_rate_asked_for(small):
    model = TiMoEncoder(**small, drop_path_rate=0.3)
    rates = [getattr(block.drop_path, "drop_prob", 0.0) for stage in model.stages for block in stage.blocks]
    assert rates == pytest.approx([0.0, 0.06, 0.12, 0.18, 0.24, 0.3])


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((1, 2, 4, 32, 50), "32 x 50"),
        ((1, 2, 4, 16, 32), "16 x 32"),
        ((1, 2, 3, 32, 32), "(B, T, 4, H, W)"),
        ((2, 4, 32, 32), "(B, T, 4, H, W)"),
    ],
)
def test_a_series_that_does_not_fit_is_refused_in_one_sentence(small, shape, words):
    for model in (TiMoEncoder(**small), TiMoSegmenter(**small)):
        with pytest.raises(ModelError) as caught:
            model(torch.zeros(shape))
        assert words in caught.value.message
        assert caught.value.action


@pytest.mark.parametrize(
    "valid", [torch.ones(1, 2, dtype=torch.bool), torch.ones(1, 2, 32, 32), torch.ones(1, 3, 32, 32).bool()]
)
def test_validity_that_does_not_fit_is_refused(small, valid):
    with pytest.raises(ModelError, match="valid must be bool"):
        TiMoEncoder(**small)(torch.zeros(1, 2, 4, 32, 32), valid)


@pytest.mark.parametrize(
    "change",
    [
        {"embed_dims": (20, 32, 40, 48)},
        {"num_heads": (3, 2, 4, 6)},
        {"depths": (1, 1, 1)},
        {"attention": ("gyroscope", "gyroscope", "full", "none")},
    ],
)
def test_stages_that_do_not_fit_together_are_refused(small, change):
    with pytest.raises(ModelError) as caught:
        TiMoEncoder(**{**small, **change})
    assert caught.value.code == "encoder_config"


def test_an_unknown_variant_is_refused_with_those_there_are():
    with pytest.raises(ModelError, match="timo_tiny"):
        segmenter("timo_giant", num_classes=2, in_chans=3)


def test_pretrained_weights_that_are_not_there_are_not_promised():
    with pytest.raises(ModelError, match="No pre-trained weights"):
        timm.create_model("timo_tiny", pretrained=True)


def test_inputs_are_checked_before_the_forward_with_the_numbers(small):
    series, valid = torch.randn(2, 3, 4, 32, 32), torch.ones(2, 3, 32, 32, dtype=torch.bool)
    dates = torch.zeros(2, 3, dtype=torch.int64)
    model, by_date = TiMoSegmenter(**small), TiMoEncoder(**small, position="date")
    check_inputs(model, series, valid, dates)
    valid[1, 2] = False
    series[1, 2] = torch.nan
    check_inputs(by_date, series, valid, dates)  # an absent date may hold anything
    for expected, call in {
        r"\(B, T, 4, H, W\), and got \(2, 3, 3, 32, 32\)": (model, series[:, :, :3]),
        "multiples of 32, and got 32 x 20": (model, series[..., :20]),
        "Sample 1 of the batch has no valid pixel on any of its 3 dates": (model, series, valid & drop(1)),
        "Date 2 of sample 1 of the batch holds NaN": (model, series),
        "position='date' and got no dates": (by_date, series, valid),
        "dates must be int64 of shape": (by_date, series, valid, dates.float()),
    }.items():
        with pytest.raises(ModelError, match=expected) as caught:
            check_inputs(*call)
        assert caught.value.action


def drop(sample):
    kept = torch.ones(2, 1, 1, 1, dtype=torch.bool)
    kept[sample] = False
    return kept
