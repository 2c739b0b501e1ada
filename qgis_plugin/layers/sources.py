# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a layer's data lies on disk."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Collection, Optional

from qgis.core import QgsMapLayer, QgsProviderRegistry

from ..i18n import tr

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


def gdal_source(layer: QgsMapLayer) -> str:
    """What GDAL opens for a raster layer: its file, or a part of a local netCDF file; empty if neither."""
    path = layer_file(layer)
    if path is not None:
        return str(path)
    part = re.fullmatch(r'NETCDF:"?(?!/vsi)([^"]+?)"?:[^:"]+', layer.source())
    return layer.source() if part and "://" not in part[1] else ""


def is_result(layer: QgsMapLayer) -> bool:
    """Whether a layer shows a job's result, or what was made of one."""
    return not {JOB_PROPERTY, KIND_PROPERTY}.isdisjoint(layer.customPropertyKeys())  # asked of every layer


def why_not_into(folder: Path) -> str:
    """Why a job could make no file in a folder, in a sentence that says what to do; empty if it can."""
    if os.access(folder, os.W_OK | os.X_OK) and folder.is_dir():
        return ""
    if os.access(folder, os.F_OK):
        return tr("The folder {folder} cannot be written to: pick another.", folder=folder)
    return tr("There is no folder {folder}: make it, or pick another.", folder=folder)


def unique_path(
    folder: Path, stem: str, suffix: str = "", taken: Collection[str] = (), beside: Collection[str] = ()
) -> Path:
    """A path in a folder that nothing stands at yet: ``stem``, else ``stem-2`` and so on.

    Args:
        folder: The folder.
        stem: The name that is wanted.
        suffix: Its ending.
        taken: Paths that a job will make, or that one which failed has named.
        beside: Endings of further files of that name, at none of which anything stands either.
    """
    safe = safe_name(stem)
    name, number = safe, 1
    while str(folder / f"{name}{suffix}") in taken or any(
        (folder / f"{name}{ending}").exists() for ending in (suffix, *beside)
    ):
        number += 1
        name = f"{safe}-{number}"
    return folder / f"{name}{suffix}"


def without_number(stem: str) -> str:
    """A name without the number that ``unique_path`` gave it; a year is no such number."""
    return re.sub(r"-\d{1,2}$", "", stem)


def safe_name(text: str) -> str:
    """A name that every platform's file system takes: letters, digits, point, minus and underscore."""
    return re.sub(r"[^\w.-]+", "-", text.strip()).strip("-.") or "unnamed"
