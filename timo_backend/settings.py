# SPDX-License-Identifier: GPL-3.0-or-later
"""What whoever runs the backend decides: ``settings.json`` in its home; without it all folders are open.

    {"owners": {"default": {"roots": ["/data"]}, "nightly": {"roots": ["/data/nightly"]}}}

An owner is who has the keys of a connection file: those of ``default`` are in ``connection.json``, those of
``nightly`` in ``connection-nightly.json``. Each sees its own jobs, and their files lie under its roots.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from timo_backend.errors import HomeError

FILE = "settings.json"
DEFAULT = "default"
MOST_OWNERS = 64
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")

Roots = Annotated[list[Annotated[str, Meta(min_length=1, max_length=4096)]], Meta(max_length=64)]
"""Folders whose files jobs may use."""


class Owner(Struct, frozen=True, forbid_unknown_fields=True):
    """One owner of jobs; ``roots`` None for every folder."""

    roots: Roots | None = None


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """All that can be set. There is always the owner ``default``."""

    owners: dict[str, Owner] = {}

    def __post_init__(self) -> None:
        for name, owner in self.owners.items():
            if not _NAME.fullmatch(name):
                raise ValueError(f"the owner's name '{name}' is not of small letters, digits, - and _")
            for root in owner.roots or ():
                if not Path(root).is_absolute():
                    raise ValueError(f"the root '{root}' of owner '{name}' is not an absolute path")
        if len(self.owners) > MOST_OWNERS:
            raise ValueError(f"there are more than {MOST_OWNERS} owners")

    @property
    def all_owners(self) -> dict[str, Owner]:
        """The owners by name, ``default`` among them."""
        return {DEFAULT: Owner(), **self.owners}


def read(home: Path) -> Settings:
    """The settings of a home.

    Raises:
        HomeError: They can't be read, or make no sense (``settings_invalid``).
    """
    path = home / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Settings)
    except FileNotFoundError:
        return Settings()
    except (OSError, msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise HomeError(
            "settings_invalid",
            f"The backend's settings {path} cannot be read: {error}.",
            "Correct the file, or remove it.",
        ) from error
