# SPDX-License-Identifier: GPL-3.0-or-later
"""What a row of the table is, and how it is written: as a decorated function that makes the input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.timo.bad_inputs.desk import Desk

Command = Sequence[Any]


@dataclass(frozen=True)
class Row:
    """A way in which an input is wrong.

    Attributes:
        name: In the user's words.
        says: What must be printed. Paths stand from the desk's folder; … stands for the words of a library,
            which differ between versions, and for what lies between two parts of an answer.
        spoil: Makes the input; returns the command that meets it.
        status: 0 where it is handled and told, 1 where it is refused, 2 where a parameter is.
        early: Told before the task's work begins, so that the analyst can stop it; so does the test.
    """

    name: str
    says: str
    spoil: Callable[[Desk], Command]
    status: int
    early: bool = False


class Table(list[Row]):
    """Rows in the order in which they are written down."""

    def refused(self, name: str, says: str) -> Callable[..., None]:
        """The command ends with this one sentence, and leaves nothing behind."""
        return self._row(name, says, 1)

    def wrong_parameter(self, name: str, says: str) -> Callable[..., None]:
        """The same, of what is wrong with the command itself."""
        return self._row(name, says, 2)

    def told(self, name: str, says: str) -> Callable[..., None]:
        """The command does its work, and says what it did about the input."""
        return self._row(name, says, 0)

    def warned(self, name: str, says: str) -> Callable[..., None]:
        """The command says this, and nothing else, before it begins to work."""
        return self._row(name, says, 0, early=True)

    def _row(self, name: str, says: str, status: int, **more: Any) -> Callable[..., None]:
        def add(spoil: Callable[[Desk], Command]) -> None:
            self.append(Row(name, says, spoil, status, **more))

        return add
