# SPDX-License-Identifier: GPL-3.0-or-later
"""What msgspec says of a wrong parameter, in words that need no Python."""

from __future__ import annotations

import re

_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "names and values",
    "null": "nothing",
}
_WORDS = {
    r" of length >= 1$": " that isn't empty",
    r" >= ": " of at least ",
    r" <= ": " of at most ",
    r" > 0\.0$": " above 0",
    r"^Invalid enum value ": "There is no ",
}
_FIELD = re.compile(r"Object (?P<what>contains unknown|missing required) field `(?P<field>.+)`")


def sentence(task: str, complaint: str) -> str:
    """A sentence that names the parameter.

    Args:
        task: Whose parameter it is.
        complaint: msgspec's, such as "Expected `int` >= 1 - at `$.batch`".
    """
    reason, _, where = complaint.partition(" - at ")
    parameter = where.strip("`").removeprefix("$.").split("[")[0].removeprefix("$")
    field = _FIELD.fullmatch(reason)
    if field and field["what"] == "contains unknown":
        return f"Task '{task}' has no parameter '{field['field']}'."
    if field:
        return f"Task '{task}' lacks its parameter '{field['field']}'."
    told = re.sub(r"`([a-z |]+)`", _kinds, reason)
    for pattern, words in _WORDS.items():
        told = re.sub(pattern, words, told)
    told = told[:1].lower() + told[1:]
    named = f"Parameter '{parameter}' of task '{task}' is not valid" if parameter else f"Task '{task}'"
    return f"{named}: {told}."


def _kinds(match: re.Match[str]) -> str:
    return " or ".join(_KINDS.get(kind, kind) for kind in match[1].split(" | "))
