# SPDX-License-Identifier: GPL-3.0-or-later
"""What a set-up will do on each platform, faked: packages, commands, environment, sentences."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
LOCKS = ROOT / "resources" / "locks"
CUDA = ("cu130", "cu126", "cpu")
ALL = ["macos-arm64-mps", *(f"{system}-x86_64-{build}" for system in ("linux", "windows") for build in CUDA)]
SHIPPED = [path.stem for path in LOCKS.glob("*-*.txt")]
A2000 = "NVIDIA RTX A2000"


@pytest.fixture
def machine(package):
    from timo_qgis.backend.machine import Machine

    def make(system, processor, macos="", nvidia=""):
        return Machine.this(system, processor, macos).with_gpu(nvidia)

    return make


@pytest.fixture
def choose(package):
    from timo_qgis.backend.machine import choose

    return choose


@pytest.mark.parametrize(
    ("system", "processor", "macos", "nvidia", "lock"),
    [
        ("linux", "x86_64", "", f"580.65.06, {A2000}\n", "linux-x86_64-cu130"),
        ("linux", "x86_64", "", f"535.183.01, {A2000}\n", "linux-x86_64-cu126"),
        ("linux", "x86_64", "", f"470.10, {A2000}\n", "linux-x86_64-cpu"),
        ("linux", "x86_64", "", "", "linux-x86_64-cpu"),
        ("win32", "AMD64", "", f"581.29, {A2000}\r\n", "windows-x86_64-cu130"),
        ("win32", "AMD64", "", "", "windows-x86_64-cpu"),
        ("darwin", "arm64", "15.1", "", "macos-arm64-mps"),
    ],
)
def test_packages_fit_the_computer(machine, choose, system, processor, macos, nvidia, lock):
    assert choose(machine(system, processor, macos, nvidia), ALL).lock == lock


@pytest.mark.parametrize(
    ("system", "processor", "nvidia", "lock", "said"),
    [
        ("linux", "x86_64", f"580.65.06, {A2000}", "linux-x86_64-cu130", "was found and will be used"),
        ("linux", "x86_64", f"535.183.01, {A2000}", "linux-x86_64-cu130", "Update the NVIDIA driver to 580"),
        ("linux", "x86_64", "", "linux-x86_64-cu130", "No NVIDIA GPU was found"),
        ("linux", "aarch64", "", "linux-aarch64-cu130", "No NVIDIA GPU was found"),
        ("win32", "AMD64", f"581.29, {A2000}", "windows-x86_64-cpu", "no GPU packages for Windows"),
        ("win32", "AMD64", "", "windows-x86_64-cpu", "processor"),
        ("win32", "ARM64", "", None, "no packages for Windows"),
        ("darwin", "x86_64", "", None, "Intel"),
        ("darwin", "arm64", "", "macos-arm64-mps", "This Mac's own GPU"),
        ("freebsd14", "amd64", "", None, "no packages for freebsd14"),
    ],
)
def test_what_this_release_has_is_told_in_a_sentence(machine, choose, system, processor, nvidia, lock, said):
    found = choose(machine(system, processor, "14.2" if system == "darwin" else "", nvidia), SHIPPED)
    assert found.lock == lock
    assert said in found.why


def test_a_mac_whose_system_is_too_old_is_refused_with_what_to_do(machine, choose):
    found = choose(machine("darwin", "arm64", "12.7.1"), SHIPPED)
    assert found.lock is None and "12.7.1" in found.why and "update macOS" in found.why


def test_the_driver_is_known_from_its_file_where_nvidia_smi_is_not_there(machine):
    told = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  555.42.02  Mon Jun 24\nGCC version: 12.2.0\n"
    assert machine("linux", "x86_64", "", told).driver == (555, 42, 2)
    opened = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build\n"
    assert machine("linux", "x86_64", "", opened).driver == (580, 65, 6)
    assert machine("linux", "x86_64", "", "NVIDIA-SMI has failed, no driver").gpu == ""


def test_every_lock_pins_and_hashes_each_package_and_has_the_torch_of_its_platform(package):
    from timo_qgis.backend.setup_plan import read_locks

    locks = read_locks(LOCKS)
    assert {"linux-x86_64-cu130", "macos-arm64-mps", "windows-x86_64-cpu"} <= set(locks)
    for name, lock in locks.items():
        entries = re.findall(
            r"^(\S+?)==(\S+)((?: \\\n +--hash=sha256:[0-9a-f]{64})+)$", lock.path.read_text(), re.M
        )
        wanted = [line for line in lock.path.read_text().splitlines() if line[:1].isalnum()]
        assert len(entries) == len(wanted) > 80, name
        assert {"torch", "pyzmq", "rasterio", "peft", "odc-stac"} <= {entry[0] for entry in entries}
        assert any(entry[0].startswith("nvidia-cu") for entry in entries) == ("-cu" in name)
        assert lock.needed > lock.download > 150e6


@pytest.mark.parametrize(
    ("system", "folder", "suffix"),
    [("linux", "bin", ""), ("macos", "bin", ""), ("windows", "Scripts", ".exe")],
)
def test_steps_make_an_environment_beside_and_check_every_hash(package, tmp_path, system, folder, suffix):
    from timo_qgis.backend import setup_plan as plan

    layout = plan.Layout(tmp_path, "1.2.0")
    steps = plan.install(layout, Path("uv"), plan.Lock(Path("lock.txt")), Path("timo.whl"), system)
    make, packages, ours, check = (step.command for step in steps)
    python = str(layout.part / folder / f"python{suffix}")
    assert "--relocatable" in make and str(layout.part) in make
    assert {"--require-hashes", "--only-binary", python} <= set(packages)
    assert "--no-deps" in ours and "timo.whl" in ours
    assert check[0] == python and steps[-1].answers
    assert sum(step.share for step in steps) == pytest.approx(0.98)
    assert layout.part.parent.parent == layout.target.parent == tmp_path
    assert plan.program(layout.target, "timo-backend", system).name == f"timo-backend{suffix}"


def test_a_folder_of_wheels_is_used_without_a_network_and_with_hashes(package, tmp_path):
    from timo_qgis.backend import setup_plan as plan

    lock = plan.Lock(Path("lock.txt"), backend="cu126")
    steps = plan.install(plan.Layout(tmp_path, "1"), Path("uv"), lock, Path("t.whl"), "linux", tmp_path / "w")
    assert "--no-python-downloads" in steps[0].command
    assert {"--offline", "--no-index", str(tmp_path / "w"), "--require-hashes"} <= set(steps[1].command)
    assert "--torch-backend" not in steps[1].command


def test_an_older_environment_of_the_same_release_is_left_in_peace(package, tmp_path):
    from timo_qgis.backend.setup_plan import Layout

    (tmp_path / "environment-1.2.0").mkdir()
    assert Layout.free(tmp_path, "1.2.0").target == tmp_path / "environment-1.2.0-2"


def test_an_environment_is_found_by_its_folder_or_its_program(package, tmp_path):
    from timo_qgis.backend.setup_plan import environment_of

    (tmp_path / "env" / "bin").mkdir(parents=True)
    (tmp_path / "env" / "bin" / "timo-backend").touch()
    for chosen in ("env", "env/bin", "env/bin/timo-backend"):
        assert environment_of(tmp_path / chosen) == tmp_path / "env"


def test_other_programs_see_nothing_of_qgis_and_keep_the_rest(package):
    from timo_qgis.backend.environment import clean

    qgis = {
        "PYTHONHOME": "x", "PYTHONPATH": "x", "QT_PLUGIN_PATH": "x", "GDAL_DATA": "x", "PROJ_LIB": "x",
        "PROJ_DATA": "x", "LD_LIBRARY_PATH": "x", "DYLD_LIBRARY_PATH": "x", "QGIS_PREFIX_PATH": "/opt/qgis",
        "PYTHONNOUSERSITE": "1", "UV_PYTHON": "3.8", "PIP_TARGET": "x", "VIRTUAL_ENV": "x",
    }  # fmt: skip
    kept = {
        "HOME": "/home/ada",
        "UV_DEFAULT_INDEX": "https://mirror",
        "SSL_CERT_FILE": "c",
        "CUDA_VISIBLE_DEVICES": "0",
    }
    found = clean({**qgis, **kept, "PATH": "/opt/qgis/bin:/usr/bin"}, "linux")
    assert found == {**kept, "PATH": "/usr/bin"}


def test_the_path_of_qgis_on_windows_is_left_out(package):
    from timo_qgis.backend.environment import clean

    path = r"C:\OSGeo4W\apps\qt5\bin;c:\osgeo4w\BIN;C:\Windows\System32;C:\OSGeo4W2\bin"
    found = clean({"OSGEO4W_ROOT": r"C:\OSGeo4W", "Path": path}, "win32")
    assert found == {"Path": r"C:\Windows\System32;C:\OSGeo4W2\bin"}


def test_a_proxy_is_told_with_its_user_and_its_exceptions(package):
    from timo_qgis.backend.environment import proxy_variables

    told = proxy_variables("http", "proxy.lan", 3128, "ada", "p@ss:1", ["https://maps.lan/wms", "intra"])
    assert told["HTTPS_PROXY"] == told["https_proxy"] == "http://ada:p%40ss%3A1@proxy.lan:3128"
    assert told["NO_PROXY"] == "localhost,127.0.0.1,maps.lan,intra"
    assert proxy_variables("http", "", 3128, "", "") == {}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("error: Failed to fetch: `https://pypi.org/simple/x/`\n  Caused by: dns error", "cannot be reached"),
        ("error: Request failed\n cause: tunnel error: unsuccessful\n cause: 407 Proxy", "The proxy refused"),
        ("error: failed to write\n Caused by: No space left on device (os error 28)", "The disk is full"),
        ("× Failed\n ╰─▶ Hash mismatch for `x==1`\n Expected: sha256:a", "not the one that TiMo was tested"),
        ("error: failed to create\n Caused by: Read-only file system (os error 30)", "cannot be written to"),
        ("invalid peer certificate: UnknownIssuer", "not trusted"),
        ("error: No interpreter found for Python >=3.11", "no Python 3.11 to 3.13"),
        ("something\nerror: odd thing", "error: odd thing. The details"),
        ("", "A step failed"),
    ],
)
def test_each_failure_is_one_sentence(package, said, told):
    from timo_qgis.backend.uv_output import sentence

    assert told in sentence(said)
    assert "\n" not in sentence(said)


def test_the_package_that_is_waited_for_is_named(package):
    from timo_qgis.backend.uv_output import Packages

    packages = Packages()
    for line in ("Downloading torch (528.9MiB)", "Downloading numpy (16.1MiB)", " Downloaded numpy"):
        packages.take(line)
    assert packages.now == "downloading torch (528.9MiB)"
    packages.take(" Downloaded torch")
    assert packages.now == ""


@pytest.mark.parametrize("harm", ["hash", "no zip", "other member"])
def test_uv_that_is_not_the_known_one_is_not_unpacked(package, tmp_path, harm):
    from timo_qgis.backend.setup_plan import UvWheel
    from timo_qgis.backend.uv_tool import unpack

    wheel = tmp_path / "uv.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("../uv" if harm == "other member" else "uv-1.data/scripts/uv", "x")
    if harm == "no zip":
        wheel.write_bytes(b"x")
    digest = hashlib.sha256(b"" if harm == "hash" else wheel.read_bytes()).hexdigest()
    assert unpack(wheel, UvWheel("u/uv.whl", digest, 1, "1"), "linux", tmp_path / "tool" / "uv")
    assert not (tmp_path / "tool" / "uv").exists() and not (tmp_path / "uv").exists()


def test_all_that_a_program_started_is_known(package):
    from timo_qgis.backend.others import descendants

    assert sorted(descendants("1 0\n10 1\n11 10\n12 11\n13 1\n", 10)) == [11, 12]


def test_json_of_uv_has_a_wheel_for_every_lock(package):
    folder = Path(package.__file__).parent / "resources" / "locks"
    known = json.loads((folder / "uv.json").read_text())
    for lock in folder.glob("*-*.txt"):
        wheel = known["wheels"][lock.stem.rpartition("-")[0]]
        assert wheel["url"].startswith("https://files.pythonhosted.org/") and len(wheel["sha256"]) == 64
