# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's strict reading of requests: what is not exactly as described is refused with a typed error."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from timo_backend import protocol
from timo_backend.errors import ProtocolError
from timo_backend.settings import Roots

JobId = Annotated[str, Meta(min_length=1, max_length=64)]
GpuId = Annotated[str, Meta(min_length=1, max_length=128)]
RequestId = Annotated[str, Meta(max_length=128)]


class Envelope(Struct, frozen=True, forbid_unknown_fields=True):
    """What every message has."""

    v: int
    id: RequestId
    type: Annotated[str, Meta(max_length=64)]
    body: Raw


class Heading(Struct, frozen=True):
    """What can be told of a message that is not understood: enough to answer it."""

    v: int = protocol.VERSION
    id: RequestId = ""


class Request(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request."""


class Hello(Request, frozen=True, forbid_unknown_fields=True):
    """Asks who the server is, and names the folders that jobs may use; null for all that there may be."""

    roots: Roots | UnsetType | None = UNSET


class Ping(Request, frozen=True, forbid_unknown_fields=True):
    """Asks for an empty reply."""


class Submit(Request, frozen=True, forbid_unknown_fields=True):
    """Puts a job into the queue; the same key again gives the same job."""

    task: Annotated[str, Meta(max_length=64)]
    spec: dict[str, Any]
    key: Annotated[str, Meta(min_length=1, max_length=256)]
    gpu: GpuId | None = None


class Cancel(Request, frozen=True, forbid_unknown_fields=True):
    """Stops a job, wherever it stands; with an attempt only while that is the job's present one."""

    job: JobId
    attempt: Annotated[int, Meta(ge=1)] | None = None


class Pause(Request, frozen=True, forbid_unknown_fields=True):
    """Lets a job wait, its worker ended, until it is resumed."""

    job: JobId


class Resume(Request, frozen=True, forbid_unknown_fields=True):
    """Lets a paused job have its turn again."""

    job: JobId


class Finish(Request, frozen=True, forbid_unknown_fields=True):
    """Ends a training soon, with the best of what it has learnt."""

    job: JobId


class Order(Request, frozen=True, forbid_unknown_fields=True):
    """Gives a job that waits another place in the queue."""

    job: JobId
    priority: Annotated[int, Meta(ge=-1000, le=1000)] | None = None
    before: JobId | None = None


class Retry(Request, frozen=True, forbid_unknown_fields=True):
    """Puts a job that failed or was cancelled into the queue again, as a new job; on its GPU or another."""

    job: JobId
    key: Annotated[str, Meta(min_length=1, max_length=256)]
    gpu: GpuId | UnsetType | None = UNSET


class Remove(Request, frozen=True, forbid_unknown_fields=True):
    """Removes jobs that have ended, not their outputs; ``dry_run``: tells alone what that would free."""

    jobs: Annotated[list[JobId], Meta(min_length=1, max_length=protocol.MOST_REMOVED)]
    dry_run: bool = False


class Jobs(Request, frozen=True, forbid_unknown_fields=True):
    """Asks for all jobs, newest first; with ``before``, for those that are older than this one."""

    limit: Annotated[int, Meta(ge=1, le=protocol.MOST_LISTED)] = 200
    before: JobId | None = None


class Job(Request, frozen=True, forbid_unknown_fields=True):
    """Asks for one job."""

    job: JobId


class Metrics(Request, frozen=True, forbid_unknown_fields=True):
    """Asks for a job's curves."""

    job: JobId


class Subscribe(Request, frozen=True, forbid_unknown_fields=True):
    """Wants a job's events after a number, those to come included."""

    job: JobId
    after: Annotated[int, Meta(ge=0, le=2**53)] = 0


class Ack(Request, frozen=True, forbid_unknown_fields=True):
    """Says how many messages with events have arrived on this connection; has no reply."""

    n: Annotated[int, Meta(ge=0, le=2**53)]


class Unsubscribe(Request, frozen=True, forbid_unknown_fields=True):
    """Ends a subscription, named by the id of the request that began it."""

    id: RequestId


class Stop(Request, frozen=True, forbid_unknown_fields=True):
    """Ends the server, and the jobs that run."""


REQUESTS: dict[str, type[Request]] = {
    "hello": Hello,
    "ping": Ping,
    "submit": Submit,
    "cancel": Cancel,
    "pause": Pause,
    "resume": Resume,
    "finish": Finish,
    "order": Order,
    "retry": Retry,
    "remove": Remove,
    "jobs": Jobs,
    "job": Job,
    "metrics": Metrics,
    "subscribe": Subscribe,
    "ack": Ack,
    "unsubscribe": Unsubscribe,
    "stop": Stop,
}

_envelopes = msgspec.json.Decoder(Envelope)
_headings = msgspec.json.Decoder(Heading)
_bodies = {name: msgspec.json.Decoder(kind) for name, kind in REQUESTS.items()}


class BadRequestError(ProtocolError):
    """A message that was refused; ``id`` is its request id where one could be read, else empty."""

    def __init__(self, ident: str, error: ProtocolError) -> None:
        super().__init__(
            error.code, error.message, error.action, retryable=error.retryable, detail=error.detail
        )
        self.id = ident


def read(data: bytes) -> tuple[str, Request]:
    """The request's id and body.

    Raises:
        BadRequestError: Too large, not JSON, nested too deeply, of another version, of an unknown type, or
            with an unknown, missing or wrong field.
    """
    if len(data) > protocol.MAX_BYTES:
        raise BadRequestError("", protocol.too_large(len(data)))
    heading = _heading(data)
    if heading.v != protocol.VERSION:
        raise BadRequestError(heading.id, protocol.unsupported(heading.v))
    try:
        envelope = _envelopes.decode(data)
        if envelope.type not in REQUESTS:
            raise BadRequestError(heading.id, _invalid(f"There is no request '{envelope.type}'"))
        return envelope.id, _bodies[envelope.type].decode(envelope.body)
    except RecursionError as error:
        raise BadRequestError(heading.id, _invalid("The message is nested too deeply")) from error
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise BadRequestError(heading.id, _invalid(f"The message is not valid: {error}")) from error


def _heading(data: bytes) -> Heading:
    try:
        return _headings.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return Heading()


def _invalid(sentence: str) -> ProtocolError:
    return ProtocolError(
        "message_invalid", f"{sentence}.", "The protocol's description lists what can be sent."
    )
