# SPDX-License-Identifier: GPL-3.0-or-later
"""Every program that reaches the network gets QGIS's proxy: the backend, the search, the report."""

from __future__ import annotations

import pytest
from qgis.core import QgsApplication, QgsProcessingContext, QgsProcessingException, QgsProcessingFeedback


@pytest.fixture
def programs(script, tmp_path, qtbot):
    """The backend's programs, which write down what they see; and what one of them saw of the proxy."""
    for name in ("timo-backend", "timo"):
        script(tmp_path / name, f'env > "{tmp_path}/$1.part"; mv "{tmp_path}/$1.part" "{tmp_path}/$1"')

    def seen(command):
        qtbot.waitUntil((tmp_path / command).exists, timeout=15_000)
        lines = (tmp_path / command).read_text().splitlines()
        return next((line.partition("=")[2] for line in lines if line.startswith("HTTPS_PROXY=")), "")

    return tmp_path / "timo-backend", seen


def test_backend_gets_the_proxy_also_one_that_was_set_since(dock, programs, request, qtbot):
    program, seen = programs
    qtbot.waitUntil(lambda: dock.shared.backend.state.phase == "missing")
    address = request.getfixturevalue("qgis_proxy")
    dock.shared.backend.use(str(program))
    assert seen("serve") == address


def test_search_of_a_catalogue_gets_the_proxy(dock, programs, qgis_proxy):
    from timo_qgis.backend.asking import Asking
    from timo_qgis.backend.catalogues import Search

    program, seen = programs
    asking = Asking(str(program), dock)
    search = Search("https://stac.example", ("s2",), (3, 50, 4, 51), "2020-01-01/2020-12-31")
    asking.start(search.arguments())
    assert seen("stac") == qgis_proxy


def test_report_gets_the_proxy(plugin, programs, qgis_proxy, monkeypatch, qtbot):
    program, seen = programs
    monkeypatch.delenv("TIMO_BACKEND")
    page = plugin.options.createWidget(None)
    qtbot.addWidget(page)
    page.program.setFilePath(str(program))
    page.make.click()
    assert seen("doctor") == qgis_proxy


def test_backend_that_an_algorithm_starts_gets_the_proxy(
    plugin, programs, qgis_proxy, twelve_dates, monkeypatch, tmp_path
):
    program, seen = programs
    monkeypatch.setenv("TIMO_BACKEND", str(program))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.json").write_text("{}", encoding="utf-8")
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("timo:predict")
    values = {"series": twelve_dates, "model": str(tmp_path / "model"), "out": str(tmp_path / "map.tif")}
    with pytest.raises(QgsProcessingException, match="ended as soon as it was started"):
        algorithm.run(values, QgsProcessingContext(), QgsProcessingFeedback(), {}, False)
    assert seen("serve") == qgis_proxy
