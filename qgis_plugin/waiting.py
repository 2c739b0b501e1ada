# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs whose results are awaited, each by one window of QGIS alone, also when several are open."""

from __future__ import annotations

import json
import time
import uuid
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, Dict, Iterable, Iterator, Mapping, Optional, Tuple

from qgis.core import QgsSettings
from qgis.PyQt.QtCore import QLockFile

from .settings import PREFIX, Settings

GROUP = f"{PREFIX}/jobs"
FIELDS = {"project": str, "at": float, "window": str}
OFFERED = "offered"
KEPT_S = 90 * 86400
"""A job that no backend has told of for so long is waited for no more."""


class Waiting:
    """The jobs of this window, and their projects' files; empty: the project was not saved.

    The settings, which all windows share, have a key for each job, which names its window: none overwrites
    another's. A window holds a lock in the backend's folder while it lives; once it is gone, closed or
    killed, the first other one that looks takes its jobs over.

    Args:
        settings: Know the backend's folder.
    """

    def __init__(self, settings: Settings) -> None:
        self.projects: Dict[str, str] = {}
        self._settings = settings
        self._window = uuid.uuid4().hex
        self._own: Optional[QLockFile] = None
        self._guard = Lock()
        self._closed = False

    def keep(self, jobs: Iterable[str], project: str) -> None:
        """Wait for jobs, begun in the project of this file."""
        store = QgsSettings()
        for job in jobs:
            self.projects[job] = project
            self._write(store, job, {"project": project, "at": time.time()})

    def offer(self, job: str) -> bool:
        """Note that a job's results are offered to another project; whether they had not been before."""
        store = QgsSettings()
        record = dict(_records(store)).get(job)
        if record is None or record[OFFERED]:
            return record is None
        self._write(store, job, {**record, OFFERED: True})
        return True

    def forget(self, job: str) -> None:
        """It is done with."""
        self.projects.pop(job, None)
        QgsSettings().remove(f"{GROUP}/{job}")

    def look(self) -> Dict[str, str]:
        """Take over the jobs of windows that are gone: what ``projects`` shall have, too.

        It waits for disks: not for the interface's thread.
        """
        with self._guard:
            try:
                folder = self._settings.subfolder("windows")
            except OSError:  # said by those who need the folder more
                return {}
            if not self._hold(folder):
                return {}
            store = QgsSettings()
            store.sync()
            others = {record["window"] for _, record in _records(store)}
            others.update(path.stem for path in folder.glob("*.lock"))
            taken: Dict[str, str] = {}
            for window in others - {self._window}:
                lock = _lock(folder, window)
                if lock.tryLock(0):  # it is gone, and no other window takes its jobs over in this moment
                    taken.update(self._take(store, window))
                    lock.unlock()
            return taken

    def close(self) -> None:
        """This window is closed: another one may take its jobs over."""
        with self._guard:
            self._closed = True
            if self._own is not None:
                self._own.unlock()

    def _hold(self, folder: Path) -> bool:
        if self._own is None and not self._closed:
            own = _lock(folder, self._window)
            self._own = own if own.tryLock(0) else None
        return self._own is not None and not self._closed

    def _take(self, store: QgsSettings, window: str) -> Dict[str, str]:
        store.sync()  # another window may have taken them before we had the lock
        taken = {}
        for job, record in list(_records(store)):
            if record["window"] != window:
                continue
            if record["at"] < time.time() - KEPT_S:
                store.remove(f"{GROUP}/{job}")
                continue
            taken[job] = record["project"]
            self._write(store, job, record)
        store.sync()
        return taken

    def _write(self, store: QgsSettings, job: str, record: Mapping[str, Any]) -> None:
        store.setValue(f"{GROUP}/{job}", json.dumps({**record, "window": self._window}))


def _records(store: QgsSettings) -> Iterator[Tuple[str, Dict[str, Any]]]:
    store.beginGroup(GROUP)
    names = store.childKeys()
    store.endGroup()
    for job in names:
        with suppress(ValueError, TypeError, KeyError):
            record = json.loads(store.value(f"{GROUP}/{job}", ""))
            known = {key: kind(record[key]) for key, kind in FIELDS.items()}
            yield job, {**known, OFFERED: bool(record.get(OFFERED))}


def _lock(folder: Path, window: str) -> QLockFile:
    lock = QLockFile(str(folder / f"{window}.lock"))
    lock.setStaleLockTime(0)  # however long it is held, as long as its program lives
    return lock
