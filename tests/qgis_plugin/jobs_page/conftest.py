# SPDX-License-Identifier: GPL-3.0-or-later
"""The Jobs page as if the backend were there, and what is done and seen on it."""

from __future__ import annotations

import pytest
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QAbstractButton


@pytest.fixture
def make_job(package):
    from timo_qgis.backend.jobs import JobView

    return lambda **values: JobView(**{"id": "a", "task": "finetune", "spec": {"out": "/x/wood"}, **values})


@pytest.fixture
def sent(dock, connected):
    """The page, shown; the requests that the backend would have got."""
    dock.tabs.setCurrentWidget(dock.jobs)
    return connected


@pytest.fixture
def tell(dock, sent, make_job):
    """Jobs as the backend tells them."""

    def told(*jobs):
        dock.shared.backend._on_jobs([make_job(**values) for values in jobs])

    return told


@pytest.fixture
def asked():
    """The requests that were sent, subscriptions left out: pairs (type, body)."""

    def asked(sent):
        return [(one.type, dict(one.body)) for one in sent if one.type != "subscribe"]

    return asked


@pytest.fixture
def queue():
    """Tells of jobs that wait in this order."""

    def queue(tell, *names):
        tell(
            *(
                {"id": name, "place": float(n), "created": 1.0, "spec": {"out": f"/x/{name}"}}
                for n, name in enumerate(names)
            )
        )

    return queue


@pytest.fixture
def names():
    """What the rows of the page show, from the top."""

    def names(page):
        proxy = page.view.proxy
        return [proxy.index(row, 0).data() for row in range(proxy.rowCount())]

    return names


@pytest.fixture
def select(names):
    """Selects the rows of these names."""

    def select(page, *wanted):
        page.view.clearSelection()
        for name in wanted:
            index = page.view.proxy.index(names(page).index(name), 0)
            flags = page.view.selectionModel().Select | page.view.selectionModel().Rows
            page.view.selectionModel().setCurrentIndex(index, flags)

    return select


@pytest.fixture
def press():
    """Clicks a button, which must be enabled."""

    def press(qtbot, page, name):
        button = page.findChild(QAbstractButton, name)
        assert button.isEnabled(), button.toolTip()
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    return press
