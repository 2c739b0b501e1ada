# SPDX-License-Identifier: GPL-3.0-or-later
"""A QGIS without pyzmq is told so, and gets it into a folder of ours; in place of uv a script runs."""

from __future__ import annotations

import sys

import pytest
from qgis.PyQt.QtWidgets import QAbstractButton


def own_uv(home):
    """Where the plugin's own uv would lie."""
    from timo_qgis.backend import setup_plan
    from timo_qgis.backend.machine import Machine
    from timo_qgis.backend.survey import PACKAGE

    machine = Machine.this()
    wheel = setup_plan.uv_wheel(PACKAGE / "resources" / "locks", machine.platform)
    return setup_plan.Layout(home, "").uv(wheel, machine.system)


@pytest.fixture
def pyzmq(package, tmp_path, qtbot):
    """Installs pyzmq into a home of its own, and gives what it says at the end."""
    from timo_qgis.backend import pyzmq
    from timo_qgis.background import Background

    def install():
        installer = pyzmq.PyzmqInstaller(tmp_path / "home", Background())
        with qtbot.waitSignal(installer.ended, timeout=15_000) as caught:
            installer.start()
        installer.close()
        return pyzmq.folder(tmp_path / "home"), caught.args[0]

    return install


def test_pyzmq_takes_the_place_of_one_that_does_not_work(pyzmq, uv):
    uv('if [ "$2" = install ]; then mkdir -p "$4/zmq"; touch "$4/zmq/new"; exit; fi')
    folder, wrong = pyzmq()
    assert wrong == ""
    (folder / "zmq" / "new").rename(folder / "zmq" / "broken")
    assert pyzmq() == (folder, "")
    assert [path.name for path in (folder / "zmq").iterdir()] == ["new"]
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_pyzmq_whose_installing_program_cannot_be_started_says_so(pyzmq, tmp_path):
    known = own_uv(tmp_path / "home")
    known.parent.mkdir(parents=True)
    known.write_bytes(b"")  # as after a disk that was full
    assert pyzmq()[1] == f"The program {known} could not be started."


def test_a_qgis_without_pyzmq_says_so_and_offers_to_install_it(plugin, iface, monkeypatch, qtbot):
    for name in ("_client.core", "backend.thread", "backend.link"):
        monkeypatch.delitem(sys.modules, f"timo_qgis.{name}", raising=False)  # those that need it
    monkeypatch.setitem(sys.modules, "zmq", None)
    plugin.action.trigger()
    qtbot.waitUntil(lambda: iface.bar.currentItem() is not None)
    item = iface.bar.currentItem()
    assert "pyzmq" in item.text()
    assert "Install it" in [button.text() for button in item.findChildren(QAbstractButton)]
    assert not plugin.action.isChecked()
