# SPDX-License-Identifier: GPL-3.0-or-later
"""The models against their literal form and against the machine: time, memory, share of its matrix rate.

What is compared runs in turns, each time in a fresh process, so that a slower hour of the machine meets all
alike. A ratio is taken within each turn; the table has the median and, in brackets, the least and greatest.

The physical limit of a time is the model's operations (`timo.models.operations`, the head's 3x3 convolutions
in Winograd's form) at the rate of the fastest large matrix product measured in the same turn: all else, such
as softmax, would take no time at all.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from benchmarks.memory import can_measure
from benchmarks.process import CLASSES, Case, Measured, run
from benchmarks.results_file import RESULTS, Figure, processor, report

MB = 2**20
BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}


@dataclass(frozen=True)
class Settings:
    """What is measured; the numbers of the issue that set the limits. Turns of each comparison: `rounds`."""

    variant: str = "timo_base"
    size: int = 224
    few_dates: int = 3
    many_dates: int = 12
    head_channels: int | None = None
    training_size: int = 128
    training_dates: int = 6
    training_batch: int = 2
    training_head: int = 256
    bands: int = 10
    repeats: int = 2
    rounds: int = 3
    matrix: int = 4096

    def case(self, **changes) -> Case:
        """One case at these settings."""
        common = {
            "variant": self.variant,
            "bands": self.bands,
            "size": self.size,
            "repeats": self.repeats,
            "matrix": self.matrix,
        }
        return Case(**{**common, **changes})


Turns = Mapping[str, list[Measured]]  # what was measured, by name of the case, one a turn


def main(settings: Settings | None = None, folder: Path = RESULTS) -> list[Figure]:
    """Measure all, print the table and write it to a folder."""
    settings = settings or Settings()
    if not can_measure():
        print("Not measured: peak memory is read from /proc, which only Linux has.")
        return []
    figures = [
        *encoder_figures(settings, settings.few_dates),
        *encoder_figures(settings, settings.many_dates),
        *segmenter_figures(settings),
        *training_figures(settings),
    ]
    report(
        "models",
        f"{settings.variant}, {settings.bands} bands, float32 and batch 1 where not said otherwise; "
        f"median of {settings.rounds} turns (least to greatest); "
        "memory: where the C library gives back at once what is freed",
        figures,
        folder,
    )
    return figures


def encoder_figures(settings: Settings, dates: int) -> list[Figure]:
    """The encoder's forward at a number of dates; memory, matrix rate and bf16 at the many."""
    many = dates == settings.many_dates
    ours = settings.case(task="encoder", form="ours", dates=dates)
    cases = {
        "ours": ours,
        "gyroscope literal": replace(ours, form="gyroscope_literal"),
        "literal": replace(ours, form="literal"),
    }
    bf16 = bool(BF16_FLAGS & set(processor()["flags"]))
    if many and bf16:
        cases["bf16"] = replace(ours, precision="bfloat16")
    turns, difference = _in_turns(cases, settings.rounds)
    part = f"encoder, {dates} dates of {settings.size} x {settings.size}"
    operations = _encoder_operations(ours)
    figures = [
        _seconds("both kinds of attention literal", turns["literal"]),
        _seconds("gyroscope attention alone literal", turns["gyroscope literal"]),
        _seconds("ours", turns["ours"], _least_time(operations, turns["ours"])),
        _faster("faster than both literal by", turns, "literal", operations, 6 if many else 3),
        _faster("faster than gyroscope literal by", turns, "gyroscope literal", operations),
        _difference("outputs differ from both literal by", difference["literal"], 1e-4),
    ]
    if many:
        figures += _encoder_memory(turns, ours)
        figures.append(_share_of_matrix_rate(turns["ours"], operations))
        figures += _bf16(turns, difference) if bf16 else [_no_bf16()]
    return _in_part(part, figures)


def _in_part(part: str, figures: list[Figure]) -> list[Figure]:
    return [replace(figure, part=part) for figure in figures]


def _encoder_memory(turns: Turns, ours: Case) -> list[Figure]:
    least = _least_encoder_mb(ours)
    return [
        _memory("extra memory, both literal", turns["literal"]),
        _memory(
            "extra memory, ours",
            turns["ours"],
            f"{least:.0f} MB: a stage's tokens, keys and values beside the outputs of those before",
        ),
        _less_memory("share of both literal's extra memory", turns, "ours", "literal", 0.2, least),
    ]


def _share_of_matrix_rate(ours: list[Measured], operations: int) -> Figure:
    share = [operations / one.seconds / one.matrix_rate for one in ours]
    rate = median(one.matrix_rate for one in ours)
    return _ratio(
        "share of the matrix rate",
        share,
        "",
        "at least 0.6",
        median(share) >= 0.6,
        f"1: a matrix product's {rate / 1e9:.0f} GFLOP/s; the encoder takes {operations / 1e9:.0f} GFLOP",
    )


def _bf16(turns: Turns, difference: Mapping[str, float]) -> list[Figure]:
    faster = [a.seconds / b.seconds for a, b in zip(turns["ours"], turns["bf16"])]
    products = median(b.matrix_rate / a.matrix_rate for a, b in zip(turns["ours"], turns["bf16"]))
    physical = f"{products:.3g} x: matrix products are as much faster"
    return [
        _ratio(
            "bf16 faster than float32 by",
            faster,
            "x",
            "at least 1.8",
            median(faster) >= 1.8,
            physical,
        ),
        _difference("outputs in bf16 differ by", difference["bf16"], 3e-2),
    ]


def _no_bf16() -> Figure:
    note = "not measured: this CPU has no bf16 arithmetic"
    return Figure("bf16 faster than float32 by", None, "x", "at least 1.8", note=note)


def segmenter_figures(settings: Settings) -> list[Figure]:
    """The segmenter's forward with the paper's head, against literal attention and a plain UPerNet."""
    ours = settings.case(
        task="segmenter", form="ours", dates=settings.few_dates, head_channels=settings.head_channels
    )
    turns, difference = _in_turns({"ours": ours, "literal": replace(ours, form="literal")}, settings.rounds)
    operations = _encoder_operations(ours) + _head_operations(ours)
    head = ours.head_channels or _options(ours)["embed_dims"][-1]
    part = f"segmenter, head of {head} channels, {ours.dates} dates of {ours.size} x {ours.size}"
    figures = [
        _seconds("literal attention, plain UPerNet", turns["literal"]),
        _seconds("ours", turns["ours"], _least_time(operations, turns["ours"])),
        _faster("faster than that by", turns, "literal", operations, 2),
        _difference("logits differ by", difference["literal"], 1e-4),
        _memory("extra memory, literal", turns["literal"]),
        _memory("extra memory, ours", turns["ours"]),
    ]
    return _in_part(part, figures)


def training_figures(settings: Settings) -> list[Figure]:
    """A segmenter's forward and backward, and the same with checkpointing."""
    ours = settings.case(
        task="training",
        form="ours",
        dates=settings.training_dates,
        size=settings.training_size,
        batch=settings.training_batch,
        head_channels=settings.training_head,
    )
    cases = {
        "ours": ours,
        "literal": replace(ours, form="literal"),
        "checkpointing": replace(ours, checkpointing=True),
    }
    turns, difference = _in_turns(cases, settings.rounds)
    # Each product of the forward has two in the backward: for the weights and for the input.
    operations = 3 * (_encoder_operations(ours) + _head_operations(ours))
    again = _least_time(operations + _encoder_operations(ours), turns["checkpointing"])
    batch = f"batch {ours.batch}, {ours.dates} dates of {ours.size} x {ours.size}"
    part = f"training step, head of {ours.head_channels} channels, {batch}"
    least = 4 * turns["ours"][0].parameters / MB + _block_inputs_mb(ours)
    figures = [
        _seconds("literal", turns["literal"]),
        _seconds("ours", turns["ours"], _least_time(operations, turns["ours"])),
        _faster("faster than literal by", turns, "literal", operations, 2.5),
        _seconds("ours with checkpointing", turns["checkpointing"], again),
        _difference("loss and gradients at both ends differ by", difference["literal"]),
        _memory("extra memory, literal", turns["literal"]),
        _memory("extra memory, ours", turns["ours"]),
        _memory(
            "extra memory, ours with checkpointing",
            turns["checkpointing"],
            f"{least:.0f} MB: all gradients and the inputs of the blocks",
        ),
        _less_memory("with checkpointing, share of ours without", turns, "checkpointing", "ours", 0.5, least),
        _less_memory("with checkpointing, share of literal's", turns, "checkpointing", "literal", 0.5, least),
    ]
    return _in_part(part, figures)


def _in_turns(cases: Mapping[str, Case], rounds: int) -> tuple[Turns, dict[str, float]]:
    """Measure cases one after the other, some rounds; and how much each differs from the first case."""
    turns: dict[str, list[Measured]] = {name: [] for name in cases}
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder) / f"{number}.safetensors" for number, name in enumerate(cases)}
        for _ in range(rounds):
            turn = {name: run(case, files[name]) for name, case in cases.items()}
            for name, measured in turn.items():
                rate = max(turn[other].matrix_rate for other in cases if _as_precise(cases, name, other))
                turns[name].append(replace(measured, matrix_rate=rate))
        first = next(iter(files.values()))
        difference = {name: greatest_difference(first, file) for name, file in files.items()}
    return turns, difference


def _as_precise(cases: Mapping[str, Case], one: str, other: str) -> bool:
    return cases[one].precision == cases[other].precision


def greatest_difference(first: Path, second: Path) -> float:
    """Greatest difference of two files' tensors, as a share of the greatest value of each tensor."""
    from safetensors.torch import load_file

    ours, theirs = load_file(first), load_file(second)
    return max(((ours[k] - theirs[k]).abs().max() / theirs[k].abs().max()).item() for k in theirs)


def _ratio(
    name: str,
    values: list[float],
    unit: str,
    limit: str = "",
    reached: bool | None = None,
    physical: str = "",
) -> Figure:
    return Figure(name, median(values), unit, limit, reached, physical, (min(values), max(values)))


def _seconds(name: str, measured: list[Measured], physical: str = "") -> Figure:
    computing = median(one.user_seconds for one in measured)
    figure = _ratio(name, [one.seconds for one in measured], "s", physical=physical)
    return replace(figure, note=f"{computing:.3g} s of all threads computing")


def _least_time(operations: int, measured: list[Measured]) -> str:
    rate = median(one.matrix_rate for one in measured)
    gflop = f"{operations / 1e9:.0f} GFLOP at a matrix product's {rate / 1e9:.0f} a second"
    return f"{operations / rate:.3g} s: {gflop}"


def _faster(name: str, turns: Turns, literal: str, operations: int, limit: float | None = None) -> Figure:
    pairs = list(zip(turns["ours"], turns[literal]))
    faster = [theirs.seconds / ours.seconds for ours, theirs in pairs]
    greatest = median(theirs.seconds * ours.matrix_rate / operations for ours, theirs in pairs)
    physical = f"{greatest:.3g} x, in the least time above"
    if limit is None:
        return _ratio(name, faster, "x", physical=physical)
    return _ratio(name, faster, "x", f"at least {limit:g}", median(faster) >= limit, physical)


def _difference(name: str, value: float, limit: float | None = None) -> Figure:
    unit = "of the greatest value"
    if limit is None:
        return Figure(name, value, unit)
    return Figure(name, value, unit, f"at most {limit:g}", value <= limit)


def _memory(name: str, measured: list[Measured], physical: str = "") -> Figure:
    return _ratio(name, [one.extra_mb for one in measured], "MB", physical=physical)


def _less_memory(name: str, turns: Turns, less: str, more: str, limit: float, least: float) -> Figure:
    """Share of the extra memory; `least` is what is needed at least, in MB."""
    share = [a.extra_mb / b.extra_mb for a, b in zip(turns[less], turns[more])]
    physical = f"{least / median(one.extra_mb for one in turns[more]):.3g}, with the least memory above"
    return _ratio(name, share, "", f"at most {limit:g}", median(share) <= limit, physical)


def _encoder_operations(case: Case) -> int:
    from timo.models.operations import encoder_operations

    return encoder_operations(_input(case), **_options(case))


def _head_operations(case: Case) -> int:
    from timo.models.operations import head_operations

    dims = _options(case)["embed_dims"]
    return head_operations(_input(case), dims, case.head_channels or dims[-1], CLASSES, winograd=True)


def _input(case: Case):
    from timo.models.operations import Input

    return Input(case.bands, case.dates, case.size, case.size, case.batch)


def _options(case: Case) -> dict:
    from timo.models.registry import VARIANTS

    return VARIANTS[case.variant]


def _least_encoder_mb(case: Case) -> float:
    """The greatest of: a stage's tokens, keys and values beside the outputs before; all outputs."""
    needed, outputs = 0.0, 0.0
    for stage in _each_stage_mb(case):
        needed = max(needed, outputs + 3 * stage)
        outputs += stage
    return max(needed, outputs)


def _block_inputs_mb(case: Case) -> float:
    return sum(depth * stage for depth, stage in zip(_options(case)["depths"], _each_stage_mb(case)))


def _each_stage_mb(case: Case) -> list[float]:
    """Memory of one float32 value a token and channel, stage by stage."""
    tokens = case.batch * case.dates * (case.size // 4) ** 2
    return [4 * tokens / 4**stage * dim / MB for stage, dim in enumerate(_options(case)["embed_dims"])]


if __name__ == "__main__":
    main()
