# SPDX-License-Identifier: GPL-3.0-or-later
"""What a finished job of each task gives when it is opened from the Jobs page."""

from __future__ import annotations

import pytest
from qgis.PyQt.QtGui import QDesktopServices


@pytest.fixture
def opened(dock, monkeypatch):
    from timo_qgis.backend.jobs import JobView

    urls, rasters = [], []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: urls.append(url.toLocalFile()))
    dock.shared.iface.addRasterLayer = lambda path, name: rasters.append((path, name))

    def opened(task, out, state="succeeded"):
        job = JobView("a", task=task, state=state, created=1.0, spec={"out": out})
        dock.jobs.model.update([job])
        dock.tabs.setCurrentWidget(dock.jobs)
        dock.jobs.view.selectRow(0)
        if dock.jobs.open.isEnabled():
            dock.jobs.open.click()
        return urls, rasters

    return opened


def test_report_of_an_evaluation_opens_in_the_browser(opened):
    assert opened("evaluate", "/data/report")[0] == ["/data/report/index.html"]


def test_features_come_as_a_layer(opened):
    assert opened("embed", "/data/features.tif")[1] == [("/data/features.tif", "features.tif")]


def test_pretrained_model_leads_to_the_train_page(opened, dock):
    opened("pretrain", "/data/encoder")
    assert dock.tabs.currentWidget() is dock.train
    assert dock.train.start.values() == {"from": "/data/encoder"}


def test_failed_job_without_a_page_says_where_to_look(opened, dock):
    assert opened("evaluate", "/data/report", "failed") == ([], [])
    assert "log" in dock.jobs.open.toolTip()
