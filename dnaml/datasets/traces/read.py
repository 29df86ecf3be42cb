"""Finding out what kind of trace a file is, by what stands beside it."""

from pathlib import Path

from dnaml.core.resource import Resource
from dnaml.datasets.traces import gavel, own, sia
from dnaml.datasets.traces.trace import Trace


def read(path: Path, *, resources: tuple[Resource, ...] = ()) -> Trace:
    """Return the trace of a file: one of a set with measured speeds beside its `traces/` folder, else a plain CSV.

    Raises InputError where the file is missing or malformed.
    """
    folder = path.parent.parent
    if path.parent.name == "traces" and (folder / "throughputs.csv").is_file():
        return gavel.load(folder, path.stem)
    if path.parent.name == "traces" and (folder / "profiles.parquet").is_file():
        return sia.load(folder, path.stem)
    return own.load(path, resources=resources)
