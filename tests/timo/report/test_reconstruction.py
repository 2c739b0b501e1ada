# SPDX-License-Identifier: GPL-3.0-or-later
import base64
import io

import numpy as np
import pytest
from matplotlib.image import imread

from tests.timo.report.pages import Page, words
from timo.report.figures import reconstruction
from timo.report.page import page
from timo.report.reconstruction import Example, reconstruction_section

XLINK = "{http://www.w3.org/1999/xlink}href"


def example(bands, dates, **more):
    random = np.random.default_rng(0)
    there = random.standard_normal((len(dates), len(bands), 8, 8)).astype(np.float32)
    seen = np.zeros((len(dates), 8, 8), bool)
    seen[:, :4] = True
    given = {"place": "<north>", "there": there, "seen": seen, "filled": -there, "loss": 0.5}
    return Example(bands=bands, dates=dates, **{**given, **more})


def shown(*examples):
    return Page(page("t", "a", reconstruction_section(examples, hidden=0.75, loss=0.423)))


def pictures(plot):
    """The images within a plot, (H, W, 3 or 4) from 0 to 1."""
    found = []
    for element in plot.iter("{http://www.w3.org/2000/svg}image"):
        head, _, content = element.get(XLINK).partition(",")
        assert head == "data:image/png;base64"
        found.append(imread(io.BytesIO(base64.b64decode(content))))
    return found


def test_the_section_says_what_one_sees_and_how_good_it_is():
    found = shown(example(["nir", "red", "green", "blue"], ["2020-01-01", "2020-02-01"]))
    for text in ("75 % of every chip are hidden", "mean loss is 0.42", "band's mean would have a loss of 1",
                 "<north>: 2 dates, in natural colours", "Loss of this chip: 0.50"):  # fmt: skip
        assert text in found.text, text
    (plot,) = found.plots()
    assert {"there", "seen", "filled in", "2020-01-01", "2020-02-01"} <= set(words(plot))


@pytest.mark.parametrize(
    ("bands", "said"),
    [
        (["vv", "vh"], "with vv as grey"),
        (["b1", "b2", "b3", "b4"], "with b1, b2 and b3 as red, green and blue"),
    ],
)
def test_series_without_the_colours_show_the_bands_they_have(bands, said):
    assert said in shown(example(bands, ["2020-01-01"])).text


def test_of_many_dates_three_are_shown():
    dates = [f"2020-{month:02}-01" for month in range(1, 12)]
    found = shown(example(["red"], dates))
    assert "3 of 11 dates" in found.text
    assert [word for word in words(found.plots()[0]) if word.startswith("2020")] == [
        "2020-01-01", "2020-06-01", "2020-11-01",
    ]  # fmt: skip


def test_without_an_example_there_is_no_section():
    assert reconstruction_section([], hidden=0.75, loss=1.0) == ""


def test_hidden_pixels_are_grey_and_then_the_models():
    one = example(["red", "green", "blue"], ["2020-01-01"])
    plot = Page(f'<img src="{reconstruction(one.there, one.seen, one.filled, one.dates)}">').plots()[0]
    there, seen, filled = (image[..., :3] for image in pictures(plot))
    rows = there.shape[0] // 2
    np.testing.assert_array_equal(seen[:rows], there[:rows])
    np.testing.assert_array_equal(filled[:rows], there[:rows])
    assert np.ptp(seen[rows:], axis=(0, 1)).max() == 0
    assert (filled[rows:] != there[rows:]).mean() > 0.9
