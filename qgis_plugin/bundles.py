# SPDX-License-Identifier: GPL-3.0-or-later
"""Model bundles come and go as a zip; a stranger's is looked at before it is unpacked. No widgets."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
import uuid
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import List, Tuple

from .i18n import tr
from .layers.sources import safe_name, unique_path
from .models import CARD, LARGEST, Model, read_model

WEIGHTS = "weights.safetensors"
# What a bundle is made of: nothing that runs.
ENDINGS = frozenset(
    {".json", ".safetensors", ".html", ".gpkg", ".tif", ".csv", ".png", ".svg", ".md", ".txt"}
)
# A browser's pages and drawings may hold scripts: a stranger's stay in the zip, the card has the figures.
LEFT_OUT = frozenset({".html", ".svg"})
MOST_FILES = 500
MOST_BYTES = 16 * 1024**3
MOST_RATIO = 200
"""Unpacked over packed: reports reach 20; more is a trap."""
STEP = 1024 * 1024


class BundleTrouble(Exception):  # noqa: N818  a sentence for the analyst
    """The bundle cannot be taken, given or changed; the text is the sentence to show."""


def import_zip(archive: Path, models: Path) -> Path:
    """Unpack a model's zip, all but its pages, into a folder of its own. Takes its time: call it in a thread.

    Args:
        archive: What ``export_zip`` made, here or elsewhere.
        models: The folder of models.

    Returns:
        The model's folder, under a free name.

    Raises:
        BundleTrouble: It is no model, or not safe to unpack; nothing was left.
    """
    part = models / f".{uuid.uuid4().hex}.part"
    try:
        with zipfile.ZipFile(archive) as packed:
            members = _members(archive, packed)
            _check_room(archive, models, sum(info.file_size for info, _ in members))
            part.mkdir(parents=True)
            for info, name in members:
                _unpack(archive, packed, info, part / name)
        model = read_model(part)
        if model.problem:
            raise BundleTrouble(
                tr(
                    "{name} holds no model that this version can use: {why}",
                    name=archive.name,
                    why=model.problem,
                )
            )
        _check_weights(archive, part)
        target = unique_path(models, safe_name(model.name) or archive.stem)
        part.rename(target)
        return target
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise BundleTrouble(
            tr("{name} is no zip of a model, or is damaged: {why}.", name=archive.name, why=error)
        ) from error
    except OSError as error:
        raise BundleTrouble(
            tr("{name} cannot be unpacked: {why}.", name=archive.name, why=error.strerror or error)
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def export_zip(model: Model, target: Path) -> None:
    """Pack a model into one file. Takes its time: call it in another thread.

    Args:
        model: The model.
        target: The zip; one that stands there is replaced when the new one is whole.

    Raises:
        BundleTrouble: It cannot be read or written; nothing half was left.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as packed:
            for path in sorted(model.folder.rglob("*")):
                if path.is_file() and path.suffix.lower() in ENDINGS:
                    # Weights don't get smaller, and take minutes to try.
                    kind = zipfile.ZIP_STORED if path.suffix == ".safetensors" else zipfile.ZIP_DEFLATED
                    packed.write(path, path.relative_to(model.folder).as_posix(), compress_type=kind)
        os.replace(part, target)  # noqa: PTH105  a Path's own does the same
    except OSError as error:
        raise BundleTrouble(
            tr("Model '{name}' cannot be written to {path}: {why}.", name=model.name, path=target,
               why=error.strerror or error)
        ) from error  # fmt: skip
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def rename(model: Model, name: str) -> Path:
    """Give a model another name, and its folder the like.

    Returns:
        The folder, which may be another than before.

    Raises:
        BundleTrouble: The name is taken, or the files cannot be written.
    """
    folder = model.folder
    target = folder.with_name(safe_name(name))
    if target != folder and target.exists():
        raise BundleTrouble(tr("There is a model '{name}' already: give this one another name.", name=name))
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        card["name"] = name
        part = folder / f"{CARD}.part"
        part.write_text(json.dumps(card, indent=2, ensure_ascii=False), encoding="utf-8")
        part.replace(folder / CARD)
        if target != folder:
            folder.rename(target)
    except (OSError, ValueError) as error:
        raise BundleTrouble(
            tr("Model '{name}' cannot be renamed: {why}.", name=model.name, why=error)
        ) from error
    return target


def _members(archive: Path, packed: zipfile.ZipFile) -> List[Tuple[zipfile.ZipInfo, str]]:
    """The files to unpack, and where to below the model's folder.

    Raises:
        BundleTrouble: One of them would lie elsewhere, is a link, of no kind that a model has, or too large.
    """
    files = [info for info in packed.infolist() if not info.is_dir()]
    cards = [info.filename for info in files if PurePosixPath(info.filename).name == CARD]
    if not cards:
        raise BundleTrouble(tr("{name} holds no model: it has no {card}.", name=archive.name, card=CARD))
    # Other programs pack the folder itself: what stands above the card is left out.
    top = PurePosixPath(min(cards, key=len)).parent
    found = []
    for info in files:
        path = PurePosixPath(info.filename)
        odd = path.is_absolute() or ".." in path.parts or "\\" in info.filename or ":" in info.filename
        if odd or stat.S_ISLNK(info.external_attr >> 16):
            raise BundleTrouble(
                tr("{name} would write outside of the model's folder ({file}): it was not unpacked.",
                   name=archive.name, file=info.filename)
            )  # fmt: skip
        if path.name.startswith(".") or "__MACOSX" in path.parts:
            continue
        if path.suffix.lower() not in ENDINGS or top not in [path.parent, *path.parents]:
            raise BundleTrouble(
                tr("{name} holds {file}, which is no part of a model: it was not unpacked.",
                   name=archive.name, file=info.filename)
            )  # fmt: skip
        if path.suffix.lower() not in LEFT_OUT:
            found.append((info, path.relative_to(top).as_posix()))
    whole, packed_size = sum(i.file_size for i, _ in found), sum(i.compress_size for i, _ in found)
    if len(found) > MOST_FILES or whole > MOST_BYTES or whole > MOST_RATIO * max(packed_size, 1):
        raise BundleTrouble(tr("{name} is too large to be a model: it was not unpacked.", name=archive.name))
    return found


def _check_room(archive: Path, models: Path, size: int) -> None:
    models.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(models).free
    if size > free:
        raise BundleTrouble(
            tr("{name} needs {size} MB, and the disk has {free} MB free: make room.",
               name=archive.name, size=size // STEP, free=free // STEP)
        )  # fmt: skip


def _unpack(archive: Path, packed: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    """Write one file, and no more of it than its entry says: an entry can lie."""
    target.parent.mkdir(parents=True, exist_ok=True)
    left = min(info.file_size, LARGEST) if target.name == CARD else info.file_size
    with packed.open(info) as source, target.open("xb") as out:
        while data := source.read(STEP):
            left -= len(data)
            if left < 0:
                raise BundleTrouble(
                    tr("{name} is too large to be a model: it was not unpacked.", name=archive.name)
                )
            out.write(data)


def _check_weights(archive: Path, folder: Path) -> None:
    wanted = json.loads((folder / CARD).read_text(encoding="utf-8")).get("weights_sha256", "")
    found = hashlib.sha256()
    with (folder / WEIGHTS).open("rb") as source:
        while data := source.read(STEP):
            found.update(data)
    if found.hexdigest() != wanted:
        raise BundleTrouble(
            tr("{name} is damaged: its weights are not those that its {card} describes.",
               name=archive.name, card=CARD)
        )  # fmt: skip
