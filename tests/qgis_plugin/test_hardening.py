# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong beside the main path leaves nobody waiting, and nothing hanging."""

from __future__ import annotations

import pytest
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QObject
from qgis.PyQt.QtWidgets import QPushButton


@pytest.fixture
def background(package):
    from timo_qgis.background import Background

    background = Background()
    yield background
    background.close()


def test_who_waits_is_told_of_a_failure(background, qtbot):
    told = []
    background.run(lambda: 1 / 0, told.append, failed=lambda why: told.append(f"failed: {why}"))
    qtbot.waitUntil(lambda: told == ["failed: division by zero"])


def test_who_is_gone_is_told_nothing(background, qtbot):
    told, gone = [], QObject()
    background.run(lambda: 1, told.append, owner=gone)
    sip.delete(gone)
    background.run(lambda: 2, told.append)
    qtbot.waitUntil(lambda: 2 in told)
    assert told == [2]


def test_a_field_with_a_value_for_each_feature_hangs_nothing(package):
    from timo_qgis.layers.label_classes import with_colors

    found = with_colors([f"parcel {number}" for number in range(10_000)], {})
    assert len(found) == 254 and len(set(found.values())) == 254


def test_button_of_a_message_does_nothing_once_the_plugin_is_gone(package, iface, qtbot):
    from timo_qgis import log

    pressed = []
    log.attach(iface.messageBar())
    log.log("The job failed.", "error", push=True, button="Show", pressed=lambda: pressed.append(1))
    button = iface.messageBar().findChildren(QPushButton)[-1]
    log.attach(None)
    button.click()
    assert not pressed


def test_fault_of_the_connection_is_told_and_can_be_retried(package, qtbot, monkeypatch, tmp_path):
    from timo_qgis.backend import link

    monkeypatch.setattr(link.LinkThread, "_connect", lambda self: {}["missing"])
    backend = link.Backend("", tmp_path)
    states = []
    backend.state_changed.connect(states.append)
    backend.start()
    qtbot.waitUntil(lambda: any(state.phase == "failed" for state in states))
    assert "KeyError" in states[-1].message and states[-1].action
    assert backend.close()
