"""`dnaml telemetry export`: what was measured, as tidy files: one row a run, or the samples taken while they ran."""

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dnaml.cli.screen import Screen, table
from dnaml.cli.verbs import family, verb
from dnaml.core.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from dnaml.datasets.table import RunTable

app = family("Export what was measured while jobs ran.")


class What(Enum):
    """Is which measurements to export."""

    RUNS = "runs"  # one row an ended attempt: the run table that predictors learn from
    SAMPLES = "samples"  # one row a moment of sampling


@app.callback()
def _family() -> None:
    """Export what was measured while jobs ran."""


@verb(app, "export", example="dnaml telemetry export runs.parquet", over="asking:export")
def export(
    screen: Screen,
    file: Annotated[Path, typer.Argument(help="Where to: .parquet, .csv or .json (JSON lines).")],
    what: Annotated[What, typer.Option(help="Runs, or the samples taken while they ran.")] = What.RUNS,
    since: Annotated[str | None, typer.Option(metavar="AGE", help="Only the newest, such as 2h or 7d.")] = None,
) -> None:
    """Write runs or samples to a file; rows that cannot be true are left out and counted."""
    check(file)
    since_s = moment(since)
    with screen.working(f"writing {file}"):
        write = _export_runs if what is What.RUNS else _export_samples
        rows, set_aside = write(screen.state, file, since_s)
    show(screen, file, what, rows, set_aside)


def check(file: Path) -> None:
    """Raise InputError for a file that cannot be written."""
    if file.suffix not in _WRITERS:
        raise InputError(f"{file}: must end in {', '.join(_WRITERS)}, got {file.suffix or 'nothing'}")
    if not file.absolute().parent.is_dir():
        raise InputError(f"{file}: its folder does not exist")


def show(screen: Screen, file: Path, what: What, rows: int, set_aside: dict[str, int]) -> None:
    """Say how many rows were written and why others were not."""
    value = {"file": file, "what": what.value, "rows": rows, "set_aside": set_aside}
    shown = [table("set aside", ("why", ">rows"), set_aside.items())] if set_aside else []
    screen.answer(value, f"{rows} {what.value} in {file}", *shown)


def _export_runs(state: Path, file: Path, since_s: float) -> tuple[int, dict[str, int]]:
    from dnaml.datasets.table import RunTable
    from dnaml.history import History

    return write_runs(RunTable.from_runs([run for run in History.read(state).runs() if run.at_s >= since_s]), file)


def write_runs(runs_table: "RunTable", file: Path) -> tuple[int, dict[str, int]]:
    """Write a run table and return its length, and how many rows were set aside for each reason."""
    try:
        _WRITERS[file.suffix](runs_table.frame, file)
    except OSError as error:
        raise InputError(f"{file}: cannot be written: {error.strerror or error}") from error
    return len(runs_table), dict(runs_table.reasons())


def _export_samples(state: Path, file: Path, since_s: float) -> tuple[int, dict[str, int]]:
    from dnaml.datasets.samples import SampleStore

    if not (state / "samples.sqlite").exists():
        raise InputError(f"{state}: holds no samples yet; they are taken while jobs run")
    with SampleStore(state / "samples.sqlite") as store:
        return store.export(file, since_s=since_s), store.refused()


def moment(since: str | None) -> float:
    """Return the Unix time so long ago, 0 without an age."""
    if since is None:
        return 0.0
    import time

    from dnaml.jobfile.sizes import parse_duration

    return time.time() - parse_duration(since, what="--since")


_WRITERS: "dict[str, Callable[[pd.DataFrame, Path], object]]" = {
    ".parquet": lambda frame, file: frame.to_parquet(file, index=False),
    ".csv": lambda frame, file: frame.to_csv(file, index=False),
    ".json": lambda frame, file: frame.to_json(file, orient="records", lines=True),
}
