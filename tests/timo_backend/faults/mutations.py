# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages that are nearly right: golden ones, each changed by chance in one or two places."""

import json
import random
from pathlib import Path

from timo.tasks import specs
from timo_backend.protocol import MAX_BYTES
from timo_backend.server import WIRE_LIMIT

GOLDEN = Path(__file__).parents[2] / "data" / "messages" / "requests"


def submit(task):
    """A message that submits a job with a value in every field."""
    properties = {**specs.schema(task)["properties"], "series": {"default": ["/data/a"]}}
    spec = {name: facts.get("default", "/data/a") for name, facts in properties.items()}
    message = {"v": 1, "id": task, "type": "submit", "body": {"task": task, "spec": spec, "key": task}}
    return json.dumps(message).encode()


REQUESTS = [path.read_bytes() for path in sorted(GOLDEN.iterdir())]
SUBMITS = [submit(task) for task in specs.SPECS]

ODD = [
    None, True, -1, 0, 1.5, 2**53 + 1, -(2**63), 2**64, 10**400, 1e308, -1e999, float("nan"),
    "", "\x00", "/data/a\x00b", "\ud800", "\udfff/x", "é" * 300, "x" * 70_000, "../../../etc/passwd",
    "'; DROP TABLE jobs",
    [], {}, [[]], {"": {}}, [None] * 1000, {"x": "y"}, {str(n): n for n in range(1000)},
]  # fmt: skip
LONG = [
    "/vsicurl/" + "x" * 600_000, "/" + "x" * (MAX_BYTES // 2), "/a" * 200_000, "/\x01" * 80_000,
    "é" * 170_000, ["/" + "x" * 4000] * 64, ["/x"] * 64,
    *("x" * (MAX_BYTES - less) for less in (0, 60, 100, 150, 200, 400)),
]  # fmt: skip


def mutated(seed):
    """The bytes of the mutation with this number."""
    chance = random.Random(seed)
    data = chance.choice(REQUESTS if chance.random() < 0.7 else SUBMITS)
    for _ in range(chance.choice((1, 1, 2))):
        if len(data) < WIRE_LIMIT // 4:  # beyond the limit the server hangs up
            change = chance.choice((cut, flipped, nested, odd, odd, odd, long, without, with_more))
            data = change(chance, data)
    return data


def cut(chance, data):
    return data[: chance.randrange(len(data) + 1)]


def flipped(chance, data):
    """Some bytes are others."""
    changed = bytearray(data or b"\x00")
    for _ in range(chance.randint(1, 8)):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def nested(chance, data):
    """Deep in something, closed again or not."""
    depth = chance.choice((10, 1000, 100_000))
    opening, closing = chance.choice(((b"[", b"]"), (b'{"a":', b"}"), (b'{"body":', b"}")))
    inner = opening * depth + b"1" + (closing * depth if chance.random() < 0.5 else b"")
    place = data.find(b'"body":') + len(b'"body":') if chance.random() < 0.7 else 0
    return data[:place] + inner + data[place:]


def odd(chance, data):
    """Something is of another type, or far out of its range."""
    return changed(chance, data, lambda holder, key: holder.__setitem__(key, chance.choice(ODD)))


def long(chance, data):
    """Something, or the name of a field, is about as long as a message may be, or longer."""

    def add(holder, key):
        text = chance.choice(LONG)
        if isinstance(holder, dict) and isinstance(text, str) and chance.random() < 0.5:
            holder[text] = 1
        else:
            holder[key] = text

    return changed(chance, data, add)


def without(chance, data):
    return changed(chance, data, lambda holder, key: holder.__delitem__(key))


def with_more(chance, data):
    """A field that nobody knows, or one a second time."""

    def add(holder, key):
        if isinstance(holder, dict):
            holder[chance.choice(("colour", "__class__", "v ", "\x00"))] = chance.choice(ODD)
        else:
            holder.append(holder[key])

    text = changed(chance, data, add)
    return text[:-1] + b',"type":"ping"}' if chance.random() < 0.3 else text


def changed(chance, data, change):
    """With a change at one place of the message; as it is where that can't be found any more."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return data
    places = list(places_in(value))
    if places:
        change(*chance.choice(places))
    return json.dumps(value).encode()


def places_in(value):
    """Each ``(holder, key)`` in a JSON value."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from places_in(value[key])
