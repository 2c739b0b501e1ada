# SPDX-License-Identifier: GPL-3.0-or-later
"""The decorator that every slot of ours has: an error in it ends in the log, and it can be timed.

With the environment variable ``TIMO_SLOT_TIMES`` set to a path, each outermost slot on the interface's thread
writes a line of JSON there: ``slot`` (its name), ``ms`` (our time), ``qgis_ms`` (time inside QGIS itself),
``cpu_ms`` (the processor's time of both) and ``at`` (seconds since 1970).
"""

from __future__ import annotations

import functools
import inspect
import json
import os
import time
import traceback
from contextlib import contextmanager
from typing import Any, Callable, Iterator, TextIO, TypeVar

from .i18n import tr
from .log import log

Function = TypeVar("Function", bound=Callable[..., Any])

_depth = 0
_outside = 0.0
_file: TextIO | None = None
_path = os.environ.get("TIMO_SLOT_TIMES", "")


def slot(function: Function) -> Function:
    """Make a function fit to be connected to a signal.

    It takes as many of the signal's arguments as it declares. An exception does not reach Qt, which would
    show a traceback or end the program: it is logged, and the message bar says so in a sentence.
    """
    wanted = _positional(function)
    name = function.__qualname__

    @functools.wraps(function)
    def called(*arguments: Any) -> Any:
        global _depth, _outside  # noqa: PLW0603  the interface has one thread
        _depth += 1
        if _depth == 1:
            _outside = 0.0
        began, worked = time.perf_counter(), time.thread_time()
        try:
            return function(*arguments[:wanted])
        except Exception as error:
            log(traceback.format_exc(), "warning")
            log(
                tr(
                    "Something went wrong in TiMo ({name}): {error}. The log tab TiMo has more.",
                    name=name,
                    error=error,
                ),
                "error",
                push=True,
            )
            return None
        finally:
            _depth -= 1
            if _depth == 0 and _path:
                _write(name, time.perf_counter() - began, time.thread_time() - worked)

    return called  # type: ignore[return-value]


def slot_of(function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    """A slot that calls a function with these arguments, whatever the signal gives."""

    def called() -> Any:
        return function(*arguments)

    called.__qualname__ = getattr(function, "__qualname__", called.__qualname__)
    return slot(called)


@contextmanager
def inside_qgis() -> Iterator[None]:
    """Marks a call into QGIS itself, such as opening a layer: timed apart."""
    global _outside  # noqa: PLW0603
    began = time.perf_counter()
    try:
        yield
    finally:
        _outside += time.perf_counter() - began


def _positional(function: Callable[..., Any]) -> int:
    kinds = [parameter.kind for parameter in inspect.signature(function).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return 1000
    return sum(
        k in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD) for k in kinds
    )


def _write(name: str, seconds: float, worked: float) -> None:
    global _file  # noqa: PLW0603
    if _file is None:
        _file = open(_path, "a", encoding="utf-8", buffering=1)  # noqa: PTH123, SIM115  open until QGIS ends
    line = {
        "slot": name,
        "ms": round(1000 * (seconds - _outside), 3),
        "qgis_ms": round(1000 * _outside, 3),
        "cpu_ms": round(1000 * worked, 3),
        "at": round(time.time(), 3),
    }
    _file.write(json.dumps(line) + "\n")
