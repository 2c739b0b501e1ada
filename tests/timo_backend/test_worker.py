# SPDX-License-Identifier: GPL-3.0-or-later
"""What a worker reports, and how it keeps out of the way."""

import io
import json
import os
from pathlib import Path

import pytest

from tests.timo_backend.conftest import final, wait_until_running
from timo_backend import worker
from timo_backend.worker import PipeReporter


@pytest.fixture
def told(monkeypatch):
    """A reporter, the lines that it wrote, and a clock to set."""
    clock = [100.0]
    monkeypatch.setattr(worker.time, "monotonic", lambda: clock[0])
    pipe = io.StringIO()
    reporter = PipeReporter(pipe)
    return reporter, lambda: [json.loads(line)["body"] for line in pipe.getvalue().splitlines()], clock


def test_progress_is_thinned_out_and_its_end_always_told(told):
    reporter, lines, clock = told
    for step in range(1000):
        clock[0] += 0.001
        reporter.progress(step / 1000, "Reading")
    reporter.progress(1.0, "Done")
    assert 10 <= len(lines()) <= 12
    assert lines()[-1] == {"fraction": 1.0, "message": "Done", "eta_s": 0.0}


def test_the_time_left_follows_the_pace_of_late(told):
    reporter, lines, clock = told
    reporter.progress(0.0, "Reading")
    assert lines()[-1]["eta_s"] is None, "nothing is known at first"
    for step in range(1, 101):  # slow at first, then one hundredth a second
        clock[0] += 60.0 if step < 10 else 1.0
        reporter.progress(step / 200, "Epoch")
    assert lines()[-1]["eta_s"] == pytest.approx(100.0, rel=0.05)


def test_a_fraction_out_of_range_is_brought_into_it(told):
    reporter, lines, clock = told
    reporter.progress(-0.5, "a")
    clock[0] += 1
    reporter.progress(1.5, "b")
    assert [line["fraction"] for line in lines()] == [0.0, 1.0]


def test_what_libraries_print_goes_to_the_log_file_and_not_into_the_events(server, client, spec):
    job = client.submit("predict", spec("succeed"))
    assert "a library that prints" not in str(list(client.events(job)))
    assert "a library that prints" in (server.home / "logs" / f"{job}.log").read_text()


def test_a_worker_leaves_the_processor_to_qgis_and_works_in_no_shared_folder(server, client, spec):
    job = client.submit("predict", spec("hold"))
    pid = wait_until_running(client, job)
    ours = os.getpriority(os.PRIO_PROCESS, server.process.pid)
    assert os.getpriority(os.PRIO_PROCESS, pid) == min(ours + worker.NICENESS, 19)
    assert Path(f"/proc/{pid}/cwd").readlink() == server.home / "logs"
    assert os.getpgid(pid) == pid
    client.cancel(job)


def test_an_error_that_names_a_file_whose_name_is_no_text_is_told(client, spec):
    error = final(client, client.submit("predict", spec("latin")))["error"]
    assert error["code"] == "series_empty"
    assert error["message"] == "Folder K?ln is empty."


SLOW_START = """
import time
from tests.timo_backend import task_worker as base

base.worker.readable.narrow = lambda: time.sleep(8)
raise SystemExit(base.worker.main())
"""


def test_a_worker_that_waits_for_a_slow_disk_at_its_start_is_left_alone(server, spec, tmp_path):
    server.end()
    (tmp_path / "slow_worker.py").write_text(SLOW_START)
    server.start(worker=tmp_path / "slow_worker.py")
    with server.client() as client:
        assert final(client, client.submit("predict", spec("succeed")))["state"] == "succeeded"
