# SPDX-License-Identifier: GPL-3.0-or-later
"""The set-up with the real uv and package index: every lock resolves, and a clean profile gets to a map."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from qgis.core import QgsProject
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QAbstractButton, QLabel

pytestmark = pytest.mark.slow
LOCKS = Path(__file__).resolve().parents[3] / "resources" / "locks"
SET_UP = 1_800_000


def _load(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / f"{name}.py")
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


main_job = _load("test_end_to_end")
scene, fields = main_job.scene, main_job.fields


@pytest.fixture(scope="module")
def uv(package, tmp_path_factory):
    """The uv that the plugin fetches, fetched and unpacked as it does."""
    from timo_qgis.backend import setup_plan as plan
    from timo_qgis.backend.machine import Machine
    from timo_qgis.backend.uv_tool import unpack

    machine = Machine.this()
    known = plan.uv_wheel(LOCKS, machine.platform)
    folder = tmp_path_factory.mktemp("uv")
    urllib.request.urlretrieve(known.url, folder / known.name)
    layout = plan.Layout(folder, "0")
    program = layout.uv(known, machine.system)
    assert unpack(folder / known.name, known, machine.system, program) == ""
    return program


def run(uv, folder, *arguments, **environment):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "PYTHON"))}
    return subprocess.run(
        [str(uv), *map(str, arguments)],
        env={**kept, "UV_CACHE_DIR": str(folder / "cache"), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


@pytest.mark.parametrize("lock", sorted(LOCKS.glob("*-*.txt")), ids=lambda path: path.stem)
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_a_lock_is_whole_for_its_platform(uv, tmp_path, lock, python):
    """Every package that one of them needs is in it, with a wheel for that Python whose hash is there."""
    head = dict(line[2:].split(": ", 1) for line in lock.read_text().splitlines()[:6] if ": " in line)
    done = run(
        uv, tmp_path, "pip", "install", "--dry-run", "--target", tmp_path / "t", "--require-hashes",
        "--only-binary", ":all:", "-r", lock,
        "--python-platform", head["platform"], "--python-version", python,
        MACOSX_DEPLOYMENT_TARGET="14.0",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "+ torch==" in done.stderr


def test_a_qgis_without_pyzmq_gets_it_into_a_folder_of_ours(package, monkeypatch, tmp_path, qtbot):
    from timo_qgis.backend import pyzmq
    from timo_qgis.background import Background

    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    installer = pyzmq.PyzmqInstaller(tmp_path, Background())
    with qtbot.waitSignal(installer.ended, timeout=300_000) as caught:
        installer.start()
    installer.close()
    assert caught.args == [""]
    before = list(sys.path)
    pyzmq.offer(tmp_path)
    assert sys.path == [*before, str(pyzmq.folder(tmp_path))]
    pyzmq.withdraw()
    assert sys.path == before
    code = f"import sys; sys.path.insert(0, {str(pyzmq.folder(tmp_path))!r}); import zmq; print(zmq.__file__)"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(str(tmp_path))


def test_pyzmq_is_there_for_the_python_of_qgis_on_every_platform(uv, tmp_path):
    from timo_qgis.backend.setup_plan import pyzmq_command

    for platform in ("windows", "x86_64-manylinux_2_28", "macos"):
        for minor in (9, 12, 14):
            command = pyzmq_command(uv, LOCKS / "pyzmq.txt", tmp_path / "t", (3, minor))
            done = run(uv, tmp_path, *command[1:], "--dry-run", "--python-platform", platform)
            assert done.returncode == 0 and "+ pyzmq==" in done.stderr, done.stderr


@pytest.mark.parametrize("harm", ["altered", "damaged"])
def test_a_wheel_that_is_not_the_known_one_is_refused_in_a_folder_of_wheels_too(uv, tmp_path, harm):
    from timo_qgis.backend.survey import shipped, version_of
    from timo_qgis.backend.uv_output import sentence

    wheel, version = shipped(), version_of(shipped())
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / wheel.name).write_bytes(wheel.read_bytes() if harm == "altered" else b"x")
    known = hashlib.sha256(b"what the lock was made from").hexdigest()
    (tmp_path / "lock.txt").write_text(f"timo-qgis=={version} --hash=sha256:{known}\n")
    done = run(
        uv, tmp_path, "pip", "install", "--target", tmp_path / "t", "--require-hashes", "--offline",
        "--no-index", "--no-deps", "--find-links", tmp_path / "wheels", "-r", tmp_path / "lock.txt",
    )  # fmt: skip
    assert done.returncode != 0
    assert "not the one that TiMo was tested with" in sentence(done.stderr), done.stderr
    assert not (tmp_path / "t" / "timo").exists()


def test_no_network_and_a_proxy_that_is_not_there_are_told_in_a_sentence(uv, tmp_path):
    from timo_qgis.backend.uv_output import sentence

    lock = LOCKS / "pyzmq.txt"
    arguments = ("pip", "install", "--target", tmp_path / "t", "--require-hashes", "-r", lock)
    closed = {"UV_HTTP_RETRIES": "0"}
    done = run(uv, tmp_path, *arguments, UV_DEFAULT_INDEX="http://127.0.0.1:9/simple", **closed)
    assert "The package server cannot be reached" in sentence(done.stderr), done.stderr
    done = run(uv, tmp_path, *arguments, HTTPS_PROXY="http://127.0.0.1:9", **closed)
    assert "roxy" in sentence(done.stderr), done.stderr


def test_from_a_clean_profile_to_a_map(plugin, scene, fields, monkeypatch, tmp_path, qtbot):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    dock = plugin.open()
    main_job.press(qtbot, dock, "timoBannerSetup")
    qtbot.waitUntil(lambda: dock.setup.survey is not None, timeout=20_000)
    with qtbot.waitSignals([dock.setup.ready], timeout=SET_UP, raising=False):
        qtbot.mouseClick(dock.setup.findChild(QAbstractButton, "timoSetupStart"), Qt.MouseButton.LeftButton)
        dock.setup.installer.failed.connect(pytest.fail)
    assert "computes on" in dock.setup.findChild(QLabel, "timoSetupDetail").text()
    dock.setup.close()
    qtbot.waitUntil(lambda: dock.shared.backend.state.ready, timeout=main_job.READY)
    try:
        qtbot.waitUntil(lambda: len(dock.series.rows) == 5)
        main_job.press(qtbot, dock, "timoSeriesTickAll")
        main_job.train(qtbot, dock, 1, "fields-2020")
        qtbot.waitUntil(lambda: dock.train.box.job.final, timeout=main_job.JOB)
        assert dock.train.box.job.state == "succeeded", dock.train.box.job.error
        main_job.press(qtbot, dock, "timoTrainOpen")
        model = dock.predict.model
        qtbot.waitUntil(lambda: model() is not None and model().name == "fields-2020")
        main_job.press(qtbot, dock, "timoPredictRun")
        box = dock.predict.box
        qtbot.waitUntil(lambda: box.job is not None and box.job.final, timeout=main_job.JOB)
        assert box.job.state == "succeeded", box.job.error
        layers = QgsProject.instance().mapLayers
        qtbot.waitUntil(lambda: any(x.source() == box.job.outputs()["map"] for x in layers().values()))
    finally:
        program = dock.shared.settings.backend_program
        dock.shared.backend.close()
        subprocess.run(
            [program, "stop", "--home", str(tmp_path / "home")], check=False, capture_output=True, timeout=60
        )
