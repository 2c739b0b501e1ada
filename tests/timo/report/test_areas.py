# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from timo.report.areas import area_figures, stratified

# Olofsson et al. (2014), table 8: 640 samples; rows are the map, columns the reference.
MAP_BY_REFERENCE = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
# Deforestation, forest gain, stable forest, stable non-forest: hectares of the map.
MAPPED = np.array([18_000, 13_500, 288_000, 580_500])


def test_the_worked_example_of_olofsson_gives_its_published_figures():
    found = stratified(MAP_BY_REFERENCE.T, MAPPED)
    assert round(found.area[0]) == 21_158
    assert round(1.96 * found.area_se[0]) == 6_158
    np.testing.assert_allclose(found.users, [0.88, 0.73, 0.93, 0.96], atol=0.005)
    np.testing.assert_allclose(1.96 * found.users_se, [0.07, 0.10, 0.04, 0.02], atol=0.005)
    assert round(found.overall, 2) == 0.95
    assert round(1.96 * found.overall_se, 2) == 0.02


def test_the_other_figures_of_that_example_are_those_worked_out_by_hand():
    # With awk, from the equations of the paper, class by class.
    found = stratified(MAP_BY_REFERENCE.T, MAPPED)
    np.testing.assert_allclose(found.area, [21157.8, 11686.2, 285769.9, 581386.2], atol=0.1)
    np.testing.assert_allclose(1.96 * found.area_se, [6157.6, 3755.8, 15509.8, 16281.7], atol=0.1)
    np.testing.assert_allclose(found.producers, [0.7487, 0.8472, 0.9345, 0.9616], atol=5e-5)
    np.testing.assert_allclose(1.96 * found.producers_se, [0.2133, 0.2544, 0.0343, 0.0184], atol=5e-5)


def test_the_interval_holds_the_truth_about_95_times_in_100():
    random = np.random.default_rng(5)
    # How the map confuses what is truly there, and how much of each there is.
    truth_by_map = np.array([[900, 280, 320], [90, 2500, 440], [60, 290, 5200]])
    mapped, truth = truth_by_map.sum(0), truth_by_map.sum(1)
    held = np.zeros(3)
    for _ in range(1000):
        sample = [random.multinomial(300, truth_by_map[:, i] / mapped[i]) for i in range(3)]
        found = stratified(np.stack(sample, 1), mapped)
        held += np.abs(found.area - truth) <= 1.96 * found.area_se
    np.testing.assert_allclose(held / 1000, 0.95, atol=0.02)


COUNTS = arrays.arrays(np.int64, (4, 4), elements=st.integers(0, 500))
AREAS = arrays.arrays(np.float64, 4, elements=st.floats(0.1, 1e6))


@given(COUNTS, AREAS)
def test_the_areas_sum_to_that_of_the_mapped_classes_with_samples(matrix, mapped):
    found = stratified(matrix, mapped)
    np.testing.assert_array_equal(found.sampled, matrix.sum(0) > 0)
    np.testing.assert_allclose(found.area.sum(), mapped[found.sampled].sum(), rtol=1e-9, atol=1e-9)
    known = found.area_se[np.isfinite(found.area_se)]
    assert (known >= 0).all()


@given(arrays.arrays(np.int64, 4, elements=st.integers(2, 500)), AREAS)
def test_a_map_without_errors_keeps_its_areas(right, mapped):
    found = stratified(np.diag(right), mapped)
    np.testing.assert_allclose(found.area, mapped)
    np.testing.assert_allclose(found.area_se, 0)
    np.testing.assert_allclose(found.producers, 1)


def test_a_mapped_class_without_samples_is_left_out_and_told():
    figures = area_figures([[8, 0, 0], [2, 9, 0], [0, 1, 0]], [10.0, 20.0, 5.0], "abc", "ha", "So.")
    assert figures["without_samples"] == 5
    assert [row["sampled"] for row in figures["classes"]] == [True, True, False]
    assert sum(row["estimated"] for row in figures["classes"]) == pytest.approx(30)
    assert figures["classes"][2]["users_accuracy"] is None


def test_one_sample_of_a_class_gives_an_estimate_without_interval():
    figures = area_figures([[8, 1], [2, 0]], [10.0, 20.0], "ab", "ha", "So.")
    assert [row["estimated"] for row in figures["classes"]] == [pytest.approx(28), pytest.approx(2)]
    assert [row["interval95"] for row in figures["classes"]] == [None, None]


def test_without_samples_nothing_is_estimated():
    figures = area_figures(np.zeros((2, 2), int), [10.0, 20.0], "ab", "ha", "So.")
    assert figures["overall_accuracy"] is None
    assert [row["estimated"] for row in figures["classes"]] == [None, None]
