# SPDX-License-Identifier: GPL-3.0-or-later
"""The curves of a training: drawn for any number of epochs, read at any of them, and taken along."""

from __future__ import annotations

import pytest
from qgis.PyQt.QtCore import QCoreApplication, QEvent, QPointF, QSize, Qt
from qgis.PyQt.QtGui import QColor, QGuiApplication, QImage, QMouseEvent, QPalette
from qgis.PyQt.QtWidgets import QFileDialog


@pytest.fixture
def widget(package, qtbot):
    from timo_qgis.gui.curve import CurveWidget

    widget = CurveWidget("curve")
    qtbot.addWidget(widget)
    widget.resize(QSize(420, 240))
    return widget


def move_to(widget, place):
    """The pointer is moved there: told to the widget alone, as a window that comes up may lie above it."""
    none = Qt.MouseButton.NoButton
    on_screen = QPointF(widget.mapToGlobal(place.toPoint()))
    moved = QEvent.Type.MouseMove, place, on_screen, none, none, Qt.KeyboardModifier.NoModifier
    QCoreApplication.sendEvent(widget, QMouseEvent(*moved))


def metrics(count):
    """A loss that falls, and a score whose best is the epoch in the middle."""
    middle = max(count // 2, 1)
    return {
        "train_loss": tuple((n, 1 / n) for n in range(1, count + 1)),
        "val_loss": tuple((n, 1.2 / n) for n in range(1, count + 1)),
        "val_miou": tuple((n, 0.9 - 0.5 * abs(n - middle) / count) for n in range(1, count + 1)),
    }


@pytest.mark.parametrize("points", [0, 1, 2, 5000])
def test_curve_is_painted_with_any_number_of_epochs(widget, points):
    empty = widget.grab().toImage()
    widget.show_metrics(metrics(points) if points else {}, points)
    assert (widget.grab().toImage() != empty) == (points > 0)
    assert ("validation mean iou" in widget.accessibleDescription()) == (points > 0)


def colors(image):
    return {QColor(image.pixel(x, y)).name() for x in range(image.width()) for y in range(image.height())}


@pytest.mark.parametrize("dark", [False, True])
def test_curve_can_be_seen_in_light_and_dark_themes(widget, dark):
    palette = QPalette(QColor("#2b2b2b" if dark else "#f0f0f0"))
    palette.setColor(QPalette.ColorRole.WindowText, QColor("#eeeeee" if dark else "#111111"))
    widget.setPalette(palette)
    widget.show_metrics(metrics(10), 10)
    found = colors(widget.grab().toImage())
    assert {"#d9822b", "#2b8ad9"} <= found
    assert any(QColor(c).lightness() > 180 if dark else QColor(c).lightness() < 80 for c in found)


def test_values_at_an_epoch_are_read_by_the_mouse(widget):
    widget.show_metrics(metrics(10), 10)
    widget.grab()
    latest = widget.reading()
    panel = widget._panels[0]
    move_to(widget, QPointF(panel.x(4), 60))
    assert widget.chosen == 4
    assert widget.reading() == "Epoch 4, loss 0.250, validation loss 0.300, validation mean iou 0.850"
    widget.leaveEvent(None)
    assert widget.reading() == latest


def test_values_at_an_epoch_are_read_by_the_keyboard(widget, qtbot):
    widget.show_metrics(metrics(10), 10)
    for key, epoch in [
        ("Left", 9),
        ("Left", 8),
        ("Right", 9),
        ("Home", 1),
        ("Left", 1),
        ("End", 10),
        ("Escape", None),
    ]:
        qtbot.keyClick(widget, getattr(Qt.Key, f"Key_{key}"))
        assert widget.chosen == epoch
    qtbot.keyClick(widget, Qt.Key.Key_Home)
    assert widget.accessibleDescription().startswith("Epoch 1, loss 1.000")


def test_best_epoch_is_named_and_marked(widget):
    widget.show_metrics(metrics(10), 10)
    assert "Best: epoch 5" in widget.reading()
    assert "#2f9e6e" in colors(widget.grab().toImage())
    widget.choose(5)
    assert widget.reading().startswith("Epoch 5, the best")


@pytest.mark.parametrize(
    ("scores", "losses", "best"),
    [
        ({1: 0.5, 2: 0.9, 3: 0.7}, {}, 2),
        ({1: 0.501, 2: 0.504, 3: 0.502}, {1: 0.3, 2: 0.4, 3: 0.5}, 1),
        ({}, {1: 0.3, 2: 0.2, 3: 0.5}, 2),
        ({1: 0.5}, {1: 0.1}, None),
        ({}, {}, None),
    ],
)
def test_best_epoch_is_the_one_that_the_training_keeps(package, scores, losses, best):
    """Mean IoUs within a hundredth count as equal: the loss decides."""
    from timo_qgis.gui.curve_scale import best_epoch

    curves = {"val_miou": tuple(scores.items()), "val_loss": tuple(losses.items())}
    assert best_epoch({name: points for name, points in curves.items() if points}) == best


def test_no_more_points_are_drawn_than_can_be_seen_and_no_peak_is_lost(package):
    from timo_qgis.gui.curve_scale import thin

    points = tuple((n, 9.0 if n == 4000 else 0.5) for n in range(1, 10_001))
    drawn = thin(points, 400)
    assert len(drawn) <= 4 * 420
    assert (4000, 9.0) in drawn
    assert drawn[0] == points[0] and drawn[-1] == points[-1]
    assert [step for step, _ in drawn] == sorted({step for step, _ in drawn})
    assert thin(points[:300], 400) == points[:300]


@pytest.mark.parametrize(
    ("low", "high"),
    [(0.0, 1.0), (0.0, 0.0), (3.2, 3.2), (-1.0, 2.5), (0.0003, 0.0007), (12.0, 9876.0), (1, 10_000)],
)
def test_numbers_beside_the_curve_are_round_and_enclose_it(package, low, high):
    from timo_qgis.gui.curve_scale import ticks

    for most in (1, 2, 4, 8):
        found = ticks(low, high, most)
        assert found[0] <= low and found[-1] >= high
        assert 2 <= len(found) <= most + 2
        steps = {round(found[n + 1] - found[n], 9) for n in range(len(found) - 1)}
        assert len(steps) == 1
        digits = f"{steps.pop():e}".split("e")[0].rstrip("0").rstrip(".")
        assert digits in ("1", "2", "5")


def test_picture_and_values_are_taken_along(widget, tmp_path):
    widget.show_metrics({"train_loss": ((1, 0.5), (2, 0.25)), "val_miou": ((2, 0.75),)}, 2)
    menu = {action.text(): action for action in widget.menu().actions() if action.text()}
    menu["Copy the values"].trigger()
    assert QGuiApplication.clipboard().text() == "epoch,train_loss,val_miou\n1,0.5,\n2,0.25,0.75\n"
    for text, name in (("Save the values…", "a.csv"), ("Save the picture…", "a.png")):
        menu[text].trigger()
        dialog = widget.findChildren(QFileDialog, "timoSaveDialog")[-1]
        dialog.fileSelected.emit(str(tmp_path / name))
        dialog.close()
    assert (tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()[1] == "1,0.5,"
    assert QImage(str(tmp_path / "a.png")).width() == widget.width()
