"""`dnaml import sky FILE`: a SkyPilot task as a job file, with every field that did not come over as it was."""

from pathlib import Path
from typing import Annotated

import typer

from dnaml.cli.screen import Screen, table
from dnaml.cli.verbs import family, verb
from dnaml.core.errors import InputError

app = family("Turn the job of another system into a job file.")


@app.callback()
def _family() -> None:
    """Turn the job of another system into a job file."""


@verb(app, "sky", example="dnaml import sky task.yaml --out dnaml.yaml")
def sky(
    screen: Screen,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A SkyPilot task YAML.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the job file here, not to the screen.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse a task of which anything would be lost.")] = False,
) -> None:
    """Write the job file that comes nearest to a SkyPilot task; what is lost or changed is named."""
    from dnaml.jobfile.sky import Loss, read_task

    found = read_task(file)
    worse = [one for one in found.notes if one.loss is not Loss.CHANGED]
    if strict and worse:
        raise InputError(f"{file}: {worse[0].field}: {worse[0].why} ({len(worse)} fields would be lost)")
    if out is not None:
        _write(found.text(), out, replace=force)
        screen.note(f"written: {out}")
    notes = [(one.loss.value, one.field, one.why) for one in found.notes]
    shown = [] if out is not None else [found.text().rstrip()]
    if screen.as_json:
        screen.answer({"document": found.document, "notes": found.notes, "out": out})
        return
    screen.answer(None, *shown)
    if notes and not screen.quiet:
        from rich.console import Console

        Console(stderr=True, width=160, highlight=False, markup=False).print(table("", ("", "field", "why"), notes))


def _write(text: str, path: Path, *, replace: bool) -> None:
    try:
        with path.open("w" if replace else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise InputError(f"{path}: is there already; --force replaces it") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error
