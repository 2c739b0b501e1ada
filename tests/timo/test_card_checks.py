# SPDX-License-Identifier: GPL-3.0-or-later
import json

import pytest

from tests.timo.test_models_command import write_bundle
from timo.bundle import CARD, load_card
from timo.errors import BundleError


def load_with(tmp_path, *where, value):
    """Load a good description in which one entry has another value."""
    path = write_bundle(tmp_path / "m") / CARD
    card = json.loads(path.read_text())
    entry = card
    for key in where[:-1]:
        entry = entry[key]
    entry[where[-1]] = value
    path.write_text(json.dumps(card))
    return load_card(tmp_path / "m")


def test_a_good_description_is_read(tmp_path):
    assert load_with(tmp_path, "chip", value=96).chip == 96


@pytest.mark.parametrize(
    ("where", "value", "says"),
    [
        (("chip",), 0, "has a chip of 0 pixels, which is no multiple of 32"),
        (("chip",), -32, "has a chip of -32 pixels, which is no multiple of 32"),
        (("chip",), 48, "has a chip of 48 pixels, which is no multiple of 32"),
        (("architecture", "zoom"), 0, "has a zoom of 0, which is not 1 to 4"),
        (("architecture", "in_chans"), 3, "describes 1 band, and a network of 3"),
        (("bands",), [], "describes 0 bands, and a network of 1"),
        (("architecture", "num_classes"), 6, "describes 2 classes, and a network of 6"),
        (("classes", 1, "value"), 1, "has the class value 1 twice"),
        (("nodata",), 2, "has the value 2 for a class and for no data"),
        (("bands", 0, "std"), 0, "gives the band 'B4' a std of 0"),
        (("bands", 0, "std"), -1.5, "gives the band 'B4' a std of -1.5"),
        (("bands", 0, "scale"), 0, "gives the band 'B4' a scale of 0"),
        (("ground_sample_distance",), [10], "doesn't give a pixel's width and height in"),
        (("ground_sample_distance", 0), 0, "gives a pixel a size of 0"),
        (("dates", "minimum"), 13, "has 12 as the dates of training, and 13 as the fewest"),
        (("dates", "minimum"), 0, "has 12 as the dates of training, and 0 as the fewest"),
    ],
)
def test_a_description_that_makes_no_sense_is_refused(tmp_path, where, value, says):
    with pytest.raises(BundleError) as caught:
        load_with(tmp_path, *where, value=value)
    assert f"'{tmp_path / 'm' / CARD}' {says}" in caught.value.message
    assert caught.value.code == "bundle_damaged"


@pytest.mark.parametrize("number", ["1e999", "NaN", "Infinity"])
@pytest.mark.parametrize("key", ["mean", "std", "offset", "scale"])
def test_numbers_that_are_none_are_refused(tmp_path, key, number):
    path = write_bundle(tmp_path / "m") / CARD
    card = json.loads(path.read_text())
    card["bands"][0][key] = "HERE"
    path.write_text(json.dumps(card).replace('"HERE"', number))
    with pytest.raises(BundleError) as caught:
        load_card(tmp_path / "m")
    assert str(path) in caught.value.message


def test_a_newer_format_is_told_even_where_everything_else_is_new(tmp_path):
    path = write_bundle(tmp_path / "m") / CARD
    path.write_text('{"format": 2, "seasons": []}')
    with pytest.raises(BundleError, match="has format 2; this version reads format 1"):
        load_card(tmp_path / "m")
