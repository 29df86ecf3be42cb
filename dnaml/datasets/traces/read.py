"""Finding out what kind of trace, or of table of measured pairs, a file is, by its name and what stands beside it."""

from pathlib import Path

from dnaml.core.resource import Resource
from dnaml.datasets.traces import colocation, gavel, own, sia
from dnaml.datasets.traces.colocation import Colocation
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


def read_pairs(path: Path) -> Colocation:
    """Return the measured pairs of a file: `colocation.parquet` of a set with measured speeds, else a plain CSV.

    Raises InputError where the file is missing or malformed.
    """
    return gavel.colocation(path.parent) if path.name == gavel.PAIRS else colocation.load(path)
