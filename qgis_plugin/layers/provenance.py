# SPDX-License-Identifier: GPL-3.0-or-later
"""How a result was made, as its file tells it: for people, a layer's metadata, and a job that repeats it."""

from __future__ import annotations

import datetime as dt
import html
import json
from pathlib import Path
from typing import Any, Collection, Dict, List, Mapping, Tuple

from qgis.core import QgsLayerMetadata

from ..i18n import tr
from .result_files import CONFIDENCE, MAP, PROBABILITIES, Result
from .sources import unique_path, why_not_into, without_number

BESIDE = ("confidence", "probabilities", "polygons", "per_date")


def spec_of(tags: Mapping[str, str]) -> Dict[str, Any]:
    """The parameters of the job, as the file tells them; empty where it does not."""
    try:
        spec = json.loads(tags.get("TIMO_SPEC", ""))
    except ValueError:
        return {}
    return spec if isinstance(spec, dict) else {}


def facts(tags: Mapping[str, str], job: str = "") -> List[Tuple[str, str]]:
    """What is told of a result to people: titles and texts, in their order."""
    found = [
        (tr("Model"), tags.get("TIMO_MODEL", "")),
        (tr("Checksum of the model"), tags.get("TIMO_MODEL_SHA256", "")),
        (tr("Date of the map"), tags.get("TIMO_DATE", "")),
        (tr("Dates"), tags.get("TIMO_DATES", "")),
        (tr("Sources"), tags.get("TIMO_SOURCES", "")),
        (tr("Before"), tags.get("TIMO_BEFORE", "")),
        (tr("After"), tags.get("TIMO_AFTER", "")),
        (tr("Made by"), tags.get("TIFFTAG_SOFTWARE", "")),
        (tr("Versions"), tags.get("TIMO_VERSIONS", "")),
        (tr("Job"), job),
    ]
    return [(title, text) for title, text in found if text]


def metadata(tags: Mapping[str, str], title: str, job: str) -> QgsLayerMetadata:
    """For the Metadata page of a layer's properties, which reads HTML: all names are escaped."""
    made = QgsLayerMetadata()
    made.setTitle(title)
    made.setType("dataset")
    made.setAbstract("\n".join(f"{name}: {html.escape(text)}" for name, text in facts(tags, job)))
    now = dt.datetime.now().astimezone().isoformat(timespec="seconds")
    made.setHistory(
        [
            f"{now} {tr('added by TiMo for QGIS, job {job}', job=html.escape(job))}",
            *([f"{tr('Parameters')}: {html.escape(tags['TIMO_SPEC'])}"] if tags.get("TIMO_SPEC") else []),
        ]
    )
    return made


def again(spec: Mapping[str, Any], taken: Collection[str] = ()) -> Tuple[Dict[str, Any], str]:
    """The same job with names that are free, its other outputs named like the map.

    Args:
        spec: As the file tells it.
        taken: Paths of maps that other jobs are going to make.

    Returns:
        The parameters, and why the job cannot be repeated, which is empty if it can. Looks at files.
    """
    if not spec.get("out") or not spec.get("model") or not spec.get("series"):
        return {}, tr("The file does not say how it was made: make the map anew on the Predict page.")
    series = spec["series"] if isinstance(spec["series"], list) else [spec["series"]]
    for text in [str(spec["model"]), *map(str, series), *_area_file(spec)]:
        if "://" in text or any(sign in text for sign in "*?["):
            continue
        path = Path(text)
        if not path.is_absolute():
            return {}, tr(
                "The map was made on the command line from '{path}', and its folder is not known: "
                "run it there again.",
                path=text,
            )
        if not path.exists():
            return {}, tr("{path} is not there any more: put it back, or make the map anew.", path=path)
    before = Path(str(spec["out"]))
    if why_not_into(before.parent):
        return {}, tr(
            "The map's folder {folder} is gone or cannot be written to: "
            "make the map anew on the Predict page.",
            folder=before.parent,
        )
    stem = without_number(before.stem)
    out = unique_path(before.parent, stem, before.suffix, taken)
    made = {name: value for name, value in spec.items() if name not in ("overwrite", "dry_run", "shard")}
    made["out"] = str(out)
    for name in BESIDE:
        if spec.get(name):
            own = Path(str(spec[name]))
            ending = own.name[len(before.stem) :] if own.name.startswith(before.stem) else f"-{own.name}"
            free = unique_path(own.parent, f"{out.stem}{ending[: len(ending) - len(own.suffix)]}", own.suffix)
            made[name] = str(free)
    return made, ""


def _area_file(spec: Mapping[str, Any]) -> List[str]:
    """The file of the area, without the layer in it; none where it is an extent, or all of the series."""
    text = str(spec.get("aoi") or "").partition("|")[0]
    try:
        extent = len(list(map(float, text.split(",")))) == 4
    except ValueError:
        extent = False
    return [] if extent or not text else [text]


def relatives(result: Result) -> Dict[str, Path]:
    """The job's rasters that are still there, by kind; also if their folder was moved. Looks at files."""
    spec, found = spec_of(result.tags), {}
    for kind, name in ((MAP, "out"), (CONFIDENCE, "confidence"), (PROBABILITIES, "probabilities")):
        if not spec.get(name):
            continue
        told = Path(str(spec[name]))
        for path in (told, result.path.with_name(told.name), result.path.parent.parent / told.name):
            if path.is_file():
                found[kind] = path
                break
    return {**found, result.kind: result.path}
