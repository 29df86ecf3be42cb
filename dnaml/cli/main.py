"""The command `dnaml`: finds the verb, imports only that one, and turns every expected error into one line.

`main` returns the exit code: 0 ok, 1 the work failed, 2 usage or bad input, 3 not reachable, 130 interrupted.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from dnaml.cli.verbs import Chosen
from dnaml.core.errors import ComputationError, DnamlError, InputError, MissingExtra, NotFoundError, StateFolderError


class ExitCode(IntEnum):
    """Is what `dnaml` tells the shell."""

    OK = 0  # the verb did what it says
    FAILED = 1  # the work failed, or a check found something wrong
    BAD_INPUT = 2  # usage, a file, an id or the state folder
    NOT_REACHABLE = 3  # a service or engine that should answer does not
    INTERRUPTED = 130  # Ctrl-C


VERBS: dict[str, tuple[str, str]] = {
    "check": ("check", "Look at this installation and machine and say what is missing."),
    "demo": ("demo", "Watch the whole of it work on this machine: learn, place, run, lose a worker, explain."),
    "submit": ("submit", "Run a job where it is predicted to do best, and wait for it."),
    "status": ("status", "Show jobs, or one job with its attempts."),
    "queue": ("queue", "Show the jobs that have not ended, with what they wait for."),
    "top": ("top", "Watch the pool and its jobs live in the terminal."),
    "logs": ("logs", "Print what a job wrote."),
    "cancel": ("cancel", "Ask that a job end without a result."),
    "migrate": ("migrate", "Move a running job to another resource, with its newest checkpoint."),
    "explain": ("explain", "Show each candidate's time, cost and risk, and why it lost."),
    "repeat": ("repeat", "Run a recorded job again from its initial state and compare."),
    "resources": ("resources", "List, declare and remove the resources that jobs may use."),
    "probe": ("probe", "Measure this machine with micro-probes and keep the profile."),
    "prices": ("prices", "Show, find and import dated prices of machines."),
    "fingerprint": ("fingerprint", "Measure what a job demands: precision, memory, I/O, parallelism."),
    "predict": ("predict", "Predict a job's time and cost on every resource, without running it."),
    "match": ("match", "Rank resources by the likeness of their DNA to the job's."),
    "simulate": ("simulate", "Replay a recorded workload under policies and compare what they reach."),
    "telemetry": ("telemetry", "Export what was measured while jobs ran."),
    "train": ("train", "Learn a model from a run table and register it."),
    "evaluate": ("evaluate", "Say how well a model predicts a run table, beside simple predictors."),
    "serve": ("serve", "Serve the REST API on an engine, until SIGTERM."),
    "token": ("token", "Create, list and revoke the tokens of a service."),
    "mlflow": ("mlflow", "Look at tracked runs and models."),
    "import": ("import_sky", "Turn the job of another system into a job file."),
    "journal": ("journal", "Verify, back up, restore and compact the record of everything that happened."),
}
"""Verb -> (module of `dnaml.cli` whose `app` it is, its first line of help); imported when it is asked for."""


DEFAULTS = {"resources": "ls", "prices": "ls", "token": "ls"}
"""What a family does when only its own name is typed."""


class LazyGroup(TyperGroup):
    """Lists every verb from the table above and imports a verb's module only to run it."""

    # The parent's arguments are typer's own and pass through untouched.
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, (_, line) in VERBS.items():
            self.commands[name] = TyperCommand(name, help=line)

    # The types belong to typer's private copy of click.
    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the verb that was asked for, imported."""
        name, stub, rest = super().resolve_command(ctx, args)
        if name is None:
            return name, stub, rest
        only_options = all(word.startswith("-") and word not in ("-h", "--help") for word in rest)
        if name in DEFAULTS and only_options:
            rest = [DEFAULTS[name], *rest]
        return name, load_verb(name), rest


def load_verb(name: str) -> Any:  # a command of typer's private copy of click
    """Import a verb's module and return its command, named as in the table."""
    module = importlib.import_module(f"dnaml.cli.{VERBS[name][0]}")
    command = typer.main.get_command(module.app)
    command.name = name
    return command


app = typer.Typer(
    name="dnaml",
    cls=LazyGroup,
    help="Learns how fast each computation runs on each machine, and places work by what it learned.",
    epilog=r"Example: dnaml submit dnaml.yaml --dry-run   Exit codes: 0 ok, 1 the work failed, 2 bad input, "
    "3 not reachable, 130 interrupted.",
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"dnaml {version('dnaml')}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    state: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where jobs, records and measurements are kept (default: $DNAML_STATE)."),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Ask this service instead (default: $DNAML_URL); token by $DNAML_TOKEN."),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take the options that stand before the verb."""
    context.obj = Chosen(state=state, url=url)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    try:
        code = app(args=arguments, prog_name="dnaml", standalone_mode=False)
        sys.stdout.flush()
        return int(code or 0)
    except (KeyboardInterrupt, typer.Abort):
        return ExitCode.INTERRUPTED
    except BrokenPipeError:  # the reader of our output has left: nothing is wrong
        _forget_stdout()
        return ExitCode.OK
    except typer.TyperException as error:
        return _usage(error)
    except DnamlError as error:
        return _complain(str(error), _code_of(error))
    except ConnectionError as error:
        return _complain(f"not reachable: {error}", ExitCode.NOT_REACHABLE)


def _code_of(error: DnamlError) -> ExitCode:
    if isinstance(error, ComputationError):
        return ExitCode.FAILED
    if isinstance(error, ConnectionError):
        return ExitCode.NOT_REACHABLE
    bad_input = isinstance(error, InputError | StateFolderError | NotFoundError | MissingExtra | PermissionError)
    return ExitCode.BAD_INPUT if bad_input else ExitCode.FAILED


def _usage(error: typer.TyperException) -> int:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "dnaml"
    return _complain(f"{error.format_message().rstrip('.')}; see {path} --help", ExitCode.BAD_INPUT)


def _complain(message: str, code: ExitCode) -> int:
    line = " ".join(message.split())
    try:
        sys.stderr.write(f"dnaml: {line}\n")
    except BrokenPipeError:
        pass
    return code


def _forget_stdout() -> None:
    """Point standard output at nothing, so that the interpreter's last flush does not complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
