# SPDX-License-Identifier: GPL-3.0-or-later
"""What an analyst gets wrong, or is given wrong: each way with the sentence that must be printed.

The table stands in ``bad_inputs/``: a row says in the user's words what is wrong, makes such an input, and
gives the command that meets it. All go through the command line, so that a row sees what the user sees.
"""

import re
import signal
from collections import Counter

import pytest

from tests.scenes import make_scene
from tests.timo.bad_inputs import label_files, labels, models, parameters, rasters, series
from tests.timo.bad_inputs.desk import DATA, Desk
from timo import cli
from timo.errors import Cancelled

ROWS = [row for part in (rasters, series, labels, label_files, models, parameters) for row in part.TABLE]


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return make_scene(tmp_path_factory.mktemp("good"))


@pytest.fixture(scope="module")
def trained(good, tmp_path_factory):
    """A model of the good series."""
    out = tmp_path_factory.mktemp("models") / "woods"
    good.finetune(out, epochs=1, batch=1)
    return out


@pytest.fixture
def desk(tmp_path, good, trained):
    return Desk(tmp_path, good, trained)


def run(command):
    """The exit status of a command; what it does with the process' signals is undone."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        cli.main([str(word) for word in command])
    except SystemExit as end:
        return end.code or 0
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return 0


def listing(folder):
    return {
        path: (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()
    }


def pattern(says):
    return re.compile(".*?".join(re.escape(part) for part in says.split("…")), re.DOTALL)


def stop(_reporter):
    raise Cancelled


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ROWS])
def test_what_is_wrong_is_said(row, desk, capfd, monkeypatch):
    command = row.spoil(desk)
    before = listing(desk.folder)
    if row.early:
        monkeypatch.setattr(cli.TerminalReporter, "check", stop)
    capfd.readouterr()
    status = run(command)
    printed = capfd.readouterr()
    out, err = (text.replace(f"{desk.folder}/", "").replace(f"{DATA}/", "DATA/") for text in printed)
    if row.early:
        assert pattern(f"{row.says}\nThe task was cancelled.\n").fullmatch(err), err
    elif row.status:
        assert pattern(f"{row.says}\n").fullmatch(err), err
    else:
        assert pattern(row.says).search(f"{out}\n{err}"), f"{out}\n{err}"
    assert status == (1 if row.early else row.status), err
    if status:
        assert out == ""
        assert listing(desk.folder) == before


def test_the_table_is_long_and_no_row_stands_twice():
    assert len(ROWS) >= 40
    assert max(Counter(row.name for row in ROWS).values()) == 1
