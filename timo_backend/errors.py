# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong between a client and the backend. Standard library only: the plugin carries this file."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional


class BackendError(Exception):
    """An expected failure with a stable code, one sentence that says what is wrong, and what to do.

    Args:
        code: Stable snake_case identifier; programs may depend on it.
        message: One sentence that names what is at fault.
        action: What the analyst can do about it, in one sentence.
        retryable: Whether the same request can succeed later without a change.
        detail: Facts for a log or a program; JSON values only.
    """

    def __init__(
        self,
        code: str,
        message: str,
        action: str = "",
        *,
        retryable: bool = False,
        detail: Optional[Mapping[str, Any]] = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.action = action
        self.retryable = retryable
        self.detail: Dict[str, Any] = dict(detail or {})

    def __str__(self) -> str:
        return f"{self.message} {self.action}".strip()

    def to_dict(self) -> Dict[str, Any]:
        """The error as it travels, and as it stands in a job's record."""
        return {
            "code": self.code,
            "message": self.message,
            "action": self.action,
            "retryable": self.retryable,
            "detail": self.detail,
        }


class ProtocolError(BackendError):
    """A message that cannot be read: not JSON, too large, of another version, or with wrong fields."""


class ConnectionFailed(BackendError):  # noqa: N818 - it reads as what it is
    """There is no backend behind the connection file, it went away, or it lets this client not in."""


class RequestError(BackendError):
    """The backend answered a request with an error."""

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> RequestError:
        """The error that a reply of type ``error`` carries."""
        detail = body.get("detail")
        return cls(
            str(body.get("code", "unknown")),
            str(body.get("message", "The backend refused the request.")),
            str(body.get("action", "")),
            retryable=bool(body.get("retryable", False)),
            detail=detail if isinstance(detail, dict) else None,
        )


class HomeError(BackendError):
    """The backend's home folder cannot be used, or another server uses it."""


class StoreError(BackendError):
    """The database of jobs cannot be read or written."""


def unknown_job(ident: str) -> BackendError:
    """The error of a request about a job that isn't there, or is another owner's."""
    return BackendError(
        "unknown_job", f"There is no job '{ident}'.", "List the jobs to see those that there are."
    )


def silent(type: str, timeout: float) -> ConnectionFailed:
    """The error of a request that was not answered within ``timeout`` seconds."""
    return ConnectionFailed(
        "backend_silent",
        f"The backend did not answer '{type}' within {timeout:g} seconds.",
        "Try again, or start it anew.",
        retryable=True,
    )


def denied() -> ConnectionFailed:
    """The error of a connection whose key the server doesn't know."""
    return ConnectionFailed(
        "access_denied",
        "The backend does not know this client's key: the connection file is not of its present run.",
        "Read the connection file again, or start the backend anew.",
    )


def mute() -> ConnectionFailed:
    """The error of a connection that is taken, but whose handshake does not come to its end."""
    return ConnectionFailed(
        "backend_mute",
        "Something listens where the backend did, but does not answer as a backend does.",
        "Try again in a moment; if it stays so, start the backend anew.",
        retryable=True,
    )


def gone() -> ConnectionFailed:
    """The error of a connection where nobody listens."""
    return ConnectionFailed(
        "backend_gone",
        "The backend that wrote the connection file does not run any more.",
        "Start it with `timo-backend serve` and try again.",
        retryable=True,
    )
