# SPDX-License-Identifier: GPL-3.0-or-later
"""What the plugin remembers: one dataclass over QgsSettings, overridable by environment variables."""

from __future__ import annotations

import json
import os
import uuid
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Dict, List

from qgis.core import QgsSettings

from ._client.protocol import default_home
from .i18n import tr

PREFIX = "timo"
ENVIRONMENT = {"backend_program": "TIMO_BACKEND", "home": "TIMO_HOME"}


def unwritable(error: OSError) -> str:
    """What to say where the home cannot be written to."""
    return tr(
        "{path} cannot be written to: {why}. Free it, or choose another home.",
        path=error.filename,
        why=error.strerror,
    )


def writable(folder: Path) -> Path:
    """This folder, or that of results in the home where nothing can be written to it."""
    with suppress(OSError):
        probe = folder / f".timo-{uuid.uuid4().hex}"  # tempfile tries for hours in such a folder on Windows
        probe.touch(exist_ok=False)
        probe.unlink()
        return folder
    with suppress(OSError):
        return Settings.load().subfolder("results")
    return folder  # whoever writes says what is wrong


def overridden(name: str) -> bool:
    """Whether the environment says this setting, stronger than what the analyst chooses."""
    return bool(os.environ.get(ENVIRONMENT.get(name, "")))


@dataclass
class Settings:
    """Values as last saved. Lists and dicts are kept as JSON, which every platform's store can hold.

    An environment variable, where set, is stronger than what was saved, and is never saved itself.
    """

    backend_program: str = ""
    """Path of the program ``timo-backend``; empty: it is looked for on PATH."""
    home: str = ""
    """The backend's folder; empty: the platform's place for an application's data."""
    bundles: List[str] = field(default_factory=list)
    """Model bundles outside the home that were picked by hand."""
    bundle: str = ""
    """The model that was used last."""
    series_name: str = ""
    bands: Dict[str, Any] = field(default_factory=dict)
    """What the bands of each sensor measure, where an analyst said so: roles by sensor and ``band_keys``."""
    outputs: Dict[str, Any] = field(default_factory=dict)
    """What the Predict page makes beside the map."""
    finetune: Dict[str, Any] = field(default_factory=dict)
    """The Train page's form, as it was left."""
    predict: Dict[str, Any] = field(default_factory=dict)
    """The Predict page's form, as it was left."""
    page: int = 0

    @classmethod
    def load(cls) -> Settings:
        """What was saved, with the environment on top."""
        store = QgsSettings()
        loaded = cls()
        for entry in fields(cls):
            text = store.value(f"{PREFIX}/{entry.name}", None)
            default = getattr(loaded, entry.name)
            try:
                value = json.loads(text) if isinstance(text, str) else default
            except ValueError:
                value = default
            if isinstance(value, type(default)):
                setattr(loaded, entry.name, value)
        for name, variable in ENVIRONMENT.items():
            if os.environ.get(variable):
                setattr(loaded, name, os.environ[variable])
        return loaded

    def save(self, **changes: Any) -> None:
        """Change some values and keep them.

        Args:
            changes: Field names and their new values.
        """
        store = QgsSettings()
        for name, value in changes.items():
            if getattr(self, name) == value:
                continue
            setattr(self, name, value)
            if not overridden(name):
                store.setValue(f"{PREFIX}/{name}", json.dumps(value))

    @property
    def home_folder(self) -> Path:
        """The backend's folder."""
        return Path(self.home).expanduser() if self.home else default_home()

    def subfolder(self, name: str) -> Path:
        """A folder of the home, made if it is not there; the home is its owner's alone.

        Raises:
            OSError: It cannot be made.
        """
        self.home_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = self.home_folder / name
        folder.mkdir(exist_ok=True)
        return folder
