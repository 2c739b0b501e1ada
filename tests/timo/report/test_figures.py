# SPDX-License-Identifier: GPL-3.0-or-later
import base64
import io
import logging
import math

import numpy as np
import pytest
from matplotlib.image import imread

from tests.timo.report.pages import svg, words
from timo.report import figures as plots
from timo.report.calibration import Reliability
from timo.series.palette import palette
from timo.training.metrics import figures_of

NAMES = ["woods", "$a^$ & <b>", "小麦", "a class with a name that has no room beside an axis"]
MATRIX = [[90, 5, 5, 0], [10, 40, 0, 0], [0, 0, 0, 0], [1, 0, 3, 996]]
COLORS = palette(4)


def test_the_confusion_matrix_shows_percent_of_the_labels_and_names_as_they_are():
    shown = words(svg(plots.confusion_matrix(MATRIX, NAMES, COLORS)))
    for text in ("90", "5", "20", "80", "100", "<1", "woods", "$a^$ & <b>", "小麦"):
        assert text in shown, text
    assert any(text.endswith("…") for text in shown)
    assert {"mapped as", "labelled as"} <= set(shown)


@pytest.mark.parametrize("classes", [1, 2, 16, 40, 254])
def test_any_number_of_classes_has_its_plots(classes):
    names = [f"class {k}" for k in range(classes)]
    figures = figures_of(np.eye(classes, dtype=int).tolist(), names)
    colors = palette(classes)
    rows = [{"name": name, "mapped": 3.0, "estimated": 2.5, "interval95": 0.5} for name in names]
    for uri in (
        plots.confusion_matrix(figures["confusion_matrix"], names, colors),
        plots.class_accuracy(figures["per_class"], colors),
        plots.area_bars(rows, colors, "ha"),
    ):
        plot = svg(uri)
        width, height = (float(plot.get(side).removesuffix("pt")) for side in ("width", "height"))
        assert 100 < width < 1500
        assert height < 30 * classes + 1000


def test_a_class_that_does_not_occur_has_its_row_but_no_mark():
    figures = figures_of(MATRIX, NAMES)
    shown = words(svg(plots.class_accuracy(figures["per_class"], COLORS)))
    assert "小麦" in shown
    assert {"user's accuracy", "producer's accuracy", "F1"} <= set(shown)


def test_bars_of_areas_come_without_an_interval_where_there_is_none():
    rows = [
        {"name": "a", "mapped": 12345.6, "estimated": 12000.0, "interval95": None},
        {"name": "b", "mapped": 10.0, "estimated": None, "interval95": None},
    ]
    assert "ha" in words(svg(plots.area_bars(rows, COLORS[:2], "ha")))


def test_the_reliability_diagram_has_a_point_for_each_bin_with_pixels():
    reliability = Reliability()
    reliability.update(np.array([0.55, 0.95, 0.96], np.float32), np.array([True, True, False]))
    shown = words(svg(plots.reliability(reliability.figures())))
    assert {"confidence", "right", "this map", "as sure as it is right"} <= set(shown)


@pytest.mark.parametrize("epochs", [1, 2, 30])
def test_curves_have_a_panel_for_each_figure(epochs):
    history = [
        {"train_loss": 1 / e, "val_loss": math.nan if e == 1 else 1.1 / e, "val_miou": None, "val_f1": 0.5}
        for e in range(1, epochs + 1)
    ]
    shown = words(svg(plots.curves(history, epochs)))
    assert {"Loss", "Mean IoU", "Macro F1", "epoch", "training", "validation"} <= set(shown)


def test_the_map_of_errors_has_a_pixel_for_each_cell_and_grey_where_nothing_is_labelled():
    wrong = np.array([[0.0, 1.0, np.nan], [0.5, np.nan, np.nan]])
    head, _, content = plots.error_map(wrong).partition(",")
    assert head == "data:image/png;base64"
    image = imread(io.BytesIO(base64.b64decode(content)))
    assert image.shape[:2] == (2, 3)
    grey = image[0, 2]
    assert (image[1, 1] == grey).all()
    assert grey[0] == pytest.approx(grey[2], abs=0.02)
    assert image[0, 0][2] > 0.8 > image[0, 0][0]  # right is blue
    assert image[0, 1][0] > 0.8 > image[0, 1][2]  # wrong is orange


def test_the_same_figure_has_the_same_bytes_and_says_nothing(caplog):
    caplog.set_level(logging.WARNING)
    one, two = (plots.confusion_matrix(MATRIX[:2], NAMES[:2], COLORS[:2]) for _ in range(2))
    assert one == two
    assert caplog.records == []
