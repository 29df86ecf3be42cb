"""What every verb has in common: `--json`, `--quiet`, `--state`, an example in its help.

A verb is a function whose first parameter is the `Screen`; `verb` gives it the three options and registers it. One
that names a twin in `dnaml.cli.remote` also takes `--url`: the twin then answers in its place, from a service.
"""

import importlib
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from dnaml.cli.screen import Screen
from dnaml.core.errors import InputError
from dnaml.datasets.state import default_folder

JobSource = Annotated[str, typer.Argument(metavar="JOB", help="A job file, or module:function.")]
JobId = Annotated[str, typer.Argument(metavar="ID", help="A job's id, or the beginning of one.")]

# A verb takes whatever parameters its command line has.
Verb = Callable[..., int | None]

URL = "DNAML_URL"
TIMEOUT_S = 10.0

_OPTIONS = {
    "as_json": Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")],
    "quiet": Annotated[bool, typer.Option("--quiet", "-q", help="No notes and no progress.")],
    "state": Annotated[
        Path | None, typer.Option("--state", metavar="FOLDER", help="The state folder (default: $DNAML_STATE).")
    ],
}
_REMOTE_OPTIONS = {
    "url": Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="Ask this service (default: $DNAML_URL); token by $DNAML_TOKEN."),
    ],
    "timeout": Annotated[
        float, typer.Option("--timeout", min=0.0, help="Seconds until a silent service counts as not reachable.")
    ],
}
_DEFAULTS: dict[str, Any] = {"as_json": False, "quiet": False, "state": None, "url": None, "timeout": TIMEOUT_S}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What was said before the verb."""

    state: Path | None = None
    url: str | None = None


def state_folder(given: Path | None) -> Path:
    """Return the state folder: the one given, else $DNAML_STATE, else the user's own."""
    return given.expanduser().absolute() if given is not None else default_folder().absolute()


def alone() -> typer.Typer:
    """Return the place of a verb that is one command."""
    return typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def family(help_line: str) -> typer.Typer:
    """Return the place of a verb with verbs of its own (`resources ls`)."""
    return typer.Typer(help=help_line, add_completion=False, pretty_exceptions_enable=False)


def verb(app: typer.Typer, name: str | None = None, *, example: str, over: str = "") -> Callable[[Verb], Verb]:
    """Register a function as a verb; its docstring is the help, and `example` stands below it.

    `over` is `module:function` in `dnaml.cli.remote`: what answers in its place when a service is asked.
    """

    def register(function: Verb) -> Verb:
        # What the command line gives is checked by typer against the signature below.
        def run(context: typer.Context, **given: Any) -> int | None:
            chosen = context.find_root().obj or Chosen()
            folder = given.pop("state") or chosen.state
            url, timeout_s = given.pop("url", None) or chosen.url, given.pop("timeout", TIMEOUT_S)
            screen = Screen(as_json=given.pop("as_json"), quiet=given.pop("quiet"), state=state_folder(folder))
            url = service_url(url, folder, what=context.command_path, has_twin=bool(over))
            if url is None:
                return function(screen, **given)
            return _over(url, timeout_s, over, screen, given)

        options = _OPTIONS | (_REMOTE_OPTIONS if over else {})
        run.__signature__ = _signature(function, options)  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in run.__signature__.parameters.values()}  # type: ignore[attr-defined]
        run.__name__ = function.__name__
        app.command(name, help=inspect.getdoc(function), epilog=f"Example: {example}")(run)
        return function

    return register


def service_url(given: str | None, folder: Path | None, *, what: str, has_twin: bool) -> str | None:
    """Return the service that a verb asks, None where it works on the state folder; InputError where both are named."""
    if given and not has_twin:
        raise InputError(f"--url: {what} works here only, it asks no service")
    if given and folder is not None:
        raise InputError("--url, --state: a verb asks a service or a state folder; give one of both")
    if folder is not None or not has_twin:
        return None
    return given or os.environ.get(URL) or None


def _over(url: str, timeout_s: float, over: str, screen: Screen, given: dict[str, Any]) -> int | None:
    from dnaml.cli.remote.desk import desk_at

    module, _, function = over.partition(":")
    twin: Verb = getattr(importlib.import_module(f"dnaml.cli.remote.{module}"), function)
    with desk_at(url, timeout_s=timeout_s) as desk:
        return twin(screen, desk, **given)


def _signature(function: Verb, options: dict[str, Any]) -> inspect.Signature:  # annotations
    """Return the parameters of a verb, without its screen, and the standard options."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    own = [one.replace(kind=keyword) for one in list(inspect.signature(function).parameters.values())[1:]]
    shared = [
        inspect.Parameter(key, keyword, default=_DEFAULTS[key], annotation=annotation)
        for key, annotation in options.items()
    ]
    first = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    return inspect.Signature([first, *own, *shared])
