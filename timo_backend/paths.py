# SPDX-License-Identifier: GPL-3.0-or-later
"""Which parameters of a task are paths, and what is asked of them: by the server, and again by the worker."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from timo.access import Access, is_plain
from timo.errors import AccessError, SpecError
from timo.tasks import specs
from timo.tasks.extents import read_extent

FORMATS = frozenset(
    {"series", "labels", "bundle", "raster-out", "vector-out", "folder-out", "polygons", "area"}
)
"""The values of ``format`` in a task's schema that say that a field holds a path, or several."""

LAYERED = frozenset({"labels", "polygons", "area"})
"""Those whose path may have ``|layername=NAME`` behind it."""

_ADDRESS = re.compile(r"https?://", re.IGNORECASE)
# Files that may list addresses: what such a series reads is known when the worker has opened it.
_LISTS = (".csv", ".json")


def demand(task: str, spec: Mapping[str, Any], allowed: Access) -> None:
    """Refuse relative paths, for the server's working folder is not the client's, and those not allowed.

    Raises:
        SpecError: Naming the field (``path_relative``).
        AccessError: Naming the field and the path (``path_denied``).
    """
    if allowed.roots is not None and spec.get("ray") not in (None, "local"):
        raise AccessError(
            "path_denied",
            f"Parameter 'ray' of task '{task}', '{spec['ray']}', is of computers whose files no root limits.",
            "Leave it out, or let the backend's client name no folders.",
        )
    for field, properties, value in _values(task, spec):
        if properties.get("network") and _ADDRESS.match(value):
            continue
        path = value.partition("|")[0] if properties["format"] in LAYERED else value
        what = f"Parameter '{field}' of task '{task}', '{value}',"
        if is_plain(path) and not Path(path).is_absolute():
            raise SpecError(
                "path_relative",
                f"Parameter '{field}' of task '{task}' is the relative path '{value}'.",
                "Give an absolute path.",
            )
        allowed.demand(_before_wildcards(path) if properties["format"] == "series" else path, what)


def may_use_network(task: str, spec: Mapping[str, Any]) -> bool:
    """Whether a parameter for which the network is meant names an address, or a file that may list some."""
    return any(
        _ADDRESS.match(value) or value.lower().endswith(_LISTS)
        for _, properties, value in _values(task, spec)
        if properties.get("network")
    )


def _values(task: str, spec: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    """Each path of a spec, with its field and what the schema says of it."""
    for field, properties in specs.schema(task)["properties"].items():
        if properties.get("format") not in FORMATS:
            continue
        values = spec.get(field)
        for value in values if isinstance(values, list) else [values]:
            is_extent = properties["format"] == "area" and isinstance(value, str) and read_extent(value)
            if isinstance(value, str) and not is_extent:
                yield field, properties, value


def _before_wildcards(path: str) -> str:
    """The folder that a pattern begins with; a path without one, as it is."""
    if not is_plain(path) or not glob.has_magic(path) or os.path.lexists(path):
        return path
    parts = Path(path).parts
    fixed = next(number for number, part in enumerate(parts) if glob.has_magic(part))
    return str(Path(*parts[:fixed]))
