# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds ``dist/timo_qgis-VERSION.zip``, as QGIS installs it: the same sources give the same bytes."""

from __future__ import annotations

import argparse
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))  # also where this file is loaded by its path

import translations  # noqa: E402
from build_wheel import build_wheel  # noqa: E402

PACKAGE = "timo_qgis"
# What the plugin shares with the other two programs: standard library and pyzmq alone, in Python 3.9 syntax.
SHARED = (
    "timo_backend/core.py",
    "timo_backend/other_release.py",
    "timo_backend/protocol.py",
    "timo_backend/errors.py",
    "timo/series/dates.py",
    "timo/series/metadata.py",
    "timo/series/steps.py",
    "timo/series/band_names.py",
    "timo/series/mask_names.py",
    "timo/series/masks.py",  # needs numpy, which QGIS has: loaded when clouds are counted
    "timo/tasks/presets.py",
)
SHARED_INIT = (
    "# SPDX-License-Identifier: GPL-3.0-or-later\n"
    '"""Copies made by the build of what the plugin shares with the backend and the library."""\n'
)
RESOURCES = ("icons", "styles", "schemas", "locks")
EPOCH = (1980, 1, 1, 0, 0, 0)  # zip knows no earlier time


def version(root: Path = ROOT) -> str:
    """The version that ``metadata.txt`` gives."""
    found = re.search(
        r"^version=([0-9.]+)$", (root / "metadata.txt").read_text(encoding="utf-8"), re.MULTILINE
    )
    if not found:
        raise SystemExit("metadata.txt has no line 'version=X.Y.Z'.")
    return found[1]


def contents(root: Path = ROOT) -> Iterator[tuple[str, bytes]]:
    """Names inside the zip and their bytes."""
    for name in ("metadata.txt", "LICENSE"):
        yield name, (root / name).read_bytes()
    for path in sorted((root / "qgis_plugin").rglob("*")):
        if path.is_file() and path.suffix in {".py", ".ui"}:
            yield path.relative_to(root / "qgis_plugin").as_posix(), path.read_bytes()
    yield "_client/__init__.py", SHARED_INIT.encode()
    for shared in SHARED:
        yield f"_client/{Path(shared).name}", (root / shared).read_bytes()
    for folder in RESOURCES:
        for path in sorted((root / "resources" / folder).rglob("*")):
            if path.is_file():
                yield path.relative_to(root).as_posix(), path.read_bytes()
    for name, data in translations.compiled(root):
        yield f"resources/i18n/{name}", data
    for path in sorted((root / "docs" / "guide").rglob("*")):
        if path.suffix in {".md", ".png"}:
            yield path.relative_to(root / "docs").as_posix(), path.read_bytes()
    name, wheel = build_wheel(root, version(root))
    yield f"wheels/{name}", wheel


def build(out: Path, root: Path = ROOT) -> Path:
    """Write the zip.

    Args:
        out: The folder to write it to.
        root: The repository.

    Returns:
        The zip's path.
    """
    out.mkdir(parents=True, exist_ok=True)
    target = out / f"{PACKAGE}-{version(root)}.zip"
    part = target.with_suffix(".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in sorted(contents(root)):
            entry = zipfile.ZipInfo(f"{PACKAGE}/{name}", EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            entry.create_system = 3  # the same bytes from every platform
            archive.writestr(entry, data)
    part.replace(target)
    return target


def main(arguments: list[str] | None = None) -> int:
    """Build it and print where it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    print(build(parser.parse_args(arguments).out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
