# SPDX-License-Identifier: GPL-3.0-or-later
"""QGIS's options have a page of ours, and F1 opens the guide at the page that is shown."""

from __future__ import annotations

import pytest
from qgis.PyQt.QtCore import Qt, QUrl
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtWidgets import QApplication, QToolButton, QWidget


@pytest.fixture
def page(plugin, monkeypatch, qtbot):
    monkeypatch.delenv("TIMO_BACKEND")
    page = plugin.options.createWidget(None)
    qtbot.addWidget(page)
    return page


def test_choices_are_kept_when_ok_is_pressed(page, package):
    from timo_qgis.settings import Settings

    page.program.setFilePath("/opt/timo/bin/timo-backend")
    assert Settings.load().backend_program == ""
    page.apply()
    assert Settings.load().backend_program == "/opt/timo/bin/timo-backend"


def test_what_the_environment_says_cannot_be_changed_here(page, package):
    from timo_qgis.settings import Settings

    assert not page.home.isEnabled()  # TIMO_HOME is set
    page.apply()
    assert "home" in Settings.load().home


def test_report_of_the_real_backend_is_shown_and_can_be_copied(page, backend_program, qtbot, qgis_app):
    page.program.setFilePath(str(backend_program))
    page.make.click()
    qtbot.waitUntil(page.copy.isEnabled, timeout=60_000)
    assert "Python" in page.report.toPlainText()
    page.copy.click()
    assert qgis_app.clipboard().text() == page.report.toPlainText()


def test_report_without_a_backend_says_what_to_do(page):
    page.program.setFilePath("/nowhere/timo-backend")
    page.make.click()
    assert "choose it" in page.report.toPlainText()


def test_options_open_the_guide_too(page, qtbot):
    page.show()
    page.findChild(QToolButton, "timoHelpButton").click()
    assert the_guide(page).view.source().fileName() == "install.md"
    the_guide(page).close()
    QApplication.setActiveWindow(page)
    qtbot.keyClick(page.make, Qt.Key.Key_F1)
    qtbot.waitUntil(the_guide(page).isVisible)


def the_guide(window):
    return window.findChild(QWidget, "timoHelp")


def test_f1_and_a_button_open_the_guide_above_a_dialog(plugin, iface, qtbot):
    from timo_qgis.gui.clean_up import CleanUpDialog

    dialog = CleanUpDialog(plugin.open().shared, iface.window)
    dialog.open()  # which blocks all other windows
    QApplication.setActiveWindow(dialog)
    qtbot.keyClick(dialog.remove, Qt.Key.Key_F1)
    qtbot.waitUntil(lambda: the_guide(dialog) is not None)
    guide = the_guide(dialog)
    assert guide.view.source().fileName() == "jobs.md"
    qtbot.mouseClick(guide.home, Qt.MouseButton.LeftButton)
    assert guide.view.source().fileName() == "index.md"
    dialog.findChild(QToolButton, "timoHelpButton").click()
    assert guide.view.source().fileName() == "jobs.md"
    dialog.reject()


def test_f1_opens_the_guide_at_this_page(dock, iface, qtbot):
    dock.tabs.setCurrentIndex(1)
    qtbot.mouseClick(dock.help, Qt.MouseButton.LeftButton)
    guide = the_guide(iface.window)
    assert guide.isVisible()
    assert guide.view.source().fileName() == "train.md"
    assert guide.view.toPlainText().strip()
    guide.close()
    QApplication.setActiveWindow(iface.window)  # no window manager does it on a virtual screen
    dock.train.name.setFocus()
    qtbot.keyClick(dock.train.name, Qt.Key.Key_F1)
    qtbot.waitUntil(guide.isVisible)


def test_links_go_to_other_pages_and_addresses_to_the_browser(dock, iface, monkeypatch, qtbot):
    opened = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url.toString()))
    dock.help.click()
    guide = the_guide(iface.window)
    guide._on_link(QUrl("https://arxiv.org/abs/2505.08723"))
    assert opened == ["https://arxiv.org/abs/2505.08723"]
    guide._on_link(QUrl("index.md"))
    assert "user guide" in guide.view.toPlainText()
    qtbot.mouseClick(guide.home, Qt.MouseButton.LeftButton)
    assert guide.view.source().fileName() == "index.md"
