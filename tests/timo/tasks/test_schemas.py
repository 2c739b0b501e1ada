# SPDX-License-Identifier: GPL-3.0-or-later
"""The plugin's forms are made from the specs as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from timo.tasks.specs import SPECS
from tools import export_schemas


@pytest.mark.parametrize("task", SPECS)
def test_exported_schema_is_that_of_the_spec(task):
    exported = (export_schemas.FOLDER / f"{task}.json").read_text(encoding="utf-8")
    assert exported == export_schemas.text(task), "run `make schemas` and commit the result"


def test_no_schema_is_left_of_a_task_that_is_no_more():
    assert {path.stem for path in Path(export_schemas.FOLDER).glob("*.json")} == set(SPECS)
