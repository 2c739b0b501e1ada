# SPDX-License-Identifier: GPL-3.0-or-later
"""The time line draws each date, tells it, and is stepped through by mouse and keyboard."""

from __future__ import annotations

import datetime as dt

import pytest
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtGui import QColor


@pytest.fixture
def timeline(package, qtbot):
    from timo_qgis.gui.timeline import TimeLine

    widget = TimeLine("timoLine")
    qtbot.addWidget(widget)
    widget.resize(440, widget.sizeHint().height())
    return widget


def mark(date, **options):
    from timo_qgis.gui.timeline import Mark

    facts = {"layers": (date,), "sensor": "sentinel-2", "ticked": True, "faulty": False, "text": date}
    return Mark(dt.date.fromisoformat(date), **{**facts, **options})


def month(number, **options):
    return mark(f"2020-{number:02}-15", **options)


def color_at(timeline, date):
    image = timeline.grab().toImage()
    ratio = image.devicePixelRatio()
    return image.pixelColor(int(timeline.x(date) * ratio), int(14 * ratio))


def click(qtbot, timeline, date):
    qtbot.mouseClick(timeline, Qt.MouseButton.LeftButton, pos=QPoint(round(timeline.x(date)), 14))


def test_a_click_on_a_mark_tells_its_date(timeline, qtbot):
    timeline.show_marks([month(n) for n in range(1, 13)])
    timeline.show()
    with qtbot.waitSignal(timeline.chosen) as told:
        click(qtbot, timeline, dt.date(2020, 7, 15))
    assert told.args[0].date == dt.date(2020, 7, 15)
    assert timeline.current == dt.date(2020, 7, 15)


def test_a_click_beside_all_marks_tells_nothing(timeline, qtbot):
    timeline.show_marks([month(1), month(12)])
    timeline.show()
    with qtbot.assertNotEmitted(timeline.chosen):
        click(qtbot, timeline, dt.date(2020, 6, 30))


def test_arrow_keys_step_from_date_to_date_and_stop_at_the_ends(timeline, qtbot):
    timeline.show_marks([month(3), month(1), month(2)])
    timeline.show()
    seen = []
    timeline.chosen.connect(lambda mark: seen.append(mark.date.month))
    keys = ("Right", "Right", "Left", "End", "Right", "Home", "Left")
    for name in keys:
        qtbot.keyClick(timeline, getattr(Qt.Key, f"Key_{name}"))
    assert seen == [1, 2, 1, 3, 1]


def test_marks_are_filled_hollow_or_red(timeline):
    from timo_qgis.gui.timeline import COLORS, FAULTY

    timeline.show_marks([month(1), month(5, ticked=False), month(9, faulty=True), month(12)])
    window = timeline.palette().color(timeline.palette().ColorRole.Window)
    assert color_at(timeline, dt.date(2020, 1, 15)) == QColor(COLORS[0])
    assert color_at(timeline, dt.date(2020, 5, 15)) == window
    assert color_at(timeline, dt.date(2020, 9, 15)) == QColor(FAULTY)


def test_sensors_have_different_colours(timeline):
    timeline.show_marks([month(1), month(12, sensor="landsat-8")])
    assert color_at(timeline, dt.date(2020, 1, 15)) != color_at(timeline, dt.date(2020, 12, 15))


@pytest.mark.parametrize("count", [1, 2, 500])
def test_any_number_of_dates_lies_within_the_widget(timeline, count):
    start = dt.date(2015, 1, 1)
    timeline.show_marks([mark((start + dt.timedelta(days=7 * n)).isoformat()) for n in range(count)])
    places = [timeline.x(each.date) for each in timeline.marks]
    assert places == sorted(places)
    assert 0 < places[0] <= places[-1] < timeline.width()
    assert not timeline.grab().isNull()


def test_no_dates_take_no_room(timeline):
    timeline.show_marks([month(1)])
    timeline.show_marks([])
    assert timeline.isHidden()


@pytest.mark.parametrize(
    ("first", "last", "titles"),
    [
        ("2020-01-03", "2020-01-20", ["2020-01-03", "2020-01-20"]),
        ("2020-01-15", "2020-04-15", ["2020-02", "2020-03", "2020-04"]),
        ("2015-06-01", "2018-06-01", ["2016", "2017", "2018"]),
    ],
)
def test_the_axis_has_days_months_or_years(package, first, last, titles):
    from timo_qgis.gui.timeline import ticks

    found = ticks(dt.date.fromisoformat(first), dt.date.fromisoformat(last))
    assert [title for _, title in found] == titles
