# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong, said so that an analyst can act on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class TimoError(Exception):
    """An expected failure with a stable code, a sentence that names the culprit, and what to do.

    Args:
        code: Stable snake_case identifier; programs may depend on it.
        message: One sentence that names the file, layer or field at fault.
        action: What the analyst can do about it, in one sentence.
        retryable: Whether the same request can succeed later without a change.
        detail: Facts for a log or a program; JSON values only.
    """

    def __init__(
        self,
        code: str,
        message: str,
        action: str,
        *,
        retryable: bool = False,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.action = action
        self.retryable = retryable
        self.detail = dict(detail or {})

    def __str__(self) -> str:
        return f"{self.message} {self.action}".strip()

    def to_dict(self) -> dict[str, Any]:
        """The error as it travels to a client and stands in a job's record."""
        return {
            "code": self.code,
            "message": self.message,
            "action": self.action,
            "retryable": self.retryable,
            "detail": self.detail,
        }


class SpecError(TimoError):
    """A task's parameters are not valid."""


class SeriesError(TimoError):
    """Dated rasters cannot be read as one series."""


class LabelError(TimoError):
    """Labels cannot be used with the series."""


class ModelError(TimoError):
    """A model cannot be built or its weights cannot be loaded."""


class BundleError(TimoError):
    """A model bundle is damaged, or does not fit the series."""


class OutputError(TimoError):
    """A result cannot be written."""


class AccessError(TimoError):
    """A file that a task may not use."""


class Cancelled(TimoError):  # noqa: N818  # nothing went wrong
    """The analyst stopped the task."""

    def __init__(self) -> None:
        super().__init__("cancelled", "The task was cancelled.", "")
