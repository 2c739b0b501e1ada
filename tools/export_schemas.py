# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the JSON Schema of every task's spec to ``resources/schemas/``, for the plugin's forms."""

from __future__ import annotations

import json
from pathlib import Path

from timo.tasks.specs import SPECS, schema

FOLDER = Path(__file__).resolve().parent.parent / "resources" / "schemas"


def text(task: str) -> str:
    """The schema file of one task, as it stands in the repository."""
    return json.dumps(schema(task), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write them all, and take away those of tasks that are no more."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for stale in {path.stem for path in FOLDER.glob("*.json")} - set(SPECS):
        (FOLDER / f"{stale}.json").unlink()
    for task in SPECS:
        (FOLDER / f"{task}.json").write_text(text(task), encoding="utf-8")


if __name__ == "__main__":
    main()
