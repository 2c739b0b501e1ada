# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job in a real QGIS, from dated layers to a map whose accuracy is known: see ``build/demo/``.

With a display QGIS opens on it and stays open; without one it runs under Xvfb and ends by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import build_plugin

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "build" / "demo"
SERIES = DEMO / "series"
LABELS = ROOT / "resources" / "demo"
SCREENSHOTS = ("series", "train", "predict", "jobs", "map")
MADE = (
    *("home", "profile", "bundle", "labels.*", "map.*", "map-confidence.*", "demo.qgz", "*.png"),
    *("task.json", "qgis.json*", "qgis.log", "slots.jsonl", "accuracy.json", "summary.json"),
)
LONGEST = 1800.0
# No first-run pages, no search for updates: what is to be seen is the plugin.
SETTINGS = """[PythonPlugins]
timo_qgis=true

[qgis]
checkVersion=false
showTips=false

[app]
projections/unknownCrsBehavior=NoAction
"""


class DemoError(Exception):
    """The demo cannot go on; the text is the sentence to print."""


def main() -> int:
    """Run the demo; 0 if it left all that it promises."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, help="train for as many epochs (default: the plugin's)")
    parser.add_argument("--headless", action="store_true", help="on a virtual screen in any case")
    parser.add_argument("--out", type=Path, default=DEMO, help="the folder for what it makes")
    arguments = parser.parse_args()
    out = arguments.out.absolute()
    headless = arguments.headless or not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    began = time.monotonic()
    try:
        print("Getting the series", flush=True)
        _call([sys.executable, ROOT / "tools" / "demo_data.py"], "The demo's series could not be made")
        _clean(out)
        _make_profile(out)
        labels = _copy_labels(out)
        task = {"series": str(SERIES), "labels": str(labels), "out": str(out), "headless": headless}
        with _qgis({**task, "epochs": arguments.epochs}, out) as process:
            facts = _wait_for(process, out)
        summary = _assess(labels, {**facts, "seconds": round(time.monotonic() - began, 1)}, out)
    except DemoError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        if headless:
            _stop_backend(out)
    forest = summary["random_forest"]["overall_accuracy"]
    print(f"\nOverall accuracy {summary['overall_accuracy']:.3f} (random forest {forest:.3f}), ", end="")
    print(f"in {summary['seconds']:.0f} s. Map, model, summary.json and pictures are in {out}.")
    return 0


def _clean(out: Path) -> None:
    """Take away what an earlier demo left, and nothing else: the download and the series stay."""
    out.mkdir(parents=True, exist_ok=True)
    _stop_backend(out)
    for pattern in MADE:
        for path in out.glob(pattern):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def _make_profile(out: Path) -> None:
    """A QGIS profile of the demo's own, with the plugin from its zip."""
    archive = build_plugin.build(ROOT / "dist")
    profile = out / "profile" / "profiles" / "default"
    with zipfile.ZipFile(archive) as plugin:
        plugin.extractall(profile / "python" / "plugins")
    (profile / "QGIS").mkdir()
    (profile / "QGIS" / "QGIS3.ini").write_text(SETTINGS, encoding="utf-8")


def _copy_labels(out: Path) -> Path:
    """Labels that QGIS may write to: it touches every GeoPackage that it opens."""
    for name in ("labels.gpkg", "labels.qml"):
        shutil.copyfile(LABELS / name, out / name)
    return out / "labels.gpkg"


@contextmanager
def _qgis(task: dict[str, Any], out: Path) -> Iterator[subprocess.Popen[bytes]]:
    """QGIS with the demo's script; on a virtual screen it is gone when the block ends, else it stays."""
    headless = bool(task["headless"])
    for program in ("qgis", "xvfb-run") if headless else ("qgis",):
        if shutil.which(program) is None:
            raise DemoError(f"The program {program} is not installed: run `make setup`.")
    (out / "task.json").write_text(json.dumps(task), encoding="utf-8")
    command = ["qgis", "--nologo", "--noversioncheck", "--profiles-path", str(out / "profile")]
    command += ["--code", str(ROOT / "tools" / "demo_qgis.py")]
    if headless:
        command = ["xvfb-run", "-a", "-s", "-screen 0 1600x1000x24", *command]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment.update(
        TIMO_DEMO=str(out / "task.json"),
        TIMO_SLOT_TIMES=str(out / "slots.jsonl"),
        TIMO_HOME=str(out / "home"),
        TIMO_BACKEND=str(Path(sys.executable).parent / "timo-backend"),
    )
    if headless:
        environment["QT_QPA_PLATFORM"] = "xcb"
    with (out / "qgis.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield process
        if headless:
            process.wait(60)
    except subprocess.TimeoutExpired:
        raise DemoError(f"QGIS did not end when the demo had: see {out / 'qgis.log'}.") from None
    finally:
        if headless and process.poll() is None:
            os.killpg(process.pid, 9)


def _wait_for(process: subprocess.Popen[bytes], out: Path) -> dict[str, Any]:
    """What the demo's script has made; its steps are printed as they come."""
    result, log, told = out / "qgis.json", out / "qgis.log", 0
    until = time.monotonic() + LONGEST
    while not result.exists():
        steps = [
            line[6:] for line in log.read_text(errors="replace").splitlines() if line.startswith("demo: ")
        ]
        for step in steps[told:]:
            print(step, flush=True)
        told = len(steps)
        if process.poll() is not None and not result.exists():
            raise DemoError(f"QGIS ended with status {process.returncode} before the demo did: see {log}.")
        if time.monotonic() > until:
            raise DemoError(f"The demo did not end within {LONGEST / 60:.0f} minutes: see {log}.")
        time.sleep(0.5)
    facts: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    if "error" in facts:
        raise DemoError(facts["error"])
    return facts


def _assess(labels: Path, facts: dict[str, Any], out: Path) -> dict[str, Any]:
    """Measure the map on the kept polygons, and write all that is known of the run to ``summary.json``."""
    figures = out / "accuracy.json"
    command = [sys.executable, ROOT / "tools" / "demo_accuracy.py", "--map", facts["map"], "--labels", labels]
    _call([*command, "--series", SERIES, "--json", figures], "The map could not be assessed", show=True)
    accuracy: dict[str, Any] = json.loads(figures.read_text(encoding="utf-8"))
    missing = [name for name in SCREENSHOTS if not (out / f"{name}.png").is_file()]
    if missing:
        raise DemoError(f"The screenshot {missing[0]}.png was not made: see {out / 'qgis.log'}.")
    summary = {
        "overall_accuracy": accuracy["timo"]["overall_accuracy"],
        **accuracy,
        **facts,
        "slowest_slot": _slowest_slot(out),
        "screenshots": [f"{name}.png" for name in SCREENSHOTS],
    }
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return summary


def _slowest_slot(out: Path) -> dict[str, Any]:
    """The plugin's slot that held QGIS's interface longest from the first job on, in ms.

    What a call into QGIS itself takes, such as opening a layer, stands apart in ``qgis_ms``.
    """
    lines = (out / "slots.jsonl").read_text(encoding="utf-8").splitlines()
    slots: list[dict[str, Any]] = [json.loads(line) for line in lines]
    first = next(number for number, slot in enumerate(slots) if slot["slot"] == "TrainPage._on_run")
    return max(slots[first:], key=lambda slot: float(slot["ms"]))


def _call(command: list[Any], failure: str, *, show: bool = False) -> None:
    done = subprocess.run(
        [str(word) for word in command],
        stdout=None if show else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise DemoError(f"{failure}: {said[-1] if said else f'status {done.returncode}.'}")


def _stop_backend(out: Path) -> None:
    home = out / "home"
    if (home / "connection.json").exists():
        program = Path(sys.executable).parent / "timo-backend"
        subprocess.run(
            [str(program), "stop", "--home", str(home)], capture_output=True, check=False, timeout=60
        )


if __name__ == "__main__":
    sys.exit(main())
