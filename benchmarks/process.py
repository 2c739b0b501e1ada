# SPDX-License-Identifier: GPL-3.0-or-later
"""One case of a benchmark in processes of its own: seconds and extra memory of a forward or a training step.

One process runs the case once to warm up, then some times more, large matrix products before each: the
fastest of each counts. Another runs it once for its extra memory: its peak above what it holds once model
and input are loaded. In that one the C library gives back what is freed at once: otherwise the peak has in it
what the heap happens to keep, and says little of what the case needs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from benchmarks.memory import memory_mb, reset_peak

ROOT = Path(__file__).parents[1]
CLASSES = 6
PRODUCTS = 3  # before each run
# Far from each other in the model: the training step's gradients at its two ends.
ENDS = ("encoder.embeds.0.", "classifier.")


@dataclass(frozen=True)
class Case:
    """What to run: the `task` on a `batch` of series in a `form`.

    Attributes:
        task: The encoder's or segmenter's forward, or a segmenter's forward and backward.
        form: This project's, or with "gyroscope_literal" that attention literal, or with "literal" both kinds
            of attention and the UPerNet head.
        variant: A key of `timo.models.registry.VARIANTS`.
        dates: T.
        size: Height and width in pixels.
        head_channels: Width of the segmenter's head; None is the paper's.
        precision: "bfloat16" runs under autocast.
        checkpointing: Keep the inputs of blocks alone for the way back.
        repeats: Runs after the first.
        matrix: Rows and columns of the matrix product.
    """

    task: Literal["encoder", "segmenter", "training"]
    form: Literal["ours", "gyroscope_literal", "literal"]
    variant: str
    dates: int
    size: int
    bands: int = 10
    batch: int = 1
    head_channels: int | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    checkpointing: bool = False
    repeats: int = 2
    matrix: int = 4096


@dataclass(frozen=True)
class Measured:
    """What a case took.

    Attributes:
        seconds: Of the fastest run.
        user_seconds: Spent computing in it by all threads together.
        extra_mb: Peak of memory above model and input.
        matrix_rate: Operations per second of the fastest matrix product.
        parameters: Of the model.
        threads: That torch uses.
    """

    seconds: float
    user_seconds: float
    extra_mb: float
    matrix_rate: float
    parameters: int
    threads: int


def run(case: Case, outputs: Path) -> Measured:
    """Measure a case in fresh processes; its outputs are left in a safetensors file."""
    memory = _in_a_process(case, outputs, "memory", {"MALLOC_MMAP_THRESHOLD_": str(2**17)})
    return Measured(**memory, **_in_a_process(case, outputs, "time", {}))


def _in_a_process(case: Case, outputs: Path, what: str, variables: dict[str, str]) -> dict:
    command = [sys.executable, "-m", "benchmarks.process", json.dumps(asdict(case)), str(outputs), what]
    environment = {**os.environ, **variables}
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment)
    return json.loads(found.stdout)


def measure(case: Case, outputs: Path, what: str) -> dict[str, float]:
    """Measure a case's "time" or "memory" in this process."""
    import torch
    from safetensors.torch import save_file

    once, parameters = prepare(case)
    loaded = reset_peak()
    results = once()
    if what == "memory":
        return {"extra_mb": memory_mb("VmHWM") - loaded}
    save_file({name: tensor.float().contiguous() for name, tensor in results.items()}, outputs)
    del results

    a, b = torch.randn(2, case.matrix, case.matrix).to(getattr(torch, case.precision))
    runs, products = [], []
    for _ in range(case.repeats):
        products += [_timed(lambda: a @ b)[0] for _ in range(PRODUCTS)]
        runs.append(_timed(once))
    seconds, user = min(runs)
    return {
        "seconds": seconds,
        "user_seconds": user,
        "matrix_rate": 2 * case.matrix**3 / min(products),
        "parameters": parameters,
        "threads": torch.get_num_threads(),
    }


def prepare(case: Case) -> tuple[Callable[[], dict], int]:
    """What runs the case once and gives its outputs by name; and the model's parameters."""
    import torch
    import torch.nn.functional as F

    from benchmarks.literal import make_literal
    from timo.models import TiMoEncoder, TiMoSegmenter
    from timo.models.fold import fold_batch_norm
    from timo.models.registry import VARIANTS

    torch.manual_seed(0)
    options = {"in_chans": case.bands, **VARIANTS[case.variant]}
    if case.task == "encoder":
        encoder = model = TiMoEncoder(**options)
    else:
        model = TiMoSegmenter(num_classes=CLASSES, head_channels=case.head_channels, **options)
        encoder = model.encoder
    series = torch.randn(case.batch, case.dates, case.bands, case.size, case.size)
    labels = torch.randint(CLASSES, (case.batch, case.size, case.size))
    if case.form != "ours":
        make_literal(model, all_parts=case.form == "literal")
    if case.checkpointing:
        encoder.set_grad_checkpointing(True)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    model.train(case.task == "training")
    if case.form == "ours" and case.task != "training":
        model = fold_batch_norm(model)  # as `timo predict` does
    lower = case.precision != "float32"

    def forward() -> dict:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16) if lower else nullcontext():
            out = model(series)
        return {"logits": out} if case.task == "segmenter" else {f"stage{i}": x for i, x in enumerate(out, 1)}

    def step() -> dict:
        model.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16) if lower else nullcontext():
            loss = F.cross_entropy(model(series), labels)
        loss.backward()
        gradients = {name: p.grad for name, p in model.named_parameters() if name.startswith(ENDS)}
        return {"loss": loss.detach(), **gradients}

    return step if case.task == "training" else forward, parameters


def _timed(function: Callable[[], object]) -> tuple[float, float]:
    """Elapsed and user seconds."""
    started, computing = time.perf_counter(), os.times().user
    function()
    return time.perf_counter() - started, os.times().user - computing


if __name__ == "__main__":
    print(json.dumps(measure(Case(**json.loads(sys.argv[1])), Path(sys.argv[2]), sys.argv[3])))
