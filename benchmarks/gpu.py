# SPDX-License-Identifier: GPL-3.0-or-later
"""Parity, time and memory on a CUDA GPU, in float32, TF32 and bf16, and bf16 compiled.

The physical limit of a time is the model's operations (`timo.models.operations`) at the rate of a large
matrix product in the same precision, measured just before. Memory is what a forward allocates at most above
model and input.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

from benchmarks.literal import make_literal
from benchmarks.parity import parity_figures
from benchmarks.process import CLASSES
from benchmarks.results_file import RESULTS, Figure, report
from timo.models import TiMoEncoder, TiMoSegmenter
from timo.models.fold import fold_batch_norm
from timo.models.operations import Input, encoder_operations, head_operations
from timo.models.registry import VARIANTS

MB = 2**20


@dataclass(frozen=True)
class Mode:
    """How a model is run: literal, in TF32, in bf16 under autocast, compiled."""

    name: str
    tf32: bool = False
    bf16: bool = False
    compiled: bool = False
    literal: bool = False


# float32 comes first: the others are held to its outputs.
MODES = (
    Mode("float32"),
    Mode("TF32", tf32=True),
    Mode("bf16", tf32=True, bf16=True),
    Mode("bf16, compiled", tf32=True, bf16=True, compiled=True),
    Mode("literal, float32", literal=True),
)
# Norm of the difference over the norm.
BF16_LIMIT = 3e-2
LITERAL_LIMIT = 1e-4


@dataclass(frozen=True)
class Settings:
    """What is measured: the encoder and, with the paper's head, the segmenter, at numbers of dates."""

    variant: str = "timo_base"
    size: int = 224
    encoder_dates: tuple[int, ...] = (3, 12)
    segmenter_dates: tuple[int, ...] = (3,)
    batch: int = 8  # at 1, launching kernels takes longer than running them
    bands: int = 10
    head_channels: int | None = None
    repeats: int = 5
    matrix: int = 8192
    modes: tuple[Mode, ...] = MODES


def main() -> None:
    """Run on the GPU there is, or say that there is none."""
    if not torch.cuda.is_available():
        print("The GPU benchmark did not run: torch finds no CUDA GPU on this machine.")
        return
    measure(torch.device("cuda"))


def measure(device: torch.device, settings: Settings | None = None, folder: Path = RESULTS) -> list[Figure]:
    """Measure all on a device, print the table and write it to a folder."""
    settings = settings or Settings()
    with _tf32(False):
        figures = parity_figures(device)
    for task, numbers in (("encoder", settings.encoder_dates), ("segmenter", settings.segmenter_dates)):
        for dates in numbers:
            figures += _model_figures(device, settings, task, dates)
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else "none"
    size = f"{settings.bands} bands, batch {settings.batch}"
    title = f"{settings.variant} on {gpu}, {size}, median of {settings.repeats} runs"
    report("gpu", title, figures, folder, gpu=gpu, cuda=torch.version.cuda)
    return figures


def _model_figures(device: torch.device, settings: Settings, task: str, dates: int) -> list[Figure]:
    size = Input(settings.bands, dates, settings.size, settings.size, settings.batch)
    part = f"{task}, {dates} dates of {settings.size} x {settings.size}"
    operations = _operations(settings, task, size)
    figures: list[Figure] = []
    exact: list[Tensor] = []
    seconds: dict[str, float] = {}
    for mode in settings.modes:
        with _tf32(mode.tf32):
            rate = _matrix_rate(device, settings, mode)
            try:
                outputs, times, memory = _run(device, settings, task, size, mode)
            except torch.OutOfMemoryError:
                figures.append(
                    Figure(f"{mode.name}: time", None, "ms", note="not measured: out of GPU memory")
                )
                continue
        if mode is settings.modes[0]:
            exact = outputs
        seconds[mode.name] = median(times)
        physical = (
            f"{1e3 * operations / rate:.3g} ms: {operations / 1e9:.0f} GFLOP at {rate / 1e12:.3g} TFLOP/s"
        )
        figures.append(
            Figure(
                f"{mode.name}: time",
                1e3 * seconds[mode.name],
                "ms",
                physical=physical,
                spread=(1e3 * min(times), 1e3 * max(times)),
            )
        )
        if not mode.literal:
            share = operations / seconds[mode.name] / rate
            figures.append(Figure(f"{mode.name}: share of the matrix rate", share, "", physical="1"))
        if memory is not None:
            figures.append(Figure(f"{mode.name}: GPU memory above model and input", memory / MB, "MB"))
        if exact and mode is not settings.modes[0]:
            figures.append(_difference(mode, exact, outputs))
            faster = seconds[settings.modes[0].name] / seconds[mode.name]
            figures.append(Figure(f"{mode.name}: faster than {settings.modes[0].name} by", faster, "x"))
        del outputs
    return [replace(figure, part=part) for figure in figures]


def _difference(mode: Mode, exact: list[Tensor], found: list[Tensor]) -> Figure:
    value = max(((x.float() - y).norm() / y.norm()).item() for x, y in zip(found, exact))
    name = f"{mode.name}: outputs differ by, of the norm"
    if not mode.bf16 and not mode.literal:
        return Figure(name, value, "")
    limit = BF16_LIMIT if mode.bf16 else LITERAL_LIMIT
    return Figure(name, value, "", f"at most {limit:g}", value <= limit)


def _operations(settings: Settings, task: str, size: Input) -> int:
    options = VARIANTS[settings.variant]
    operations = encoder_operations(size, **options)
    if task == "segmenter":
        dims = options["embed_dims"]
        operations += head_operations(size, dims, settings.head_channels or dims[-1], CLASSES)
    return operations


def _run(
    device: torch.device, settings: Settings, task: str, size: Input, mode: Mode
) -> tuple[list[Tensor], list[float], int | None]:
    """Outputs, seconds of each run, and bytes above model and input where the device tells."""
    torch.manual_seed(0)  # the same input and weights in every mode
    series = torch.randn(size.batch, size.dates, size.bands, size.height, size.width).to(device)
    options = {"in_chans": size.bands, **VARIANTS[settings.variant]}
    model: nn.Module = TiMoEncoder(**options)
    if task == "segmenter":
        model = TiMoSegmenter(num_classes=CLASSES, head_channels=settings.head_channels, **options)
    if mode.literal:
        make_literal(model)
    model = model.to(device).eval()
    if not mode.literal:
        model = fold_batch_norm(model)  # as `timo predict` does
    torch.compiler.reset()  # what was compiled for other sizes would make this one general
    forward: Callable[[Tensor], Tensor | list[Tensor]] = torch.compile(model) if mode.compiled else model
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=mode.bf16):
        for _ in range(3):  # compiles, picks kernels
            forward(series)
        memory = _extra_memory(device, lambda: forward(series))
        times = [_seconds(device, lambda: forward(series)) for _ in range(settings.repeats)]
        out = forward(series)
    return [out] if isinstance(out, Tensor) else list(out), times, memory


def _matrix_rate(device: torch.device, settings: Settings, mode: Mode) -> float:
    """Operations per second of a large matrix product."""
    dtype = torch.bfloat16 if mode.bf16 else torch.float32
    a, b = torch.randn(2, settings.matrix, settings.matrix, device=device, dtype=dtype)
    for _ in range(3):
        a @ b
    times = [_seconds(device, lambda: a @ b) for _ in range(settings.repeats)]
    return 2 * settings.matrix**3 / median(times)


def _seconds(device: torch.device, function: Callable[[], object]) -> float:
    _wait(device)
    started = time.perf_counter()
    function()
    _wait(device)
    return time.perf_counter() - started


def _extra_memory(device: torch.device, function: Callable[[], object]) -> int | None:
    if device.type != "cuda":
        return None
    _wait(device)
    torch.cuda.reset_peak_memory_stats(device)
    loaded = torch.cuda.memory_allocated(device)
    function()
    _wait(device)
    return torch.cuda.max_memory_allocated(device) - loaded


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def _tf32(allowed: bool) -> Iterator[None]:
    """Matrix products and convolutions with ten bits of their factors, or with all."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


if __name__ == "__main__":
    main()
