# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmarks of the models run, and compare what they say they compare. No times are judged here."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from benchmarks import gpu, memory, models
from benchmarks.memory import can_measure
from benchmarks.parity import parity_figures
from benchmarks.process import Case, measure, prepare

on_linux = pytest.mark.skipif(not can_measure(), reason="peak memory is read from Linux's /proc")
TINY = {"variant": "timo_tiny", "dates": 2, "size": 64, "bands": 3, "head_channels": 16}
QUICK = models.Settings(
    variant="timo_tiny", size=64, few_dates=2, many_dates=3, head_channels=16, training_size=32,
    training_dates=2, training_batch=1, training_head=16, repeats=1, rounds=1, matrix=64,
)  # fmt: skip


@pytest.mark.parametrize("form", ["gyroscope_literal", "literal"])
@pytest.mark.parametrize("task", ["encoder", "segmenter", "training"])
def test_the_literal_form_has_the_weights_and_the_input_of_ours(task, form):
    ours, theirs = (prepare(Case(task=task, form=which, **TINY)) for which in ("ours", form))
    assert ours[1] == theirs[1]  # parameters
    found, expected = ours[0](), theirs[0]()
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        scale = tensor.abs().max().clamp_min(1e-6)
        # Gradients pass through statistics of few pixels, in float32.
        tolerance = 2e-3 if task == "training" else 1e-4
        torch.testing.assert_close(found[name] / scale, tensor / scale, atol=tolerance, rtol=0, msg=name)


def test_checkpointing_changes_no_result_of_the_training_step():
    plain, saving = (
        prepare(Case(task="training", form="ours", checkpointing=on, **TINY))[0]() for on in (False, True)
    )
    for name, tensor in plain.items():
        torch.testing.assert_close(saving[name], tensor, atol=1e-6, rtol=1e-4, msg=name)


def test_a_case_in_bf16_differs_from_float32_by_a_few_hundredths():
    case = Case(task="encoder", form="ours", **TINY)
    exact, lower = (prepare(replace(case, precision=p))[0]() for p in ("float32", "bfloat16"))
    for name, tensor in exact.items():
        assert 0 < (lower[name].float() - tensor).norm() < 3e-2 * tensor.norm(), name


@on_linux
def test_a_case_reports_what_it_took_and_leaves_its_outputs(tmp_path):
    case = Case(task="encoder", form="ours", repeats=1, matrix=64, **TINY)
    took = measure(case, tmp_path / "out", "time")
    assert took["user_seconds"] < 2 * took["threads"] * took["seconds"] + 0.1
    assert load_file(tmp_path / "out")["stage4"].shape == (1, 2, 128, 2, 2)


@on_linux
def test_the_peak_of_memory_is_what_was_held_at_most():
    before = memory.reset_peak()
    held = torch.ones(100 * 2**20 // 4)
    del held
    assert memory.memory_mb("VmHWM") - before == pytest.approx(100, rel=0.1)


def test_a_difference_is_a_share_of_the_greatest_value(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.tensor([1.0, 4.0])}, tmp_path / "first")
    save_file({"a": torch.tensor([1.0, 5.0])}, tmp_path / "second")
    assert models.greatest_difference(tmp_path / "first", tmp_path / "second") == pytest.approx(0.2)


@pytest.mark.slow
@on_linux
def test_the_whole_benchmark_writes_every_figure_with_its_limits(tmp_path):
    figures = models.main(QUICK, tmp_path)
    kept = json.loads((tmp_path / "models.json").read_text())
    assert [figure["name"] for figure in kept["figures"]] == [figure.name for figure in figures]
    assert sum(bool(figure["limit"]) for figure in kept["figures"]) >= 12
    for figure in kept["figures"]:
        assert figure["value"] is not None or figure["note"]
        if figure["name"].startswith("faster"):
            assert figure["physical"]
    assert torch.__version__.startswith(kept["machine"]["torch"])
    differences = [figure for figure in figures if "differ" in figure.name and "gradients" not in figure.name]
    assert all(figure.reached for figure in differences)


def test_the_models_are_as_near_to_the_published_numbers_as_the_gpu_run_asks():
    figures = parity_figures(torch.device("cpu"))
    assert len(figures) == 5
    assert [figure.name for figure in figures if not figure.reached] == []


def test_the_gpu_benchmark_compares_every_mode_with_float32(tmp_path):
    modes = tuple(mode for mode in gpu.MODES if not mode.compiled)
    settings = gpu.Settings(
        variant="timo_tiny",
        size=32,
        encoder_dates=(2,),
        segmenter_dates=(2,),
        head_channels=16,
        repeats=1,
        matrix=64,
        modes=modes,
    )
    figures = gpu.measure(torch.device("cpu"), settings, tmp_path)
    judged = [figure for figure in figures if "outputs differ" in figure.name and figure.limit]
    assert len(judged) == 4 + 2 * 2  # parity; bf16 and literal, of encoder and segmenter
    assert all(figure.reached for figure in judged)
    assert json.loads((tmp_path / "gpu.json").read_text())["machine"]["gpu"] == "none"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, so it would run")
def test_without_a_gpu_one_sentence_says_that_it_did_not_run():
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0
    assert "did not run" in run.stdout
    assert len(run.stdout.strip().splitlines()) == 1
