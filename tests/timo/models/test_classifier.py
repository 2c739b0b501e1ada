# SPDX-License-Identifier: GPL-3.0-or-later
"""The classifier: any length and size of series, absent dates left out, every weight trained."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from timo.errors import ModelError
from timo.models import TiMoClassifier
from timo.models.registry import VARIANTS, classifier


@pytest.mark.parametrize("per_date", [False, True])
@pytest.mark.parametrize(("dates", "height", "width"), [(1, 32, 32), (2, 32, 96), (5, 64, 32)])
def test_scores_have_one_row_for_every_series_or_date(small, per_date, dates, height, width):
    model = TiMoClassifier(num_classes=5, per_date=per_date, **small).eval()
    with torch.no_grad():
        scores = model(torch.randn(2, dates, 4, height, width))
    assert scores.shape == ((2, dates, 5) if per_date else (2, 5))
    assert scores.isfinite().all()


def padded(lengths, bands=4, dtype=torch.float32):
    """Series of those lengths, 64 x 32, in one batch: absent dates hold NaN."""
    longest = max(lengths)
    series = torch.full((len(lengths), longest, bands, 64, 32), torch.nan, dtype=dtype)
    valid = torch.zeros(len(lengths), longest, 64, 32, dtype=torch.bool)
    for sample, length in enumerate(lengths):
        series[sample, :length] = torch.randn(length, bands, 64, 32, dtype=dtype)
        valid[sample, :length] = True
    return series, valid


@pytest.mark.parametrize("per_date", [False, True])
def test_series_of_differing_length_get_in_one_batch_what_they_get_alone(small, per_date):
    lengths = (3, 7, 12)
    model = TiMoClassifier(per_date=per_date, **small).eval()
    series, valid = padded(lengths)
    together = model(series, valid)
    for sample, length in enumerate(lengths):
        alone = model(series[sample : sample + 1, :length])[0]
        ours = together[sample, :length] if per_date else together[sample]
        torch.testing.assert_close(ours, alone, atol=1e-5, rtol=1e-5)


def test_gradients_of_a_padded_batch_are_those_of_its_series_alone(small):
    lengths = (3, 7, 12)
    model = TiMoClassifier(**small).double().eval()
    series, valid = padded(lengths, dtype=torch.float64)
    model(series, valid).square().sum().backward()
    together = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    for sample, length in enumerate(lengths):
        model(series[sample : sample + 1, :length]).square().sum().backward()
    for name, parameter in model.named_parameters():
        error = (together[name] - parameter.grad).norm() / parameter.grad.norm()
        assert error < 1e-8, f"{name}: {error:.1e}"


def test_a_date_absent_from_the_middle_is_left_out_of_training_too(small):
    whole, cut = (TiMoClassifier(**small).train() for _ in range(2))
    cut.load_state_dict(whole.state_dict())
    series, valid = torch.randn(2, 4, 4, 32, 32), torch.ones(2, 4, 32, 32, dtype=torch.bool)
    valid[:, 1], series[:, 1] = False, torch.nan
    torch.testing.assert_close(whole(series, valid), cut(series[:, [0, 2, 3]]), atol=1e-4, rtol=1e-4)
    for (name, ours), expected in zip(whole.named_buffers(), cut.buffers()):
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-4, msg=name)


def test_real_dates_change_the_answer_only_where_they_are_asked_for(small):
    series, dates = torch.randn(1, 3, 4, 32, 32), torch.tensor([[18000, 18040, 18200]])
    for position, told in (("index", False), ("date", True)):
        model = TiMoClassifier(**small, position=position).eval()
        with torch.no_grad():
            same = model(series, dates=dates).equal(model(series, dates=dates + torch.tensor([0, 30, 90])))
        assert same is not told


@pytest.mark.parametrize("name", ["timo_tiny", "timo_small"])
@pytest.mark.parametrize("per_date", [False, True])
def test_every_parameter_of_a_classifier_gets_a_gradient(name, per_date):
    model = classifier(name, num_classes=3, in_chans=5, per_date=per_date)
    model(torch.randn(2, 3, 5, 32, 64)).square().mean().backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
        assert parameter.grad.any(), parameter_name


def test_saved_weights_give_the_same_scores(small, tmp_path):
    model, again = TiMoClassifier(**small).eval(), TiMoClassifier(**small).eval()
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    again.load_state_dict(load_file(tmp_path / "weights.safetensors"), strict=True)
    series = torch.randn(1, 2, 4, 32, 32)
    with torch.no_grad():
        assert again(series).equal(model(series))


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_is_a_classifier_of_its_encoder_and_one_linear_layer(name):
    with torch.device("meta"):
        model = classifier(name, num_classes=9, in_chans=3)
    encoder = sum(parameter.numel() for parameter in model.encoder.parameters())
    whole = sum(parameter.numel() for parameter in model.parameters())
    assert whole - encoder == (VARIANTS[name]["embed_dims"][3] + 1) * 9
    assert model(torch.zeros(2, 3, 3, 32, 64, device="meta")).shape == (2, 9)


def test_a_series_that_does_not_fit_is_refused_in_one_sentence(small):
    with pytest.raises(ModelError, match="32 x 50"):
        TiMoClassifier(**small)(torch.zeros(1, 2, 4, 32, 50))
