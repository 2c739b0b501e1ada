# SPDX-License-Identifier: GPL-3.0-or-later
import subprocess
import sys

import pytest

from timo.cli import _spread_series
from timo.errors import SpecError
from timo.tasks.specs import SPECS, load, to_dict
from timo.terminal import print_summary


def timo(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "timo", *map(str, arguments)], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("task", SPECS)
def test_every_field_of_a_spec_is_an_option_of_its_command(task):
    shown = timo(task, "--help").stdout
    for field in SPECS[task].__struct_encode_fields__:
        assert f"--{field.replace('_', '-')} " in shown


def test_a_missing_option_is_a_usage_error():
    run = timo("predict", "--series", "somewhere")
    assert run.returncode == 2
    assert "--model" in run.stderr or "--out" in run.stderr


def test_bad_input_is_one_sentence_on_stderr_and_exit_1(tmp_path):
    run = timo("series", tmp_path / "nowhere")
    assert run.returncode == 1
    assert run.stdout == ""
    assert "nowhere" in run.stderr
    assert "Traceback" not in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1


def test_importing_the_library_and_the_specs_loads_no_torch():
    code = "import sys, timo, timo.tasks, timo.tasks.specs, timo.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_expanded_glob_goes_into_one_series():
    assert _spread_series(["predict", "--series", "a.tif", "b.tif", "--out", "c.tif"]) == [
        "predict", "--series", "a.tif", "--series", "b.tif", "--out", "c.tif",
    ]  # fmt: skip
    assert _spread_series(["series", "a.tif", "b.tif"]) == ["series", "a.tif", "b.tif"]


def test_a_spec_travels_unchanged():
    spec = load("predict", {"series": "folder", "model": "m", "out": "o.tif"})
    assert load("predict", to_dict(spec)) == spec
    assert spec.series == ["folder"]


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"series": "s", "model": "m"}, "out"),
        ({"series": "s", "model": "m", "out": "o", "batch": 0}, "batch"),
        ({"series": "s", "model": "m", "out": "o", "btach": 1}, "btach"),
        ({"series": [], "model": "m", "out": "o"}, "series"),
        ({"series": "s", "model": "m", "out": "o", "device": "tpu"}, "device"),
    ],
)
def test_a_wrong_parameter_is_named(parameters, named):
    with pytest.raises(SpecError, match=named):
        load("predict", parameters)


def test_a_failing_task_says_one_sentence_and_leaves_no_bar(tmp_path):
    run = timo("predict", "--series", tmp_path, "--model", tmp_path / "nothing", "--out", tmp_path / "o.tif")
    assert run.returncode == 1
    assert run.stdout == ""
    assert len(run.stderr.strip().splitlines()) == 1
    assert "nothing" in run.stderr


def test_names_are_shown_as_they_are(capsys):
    print_summary({"map": "a[1].tif", "per_class": [{"name": "[/b] :wood:", "pixels": 3}]})
    shown = capsys.readouterr().out
    assert "a[1].tif" in shown
    assert "[/b] :wood:" in shown


def test_hours_and_gigabytes_are_told_as_such(capsys):
    print_summary({"seconds": 34532.1, "disk_bytes": 4_300_000_000})
    shown = capsys.readouterr().out.split()
    assert shown == ["time", "9:35:32", "disk", "4.3", "GB"]
