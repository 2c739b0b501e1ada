# SPDX-License-Identifier: GPL-3.0-or-later
"""The tasks' parameters as the build exported them: what a form needs to know of a JSON Schema. No Qt."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, List, Mapping, Optional, Tuple

FOLDER = Path(__file__).resolve().parent / "resources" / "schemas"


@dataclass(frozen=True)
class Parameter:
    """One field of a task's spec.

    Attributes:
        kind: ``choice``, ``integer``, ``number``, ``boolean``, ``text`` or ``list``.
        optional: Whether it may be null, which means that the task decides.
        format: What the text names (``series``, ``labels``, ``bundle`` ...); empty if it is a plain value.
    """

    name: str
    title: str
    help: str
    kind: str
    default: Any = None
    optional: bool = False
    choices: Tuple[str, ...] = ()
    minimum: Optional[float] = None
    maximum: Optional[float] = None
    step: float = 1
    unit: str = ""
    format: str = ""
    advanced: bool = False


@cache
def parameters(task: str) -> Tuple[Parameter, ...]:
    """The fields of a task, in the order of a form."""
    schema = json.loads((FOLDER / f"{task}.json").read_text(encoding="utf-8"))
    return tuple(_parameter(name, entry) for name, entry in schema["properties"].items())


def _parameter(name: str, entry: Mapping[str, Any]) -> Parameter:
    types = [one for one in entry.get("anyOf", [entry]) if one.get("type") != "null"]
    facts = {**types[0], **entry}
    above = facts.get("exclusiveMinimum")
    return Parameter(
        name=name,
        title=str(facts.get("title", name)),
        help=str(facts.get("description", "")),
        kind=_kind(facts),
        default=facts.get("default"),
        optional=len(types) < len(entry.get("anyOf", [entry])),
        choices=tuple(str(choice) for choice in facts.get("enum", ())),
        minimum=facts.get("minimum", above),
        maximum=facts.get("maximum"),
        step=facts.get("multipleOf", 1),
        unit=str(facts.get("unit", "")),
        format=str(facts.get("format", "")),
        advanced=bool(facts.get("advanced", False)),
    )


def _kind(facts: Mapping[str, Any]) -> str:
    if "enum" in facts:
        return "choice"
    return {"integer": "integer", "number": "number", "boolean": "boolean", "array": "list"}.get(
        facts.get("type", ""), "text"
    )


def select(task: str, without: List[str]) -> Tuple[Parameter, ...]:
    """The fields that a generated form shows: all but those a page asks for in its own way."""
    return tuple(p for p in parameters(task) if p.name not in without and p.kind != "list" and not p.format)
