# SPDX-License-Identifier: GPL-3.0-or-later
"""A map made by a real Ray cluster of two nodes, one of which is lost on the way."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from tests.timo.tasks.blocks import SMALL, pixels, same
from timo.inference.partial import partial_folder

pytest.importorskip("ray", reason="Ray is optional, and has no build for every Python and system")
RAY = [sys.executable, "-m", "ray.scripts.scripts"]


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of one core each on loopback, with token authentication and no dashboard."""
    folder = tempfile.mkdtemp(prefix="ray")  # short: it is in the names of sockets
    env = {
        **os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a" * 64, "OMP_NUM_THREADS": "1",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1", "RAY_USAGE_STATS_ENABLED": "0",
    }  # fmt: skip
    common = [
        "--num-cpus=1",
        "--node-ip-address=127.0.0.1",
        "--disable-usage-stats",
        "--object-store-memory=80000000",
    ]

    def start(*arguments):
        ended = subprocess.run(
            [*RAY, "start", *arguments, *common], env=env, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr

    def ours():
        """Ray's processes of this cluster: others on this machine are none of our business."""
        found = {}
        for one in psutil.process_iter(["name", "cmdline"]):
            if any(folder in argument for argument in one.info["cmdline"] or ()):
                found[one.pid] = one
        return found

    try:
        start("--head", "--port=6399", "--include-dashboard=false", f"--temp-dir={folder}")
        head = ours()
        start("--address=127.0.0.1:6399")
        second = [pid for pid, one in ours().items() if pid not in head and one.info["name"] == "raylet"]
        yield "127.0.0.1:6399", env, second
    finally:
        for one in ours().values():
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        shutil.rmtree(folder, ignore_errors=True)


def predicting(large, bundle, out, address, env, *more):
    arguments = ["predict", "--series", str(large), "--model", str(bundle), "--out", str(out), "--json"]
    code = f"{SMALL} from timo.cli import main; main({[*arguments, '--ray', address, *more]!r})"
    environment = {**env, "PYTHONPATH": str(Path(__file__).parents[3])}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_two_nodes_make_the_map_of_one_process_also_when_one_is_killed_on_the_way(
    large,
    bundle,
    whole,
    cluster,
    tmp_path,
):
    address, env, second = cluster
    out = tmp_path / "map.tif"
    run = predicting(large, bundle, out, address, env)
    journal, end = partial_folder(out) / "journal-1-of-1.jsonl", time.monotonic() + 500  # Ray begins late
    while not journal.exists() or not journal.read_bytes().count(b"\n"):
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)
    for raylet in second:
        os.kill(raylet, signal.SIGKILL)
    stdout, stderr = run.communicate(timeout=300)
    assert run.returncode == 0, stderr
    assert "2 workers on the Ray cluster" in stderr
    assert json.loads(stdout)["pixels_mapped"] == pixels(whole.map).size
    assert same(out, whole.map)


def test_who_has_no_token_gets_nothing_from_the_cluster(large, bundle, cluster, tmp_path):
    address, env, _ = cluster
    run = predicting(large, bundle, tmp_path / "map.tif", address, {**env, "RAY_AUTH_TOKEN": "b" * 64})
    _, stderr = run.communicate(timeout=120)
    assert run.returncode == 1
    assert "No Ray cluster answers" in stderr
    assert "Traceback" not in stderr
    assert list(tmp_path.iterdir()) == []


def test_an_address_where_nothing_answers_is_said_in_a_sentence(large, bundle, tmp_path):
    run = predicting(large, bundle, tmp_path / "map.tif", "127.0.0.1:1", {**os.environ})
    _, stderr = run.communicate(timeout=120)
    assert run.returncode == 1
    assert "No Ray cluster answers at '127.0.0.1:1'" in stderr
    assert list(tmp_path.iterdir()) == []
