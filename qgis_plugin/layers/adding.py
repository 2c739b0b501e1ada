# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the dated rasters of a folder, for the project to be given them as layers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable, List

from .._client.dates import date_from_name
from .file_dates import tells_date

SUFFIXES = (".tif", ".tiff", ".vrt", ".jp2", ".img", ".nc")
MOST = 2000
"""Rasters of a folder; more is a mistake in the folder."""


def dated_rasters(folder: Path, wanted: Callable[[], bool] = lambda: True) -> List[Path]:
    """Rasters below a folder that tell dates by their names, their folders' or their metadata.

    Args:
        folder: The folder.
        wanted: Whether somebody still waits.

    Returns:
        At most one over ``MOST``; no more than that are looked into for what the names don't tell.
    """
    found: List[Path] = []
    looked = 0
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(place) / name
            if path.suffix.lower() not in SUFFIXES:
                continue
            if date_from_name(name) or date_from_name(path.parent.name):
                found.append(path)
            elif looked < MOST and wanted():
                looked += 1
                found += [path] if tells_date(str(path)) else []
        if len(found) > MOST:
            return found[: MOST + 1]
    return found
