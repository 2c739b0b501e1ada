# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest

from tests.scenes import make_scene
from timo.series import prepared
from timo.series.prepared import PreparedSeries, statistics
from timo.series.series import open_series


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    return open_series(make_scene(tmp_path_factory.mktemp("scene")).folder)


@pytest.mark.parametrize("kept", [True, False])
def test_what_the_model_sees_does_not_hang_on_how_much_is_read_at_once(series, monkeypatch, kept):
    figures = statistics([series])
    whole = PreparedSeries(series, figures, keep=True)
    monkeypatch.setattr(prepared, "STRIP_BYTES", 50_000)  # eight rows
    in_strips = statistics([series])
    np.testing.assert_allclose(in_strips.mean, figures.mean, rtol=1e-12)
    np.testing.assert_allclose(in_strips.std, figures.std, rtol=1e-9)
    strips = PreparedSeries(series, figures, keep=kept)
    for window in ((0, 0, 128, 128), (-5, 90, 64, 64), (13, 7, 32, 32)):
        for one, other in zip(whole.read(*window), strips.read(*window), strict=True):
            np.testing.assert_array_equal(one, other)
