# SPDX-License-Identifier: GPL-3.0-or-later
"""The masked autoencoder: any series, absent dates left out, hidden pixels unseen."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from tests.timo.models.published import SMALL
from timo.errors import ModelError
from timo.models import TiMoMAE
from timo.models.mae import to_frames, to_units, visible_pixels
from timo.models.registry import VARIANTS, autoencoder


@pytest.fixture
def model(small):
    return TiMoMAE(**small).eval()


def unit(series, number):
    """Pixels (C, 32, 32) of one unit of the first sample, counted date by date, row by row."""
    rows, columns = series.shape[3] // 32, series.shape[4] // 32
    date, cell = divmod(number, rows * columns)
    row, column = divmod(cell, columns)
    return series[0, date, :, 32 * row : 32 * row + 32, 32 * column : 32 * column + 32]


@settings(max_examples=30)
@given(
    dates=st.integers(1, 5),
    rows=st.integers(1, 3),
    columns=st.integers(1, 3),
    ratio=st.sampled_from([0.1, 0.5, 0.75, 0.9]),
)
def test_any_number_of_dates_and_any_size_is_reconstructed(dates, rows, columns, ratio):
    model = TiMoMAE(mask_ratio=ratio, **SMALL).eval()
    series = torch.randn(2, dates, 4, 32 * rows, 32 * columns)
    with torch.no_grad():
        result = model(series)
    units = dates * rows * columns
    seen = max(1, int(units * (1 - ratio)))
    assert result.visible.sum(1).tolist() == [seen, seen]
    assert result.latent.shape == (2, seen, 48)
    assert result.prediction.shape == (2, units, 4 * 32 * 32)
    assert model.reconstruct(result, series).shape == series.shape
    assert all(part.isfinite().all() for part in result)


def test_units_hidden_are_drawn_anew_each_time(model):
    series = torch.randn(2, 3, 4, 64, 64)
    with torch.no_grad():
        first, second = model(series).visible, model(series).visible
    assert not first.equal(second)
    assert not first[0].equal(first[1])


@given(dates=st.integers(1, 4), rows=st.integers(1, 3), columns=st.integers(1, 3), bands=st.integers(1, 4))
def test_frames_cut_into_units_are_put_together_again(dates, rows, columns, bands):
    series = torch.randn(2, dates, bands, 32 * rows, 32 * columns)
    units = to_units(series)
    assert to_frames(units, *series.shape[-2:]).equal(series)
    for number in range(units.shape[1]):
        assert units[0, number].equal(unit(series, number).flatten())


def test_visible_pixels_are_those_of_the_visible_units():
    visible = torch.rand(2, 3 * 2 * 3) < 0.5
    pixels = visible_pixels(visible, 64, 96)
    assert to_units(pixels[:, :, None]).equal(visible[..., None].expand(-1, -1, 1024))


def test_nothing_of_a_hidden_pixel_reaches_the_encoder(model):
    series, noise = torch.randn(1, 3, 4, 64, 64), torch.rand(1, 12)
    with torch.no_grad():
        result = model(series, noise)
        hidden = ~visible_pixels(result.visible, 64, 64)[:, :, None]
        other = model(torch.where(hidden, 1e4, series), noise)
    assert other.latent.equal(result.latent)
    assert other.prediction.equal(result.prediction)


def test_loss_is_the_mean_squared_error_over_hidden_pixels(model):
    series = torch.randn(2, 3, 4, 64, 64)
    with torch.no_grad():
        result = model(series)
        hidden = ~visible_pixels(result.visible, 64, 64)[:, :, None].expand_as(series)
        error = (model.reconstruct(result, series) - series)[hidden].square().mean()
    torch.testing.assert_close(result.loss, error, atol=1e-6, rtol=1e-6)


def normalised_by_hand(series, over):
    units = to_units(series).double()
    if over == "batch":
        return ((units - units.mean()) / (units.var() + 1e-6).sqrt()).float()
    return ((units - units.mean(2, keepdim=True)) / (units.var(2, keepdim=True) + 1e-6).sqrt()).float()


@pytest.mark.parametrize("over", ["batch", "patch"])
def test_normalised_pixels_are_of_the_whole_batch_as_published_or_of_each_unit(small, over):
    options = {} if over == "batch" else {"norm_pix_over": "patch"}
    model = TiMoMAE(norm_pix_loss=True, **options, **small).eval()
    series = 5 + 3 * torch.randn(2, 2, 4, 64, 32) * torch.rand(2, 2, 1, 64, 32)
    target = normalised_by_hand(series, over)
    with torch.no_grad():
        result = model(series)
        error = (result.prediction - target)[~result.visible].square().mean()
        torch.testing.assert_close(result.loss, error, atol=1e-5, rtol=1e-5)
        perfect = result._replace(prediction=target)
        torch.testing.assert_close(model.reconstruct(perfect, series), series, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("over", ["batch", "patch"])
def test_pixels_that_are_not_valid_are_neither_in_the_loss_nor_in_what_it_is_normalised_by(small, over):
    model = TiMoMAE(norm_pix_loss=True, norm_pix_over=over, **small).eval()
    series, noise = torch.randn(2, 2, 4, 64, 64), torch.rand(2, 8)
    valid = torch.rand(2, 2, 64, 64) < 0.7
    with torch.no_grad():
        result = model(series, noise, valid)
        out = ~visible_pixels(result.visible, 64, 64) & ~valid
        other = model(series.masked_fill(out[:, :, None], torch.nan), noise, valid)
        all_valid = model(series, noise)
    torch.testing.assert_close(other.loss, result.loss)
    assert other.prediction.equal(result.prediction)
    assert abs(all_valid.loss - result.loss) > 1e-6


def padded(lengths, dtype=torch.float32):
    """Series of those lengths, 32 x 64, in one batch; absent dates hold NaN and the least noise."""
    longest = max(lengths)
    series = torch.full((len(lengths), longest, 4, 32, 64), torch.nan, dtype=dtype)
    valid = torch.zeros(len(lengths), longest, 32, 64, dtype=torch.bool)
    noise = torch.full((len(lengths), longest, 2), -1.0)
    for sample, length in enumerate(lengths):
        series[sample, :length] = torch.randn(length, 4, 32, 64, dtype=dtype)
        valid[sample, :length] = True
        noise[sample, :length] = torch.rand(length, 2)
    return series, noise, valid


def test_series_of_differing_length_get_in_one_batch_what_they_get_alone(model):
    lengths = (3, 7, 12)
    model.double()  # what is left of differences is rounding of the loss, which is always float32
    series, noise, valid = padded(lengths, torch.float64)
    together = model(series, noise.flatten(1), valid)
    losses, pixels = 0.0, 0
    for sample, length in enumerate(lengths):
        alone = model(series[sample : sample + 1, :length], noise[sample : sample + 1, :length].flatten(1))
        units, seen = 2 * length, int(alone.visible.sum())
        assert together.visible[sample, :units].equal(alone.visible[0])
        assert not together.visible[sample, units:].any()
        for ours, expected in (
            (together.latent[sample, :seen], alone.latent[0]),
            (together.prediction[sample, :units], alone.prediction[0]),
        ):
            torch.testing.assert_close(ours, expected, atol=1e-9, rtol=1e-9)
        losses, pixels = losses + alone.loss * (units - seen), pixels + units - seen
    torch.testing.assert_close(together.loss, losses / pixels, atol=1e-6, rtol=1e-6)
    together.loss.backward()
    ours = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    (losses / pixels).backward()
    for name, parameter in model.named_parameters():
        error = (ours[name] - parameter.grad).norm() / parameter.grad.norm()
        assert error < 1e-6, f"{name}: {error:.1e}"


def test_an_absent_date_is_in_no_training_statistics(small):
    whole, cut = (TiMoMAE(**small).train() for _ in range(2))
    cut.load_state_dict(whole.state_dict())
    series, valid = torch.randn(2, 4, 4, 32, 64), torch.ones(2, 4, 32, 64, dtype=torch.bool)
    valid[:, 2], series[:, 2] = False, torch.nan
    noise = torch.rand(2, 4, 2)
    ours = whole(series, noise.flatten(1), valid)
    expected = cut(series[:, [0, 1, 3]], noise[:, [0, 1, 3]].flatten(1))
    torch.testing.assert_close(ours.loss, expected.loss, atol=1e-5, rtol=1e-5)
    for (name, statistic), other in zip(whole.named_buffers(), cut.buffers()):
        torch.testing.assert_close(statistic, other, atol=1e-5, rtol=1e-4, msg=name)


def test_a_sample_without_any_valid_pixel_adds_nothing_to_the_loss(model):
    series, noise = torch.randn(2, 2, 4, 32, 64), torch.rand(2, 4)
    valid = torch.ones(2, 2, 32, 64, dtype=torch.bool)
    valid[1] = False
    with torch.no_grad():
        torch.testing.assert_close(model(series, noise, valid).loss, model(series[:1], noise[:1]).loss)
        assert model(series, noise, torch.zeros_like(valid)).loss == 0


def test_real_dates_change_the_prediction_only_where_they_are_asked_for(small):
    series, noise = torch.randn(1, 3, 4, 32, 32), torch.rand(1, 3)
    dates = torch.tensor([[18000, 18040, 18200]])
    for position, told in (("index", False), ("date", True)):
        model = TiMoMAE(**small, position=position).eval()
        with torch.no_grad():
            later = model(series, noise, dates=dates + torch.tensor([0, 30, 90])).prediction
            assert later.equal(model(series, noise, dates=dates).prediction) is not told


@pytest.mark.parametrize("name", ["timo_tiny", "timo_small"])
def test_every_parameter_of_an_autoencoder_gets_a_gradient(name):
    model = autoencoder(name, in_chans=5)
    model(torch.randn(2, 3, 5, 64, 64)).loss.backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
        assert parameter.grad.any(), parameter_name


def test_checkpointing_changes_neither_loss_nor_gradients_nor_statistics(small):
    plain, saving = (TiMoMAE(**small).train() for _ in range(2))
    saving.load_state_dict(plain.state_dict())
    saving.encoder.set_grad_checkpointing()
    series, noise = torch.randn(2, 2, 4, 64, 32), torch.rand(2, 4)
    for model in (plain, saving):
        model(series, noise).loss.backward()
    for (name, parameter), other in zip(plain.named_parameters(), saving.parameters()):
        torch.testing.assert_close(other.grad, parameter.grad, msg=name)
    for (name, statistic), other in zip(plain.named_buffers(), saving.buffers()):
        assert other.equal(statistic), name


def test_saved_weights_give_the_same_prediction(small, tmp_path):
    model, again = TiMoMAE(**small).eval(), TiMoMAE(**small).eval()
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    again.load_state_dict(load_file(tmp_path / "weights.safetensors"), strict=True)
    series, noise = torch.randn(1, 2, 4, 64, 32), torch.rand(1, 4)
    with torch.no_grad():
        assert again(series, noise).prediction.equal(model(series, noise).prediction)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_is_an_autoencoder_of_full_attention_and_a_small_decoder(name):
    variant = VARIANTS[name]
    with torch.device("meta"):
        model = autoencoder(name, in_chans=3)
    assert not [key for key in model.state_dict() if "differential" in key]
    channels, dim, pixels = variant["embed_dims"][3], 64, 3 * 32 * 32
    block = 12 * dim**2 + 13 * dim
    decoder = (channels + 1) * dim + dim + 2 * block + 2 * dim + (dim + 1) * pixels
    assert sum(parameter.numel() for parameter in model.decoder.parameters()) == decoder


def test_the_whole_step_is_one_graph(small):
    model = TiMoMAE(**{**small, "depths": (1, 1, 1, 1)}, decoder_depth=1).eval()
    series, noise, valid = padded((1, 3))
    with torch.no_grad():
        compiled = torch.compile(model, fullgraph=True, backend="eager")
        ours, plain = (run(series, noise.flatten(1), valid) for run in (compiled, model))
    torch.testing.assert_close(ours.loss, plain.loss)


def test_noise_of_another_shape_is_refused_with_the_shape_it_needs(model):
    with pytest.raises(ModelError, match=r"\(1, 12\)"):
        model(torch.zeros(1, 3, 4, 64, 64), torch.rand(1, 147))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"decoder_dim": 60}, "60"),
        ({"decoder_heads": 3}, "3 heads"),
        ({"mask_ratio": 1.0}, "1.0"),
        ({"mask_ratio": 0}, "0"),
        ({"norm_pix_over": "date"}, "date"),
    ],
)
def test_an_autoencoder_that_cannot_be_is_refused_with_the_number_at_fault(small, change, words):
    with pytest.raises(ModelError) as caught:
        TiMoMAE(**{**small, **change})
    assert words in caught.value.message
    assert caught.value.action
