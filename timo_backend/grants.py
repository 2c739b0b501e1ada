# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose request it is, and which folders the jobs of its connection may use."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from timo.access import Access
from timo_backend.errors import RequestError
from timo_backend.settings import Settings

MOST_CONNECTIONS = 4096
"""So many are remembered; one that was forgotten is asked to say hello again."""


@dataclass(frozen=True)
class Caller:
    """Who asks.

    Args:
        peer: The routing id of its connection.
        owner: Whose key it has, as the handshake has proven.
        ident: Of the request.
    """

    peer: bytes
    owner: str
    ident: str


class Grants:
    """What the settings allow an owner, and what its clients have named of that.

    Args:
        settings: Of the server.
        home: Its folder.
    """

    def __init__(self, settings: Settings, home: Path) -> None:
        self._allowed = {
            name: Access.to(owner.roots, str(home)) for name, owner in settings.all_owners.items()
        }
        self._named: OrderedDict[bytes, tuple[str, Access]] = OrderedDict()

    def name(self, caller: Caller, folders: Sequence[str] | None) -> Access:
        """Take the folders that a client names, None for all that it may have; what its jobs may use then.

        Raises:
            RequestError: One is not an absolute path (``path_relative``).
        """
        for folder in folders or ():
            if "\0" in folder or not Path(folder).is_absolute():
                raise RequestError(
                    "path_relative",
                    f"The folder {folder!r}, named in 'roots', is not an absolute path.",
                    "Give an absolute path.",
                )
        granted = self._allowed[caller.owner].within(Access.to(folders))
        self._named[caller.peer] = caller.owner, granted
        self._named.move_to_end(caller.peer)
        while len(self._named) > MOST_CONNECTIONS:
            self._named.popitem(last=False)
        return granted

    def known(self, caller: Caller) -> Access | None:
        """What a connection's client has named and may have; None if it has named nothing."""
        owner, granted = self._named.get(caller.peer, ("", None))
        return granted if owner == caller.owner else None

    def of(self, caller: Caller) -> Access:
        """What the jobs of a connection may use.

        Raises:
            RequestError: Its client has not named any folders (``roots_missing``).
        """
        granted = self.known(caller)
        if granted is None:
            raise RequestError(
                "roots_missing",
                "This client has not said on this connection which folders its jobs may use.",
                "Send 'hello' with 'roots' first.",
                retryable=True,
            )
        return granted

    def of_job(self, owner: str, roots: Sequence[str] | None) -> Access:
        """What a job may use that was granted ``roots`` when it was submitted; settings may have changed."""
        nothing = Access(())
        kept = Access(None if roots is None else tuple(roots))
        return self._allowed.get(owner, nothing).within(kept)
