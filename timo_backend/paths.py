# SPDX-License-Identifier: GPL-3.0-or-later
"""Which parameters of a task are paths, and what is asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from timo.errors import SpecError
from timo.tasks import specs
from timo.tasks.extents import read_extent

FORMATS = frozenset(
    {"series", "labels", "bundle", "raster-out", "vector-out", "folder-out", "polygons", "area"}
)
"""The values of ``format`` in a task's schema that say that a field holds a path, or several."""


def demand_absolute(task: str, spec: Mapping[str, Any]) -> None:
    """Refuse a relative path: the server's working folder is not the client's.

    Raises:
        SpecError: Naming the field (``path_relative``).
    """
    for field, properties in specs.schema(task)["properties"].items():
        if properties.get("format") not in FORMATS:
            continue
        values = spec.get(field)
        for value in values if isinstance(values, list) else [values]:
            if properties["format"] == "area" and isinstance(value, str) and read_extent(value):
                continue
            if isinstance(value, str) and not Path(value).is_absolute():
                raise SpecError(
                    "path_relative",
                    f"Parameter '{field}' of task '{task}' is the relative path '{value}'.",
                    "Give an absolute path.",
                )
