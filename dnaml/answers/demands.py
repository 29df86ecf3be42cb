"""Fingerprints kept in the state folder, so that the next prediction, match or job begins with what was measured.

One JSON file, replaced whole. The same computation gets everything back; another size of its kernel only what does
not grow with size: shares and parallelism.
"""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

from dnaml.core.errors import CorruptError, StateFolderError
from dnaml.core.work import Computation

NAME = "fingerprints.json"
_SIZELESS = ("_share", "_confidence", "parallelism")


def with_known_demand(computation: Computation, state: Path) -> Computation:
    """Return the computation with what was measured of it before; what it carries itself wins."""
    kept = _read(state / NAME)
    own = kept[computation.id]["demand"] if computation.id in kept else {}
    demand = {**_of_kernel(computation, kept), **own, **computation.demand}
    return replace(computation, demand=demand) if demand else computation


def keep_demand(computation: Computation, state: Path) -> None:
    """Store a fingerprint over an older one of the same computation."""
    path = state / NAME
    kept = _read(path)
    kept[computation.id] = Measured(kernel=computation.kernel, demand=dict(computation.demand))
    part = path.with_suffix(f".{os.getpid()}")
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        part.write_text(json.dumps(kept, indent=1, sort_keys=True), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StateFolderError(f"{path}: cannot be written: {error.strerror or error}") from error


class Measured(TypedDict):
    """What the file holds for one computation."""

    kernel: str
    demand: dict[str, float]


Kept = dict[str, Measured]


def _read(path: Path) -> Kept:
    try:
        kept: Kept = json.loads(path.read_text(encoding="utf-8"))
        return kept
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ValueError as error:
        raise CorruptError(f"{path}: is not readable as JSON: {error}; remove it and fingerprint again") from error


def _of_kernel(computation: Computation, kept: Kept) -> dict[str, float]:
    found: dict[str, float] = {}
    for one in kept.values():
        if one["kernel"] == computation.kernel:
            found.update((key, value) for key, value in one["demand"].items() if key.endswith(_SIZELESS))
    return found
