# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a layer's data lies on disk."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Collection, Optional

from qgis.core import QgsMapLayer, QgsProviderRegistry

JOB_PROPERTY = "timo/job"
"""Custom property of the layers that show a job's results."""
KIND_PROPERTY = "timo/kind"
"""Custom property that says which of a job's results a layer shows: ``map``, ``confidence`` and so on."""


def layer_file(layer: QgsMapLayer) -> Optional[Path]:
    """The file that a layer shows, or None if it shows none: a service, a database, memory."""
    provider = layer.providerType()
    if provider not in ("gdal", "ogr"):
        return None
    parts = QgsProviderRegistry.instance().decodeUri(provider, layer.source())
    text = str(parts.get("path") or "")
    if not text or text.startswith("/vsi") or "://" in text or re.match(r"^[A-Z0-9_]{3,}:", text):
        return None
    return Path(text)


def is_result(layer: QgsMapLayer) -> bool:
    """Whether a layer shows a job's result, or what was made of one."""
    return not {JOB_PROPERTY, KIND_PROPERTY}.isdisjoint(layer.customPropertyKeys())  # asked of every layer


def unique_path(folder: Path, stem: str, suffix: str = "", taken: Collection[str] = ()) -> Path:
    """A path in a folder that nothing stands at yet: ``stem``, else ``stem-2`` and so on.

    Args:
        folder: The folder.
        stem: The name that is wanted.
        suffix: Its ending.
        taken: Paths that a job will make, or that one which failed has named.
    """
    safe = safe_name(stem)
    path, number = folder / f"{safe}{suffix}", 1
    while str(path) in taken or path.exists():
        number += 1
        path = folder / f"{safe}-{number}{suffix}"
    return path


def without_number(stem: str) -> str:
    """A name without the number that ``unique_path`` gave it; a year is no such number."""
    return re.sub(r"-\d{1,2}$", "", stem)


def safe_name(text: str) -> str:
    """A name that every platform's file system takes: letters, digits, point, minus and underscore."""
    return re.sub(r"[^\w.-]+", "-", text.strip()).strip("-.") or "unnamed"
