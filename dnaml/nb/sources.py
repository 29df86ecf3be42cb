"""What the helpers of `nb` accept: one place that turns a state folder, executor or run table into what they read."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnaml.core.errors import InputError
from dnaml.datasets.state import StateFolder
from dnaml.datasets.table import RunTable, load_runs
from dnaml.history import History

if TYPE_CHECKING:
    import pandas as pd

    from dnaml.client import Executor


def history_of(subject: "Executor | History | str | Path") -> History:
    """Return the history of a state folder or of an executor's; raise InputError where nothing is recorded."""
    if isinstance(subject, History):
        return subject
    root: Any = getattr(subject, "state", subject)  # an executor's state folder, or a path
    if not isinstance(root, str | Path):
        raise InputError(f"must be a state folder, an executor or a history, got {type(subject).__name__}")
    folder = StateFolder(Path(root))
    if not folder.journal.exists():
        raise InputError(f"{folder.root}: holds no journal: nothing ran there, or a temporary executor was closed")
    return History.read(folder.root)


def runs_of(subject: "Executor | History | str | Path | RunTable | pd.DataFrame") -> RunTable:
    """Return the runs of a run table, a file of one, or whatever has a history."""
    if isinstance(subject, RunTable) or hasattr(subject, "columns"):
        return load_runs(subject)  # type: ignore[arg-type]  # a DataFrame, known by its columns
    if isinstance(subject, str | Path) and Path(subject).is_file():
        return load_runs(subject)
    return RunTable.from_runs(history_of(subject).runs())
