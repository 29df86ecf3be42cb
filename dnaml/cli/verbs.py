"""What every verb has in common: `--json`, `--quiet`, `--state`, an example in its help.

A verb is a function whose first parameter is the `Screen`; `verb` gives it the three options and registers it.
"""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from dnaml.cli.screen import Screen
from dnaml.datasets.state import default_folder

JobSource = Annotated[str, typer.Argument(metavar="JOB", help="A job file, or module:function.")]
JobId = Annotated[str, typer.Argument(metavar="ID", help="A job's id, or the beginning of one.")]

# A verb takes whatever parameters its command line has.
Verb = Callable[..., int | None]

_OPTIONS = {
    "as_json": Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")],
    "quiet": Annotated[bool, typer.Option("--quiet", "-q", help="No notes and no progress.")],
    "state": Annotated[
        Path | None, typer.Option("--state", metavar="FOLDER", help="The state folder (default: $DNAML_STATE).")
    ],
}


def state_folder(given: Path | None) -> Path:
    """Return the state folder: the one given, else $DNAML_STATE, else the user's own."""
    return given.expanduser().absolute() if given is not None else default_folder().absolute()


def alone() -> typer.Typer:
    """Return the place of a verb that is one command."""
    return typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def family(help_line: str) -> typer.Typer:
    """Return the place of a verb with verbs of its own (`resources ls`)."""
    return typer.Typer(help=help_line, add_completion=False, pretty_exceptions_enable=False)


def verb(app: typer.Typer, name: str | None = None, *, example: str) -> Callable[[Verb], Verb]:
    """Register a function as a verb; its docstring is the help, and `example` stands below it."""

    def register(function: Verb) -> Verb:
        parameters = list(inspect.signature(function).parameters.values())[1:]

        # What the command line gives is checked by typer against the signature below.
        def run(context: typer.Context, **given: Any) -> int | None:
            folder = given.pop("state") or context.find_root().obj
            screen = Screen(as_json=given.pop("as_json"), quiet=given.pop("quiet"), state=state_folder(folder))
            return function(screen, **given)

        keyword = inspect.Parameter.KEYWORD_ONLY
        shared = [
            inspect.Parameter(key, keyword, default=None if key == "state" else False, annotation=annotation)
            for key, annotation in _OPTIONS.items()
        ]
        first = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
        own = [one.replace(kind=keyword) for one in parameters]
        run.__signature__ = inspect.Signature([first, *own, *shared])  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in (first, *own, *shared)}
        run.__name__ = function.__name__
        app.command(name, help=inspect.getdoc(function), epilog=f"Example: {example}")(run)
        return function

    return register
