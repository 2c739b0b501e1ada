# SPDX-License-Identifier: GPL-3.0-or-later
"""The codes of errors are those of the protocol's description; each comes with a sentence and an action."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = [
    *sorted((ROOT / "timo_backend").glob("*.py")),
    ROOT / "timo" / "tasks" / "specs.py",
    ROOT / "timo" / "access.py",
]
MAKERS = re.compile(r"\w*Error|_error|ConnectionFailed")


def errors():
    """The calls in the source that make an error with a code: where, its code, and the other arguments."""
    for file in SOURCES:
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and MAKERS.fullmatch(name_of(call.func)) and call.args:
                code = call.args[0]
                if isinstance(code, ast.Constant) and isinstance(code.value, str) and code.value:
                    words = {word.arg: word.value for word in call.keywords}
                    message, action = [*call.args[1:], words.get("message"), words.get("action")][:2]
                    yield pytest.param(
                        code.value, message, action, id=f"{file.stem}-{code.value}-{call.lineno}"
                    )


def name_of(function):
    return getattr(function, "id", getattr(function, "attr", ""))


def texts(node):
    """What a literal says, once for each of its branches; a part that is put in stands as {}."""
    if isinstance(node, ast.IfExp):
        yield from [*texts(node.body), *texts(node.orelse)]
    elif isinstance(node, ast.JoinedStr):
        yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
    elif isinstance(node, ast.Constant):
        yield node.value


def described():
    """The codes in the tables of the description of errors."""
    page = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    chapter = page.split("### Errors")[1].split("\n## ")[0]
    return re.findall(r"^\| `(\w+)` \| \S.* \|$", chapter, re.MULTILINE)


def test_the_description_has_every_code_and_no_other():
    assert {error.values[0] for error in errors()} == set(described())


@pytest.mark.parametrize(("code", "message", "action"), list(errors()))
def test_an_error_has_a_code_a_sentence_and_what_to_do(code, message, action):
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", code)
    assert message is not None and action is not None, "it lacks a message or an action"
    for text in texts(message):
        assert re.fullmatch(r"(?s)[A-Z{'].*[^.]\.", text), text
    for text in texts(action):
        assert re.fullmatch(r"(?s)[A-Z{'].*\.", text), text
