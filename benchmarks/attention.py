# SPDX-License-Identifier: GPL-3.0-or-later
"""Time and memory of gyroscope attention, fused against literal, in the whole `timo_base` encoder.

The literal form is the tests' oracle, put in place of the fused one with the same weights. The limits are set
for gyroscope attention alone (stages 1 and 2; the rest is then the same); beside it both kinds literal.

Each runs three times, in a process of its own, and the fastest counts. Much of the literal form's time is the
system's, which has to find its 6 GB: the time spent computing is told apart. Extra memory is the process's
peak above what it holds once model and input are loaded.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.results_file import Figure, report

ROOT = Path(__file__).parents[1]
DATES, SIZE, BANDS = 12, 224, 3
REPEATS = 3
FORMS = ("fused", "literal", "both_literal")


def main() -> None:
    if not Path("/proc/self/clear_refs").exists():
        print("Not measured: peak memory is read from /proc, which only Linux has.")
        return
    with tempfile.TemporaryDirectory() as folder:
        measured = {form: _in_a_process(form, Path(folder) / f"{form}.safetensors") for form in FORMS}
        difference = max(
            _greatest_difference(*(Path(folder) / f"{name}.safetensors" for name in ("fused", form)))
            for form in FORMS[1:]
        )
    fused, literal, both = (measured[form] for form in FORMS)
    speed, memory = literal["seconds"] / fused["seconds"], fused["extra_mb"] / literal["extra_mb"]
    report(
        "attention",
        f"timo_base encoder, {DATES} dates of {SIZE} x {SIZE}, one run, {fused['threads']} CPU threads",
        [
            Figure("literal", literal["seconds"], "s"),
            Figure("fused", fused["seconds"], "s"),
            Figure("fused is faster by", speed, "x", "at least 3", speed >= 3),
            Figure("the same, computing alone (user time)", literal["user"] / fused["user"], "x"),
            Figure("both kinds of attention literal", both["seconds"], "s"),
            Figure("fused is faster than both by", both["seconds"] / fused["seconds"], "x"),
            Figure("the same, computing alone (user time)", both["user"] / fused["user"], "x"),
            Figure("literal, extra memory", literal["extra_mb"], "MB"),
            Figure("fused, extra memory", fused["extra_mb"], "MB"),
            Figure("fused, share of literal's extra memory", memory, "", "at most 0.333", memory <= 1 / 3),
            Figure("greatest difference of the outputs", difference, "", "at most 1e-4", difference <= 1e-4),
        ],
    )


def _in_a_process(form: str, outputs: Path) -> dict:
    command = [sys.executable, "-m", "benchmarks.attention", form, str(outputs)]
    runs = [
        json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout)
        for _ in range(REPEATS)
    ]
    return min(runs, key=lambda run: run["seconds"])


def _greatest_difference(first: Path, second: Path) -> float:
    from safetensors.torch import load_file

    ours, theirs = load_file(first), load_file(second)
    return max((ours[name] - theirs[name]).abs().max().item() for name in ours)


def measure(form: str, outputs: Path) -> None:
    """Run one form once, print its figures as JSON, and write its four stages."""
    import timm
    import torch
    from safetensors.torch import save_file

    import timo.models  # noqa: F401  # registers timo_base

    torch.manual_seed(0)
    encoder = timm.create_model("timo_base", in_chans=BANDS).eval()
    series = torch.randn(1, DATES, BANDS, SIZE, SIZE)
    if form != "fused":
        _make_literal(encoder, full=form == "both_literal")

    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    loaded = _memory_mb("VmRSS")
    started, computing = time.perf_counter(), os.times().user
    with torch.inference_mode():
        stages = encoder(series)
    seconds, user = time.perf_counter() - started, os.times().user - computing
    extra = _memory_mb("VmHWM") - loaded

    save_file({f"stage{i}": stage.contiguous() for i, stage in enumerate(stages, start=1)}, outputs)
    print(
        json.dumps({"seconds": seconds, "user": user, "extra_mb": extra, "threads": torch.get_num_threads()})
    )


def _make_literal(encoder, *, full: bool) -> None:
    import torch

    from tests.timo.models.literal import LiteralFullAttention, LiteralGyroscopeAttention
    from timo.models.attention import FullAttention, GyroscopeAttention

    forms = {GyroscopeAttention: LiteralGyroscopeAttention}
    if full:
        forms[FullAttention] = LiteralFullAttention
    for stage in encoder.stages:
        for block in stage.blocks:
            if literal_form := forms.get(type(block.attn)):
                with torch.device("meta"):
                    literal = literal_form(block.attn.q.in_features, block.attn.num_heads)
                literal.load_state_dict(block.attn.state_dict(), strict=True, assign=True)
                block.attn = literal.eval()


def _memory_mb(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024


if __name__ == "__main__":
    if sys.argv[1:]:
        measure(sys.argv[1], Path(sys.argv[2]))
    else:
        main()
