# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands on the wire: golden messages, their reading and writing, and what is refused."""

import json
import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timo_backend import messages, protocol
from timo_backend.errors import ProtocolError
from timo_backend.protocol import Event, Message

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "data" / "messages"


def golden(folder):
    return [pytest.param(path, id=path.stem) for path in sorted((GOLDEN / folder).glob("*.json"))]


@pytest.mark.parametrize("path", [*golden("requests"), *golden("answers")])
def test_a_golden_message_is_read_and_written_as_it_is(path):
    message = protocol.decode(path.read_bytes())
    assert json.loads(protocol.encode(message)) == json.loads(path.read_bytes())


@pytest.mark.parametrize("path", golden("requests"))
def test_the_server_accepts_a_golden_request(path):
    message = protocol.decode(path.read_bytes())
    ident, request = messages.read(path.read_bytes())
    assert ident == message.id
    assert type(request) is messages.REQUESTS[message.type]


def test_there_is_a_golden_message_of_every_request():
    assert {protocol.decode(path.read_bytes()).type for path in (GOLDEN / "requests").iterdir()} == set(
        messages.REQUESTS
    )


@pytest.mark.parametrize("path", golden("refused"))
def test_the_server_refuses_a_golden_mistake(path):
    mistake = json.loads(path.read_bytes())
    with pytest.raises(messages.BadRequestError) as caught:
        messages.read(mistake["data"].encode())
    assert (caught.value.code, caught.value.id) == (mistake["code"], mistake["id"])
    assert caught.value.message.endswith(".") and caught.value.action


@pytest.mark.parametrize(
    "data",
    [
        b'{"v":1,"id":"a","type":"submit","body":{"task":"predict","key":"k","spec":{"x":' + b"[" * 200_000,
        b"[" * 500_000,
        b'{"v":' * 100_000,
    ],
)
def test_deep_nesting_is_refused(data):
    with pytest.raises(messages.BadRequestError) as caught:
        messages.read(data)
    assert caught.value.code == "message_invalid"


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(messages.BadRequestError):
        messages.read(b'{"v":1,"id":"\xff\xfe","type":"ping","body":{}}')


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_a_typed_error(data):
    for read in (messages.read, protocol.decode):
        try:
            read(data)
        except ProtocolError as error:
            assert error.code in ("message_invalid", "message_too_large", "protocol_unsupported")


def test_the_limit_holds_on_both_sides():
    with pytest.raises(ProtocolError, match="limit"):
        protocol.encode(Message("submit", {"spec": "x" * protocol.MAX_BYTES}))
    for read in (messages.read, protocol.decode):
        with pytest.raises(ProtocolError, match="limit"):
            read(b" " * (protocol.MAX_BYTES + 1))


def test_numbers_that_are_not_finite_travel_as_null():
    body = {"a": math.nan, "b": [math.inf, 1.5], "c": {"d": -math.inf}}
    assert protocol.decode(protocol.encode(Message("x", body))).body == {
        "a": None,
        "b": [None, 1.5],
        "c": {"d": None},
    }
    assert protocol.loads("[NaN, Infinity, 1e999, 2]") == [None, None, None, 2]


def test_what_json_cannot_hold_is_refused():
    with pytest.raises(ProtocolError, match="cannot be written"):
        protocol.encode(Message("submit", {"spec": {"path": Path("/x")}}))


def test_an_event_says_whether_it_ends_its_job():
    assert Event("j", 9, "state", 0.0, {"state": "failed"}).final
    assert not Event("j", 9, "state", 0.0, {"state": "interrupted"}).final
    assert not Event("j", 9, "log", 0.0, {"message": "failed"}).final


def test_every_message_in_the_protocol_s_description_is_valid():
    blocks = re.findall(
        r"```json\n(.*?)```", (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8"), re.DOTALL
    )
    texts = [line for block in blocks for line in block.splitlines() if line.startswith("{")]
    seen = set()
    for text in texts:
        message = protocol.decode(text.encode())
        seen.add(message.type)
        if message.type not in ("reply", "error", "events"):
            messages.read(text.encode())
    assert seen == {*messages.REQUESTS, "reply", "error", "events"}


@given(st.text(), st.dictionaries(st.text(max_size=5), st.recursive(st.text() | st.floats(), st.lists)))
def test_an_error_always_fits_into_a_message(text, detail):
    for most in (len(text), protocol.MAX_BYTES):
        long = (text * (most // max(len(text), 1) + 1))[:most]
        facts = {**detail, "text": long, "texts": [long], "path": Path("/x"), "odd": "\udc80"}
        error = ProtocolError("x", long, long, detail=facts)
        said = protocol.shortened(error.to_dict())
        answer = protocol.decode(protocol.encode(Message("error", said)))
        assert len(answer.body["message"]) < 2100
        assert set(answer.body["detail"]) <= set(facts)


def test_a_short_error_is_told_as_it_is():
    error = ProtocolError("x", "A sentence.", "Do it.", detail={"jobs": ["a"], "n": 1, "none": None})
    assert protocol.shortened(error.to_dict()) == error.to_dict()


def test_a_fact_that_has_no_room_takes_none_from_the_others():
    error = ProtocolError("x", "A sentence.", detail={"jobs": ["x" * protocol.MAX_BYTES], "path": "/data"})
    assert protocol.shortened(error.to_dict())["detail"] == {"path": "/data"}


def test_the_end_of_a_long_fact_is_told():
    error = ProtocolError("x", "A sentence.", detail={"traceback": "x" * 100_000 + "ZeroDivisionError"})
    assert protocol.shortened(error.to_dict())["detail"]["traceback"].endswith("xZeroDivisionError")
