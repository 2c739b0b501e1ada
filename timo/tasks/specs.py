# SPDX-License-Identifier: GPL-3.0-or-later
"""The parameters of every task, declared once: in ``training_specs`` and ``mapping_specs``.

The command line, the plugin's forms and the Processing algorithms are all made from these declarations;
the plugin, which has no msgspec, reads their JSON Schema from ``resources/schemas/`` (``make schemas``).

Beside JSON Schema's own keywords a field may carry: ``format`` (``series``, ``labels``, ``bundle``,
``raster-out``, ``vector-out``, ``folder-out``, ``polygons``, ``area``), ``network`` (http addresses may stand
in the place of paths), ``unit``, and ``advanced`` (shown folded away in forms).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from timo.errors import SpecError
from timo.tasks.fields import Spec
from timo.tasks.mapping_specs import EmbedSpec, EvaluateSpec, MappingSpec, PredictSpec
from timo.tasks.presets import PRESETS
from timo.tasks.training_specs import FinetuneSpec, PretrainSpec
from timo.tasks.validation import sentence

__all__ = [
    "SPECS",
    "EmbedSpec",
    "EvaluateSpec",
    "FinetuneSpec",
    "MappingSpec",
    "PredictSpec",
    "PretrainSpec",
    "Spec",
    "load",
    "schema",
    "to_dict",
]

SPECS: dict[str, type[Spec]] = {
    "finetune": FinetuneSpec,
    "pretrain": PretrainSpec,
    "predict": PredictSpec,
    "embed": EmbedSpec,
    "evaluate": EvaluateSpec,
}


def load(task: str, parameters: Mapping[str, Any]) -> Spec:
    """The task's spec, complete and validated.

    Args:
        task: A key of ``SPECS``.
        parameters: Field values; what has a default may be left out, or comes from the ``preset``. ``series``
            may be one string.

    Raises:
        SpecError: Naming the field, or the task if there is none of that name.
    """
    if task not in SPECS:
        raise SpecError("unknown_task", f"There is no task '{task}'.", f"Take one of: {', '.join(SPECS)}.")
    values = dict(parameters)
    preset = values.get("preset")
    if task == "finetune" and isinstance(preset, str) and preset in PRESETS:
        values = {**PRESETS[preset].settings, **values}
    if isinstance(values.get("series"), str):
        values["series"] = [values["series"]]
    try:
        return msgspec.convert(values, SPECS[task])
    except msgspec.ValidationError as error:
        raise SpecError("spec_invalid", sentence(task, str(error)), "Correct it and try again.") from error


def to_dict(spec: Spec) -> dict[str, Any]:
    """The spec as JSON values, as it stands in a bundle and on the wire."""
    values: dict[str, Any] = msgspec.to_builtins(spec)
    return values


def schema(task: str) -> dict[str, Any]:
    """The task's JSON Schema (2020-12): one object, its fields in the order of a form."""
    components = msgspec.json.schema(SPECS[task])
    root: dict[str, Any] = components["$defs"][SPECS[task].__name__]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **root}
