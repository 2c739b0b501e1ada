# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a script inside a real QGIS with the plugin from its zip, for the demo and the guide's pictures."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import build_plugin

ROOT = Path(__file__).resolve().parent.parent
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


class RunError(Exception):
    """It cannot go on; the text is the sentence to print."""


def make_profile(out: Path, settings: str = "") -> None:
    """A QGIS profile of its own, with the plugin from its zip.

    Args:
        out: The folder to make it in.
        settings: Lines of QGIS3.ini beside those of every run.
    """
    archive = build_plugin.build(ROOT / "dist")
    profile = out / "profile" / "profiles" / "default"
    with zipfile.ZipFile(archive) as plugin:
        plugin.extractall(profile / "python" / "plugins")
    (profile / "QGIS").mkdir()
    (profile / "QGIS" / "QGIS3.ini").write_text(SETTINGS + settings, encoding="utf-8")


@contextmanager
def qgis(
    task: dict[str, Any], out: Path, script: str, variables: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """QGIS with a script of tools/; on a virtual screen it is gone when the block ends, else it stays."""
    headless = bool(task["headless"])
    for program in ("qgis", "xvfb-run") if headless else ("qgis",):
        if shutil.which(program) is None:
            raise RunError(f"The program {program} is not installed: run `make setup`.")
    (out / "task.json").write_text(json.dumps(task), encoding="utf-8")
    command = ["qgis", "--nologo", "--noversioncheck", "--profiles-path", str(out / "profile")]
    command += ["--code", str(ROOT / "tools" / script)]
    if headless:
        command = ["xvfb-run", "-a", "-s", f"-screen 0 {task.get('screen', '1600x1000')}x24", *command]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment.update(
        TIMO_TOOLS=str(ROOT / "tools"),
        TIMO_DEMO=str(out / "task.json"),
        TIMO_SLOT_TIMES=str(out / "slots.jsonl"),
        TIMO_HOME=str(out / "home"),
        TIMO_BACKEND=str(Path(sys.executable).parent / "timo-backend"),
    )
    environment.update(variables or {})
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
        raise RunError(f"QGIS did not end when its script had: see {out / 'qgis.log'}.") from None
    finally:
        if headless and process.poll() is None:
            os.killpg(process.pid, 9)


def wait_for(process: subprocess.Popen[bytes], out: Path) -> dict[str, Any]:
    """What the script has made; its steps are printed as they come."""
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
            raise RunError(f"QGIS ended with status {process.returncode} before its script did: see {log}.")
        if time.monotonic() > until:
            raise RunError(f"The script did not end within {LONGEST / 60:.0f} minutes: see {log}.")
        time.sleep(0.5)
    facts: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    if "error" in facts:
        raise RunError(facts["error"])
    return facts


def call(command: list[Any], failure: str, *, show: bool = False) -> None:
    """Run a program; what it says last stands behind the failure."""
    done = subprocess.run(
        [str(word) for word in command],
        stdout=None if show else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise RunError(f"{failure}: {said[-1] if said else f'status {done.returncode}.'}")


def stop_backend(out: Path) -> None:
    """Stop the backend whose folder is in ``out``, if there is one."""
    home = out / "home"
    if (home / "connection.json").exists():
        program = Path(sys.executable).parent / "timo-backend"
        subprocess.run(
            [str(program), "stop", "--home", str(home)], capture_output=True, check=False, timeout=60
        )
