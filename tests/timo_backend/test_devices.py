# SPDX-License-Identifier: GPL-3.0-or-later
"""What the computer has to compute on, and what an analyst is told of a GPU that can't be used."""

import asyncio
import subprocess
import sys
import threading
import time
from pathlib import Path

import pynvml
import pytest

from tests.timo_backend.conftest import PATIENCE_S, wait_until, wait_until_gone
from tests.timo_backend.fake_nvml import GIB, FakeNvml
from timo_backend import devices as devices_module
from timo_backend import nvml, trial
from timo_backend.devices import Devices, cuda_devices, mps_device
from timo_backend.trial import Trial, Tried

ONE = nvml.look(FakeNvml(["GPU-1"]))
ARCHITECTURES = ("sm_75", "sm_80", "sm_86", "sm_90", "sm_120")


def torch(**changes):
    """What torch tells when all is fine, and GPU-1 is there."""
    fine = {"torch": "2.14.1", "cuda": "13.0", "architectures": ARCHITECTURES}
    return Trial(**{**fine, "gpus": (Tried("GPU-1", True, "8.9"),), **changes})


def failed(capability="8.9"):
    return (Tried("GPU-1", False, capability, "no kernel image is available"),)


def test_a_gpu_that_torch_computes_on_can_be_used():
    (device,) = cuda_devices(ONE, torch(), None)
    assert (device.id, device.kind, device.name) == ("GPU-1", "cuda", "NVIDIA RTX 4090")
    assert (device.memory, device.free, device.driver) == (24 * GIB, 20 * GIB, "590.44")
    assert device.usable is True and device.reason == ""


def test_whether_a_gpu_can_be_used_is_not_known_before_torch_was_tried():
    (device,) = cuda_devices(ONE, None, None)
    assert device.usable is None and device.reason == ""


@pytest.mark.parametrize(
    ("seen", "tried", "visible", "says", "advises"),
    [
        pytest.param(ONE, torch(cuda=None, gpus=()), None, "built without CUDA", "for CUDA", id="cpu build"),
        pytest.param(
            nvml.look(FakeNvml(["GPU-1"], cuda=12040)),
            torch(gpus=(), error="The NVIDIA driver on your system is too old"),
            None,
            "driver 590.44 runs CUDA up to 12.4.*needs CUDA 13.0",
            "Update the driver",
            id="driver too old",
        ),
        pytest.param(ONE, torch(gpus=failed("6.1")), None, "architecture, 6.1", "earlier", id="old GPU"),
        pytest.param(ONE, torch(gpus=failed("10.3")), None, "architecture, 10.3", "later", id="new GPU"),
        pytest.param(ONE, torch(gpus=failed()), None, "no kernel image", "Restart", id="computes not"),
        pytest.param(ONE, torch(gpus=()), "GPU-2", "CUDA_VISIBLE_DEVICES=GPU-2", "without", id="hidden"),
        pytest.param(ONE, torch(gpus=(), error="unknown"), None, "unknown", "anew", id="not seen"),
        pytest.param(
            ONE, Trial(error="Torch is broken. Do this."), None, "Torch is broken", "Do", id="broken"
        ),
        pytest.param(
            nvml.look(FakeNvml(["GPU-1"], closed=pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH)),
            torch(),
            None,
            "updated",
            "Restart the computer",
            id="driver updated",
        ),
        pytest.param(
            nvml.look(FakeNvml(closed=pynvml.NVML_ERROR_DRIVER_NOT_LOADED)),
            None,
            None,
            "not loaded",
            "Restart",
            id="driver not loaded",
        ),
        pytest.param(
            nvml.look(FakeNvml(closed=pynvml.NVML_ERROR_NO_PERMISSION)),
            None,
            None,
            "may not",
            "Ask the administrator",
            id="not allowed",
        ),
        pytest.param(
            nvml.look(FakeNvml(["GPU-1"], lost=["GPU-1"])), torch(), None, "can't reach", "Restart", id="lost"
        ),
    ],
)
def test_a_gpu_that_cannot_be_used_says_why_and_what_to_do(seen, tried, visible, says, advises):
    (device,) = cuda_devices(seen, tried, visible)
    assert device.usable is False
    with pytest.raises(AssertionError, match=f"(?s){says}.*{advises}"):
        raise AssertionError(device.reason)
    assert device.reason.endswith(".")


@pytest.mark.parametrize("capability", ["7.5", "8.0", "8.6", "8.9", "9.0", "12.1"])
def test_a_gpu_for_whose_architecture_torch_has_code_is_not_called_too_old(capability):
    (device,) = cuda_devices(ONE, torch(gpus=failed(capability)), None)
    assert "architecture" not in device.reason


def test_a_torch_that_brings_a_newer_driver_s_library_along_is_believed():
    (device,) = cuda_devices(nvml.look(FakeNvml(["GPU-1"], cuda=12040)), torch(), None)
    assert device.usable is True


def test_no_driver_is_no_gpu():
    assert cuda_devices(nvml.look(FakeNvml(closed=pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)), None, None) == []


def test_a_gpu_of_which_the_driver_does_not_say_the_memory_is_there_all_the_same():
    (device,) = cuda_devices(nvml.look(FakeNvml(["GPU-1"], silent=True)), torch(), None)
    assert (device.memory, device.free, device.usable) == (None, None, True)


def test_a_lost_gpu_leaves_the_others():
    found = cuda_devices(nvml.look(FakeNvml(["GPU-0", "GPU-1"], lost=["GPU-0"])), torch(), None)
    assert [device.usable for device in found] == [False, True]


def test_the_driver_s_library_is_closed_again():
    fake = FakeNvml(["GPU-1"])
    nvml.look(fake)
    assert fake.opened == 0


@pytest.mark.parametrize(
    ("tried", "usable", "says"),
    [
        (None, None, ""),
        (torch(mps_built=True, mps=True), True, ""),
        (torch(mps_built=True), False, "finds no GPU that MPS can use"),
        (torch(), False, "built without MPS"),
        (Trial(error="Torch is broken. Do this."), False, "Torch is broken"),
    ],
)
def test_a_mac_says_whether_mps_can_be_used(tried, usable, says):
    device = mps_device("Apple M2", 16 * GIB, 8 * GIB, tried)
    assert (device.id, device.kind, device.name, device.usable) == ("mps", "mps", "Apple M2", usable)
    assert says in device.reason and bool(device.reason) == (usable is False)


def test_the_real_driver_s_library_and_this_computer_are_described(monkeypatch):
    described = Devices().describe()
    cpu = described["devices"][-1]
    assert (cpu["id"], cpu["kind"], cpu["usable"], cpu["reason"]) == ("cpu", "cpu", True, "")
    assert cpu["name"] == described["host"]["cpu"] and cpu["name"]
    assert 0 < cpu["free"] <= cpu["memory"] == described["host"]["memory"]
    assert described["host"]["cores"] >= 1


def test_a_mac_has_mps_beside_its_cpu():
    assert [device["id"] for device in Devices(FakeNvml(), system="darwin").describe()["devices"]] == [
        "mps",
        "cpu",
    ]


def test_free_memory_is_of_the_present_moment(monkeypatch):
    monkeypatch.setattr(devices_module, "FRESH_S", 0.0)
    fake = FakeNvml(["GPU-1"])
    devices = Devices(fake)
    assert devices.describe()["devices"][0]["free"] == 20 * GIB
    fake.free = GIB
    assert devices.describe()["devices"][0]["free"] == GIB


def try_out(devices, home):
    asyncio.run(devices.try_out(home))
    return devices.describe()["devices"][0]


def test_a_probe_that_hangs_is_ended_and_the_gpu_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "WITHIN_S", 0.2)
    program = "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(3600)"
    devices = Devices(FakeNvml(["GPU-1"]), [sys.executable, "-c", program])
    device = try_out(devices, tmp_path)
    assert device["usable"] is False and "did not say within" in device["reason"]
    assert devices.gpus == []
    if (tmp_path / "pid").exists():
        wait_until_gone(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize(
    "program", ["print('no JSON')", "print('{}')\nprint('[')", "raise SystemExit(1)", ""]
)
def test_a_probe_that_tells_nothing_of_use_leaves_the_gpu_unused(tmp_path, program):
    devices = Devices(FakeNvml(["GPU-1"]), [sys.executable, "-c", program])
    assert "ended before it could say" in try_out(devices, tmp_path)["reason"]


def test_a_probe_that_cannot_be_started_leaves_the_gpu_unused(tmp_path):
    devices = Devices(FakeNvml(["GPU-1"]), ["/nowhere/python"])
    assert "can't be started" in try_out(devices, tmp_path)["reason"]


@pytest.fixture
def hanging(monkeypatch):
    """The devices of a computer with one GPU, and a switch with which its driver gives no answer."""
    monkeypatch.setattr(devices_module, "FRESH_S", 0.0)
    monkeypatch.setattr(devices_module, "SILENT_S", 0.2)
    monkeypatch.setattr(devices_module, "DEAD_S", 1.0)
    hangs = threading.Event()
    probe = [sys.executable, str(Path(__file__).with_name("fake_probe.py")), "GPU-1"]
    yield Devices(FakeNvml(["GPU-1"], slow=hangs.is_set), probe), hangs
    hangs.clear()


def test_a_driver_that_falls_silent_is_believed_for_a_while_and_again_when_it_answers(hanging, tmp_path):
    devices, hangs = hanging
    assert try_out(devices, tmp_path)["usable"] is True
    hangs.set()
    wait_until(lambda: devices.describe()["devices"][0]["reason"] == devices_module.SILENT)
    assert devices.gpus == ["GPU-1"] and devices.refusal("GPU-1") is None
    wait_until(lambda: devices.gpus == [])
    assert devices.refusal("GPU-1").action == devices_module.SILENT
    assert devices.spared, "a job that goes on without a GPU is kept from it"
    hangs.clear()
    wait_until(lambda: devices.gpus == ["GPU-1"])
    assert devices.describe()["devices"][0]["usable"] is True


def test_a_driver_that_is_silent_from_the_start_is_asked_until_it_answers(hanging, tmp_path):
    devices, hangs = hanging
    hangs.set()
    assert asyncio.run(devices.try_out(tmp_path)) is False
    assert (devices.gpus, devices.decided, devices.spared) == ([], False, True)
    assert devices.refusal("GPU-1") is None, "that is not known"
    wait_until(lambda: devices.decided)
    assert devices.refusal("GPU-1").action == devices_module.SILENT
    hangs.clear()
    wait_until(lambda: devices.gpus is None)  # it is not known yet what torch can use
    assert devices.refusal("GPU-1") is None and devices.refusal("GPU-2").code == "unknown_gpu"
    assert asyncio.run(devices.try_out(tmp_path)) is True
    assert (devices.gpus, devices.decided, devices.spared) == (["GPU-1"], True, True)


def test_nothing_is_tried_where_there_is_no_gpu(tmp_path):
    devices = Devices(FakeNvml(), ["/nowhere/python"])
    assert devices.gpus is None
    assert try_out(devices, tmp_path)["kind"] == "cpu"
    assert devices.gpus == []


def test_the_real_torch_says_what_it_can_do(tmp_path):
    devices = Devices(FakeNvml(["GPU-1"]))
    device = try_out(devices, tmp_path)
    assert device["usable"] is False, "this GPU is not there"
    assert devices._trial.torch, devices._trial
    assert devices._trial.torch in device["reason"] or "driver" in device["reason"]


def test_a_torch_that_cannot_be_loaded_is_told(tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text("raise OSError('libcudart.so.13 is missing')")
    device = try_out(Devices(FakeNvml(["GPU-1"])), tmp_path)
    assert "libcudart.so.13" in device["reason"]


def test_the_probe_ends_when_the_server_was_killed(tmp_path):
    (tmp_path / "torch.py").write_text(
        "import os, time\nopen('pid.part', 'w').write(str(os.getpid()))\n"
        "os.replace('pid.part', 'pid')\ntime.sleep(3600)"
    )
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom timo_backend.trial import PROBE, Probe\n"
        "probe = Probe(PROBE, Path(sys.argv[1]))\ntime.sleep(3600)"
    )
    server = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)])
    deadline = time.monotonic() + PATIENCE_S
    while not (tmp_path / "pid").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    server.kill()
    server.wait()
    wait_until_gone(int((tmp_path / "pid").read_text()))
