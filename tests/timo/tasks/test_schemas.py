# SPDX-License-Identifier: GPL-3.0-or-later
"""The plugin's forms are made from the specs as they are; a field of any value is taken or refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from timo.errors import SpecError
from timo.tasks import specs
from timo.tasks.specs import SPECS
from tools import export_schemas


@pytest.mark.parametrize("task", SPECS)
def test_exported_schema_is_that_of_the_spec(task):
    exported = (export_schemas.FOLDER / f"{task}.json").read_text(encoding="utf-8")
    assert exported == export_schemas.text(task), "run `make schemas` and commit the result"


def test_no_schema_is_left_of_a_task_that_is_no_more():
    assert {path.stem for path in Path(export_schemas.FOLDER).glob("*.json")} == set(SPECS)


def complete(task):
    """A spec with all that the task demands."""
    return {name: ["/s"] if name == "series" else "/x" for name in specs.schema(task)["required"]}


FIELDS = [(task, field) for task in SPECS for field in specs.schema(task)["properties"]]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize(("task", "field"), FIELDS)
@given(value=VALUES)
@example([])
@example({})
@example([[]])
@example([None])
@example(10**400)
@example("")
def test_a_field_of_another_type_is_refused_in_a_sentence(task, field, value):
    try:
        specs.load(task, {**complete(task), field: value})
    except SpecError as error:
        assert error.code == "spec_invalid" and error.message.endswith(".") and error.action
