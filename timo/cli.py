# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: one command a task, made from the task's spec.

Results go to stdout, progress and errors to stderr. Ends with 0, with 1 (the input or the job failed: one
sentence on stderr) or with 2 (usage).
"""

from __future__ import annotations

import inspect
import json
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
import typer
from msgspec import Meta

from timo import __version__, tasks
from timo.cli_check import check
from timo.cli_merge import merge
from timo.cli_models import models
from timo.cli_series import series
from timo.cli_stac import stac
from timo.errors import SpecError, TimoError
from timo.tasks.specs import SPECS, Spec, load
from timo.terminal import AsJson, TerminalReporter, err, print_summary

app = typer.Typer(
    name="timo",
    help="Maps from satellite image time series.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _command(task: str) -> Callable[..., None]:
    """A function whose signature typer reads: one option for each field of the task's spec."""

    def command(**options: Any) -> None:
        as_json = options.pop("json")
        fields = msgspec.structs.fields(SPECS[task])
        given = {field.encode_name: options[field.name] for field in fields}
        spec = load(task, {name: value for name, value in given.items() if value is not None})
        with TerminalReporter(task) as reporter:
            summary = tasks.run(task, spec, reporter)
        if as_json:
            print(json.dumps(summary))  # noqa: T201
        else:
            print_summary(summary)

    parameters = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=_default(field),
            annotation=_option(SPECS[task], field),
        )
        for field in msgspec.structs.fields(SPECS[task])
    ]
    parameters.append(
        inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=AsJson)
    )
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    command.__doc__ = SPECS[task].__doc__
    return command


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return inspect.Parameter.empty if field.default is msgspec.NODEFAULT else field.default


def _option(spec: type[Spec], field: msgspec.structs.FieldInfo) -> Any:
    """The field's type as typer takes it, with flag, help and range."""
    hint = get_type_hints(spec, include_extras=True)[field.name]
    kind, meta = _unwrap(hint)
    text = (meta.description or "") if meta else ""
    if meta and (unit := (meta.extra_json_schema or {}).get("unit")):
        text = f"{text} [{unit}]"
    inner, limits = _unwrap_optional(kind)
    if get_origin(inner) is list:
        kind = inner = list[str]  # typer takes no limits on the items; the spec checks them
    limits = limits or meta
    low, high = (limits.ge, limits.le) if limits else (None, None)
    flag = "--" + field.encode_name.replace("_", "-")
    if field.default is True:
        flag = f"{flag}/--no-{flag[2:]}"
    metavar = "PATH" if meta and "format" in (meta.extra_json_schema or {}) else None
    option = typer.Option(
        flag, help=text, min=low, max=high, metavar=metavar, show_default=field.default is not None
    )
    return Annotated[inner if inner is kind else inner | None, option]


def _unwrap(hint: Any) -> tuple[Any, Meta | None]:
    if get_origin(hint) is Annotated:
        kind, *extras = get_args(hint)
        return kind, next((extra for extra in extras if isinstance(extra, Meta)), None)
    return hint, None


def _unwrap_optional(kind: Any) -> tuple[Any, Meta | None]:
    if get_origin(kind) in (Union, UnionType):
        (inner,) = (argument for argument in get_args(kind) if argument is not NoneType)
        return _unwrap(inner)
    return kind, None


for _task in SPECS:
    app.command(_task)(_command(_task))


app.command()(series)
app.command()(models)
app.command()(stac)
app.command()(merge)
app.command()(check)


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)  # noqa: T201
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = (False),
) -> None:
    """Maps from satellite image time series."""


def _spread_series(arguments: Sequence[str]) -> list[str]:
    """Let ``--series`` take many values, as a shell's expanded glob gives them: click takes one an option."""
    spread: list[str] = []
    many = False
    for argument in arguments:
        if argument.startswith("-"):
            many = False
        elif many and spread[-1] != "--series":
            spread.append("--series")
        spread.append(argument)
        many = many or argument == "--series"
    return spread


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end the process with its exit status."""
    warnings.filterwarnings("ignore")  # libraries' warnings mean nothing to an analyst; ours are log lines
    try:
        app(_spread_series(sys.argv[1:] if arguments is None else arguments), prog_name="timo")
    except SpecError as error:
        _fail(str(error), 2)
    except TimoError as error:
        _fail(str(error), 1)
    except BrokenPipeError:
        os._exit(1)  # the reader of our output went away: nobody is left to tell
    except Exception as error:
        if os.environ.get("TIMO_DEBUG"):
            raise
        _fail(
            f"Something unexpected went wrong: {type(error).__name__}: {' '.join(str(error).split())[:300]} "
            "Please report it; with TIMO_DEBUG=1 set, the same command shows where.",
            1,
        )


def _fail(sentence: str, status: int) -> None:
    err.print(sentence, style="red", highlight=False, soft_wrap=True)
    sys.exit(status)


if __name__ == "__main__":
    main()
