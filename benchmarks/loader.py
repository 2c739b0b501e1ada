# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of a training's time the model works, and how much it waits for its batches, on the demo."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.results_file import Figure, report
from timo.tasks import finetune
from timo.tasks.reporter import Reporter
from timo.tasks.specs import load
from timo.training.device import fabric_for
from timo.training.engine import Schedule, Training
from tools.demo_data import prepare
from tools.demo_labels import DEMO, write_labels

SHARE = 0.9
EPOCHS = 2  # after one that warms up


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        labels = Path(folder) / "labels.gpkg"
        write_labels(DEMO / "polygons.csv", labels, ("train",))
        spec = load(
            "finetune",
            {"series": str(prepare()), "labels": str(labels), "class_field": "class",
             "out": f"{folder}/m", "device": "cpu"},
        )  # fmt: skip
        fabric = fabric_for("cpu")
        material = finetune.read(spec, fabric, Reporter())
        architecture = finetune.architecture_of(spec, material, None)
        training = Training(
            fabric,
            architecture.build(),
            finetune.objective(spec, material),
            material.chips,
            Schedule(99, 1e-3),
        )
        waiting = working = 0.0
        for epoch in range(EPOCHS + 1):
            batches = iter(material.chips.epoch(epoch + 1))
            for _ in range(material.chips.steps):
                started = time.perf_counter()
                batch = next(batches)
                read = time.perf_counter()
                training.learn(batch)
                if epoch:
                    waiting += read - started
                    working += time.perf_counter() - read
    steps = EPOCHS * material.chips.steps
    share = working / (working + waiting)
    report(
        "loader",
        f"a training step of timo_tiny on the demo (batch {spec.batch}, chip {material.split.chip})",
        [
            Figure("the model works, a step", 1000 * working / steps, "ms"),
            Figure("it waits for its batch, a step", 1000 * waiting / steps, "ms"),
            Figure("share of the time that the model works", share, "", f"at least {SHARE}", share >= SHARE),
        ],
    )


if __name__ == "__main__":
    main()
