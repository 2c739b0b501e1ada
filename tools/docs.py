# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the user guide's pictures, and every page in two themes and at two scales (``docs/screens``).

They are taken of a real QGIS on a virtual screen.

Deforestation is the demo's series; land cover, crops and flood are made-up scenes.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import made_up_scenes
from PIL import Image
from qgis_run import ROOT, RunError, call, make_profile, qgis, stop_backend, wait_for

OUT = Path(tempfile.gettempdir()) / "timo-guide"  # pictures show its paths: they name nobody's folders
GUIDE = ROOT / "docs" / "guide"
SCREENS = ROOT / "docs" / "screens"  # every page in two themes and at two scales, pixel by pixel
WIDEST = 800
COLOURS = 128
DARK = "\n[UI]\nUITheme=Night Mapping\n"


def main() -> int:
    """Take them all; 0 if the guide has each that it shows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=10, help="of each training (default: 10)")
    epochs = parser.parse_args().epochs
    try:
        OUT.mkdir(exist_ok=True)
        tasks = _tasks(epochs)
        shutil.rmtree(OUT / "shots", ignore_errors=True)
        for folder in ("home", "maps"):
            stop_backend(OUT)
            shutil.rmtree(OUT / folder, ignore_errors=True)
        (OUT / "maps").mkdir()
        _run("", tasks, windows=True)
        _run("-dark", [], settings=DARK)
        _run("-150", [], scale="1.5")
        _run("-dark-150", [], settings=DARK, scale="1.5")
        _keep()
    except RunError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        stop_backend(OUT)
    return 0


def _tasks(epochs: int) -> list[dict[str, Any]]:
    """The four tasks: where their rasters and labels are."""
    call([sys.executable, ROOT / "tools" / "demo_data.py"], "The demo's series could not be made")
    scenes = OUT / "scenes"
    made_up_scenes.write(scenes)
    forest = OUT / "forest"
    forest.mkdir(exist_ok=True)
    for name in ("labels.gpkg", "labels.qml"):  # QGIS writes to every GeoPackage that it opens
        shutil.copyfile(ROOT / "resources" / "demo" / name, forest / name)
    places = [("deforestation", ROOT / "build" / "demo" / "series", forest / "labels.gpkg")]
    places += [(name, scenes / name, scenes / name / "labels.gpkg") for name in made_up_scenes.SCENES]
    return [
        {
            "name": name, "folder": str(folder), "labels": str(labels), "epochs": epochs,
            "curve": name == "deforestation", "results": name == "crops",
        }
        for name, folder, labels in places
    ]  # fmt: skip


def _run(
    suffix: str, tasks: list[dict[str, Any]], *, settings: str = "", scale: str = "", windows: bool = False
) -> None:
    """QGIS once, with a theme and a scale; its window has 1280 x 800 points."""
    shutil.rmtree(OUT / "profile", ignore_errors=True)
    (OUT / "qgis.json").unlink(missing_ok=True)
    (OUT / "qgis.log").unlink(missing_ok=True)
    make_profile(OUT, settings)
    crops = OUT / "scenes" / "crops"
    task = {
        "out": str(OUT), "headless": True, "suffix": suffix, "tasks": tasks, "windows": windows,
        "width": 1280, "height": 800, "screen": "1920x1200" if scale else "1280x800", "whole": bool(scale),
        "folder": str(crops), "labels": str(crops / "labels.gpkg"),
    }  # fmt: skip
    variables = {"QT_SCALE_FACTOR": scale} if scale else {}
    with qgis(task, OUT, "docs_qgis.py", variables) as process:
        wait_for(process, OUT)


def _keep() -> None:
    """Put the pictures that the guide shows beside it, small."""
    pages = "".join(path.read_text(encoding="utf-8") for path in GUIDE.glob("*.md"))
    shown = set(re.findall(r"\]\(images/([\w-]+)\.png\)", pages))
    missing = sorted(name for name in shown if not (OUT / "shots" / f"{name}.png").is_file())
    if missing:
        raise RunError(f"The picture {missing[0]}.png was not made: see {OUT / 'qgis.log'}.")
    for folder in (GUIDE / "images", SCREENS):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    for name in sorted(shown):
        picture = Image.open(OUT / "shots" / f"{name}.png").convert("RGB")
        if picture.width > WIDEST:
            size = (WIDEST, round(picture.height * WIDEST / picture.width))
            picture = picture.resize(size, Image.Resampling.LANCZOS)
        picture.quantize(COLOURS).save(GUIDE / "images" / f"{name}.png", optimize=True)
    for path in sorted((OUT / "shots").glob("screen-*.png")):
        picture = Image.open(path).convert("RGB").quantize(COLOURS)
        picture.save(SCREENS / path.name.removeprefix("screen-"), optimize=True)


if __name__ == "__main__":
    sys.exit(main())
