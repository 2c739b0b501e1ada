# SPDX-License-Identifier: GPL-3.0-or-later
"""Series of differing length share a batch: a padded date changes nothing."""

import pytest
import torch

from timo.models import TiMoClassifier, TiMoEncoder, TiMoSegmenter

LENGTHS = (3, 7, 12)
SIZE = (32, 64)
TWO_SAMPLES = 2
# In double precision: what is left of differences is no rounding, which processors do in ways of their own.
SAME = {"atol": 1e-9, "rtol": 1e-9}
# Of a gradient's norm, and under it: a bias before a norm has no gradient but for rounding.
RELATIVE, FLOOR = 1e-8, 1e-12


def series_of(lengths, in_chans=4):
    """A series of each length, its dates, and the batch in which absent dates stand here and there."""
    longest = max(lengths)
    alone = [torch.randn(1, length, in_chans, *SIZE, dtype=torch.float64) for length in lengths]
    days = [(17000 + torch.randperm(900)[:length].sort().values)[None] for length in lengths]
    batch = torch.full((len(lengths), longest, in_chans, *SIZE), torch.nan, dtype=torch.float64)
    valid = torch.zeros(len(lengths), longest, *SIZE, dtype=torch.bool)
    dates = torch.randint(0, 30000, (len(lengths), longest))
    places = []
    for sample, length in enumerate(lengths):
        kept = torch.randperm(longest)[:length].sort().values
        batch[sample, kept], dates[sample, kept] = alone[sample][0], days[sample][0]
        valid[sample, kept] = torch.rand(length, *SIZE) < 0.7
        places.append(kept)
    return alone, days, batch, valid, dates, places


def outputs(model, *inputs):
    result = model(*inputs)
    return result if isinstance(result, list) else [result]


def models(small):
    for position in ("index", "sorted", "date"):
        options = {**small, "position": position}
        yield TiMoEncoder(**options), True
        yield TiMoClassifier(num_classes=5, **options), False
        yield TiMoClassifier(num_classes=5, per_date=True, **options), True
        yield TiMoSegmenter(head_channels=8, **options), False
        yield TiMoSegmenter(head_channels=8, per_date=True, **options), True


@pytest.mark.parametrize("number", range(15))
@pytest.mark.parametrize("gradients", [False, True])
def test_a_padded_batch_gives_each_series_the_result_it_gets_alone(small, number, gradients):
    model, has_dates = list(models(small))[number]
    model.double().eval()
    alone, days, batch, valid, dates, places = series_of(LENGTHS)
    with torch.set_grad_enabled(gradients):
        together = outputs(model, batch, valid, dates)
        for sample, kept in enumerate(places):
            for ours, expected in zip(together, outputs(model, alone[sample], None, days[sample])):
                of_sample = ours[sample, kept] if has_dates else ours[sample]
                torch.testing.assert_close(of_sample, expected[0], **SAME)
    assert all(output.isfinite().all() for output in together)


@pytest.mark.parametrize("number", range(15))
def test_a_padded_batch_gives_the_gradients_of_its_series_alone(small, number):
    model, has_dates = list(models(small))[number]
    model.double().eval()
    alone, days, batch, valid, dates, places = series_of(LENGTHS)

    def loss(output, sample):
        torch.manual_seed(sample)
        return (output * torch.randn_like(output)).mean()

    together = outputs(model, batch, valid, dates)
    sum(
        loss(ours[sample, kept] if has_dates else ours[sample], sample)
        for ours in together
        for sample, kept in enumerate(places)
    ).backward()
    padded = {name: parameter.grad for name, parameter in model.named_parameters()}
    model.zero_grad()
    sum(
        loss(expected[0], sample)
        for sample in range(len(places))
        for expected in outputs(model, alone[sample], None, days[sample])
    ).backward()
    for name, parameter in model.named_parameters():
        if parameter.grad is None:
            assert padded[name] is None or not padded[name].any(), name
            continue
        assert (padded[name] - parameter.grad).norm() <= RELATIVE * parameter.grad.norm() + FLOOR, name


@pytest.mark.parametrize("model_class", [TiMoClassifier, TiMoSegmenter])
def test_a_padded_date_is_in_no_training_statistics(small, model_class):
    padded, plain = (model_class(**small).double().train() for _ in range(2))
    plain.load_state_dict(padded.state_dict())
    series = torch.randn(TWO_SAMPLES, 4, 4, *SIZE, dtype=torch.float64)
    valid = torch.ones(TWO_SAMPLES, 4, *SIZE, dtype=torch.bool)
    valid[:, 1] = False
    series[:, 1] = torch.nan
    logits = padded(series, valid), plain(series[:, [0, 2, 3]])
    torch.testing.assert_close(*logits, **SAME)
    for output in logits:
        output.square().mean().backward()
    for (name, ours), expected in zip(padded.named_parameters(), plain.parameters()):
        if expected.grad is None:
            assert ours.grad is None or not ours.grad.any(), name
            continue
        assert (ours.grad - expected.grad).norm() <= RELATIVE * expected.grad.norm() + FLOOR, name
    for (name, ours), expected in zip(padded.named_buffers(), plain.buffers()):
        torch.testing.assert_close(ours, expected, **SAME, msg=name)


def test_sixty_dates_and_one_share_a_batch(small):
    model = TiMoEncoder(**small).double().eval()
    alone, _, batch, valid, _, places = series_of((1, 60))
    with torch.no_grad():
        together = model(batch, valid)
        for sample, kept in enumerate(places):
            for ours, expected in zip(together, model(alone[sample])):
                torch.testing.assert_close(ours[sample, kept], expected[0], **SAME)


def test_a_sample_without_any_valid_pixel_spoils_no_other(small):
    model = TiMoSegmenter(head_channels=8, **small).double().eval()
    series = torch.randn(2, 3, 4, 32, 32, dtype=torch.float64)
    valid = torch.ones(2, 3, 32, 32, dtype=torch.bool)
    valid[0] = False
    with torch.no_grad():
        torch.testing.assert_close(model(series, valid), model(series), **SAME)
        spoilt = series.clone()
        spoilt[0] = torch.nan  # the sample is taken as it is
        torch.testing.assert_close(model(spoilt, valid)[1], model(series)[1], **SAME)
