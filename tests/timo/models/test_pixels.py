# SPDX-License-Identifier: GPL-3.0-or-later
import pytest
import torch

from timo.models import TiMoSegmenter
from timo.models.fold import fold_batch_norm
from timo.models.pixels import PixelSeries, WithPixels, cosines_of
from timo.models.zoom import Zoomed

DAYS = torch.tensor([[18000, 18012, 18031, 18065, 18100]])


def branch(**options):
    model = PixelSeries(3, 4, cosines=5, **options)
    with torch.no_grad():  # statistics of some training
        for _ in range(20):
            model.train()(torch.randn(2, 5, 3, 8, 8), None, DAYS.expand(2, -1))
    return model.eval()


def test_a_pixel_is_told_by_its_own_series_alone():
    model, series = branch(), torch.randn(1, 5, 3, 8, 8)
    changed = series.clone()
    changed[..., 4, 4] += 1
    differs = (model(series, None, DAYS) != model(changed, None, DAYS)).any(1)[0]
    assert differs[4, 4]
    assert differs.sum() == 1


@pytest.mark.parametrize("where", [slice(5, 7), slice(0, 2), slice(2, 4)])
def test_a_date_that_is_not_there_changes_nothing(where):
    model, series = branch(), torch.randn(1, 5, 3, 8, 8)
    padded, days = torch.randn(1, 7, 3, 8, 8), torch.full((1, 7), 19999)
    valid = torch.ones(1, 7, 8, 8, dtype=torch.bool)
    valid[:, where] = False
    kept = valid[0, :, 0, 0]
    padded[:, kept], days[:, kept] = series, DAYS
    torch.testing.assert_close(model(padded, valid, days), model(series, None, DAYS))


def test_only_the_time_between_the_dates_counts():
    model, series = branch(), torch.randn(2, 5, 3, 8, 8)
    days = DAYS.expand(2, -1)
    torch.testing.assert_close(model(series, None, days + 365), model(series, None, days))
    order = torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(model(series[:, order], None, days[:, order]), model(series, None, days))


@pytest.mark.parametrize("count", [1, 2, 12, 60])
def test_any_number_of_dates_gives_as_many_features_of_like_size(count):
    like = torch.empty(1)
    basis = cosines_of(None, None, count, 6, like)
    assert basis.shape == (1, count, 6)
    assert basis.isfinite().all()
    assert (basis.square().sum(1) <= 2 + 1e-5).all()


def test_as_many_cosines_as_dates_lose_nothing():
    basis = cosines_of(None, None, 6, 6, torch.empty(1))[0]
    assert torch.linalg.matrix_rank(basis) == 6


@pytest.mark.parametrize("share", [None, 0.0, 0.75])
def test_training_teaches_each_of_both_and_a_map_is_their_mean(share):
    segmenter = TiMoSegmenter(
        num_classes=4, head_channels=8, in_chans=3, embed_dims=(8, 16, 16, 24), num_heads=(2, 2, 2, 2),
        depths=(1, 1, 1, 1),
    )  # fmt: skip
    model = WithPixels(Zoomed(segmenter, 2), PixelSeries(3, 4, cosines=5), share)
    series, days = torch.randn(2, 5, 3, 32, 32), DAYS.expand(2, -1)
    around, alone = model.train()(series, None, days)
    (around.square().mean() + alone.square().mean()).backward()
    assert all(parameter.grad.any() for parameter in model.parameters())
    model.eval()
    with torch.no_grad():
        around, alone = model.segmenter(series, None, days), model.pixels(series, None, days)
        expected = around + (0.5 if share is None else share) * (alone - around)
        torch.testing.assert_close(model(series, None, days), expected)
        torch.testing.assert_close(fold_batch_norm(model)(series, None, days), expected, atol=1e-4, rtol=1e-4)


def test_pixels_whose_scores_nobody_wants_are_left_out():
    model, series = branch(), torch.randn(2, 5, 3, 8, 8)
    wanted = torch.rand(2, 8, 8) < 0.3
    whole, some = model(series), model(series, wanted=wanted)
    torch.testing.assert_close(some, whole * wanted[:, None])


def test_training_sees_a_pixel_as_a_map_does_whatever_else_is_in_its_batch():
    model = branch(noise=0, dropout=0)
    dark, bright = torch.randn(1, 5, 3, 8, 8), torch.randn(1, 5, 3, 8, 8) + 3
    mapped = model(dark)
    learnt = model.train()(torch.cat([dark, bright]))[:1]
    torch.testing.assert_close(learnt, mapped, atol=0.1, rtol=0.1)
