# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of a report: it appears whole or not at all, and replaces nothing but a report."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from timo.disk import replace_folder, unwritten
from timo.errors import OutputError
from timo.inference.targets import check_folder
from timo.series.rasters import reason

PAGE, FIGURES = "index.html", "report.json"
KIND = "timo-evaluation"
# With what GDAL and QGIS lay beside a raster.
_OURS = re.compile(
    r"index\.html|report\.json|errors(-\d+-\w*)?(_\d{4}-\d\d-\d\d)?\.(tif|qml|tif\.aux\.xml|tif\.ovr)"
)
_UNFINISHED = re.compile(r"\.errors.*\.partial")


def check_report(path: Path, *, overwrite: bool) -> None:
    """Fail early, before hours of work, if a report cannot be written where it shall stand.

    Raises:
        OutputError: Naming the folder, and what is in the way.
    """
    check_folder(path.parent)
    if path.exists():
        if not overwrite:
            raise OutputError(
                "output_exists",
                f"'{path}' exists already.",
                "Pick another name, or allow it to be overwritten.",
            )
        if not path.is_dir():
            raise OutputError(
                "output_is_file", f"'{path}' is a file; a report is a folder.", "Pick another name."
            )
        if any(path.iterdir()):
            _check_ours(path, whole=True)
    if (unfinished := _partial(path)).exists():
        _check_ours(unfinished, whole=False)


@contextmanager
def report_folder(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """A folder to write a report into; left by an exception it goes, else it is put in place.

    Raises:
        OutputError: See ``check_report``; or the disk refuses.
    """
    check_report(path, overwrite=overwrite)
    partial = _partial(path)
    with told(path):
        if partial.exists():  # of a run that was killed
            shutil.rmtree(partial)
        partial.mkdir()
    try:
        yield partial
        with told(path):
            _put_in_place(partial, path, overwrite=overwrite)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Say in a sentence why a report can't be written."""
    try:
        yield
    except OSError as error:
        raise unwritten(f"The report '{path}'", path, error, reason(error)) from error


def _partial(path: Path) -> Path:
    return path.with_name(f"{path.name}.partial")


def _put_in_place(partial: Path, path: Path, *, overwrite: bool) -> None:
    check_report(path, overwrite=overwrite)  # hours may have passed
    replace_folder(partial, path)


def _check_ours(folder: Path, *, whole: bool) -> None:
    others = [
        one.name
        for one in sorted(folder.iterdir())
        if one.is_dir() or not (_OURS.fullmatch(one.name) or (not whole and _UNFINISHED.fullmatch(one.name)))
    ]
    if not others and whole and not _is_report(folder):
        others = ["no report.json of TiMo"]
    if others:
        raise OutputError(
            "output_not_report",
            f"The folder '{folder}' holds other things than a report ({others[0]}) and is left as it is.",
            "Pick another folder, or move them away.",
        )


def _is_report(folder: Path) -> bool:
    try:
        content = json.loads((folder / FIGURES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("kind") == KIND
