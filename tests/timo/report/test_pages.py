# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest

from tests.timo.report.pages import Page
from timo.report.areas import area_figures
from timo.report.calibration import Reliability
from timo.report.evaluation import evaluation_page, summary
from timo.report.words import amount, interval, of_hundred, percent, plus_minus
from timo.training.metrics import figures_of

HOSTILE = "<script>alert('1')</script> & \"x\""


def report(matrix, names=("woods", "fields"), areas=True, outside=None, notes=(), confidence=0.9):
    """What ``report.json`` would hold."""
    figures = figures_of(matrix, names)
    reliability = Reliability()
    right = int(np.trace(np.array(matrix)))
    flags = np.arange(figures["pixels"]) < right
    reliability.update(np.full(len(flags), confidence, np.float32), flags)
    mapped = np.array(matrix).sum(0) * 10.0
    return {
        "model": {"name": names[0], "path": "/m", "sha256": "abc"},
        "classes": [{"value": k, "name": n, "color": "#009e73"} for k, n in enumerate(names)],
        "figures": figures,
        "outside_training": outside,
        "calibration": reliability.figures(),
        "areas": area_figures(matrix, mapped, names, "ha", "So.") if areas else None,
        "notes": list(notes),
        "provenance": {"Model": names[0], "Labels": "l.gpkg", "Evaluated": "today", "Files": HOSTILE},
    }


def test_the_page_begins_with_what_it_says_in_words():
    said = summary(report([[80, 20], [6, 94]]))
    assert said[0] == "Of 100 labelled pixels, 87 are mapped right (174 of 200)."
    assert said[1] == (
        "'fields' is mapped best (F1 0.88), 'woods' worst (F1 0.86): of 100 of its labels, "
        "20 are mapped as 'fields'."
    )
    assert "about as sure" not in said[2]
    assert "surer of itself than it is right" in said[2]
    assert said[3].startswith("Corrected for the map's errors, ")
    page = Page(evaluation_page(report([[80, 20], [6, 94]])))
    for sentence in said:
        assert sentence in page.text


def test_figures_outside_the_places_of_training_are_said_to_be_those_to_trust():
    outside = figures_of([[30, 20], [10, 40]], ("woods", "fields"))
    said = summary(report([[80, 20], [6, 94]], outside=outside))
    assert said[1] == "Where the model was not trained, 70 of 100 are: this is the figure to trust."


@pytest.mark.parametrize(
    ("confidence", "word"), [(0.99, "surer of itself"), (0.7, "less sure of itself"), (0.87, "about as sure")]
)
def test_confidence_is_told_in_words(confidence, word):
    assert any(word in one for one in summary(report([[80, 20], [6, 94]], confidence=confidence)))


def test_names_are_text_whatever_they_hold():
    page = Page(evaluation_page(report([[8, 2], [1, 9]], (HOSTILE, "fields"), notes=[HOSTILE]), []))
    assert "script" not in page.tags
    assert page.text.count(HOSTILE) > 5


def test_a_colour_that_is_none_does_not_get_into_the_page():
    content = report([[8, 2], [1, 9]])
    content["classes"][0]["color"] = 'red;background:url("x")'
    assert "url(" not in evaluation_page(content)


def test_without_areas_the_page_says_how_to_get_them():
    page = Page(evaluation_page(report([[8, 2], [1, 9]], areas=False)))
    assert "Areas were not estimated" in page.text
    assert len(page.plots()) == 3


def test_the_page_warns_that_intervals_of_polygons_are_indicative():
    page = Page(evaluation_page(report([[8, 2], [1, 9]])))
    assert "no such sample" in page.text
    assert "10.1016/j.rse.2014.02.015" in page.text
    assert len(page.plots()) == 4


def test_a_class_without_errors_is_not_said_to_be_free_of_them():
    said = "An interval of 0 says that no labelled pixel was wrong, not that none is."
    assert said in Page(evaluation_page(report([[9, 0], [0, 9]]))).text
    assert said not in Page(evaluation_page(report([[8, 2], [1, 9]]))).text


def test_a_place_has_its_map_of_errors():
    page = Page(evaluation_page(report([[8, 2], [1, 9]]), [("north", ["errors-1-north.tif"], np.eye(3))]))
    assert "north. Blue is right" in page.text
    assert "errors-1-north.tif" in page.text
    assert any(uri.startswith("data:image/png") for uri in page.images)


def test_a_map_with_nothing_right_or_nothing_wrong_has_its_page():
    for matrix in ([[0, 5], [5, 0]], [[5, 0], [0, 5]], [[5, 0], [0, 0]], [[0, 5], [0, 0]]):
        assert "Of 100 labelled pixels, " in Page(evaluation_page(report(matrix))).text


def test_many_classes_get_a_list_of_errors_in_place_of_a_matrix():
    names = [f"class {k}" for k in range(40)]
    matrix = np.eye(40, dtype=int) * 50
    matrix[3, 7] = 9
    page = Page(evaluation_page(report(matrix.tolist(), names)))
    assert "The commonest errors" in page.text
    assert "class 3 class 7 9" in page.text


@pytest.mark.parametrize(
    ("share", "words"),
    [(1, "all"), (0, "none"), (0.999, "more than 99"), (0.001, "less than 1"), (0.874, "87"), (0.994, "99")],
)
def test_a_share_is_never_rounded_to_all_or_none(share, words):
    assert of_hundred(share) == words


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (1.0, "100.0 %"),
        (0.99996, "99.9 %"),
        (0.931, "93.1 %"),
        (0.0004, "< 0.1 %"),
        (0.0, "0.0 %"),
        (None, "–"),
    ],
)
def test_percent_are_not_rounded_to_all_or_none_either(share, words):
    assert percent(share) == words


def test_amounts_have_the_digits_that_their_size_needs():
    shown = [amount(value) for value in (12345.6, 123.4, 12.34, 1.234, 0.1234, None)]
    assert shown == ["12\u202f346", "123", "12.3", "1.23", "0.123", "–"]
    assert [interval(*pair) for pair in ((0.84, 12.2), (0.004, 150), (0, 150), (None, 1))] == [
        "± 0.8",
        "± 0.004",
        "± 0",
        "–",
    ]
    assert plus_minus(0.5, 0.021) == "50.0 ± 2.1 %"
    assert plus_minus(None, None) == "–"
