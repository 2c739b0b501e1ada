# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing is cut off or too faint to be read: in QGIS's dark theme, in a small window, in the message bar."""

from __future__ import annotations

import pytest
from qgis.core import QgsApplication
from qgis.gui import QgsMessageBar
from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtWidgets import (
    QLineEdit,
    QMessageBox,
    QPushButton,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

DARK = "Night Mapping"
FLOOR = 4.5
"""The least contrast of text and ground, by WCAG 2.1."""


@pytest.fixture
def theme(qgis_app):
    """QGIS's theme, for the test."""
    assert DARK in QgsApplication.uiThemes()
    palette = QgsApplication.palette()
    yield QgsApplication.setUITheme
    QgsApplication.setUITheme("default")
    QgsApplication.setPalette(palette)  # which the theme leaves behind


def contrast(one, other):
    def light(color):
        parts = (color.redF(), color.greenF(), color.blueF())
        low = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * low[0] + 0.7152 * low[1] + 0.0722 * low[2]

    bright, dark = sorted((light(one), light(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("name", ["default", DARK])
def test_dates_below_the_time_line_can_be_read(dock, twelve_dates, theme, shown, qtbot, name):
    theme(name)
    shown(12)
    line = dock.series.timeline

    def in_sight():
        dock.series.scroller.ensureWidgetVisible(line)
        return dock.rect().contains(line.rect().translated(line.mapTo(dock, line.rect().topLeft())))

    qtbot.waitUntil(in_sight)
    image = dock.grab().toImage()
    place = line.mapTo(dock, line.rect().topLeft())
    ratio = image.devicePixelRatio()
    rows = range(int((place.y() + 27) * ratio), int((place.y() + line.height() - 2) * ratio))
    columns = range(int(place.x() * ratio), int((place.x() + line.width()) * ratio))
    colors = [QColor(image.pixel(x, y)) for y in rows for x in columns]
    ground = max(set(map(QColor.rgb, colors)), key=[color.rgb() for color in colors].count)
    assert max(contrast(color, QColor(ground)) for color in colors) >= FLOOR


@pytest.mark.parametrize("name", ["default", DARK])
def test_button_with_a_menu_has_room_for_its_text_beside_the_arrow(dock, theme, qtbot, name):
    theme(name)
    button = dock.series.add
    qtbot.wait(50)
    metrics = button.fontMetrics()
    words = metrics.horizontalAdvance(button.text()) + button.iconSize().width()
    assert button.width() >= words + 2 * metrics.height()  # an arrow, and as much for the margins


def test_jobs_heard_of_earlier_can_be_read_in_both_themes(dock, package):
    from timo_qgis.backend.jobs import JobView
    from timo_qgis.gui.jobs_table import FAINT

    dock.jobs.model.update([JobView(id="a", task="predict", spec={"out": "/x/a.tif"}, state="succeeded")])
    dock.jobs.model.set_live(False)
    shown = dock.jobs.model.data(dock.jobs.model.index(0, 0), 9)  # ForegroundRole
    assert shown == FAINT
    assert min(contrast(FAINT, QColor(ground)) for ground in ("white", "#232323", "#323232")) >= 3


def test_jobs_page_does_not_scroll_beside_its_table_in_a_window_of_800_pixels(dock, connected, iface, qtbot):
    iface.window.resize(1280, 800)
    dock.setFixedHeight(669)  # what QGIS's bars leave
    dock.tabs.setCurrentWidget(dock.jobs)
    qtbot.wait(50)
    assert dock.banner.isHidden()
    bar = dock.jobs.scroller.verticalScrollBar()
    qtbot.waitUntil(lambda: bar.maximum() == 0, timeout=1000)


@pytest.mark.parametrize("name", ["default", DARK])
def test_percent_beside_the_bar_can_be_read(dock, theme, qtbot, name):
    from timo_qgis.compat import ProgressBar

    theme(name)
    bar = ProgressBar()
    qtbot.addWidget(bar)
    bar.setRange(0, 100)
    bar.setValue(5)  # the text stands on the bar's ground
    bar.resize(300, 24)
    bar.show()
    image = bar.grab().toImage()
    middle = image.height() // 2
    columns = range(image.width() // 4, image.width() - 8)
    ground = QColor("#323232") if name == DARK else QColor(image.pixel(image.width() - 20, middle))
    colors = [QColor(image.pixel(x, y)) for x in columns for y in range(middle - 5, middle + 5)]
    assert max(contrast(color, ground) for color in colors) >= FLOOR


# the message bar


@pytest.fixture
def bar(package, qtbot):
    """A message bar over a map between two docks, in a window of 1280 pixels."""
    from timo_qgis import log

    window = QWidget()
    bar = QgsMessageBar(window)
    QVBoxLayout(window).addWidget(bar)
    window.resize(630, 80)
    qtbot.addWidget(window)
    window.show()
    log.attach(bar)
    yield bar
    log.attach(None)


def shown(bar, qtbot):
    """The text of the bar's message, which fits its line."""
    text = bar.currentItem().findChild(QTextBrowser)
    qtbot.wait(100)
    assert text.verticalScrollBar().maximum() == 0
    return text.toPlainText()


def test_short_message_stands_as_it_is(bar, qtbot):
    from timo_qgis.log import log

    log("Map 'woods' was added to the project.", "success", push=True)
    assert shown(bar, qtbot) == "TiMo: Map 'woods' was added to the project."
    assert bar.currentItem().findChild(QPushButton) is None


def test_long_message_has_its_rest_behind_a_button(bar, qtbot):
    from timo_qgis.log import log

    path = "/home/ada/projects/forest/2023/rasters/sentinel-2/S2_20230405.tif"
    said = f"{path} cannot be read: it holds nothing at all, and <b>no</b> band has a name."
    log(said, "warning", push=True)
    text = shown(bar, qtbot)
    assert text.startswith("TiMo: …/S2_20230405.tif cannot be read") and text.endswith("…")
    bar.currentItem().findChild(QPushButton, "timoMessageMore").click()
    box = bar.window().findChild(QMessageBox, "timoMessage")
    assert box.text() == said
    assert bar.currentItem() is not None
    box.close()


def test_message_with_a_button_that_leads_on_is_cut_to_its_line(bar, qtbot):
    from timo_qgis.log import log

    pressed = []
    log("Train 'woods' failed: " + "the series has too few dates, " * 5, "error", push=True,
        button="Show the job", pressed=lambda: pressed.append(1))  # fmt: skip
    assert shown(bar, qtbot).startswith("TiMo: Train 'woods' failed")
    buttons = bar.currentItem().findChildren(QPushButton)
    assert [one.text() for one in buttons] == ["Show the job"]
    buttons[0].click()
    assert pressed == [1]


def test_a_sentence_that_comes_later_covers_nothing(iface, qtbot, package):
    from timo_qgis.gui.task_dialog import TaskDialog

    dialog = TaskDialog("timoExport", "a", "Short.", "Run", "results", iface.window)
    dialog.body.addWidget(QLineEdit())
    dialog.show()
    dialog.adjustSize()
    dialog.tell("A sentence that takes many lines in a window as narrow as this. " * 6)
    qtbot.waitUntil(lambda: dialog.height() >= dialog.layout().totalHeightForWidth(dialog.width()))
    field = dialog.findChild(QLineEdit)
    assert field.geometry().bottom() < dialog.message.geometry().top()
    assert field.height() >= field.sizeHint().height()
    dialog.reject()
