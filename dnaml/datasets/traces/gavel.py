"""Traces of the kind of "Heterogeneity-Aware Cluster Scheduling Policies for Deep Learning Workloads" (Gavel, 2020).

Jobs are rigid gangs of 1-8 GPUs with a measured speed on each of three GPU types.
"""

import csv
import json
import math
from pathlib import Path

import numpy as np

from dnaml.core.errors import InputError
from dnaml.core.resource import Kind, Resource, Site
from dnaml.datasets.traces.colocation import Colocation, pairs
from dnaml.datasets.traces.trace import Trace, TraceJob

TYPES = ("v100", "p100", "k80")
PAIRS = "colocation.parquet"
_WINDOWS = {600: (100, 500), 4000: (1000, 3000)}


def load(folder: Path, name: str, *, cluster: tuple[int, int, int] = (12, 12, 12)) -> Trace:
    """Return one trace of a folder with `traces/`, `throughputs.csv` and `clusters.json`; `cluster` counts each type.

    Of a continuous trace the middle jobs are measured, as its authors do. A gang whose speed nobody measured cannot
    run. Raises InputError for an unknown trace.
    """
    path = folder / "traces" / f"{name}.csv"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in (folder / "traces").glob("*.csv")))
        raise InputError(f"there is no trace {name!r} in {folder}; there are {known}")
    speeds = _speeds(folder / "throughputs.csv")
    with path.open(newline="") as lines:
        jobs = [_job(row, speeds) for row in csv.DictReader(lines)]
    clusters = json.loads((folder / "clusters.json").read_text())
    prices = clusters["prices_usd_per_gpu_hour"]["on_demand"]
    resources = tuple(
        Resource(id=kind, kind=Kind.GPU, site=Site.CLOUD, slots=count, price_usd_per_h=prices[kind])
        for kind, count in zip(TYPES, cluster, strict=True)
    )
    return Trace(
        name=name,
        resources=resources,
        pool=np.arange(len(TYPES)),
        jobs=sorted(jobs, key=lambda job: job.arrival_s),
        round_s=float(clusters["round_s"]),
        measured=_WINDOWS.get(len(jobs)) if name.startswith("cont_") else None,
    )


def colocation(folder: Path) -> Colocation:
    """Return the measured pairs of a folder with `colocation.parquet`; gangs were measured beside gangs of their size.

    Raises InputError where there are none.
    """
    import pandas as pd

    path = folder / PAIRS
    if not path.is_file():
        raise InputError(f"there are no measured pairs {path}")
    speeds = _speeds(folder / "throughputs.csv")
    table = pd.read_parquet(path)
    sides = [
        [
            (str(kind), int(gang), str(pool), float(speed))
            for kind, gang, pool, speed in zip(
                table[f"job_type_{side}"],
                table[f"gpus_{side}"],
                table["resource_type"],
                table[f"steps_per_s_{side}"],
                strict=True,
            )
        ]
        for side in "ab"
    ]
    return pairs(
        (_kind(*a[:2]), _kind(*b[:2]), a[2], a[3] / speeds[a[:3]], b[3] / speeds[b[:3]])
        for a, b in zip(*sides, strict=True)
        if speeds[a[:3]] > 0 and speeds[b[:3]] > 0
    )


def _kind(job_type: str, gang: int) -> str:
    return f"{job_type} x {gang}"


def _speeds(path: Path) -> dict[tuple[str, int, str], float]:
    with path.open(newline="") as lines:
        return {
            (row["job_type"], int(row["gpus"]), row["resource_type"]): float(row["steps_per_s"])
            for row in csv.DictReader(lines)
            if row["consolidated"] == "1"
        }


def _job(row: dict[str, str], speeds: dict[tuple[str, int, str], float]) -> TraceJob:
    gang, steps, arrival_s = int(row["scale_factor"]), float(row["total_steps"]), float(row["arrival_s"])
    speed = np.array([speeds.get((row["job_type"], gang, kind), 0.0) for kind in TYPES])
    runtime_s = np.where(speed > 0, steps / np.where(speed > 0, speed, 1.0), np.inf)
    allowed_s = float(row["slo_factor"] or 0) * float(row["duration_v100_s"] or 0)
    return TraceJob(
        id=row["job_id"],
        arrival_s=arrival_s,
        runtime_s=runtime_s,
        units=np.full(len(TYPES), gang),
        deadline_s=arrival_s + allowed_s if allowed_s > 0 else math.inf,
        weight=float(row["priority"] or 1),
        kind=_kind(row["job_type"], gang),
    )
