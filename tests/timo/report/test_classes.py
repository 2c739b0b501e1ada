# SPDX-License-Identifier: GPL-3.0-or-later
import pytest

from timo.bundle import ClassCard
from timo.errors import LabelError
from timo.report.classes import match_classes
from timo.series.labels import ClassInfo


def match(labels, model, values_count=True):
    """Which of the model's values each of the labels' values is, and what is said."""
    found = match_classes(
        [ClassInfo(value, name, "#000000") for value, name in labels],
        [ClassCard(value=value, name=name, color="#000000") for value, name in model],
        values_count=values_count,
        labels_name="labels.tif",
        name="crops",
    )
    pairs = {value: model[found.index[i]][0] for i, (value, _) in enumerate(labels) if i not in found.unknown}
    return pairs, [labels[i][1] for i in found.unknown], found.notes


def test_classes_of_the_same_name_and_value_are_the_same_and_nothing_is_said():
    assert match([(1, "maize"), (2, "wheat")], [(1, "maize"), (2, "wheat")]) == ({1: 1, 2: 2}, [], ())


def test_texts_are_matched_by_name_whatever_number_they_got():
    # Polygons with fewer classes than the model's: numbered anew in the order of their names.
    found = match([(1, "maize"), (2, "wheat")], [(1, "beet"), (2, "maize"), (3, "wheat")], values_count=False)
    assert found == ({1: 2, 2: 3}, [], ())


def test_case_and_spaces_around_a_name_do_not_count():
    assert match([(1, " Maize"), (2, "WHEAT")], [(1, "maize"), (2, "wheat")])[0] == {1: 1, 2: 2}


@pytest.mark.parametrize("labels", [[(1, "Woods"), (2, "woods")], [(1, "woods"), (2, "Woods")]])
def test_of_two_names_that_differ_in_case_alone_the_models_own_is_the_match(labels):
    pairs, unknown, _ = match(labels, [(1, "field"), (2, "woods")], values_count=False)
    assert pairs == {value: 2 for value, name in labels if name == "woods"}
    assert unknown == ["Woods"]


def test_names_that_are_merely_alike_share_what_the_exact_ones_leave():
    pairs, unknown, _ = match([(1, "Woods"), (2, "WOODS")], [(1, "woods"), (2, "WOODS")])
    assert pairs == {1: 1, 2: 2}
    assert unknown == []


def test_values_without_names_are_matched_by_value_and_told():
    pairs, unknown, notes = match([(1, "1"), (2, "2")], [(1, "maize"), (2, "wheat")])
    assert pairs == {1: 1, 2: 2}
    assert unknown == []
    assert "Class '1' of labels.tif was taken as 'maize' of model 'crops': both have the value 1." in notes


def test_a_name_goes_before_a_value_and_is_told():
    pairs, _, notes = match([(1, "wheat"), (2, "maize")], [(1, "maize"), (2, "wheat")])
    assert pairs == {1: 2, 2: 1}
    assert len(notes) == 2
    assert "value 1 in labels.tif and 2 in model 'crops'" in notes[0]


def test_a_number_that_a_text_got_is_never_taken_for_a_value():
    pairs, unknown, _ = match([(1, "beet"), (2, "2")], [(1, "1"), (2, "2")], values_count=False)
    assert pairs == {2: 2}
    assert unknown == ["beet"]


def test_a_class_of_another_name_is_unknown_even_with_the_value_of_one():
    pairs, unknown, _ = match([(1, "maize"), (2, "hops")], [(1, "maize"), (2, "wheat")])
    assert pairs == {1: 1}
    assert unknown == ["hops"]


def test_a_class_of_the_model_is_given_once():
    pairs, unknown, _ = match([(1, "wheat"), (2, "2")], [(1, "maize"), (2, "wheat")])
    assert pairs == {1: 2}
    assert unknown == ["2"]


def test_labels_of_none_of_the_models_classes_are_refused_by_name():
    with pytest.raises(LabelError, match=r"sea, lake.*maps maize, wheat") as caught:
        match([(7, "sea"), (8, "lake")], [(1, "maize"), (2, "wheat")])
    assert caught.value.code == "classes_unknown"
