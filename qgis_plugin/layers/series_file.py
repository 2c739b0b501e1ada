# SPDX-License-Identifier: GPL-3.0-or-later
"""The file of a series that jobs read: a CSV of its rasters, or a search of a catalogue."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path
from typing import Dict, List, Sequence

from .frames import Row, ticked
from .raster_facts import UNUSED
from .series_store import Series
from .sources import safe_name


def write_series(rows: Sequence[Row], series: Series, folder: Path, name: str) -> Path:
    """Write what jobs read: a CSV of the ticked rows, or the search without the scenes of other days.

    The file's name holds a digest of its content: a job that waits keeps the series it was given.

    Raises:
        OSError: It cannot be written.
    """
    if series.search:
        skipped = [scene for row in rows if not row.ticked for scene in row.scenes]
        data = json.dumps({**series.search, "skip": skipped}, indent=2).encode("utf-8")
        return _write(data, folder, name, ".json")
    return _write(_csv(ticked(rows)).encode("utf-8"), folder, name, ".csv")


def _write(data: bytes, folder: Path, name: str, suffix: str) -> Path:
    path = folder / f"{safe_name(name)}-{hashlib.sha256(data).hexdigest()[:8]}{suffix}"
    path.write_bytes(data)
    return path


def _csv(rows: Sequence[Row]) -> str:
    """Lines of path and date, and what is known better than the file tells, where anything is."""
    lines = [line for row in rows if row.path is not None and row.date is not None for line in _lines(row)]
    columns = ["path", "date"]
    columns += [
        name for name in ("band", "name", "sensor", "nodata", "crs") if any(line[name] for line in lines)
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def _lines(row: Row) -> List[Dict[str, str]]:
    """One line of the raster, or one for each band where the analyst said what they are."""
    line = {
        "path": str(row.path.absolute()) if row.path else "",
        "date": row.date.isoformat() if row.date else "",
        "band": "",
        "name": "",
        "sensor": row.told_sensor,
        "nodata": "" if row.nodata is None else f"{row.nodata:.17g}",
        "crs": row.told_crs,
    }
    if not row.mapped:
        return [line]
    return [
        {**line, "band": str(place), "name": role or name or f"band_{place}"}
        for place, (name, role) in enumerate(zip(row.bands, row.roles), 1)
        if role != UNUSED
    ]
