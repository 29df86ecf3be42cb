"""A user's own trace: one plain CSV, a job a line.

Columns: `job_id`, `arrival_s`, then for each pool `runtime_s:POOL` (empty: cannot run there); optional `units` (all
pools) or `units:POOL`, `deadline_s` after arrival, `weight`, `restart_s`, and for jobs that may share units `kind` and
`memory_bytes`.
"""

import csv
import math
from pathlib import Path

import numpy as np

from dnaml.core.errors import InputError
from dnaml.core.resource import Resource
from dnaml.datasets.traces.trace import Trace, TraceJob

_RUNTIME, _UNITS = "runtime_s:", "units:"
_MOST_UNITS = 1_000_000_000
_MOST_BYTES = 2.0**62
_LAST_S = 1e12  # of a trace: some thirty thousand years
_PLAIN = {"job_id", "arrival_s", "units", "deadline_s", "weight", "restart_s", "kind", "memory_bytes"}


def load(path: Path, *, resources: tuple[Resource, ...] = ()) -> Trace:
    """Return the trace of a CSV; pools that `resources` do not describe have 1 unit and no price.

    Raises InputError that names the line and the column of what is wrong.
    """
    if not path.is_file():
        raise InputError(f"there is no trace file {path}")
    with path.open(newline="") as lines:
        reader = csv.DictReader(lines)
        names = list(reader.fieldnames or ())
        pools = [name.removeprefix(_RUNTIME) for name in names if name.startswith(_RUNTIME)]
        _check(path, names, pools)
        jobs = [_job(path, line, row, pools) for line, row in enumerate(reader, start=2)]
    seen: set[str] = set()
    for job in jobs:
        if job.id in seen:
            raise InputError(f"{path.name}: job_id {job.id!r} is there twice")
        seen.add(job.id)
    known = {resource.id: resource for resource in resources}
    return Trace(
        name=path.stem,
        resources=tuple(known.get(pool, Resource(id=pool)) for pool in pools),
        pool=np.arange(len(pools)),
        jobs=sorted(jobs, key=lambda job: job.arrival_s),
    )


def _check(path: Path, names: list[str], pools: list[str]) -> None:
    if not {"job_id", "arrival_s"} <= set(names) or not pools:
        raise InputError(f"{path.name}: needs columns job_id, arrival_s and a runtime_s:POOL, has {', '.join(names)}")
    for name in names:
        pool = name.removeprefix(_UNITS) if name.startswith(_UNITS) else None
        if pool is not None and pool not in pools:
            raise InputError(f"{path.name}: column {name!r} has no {_RUNTIME}{pool} beside it")
        if pool is None and name not in _PLAIN and not name.startswith(_RUNTIME):
            raise InputError(
                f"{path.name}: unknown column {name!r}; known: {', '.join(sorted(_PLAIN))}, runtime_s:POOL"
            )


def _job(path: Path, line: int, row: dict[str, str], pools: list[str]) -> TraceJob:
    def number(name: str, default: float, *, least: float = 0.0, most: float = math.inf) -> float:
        text = (row.get(name) or "").strip()
        try:
            value = float(text) if text else default
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            limits = (
                f"a number of at least {least:g}" if math.isinf(most) else f"a number between {least:g} and {most:g}"
            )
            raise InputError(f"{path.name} line {line}: {name} must be {limits}, got {text!r}")
        return value

    everywhere = number("units", 1.0, least=1.0, most=_MOST_UNITS)
    arrival_s = number("arrival_s", math.nan, most=_LAST_S)
    allowed_s = number("deadline_s", math.inf)
    restart_s = number("restart_s", -1.0, least=-1.0, most=_LAST_S)
    return TraceJob(
        id=row["job_id"],
        arrival_s=arrival_s,
        runtime_s=np.array([number(_RUNTIME + pool, math.inf) for pool in pools]),
        units=np.array([int(number(_UNITS + pool, everywhere, least=1.0, most=_MOST_UNITS)) for pool in pools]),
        deadline_s=arrival_s + allowed_s,
        weight=number("weight", 1.0, least=1e-9, most=_MOST_UNITS),
        restart_s=None if restart_s < 0 else restart_s,
        kind=(row.get("kind") or "").strip(),
        memory_bytes=int(number("memory_bytes", 0.0, most=_MOST_BYTES)) or None,
    )
