# SPDX-License-Identifier: GPL-3.0-or-later
"""What a worker writes is read strictly: nothing else gets into a job's history."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timo_backend import lines

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
KINDS = [*lines.EVENTS, *lines.OTHERS]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("progress", {"fraction": 0.5, "message": "Mapping", "eta_s": None}),
        ("metric", {"name": "loss", "value": None, "step": 3}),
        ("log", {"level": "info", "message": "Going on"}),
        ("artifact", {"path": "/map.tif", "kind": "map", "size": 5, "sha256": "ab"}),
        ("ready", {}),
        ("done", {"out": "/map.tif", "classes": [{"value": 1}]}),
        (
            "error",
            {"code": "x", "message": "It fails.", "action": "Mend it.", "retryable": True, "detail": {}},
        ),
    ],
)
def test_a_line_as_the_worker_writes_it_is_taken_as_it_is(kind, body):
    found = lines.read(json.dumps({"kind": kind, "body": body}).encode())
    assert (found[0], msgspec.to_builtins(found[1])) == (kind, body)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"a library that prints",
        b"[]",
        b'{"kind":"progress"}',
        b'{"kind":"cancel","body":{}}',
        b'{"kind":"progress","body":{"fraction":null,"message":""}}',
        b'{"kind":"progress","body":{"fraction":NaN,"message":""}}',
        b'{"kind":"progress","body":{"fraction":1.5,"message":""}}',
        b'{"kind":"metric","body":{"name":"loss","value":"much","step":1}}',
        b'{"kind":"error","body":{"code":"x","message":"y","detail":null}}',
        b'{"kind":"done","body":[]}',
        b'{"kind":"done","body":' + b'{"x":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
        b'{"kind":"log","body":{"level":"info","message":"\\ud800"}}',
        b'{"kind":"log","body":{"level":"info","message":"\xff"}}',
    ],
)
def test_another_line_is_no_line(line):
    assert lines.read(line) is None


@given(st.sampled_from(KINDS), json_values)
def test_whatever_is_taken_has_the_fields_of_its_kind(kind, body):
    found = lines.read(json.dumps({"kind": kind, "body": body}).encode())
    if found is not None:
        assert found[0] == kind
        assert isinstance(found[1], lines.EVENTS.get(kind, (dict, lines.Failure)))


@given(st.binary())
def test_no_bytes_break_the_reading(data):
    assert lines.read(data) is None or data
