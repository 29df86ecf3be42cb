"""Traces of elastic training jobs on a cluster of unlike GPUs, as in "Sia: Heterogeneity-aware, goodput-optimized
ML-cluster scheduling" (2023).

A configuration is a type and a count: within one node a power of two, beyond it whole nodes.
"""

import csv
import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dnaml.core.errors import InputError
from dnaml.core.resource import Kind, Resource
from dnaml.datasets.traces.goodput import Efficiency, StepTimes, goodput, phases
from dnaml.datasets.traces.trace import Phases, Trace, TraceJob

CLUSTERS = {"t4": "aws", "a100": "dgx-ext", "rtx2080ti": "rtx"}
"""which measurements stand for each type, in the order of the pools"""
SLOWER = {"cifar10": 1.8, "imagenet": 1.2, "yolov3": 1.2, "bert": 1.2, "deepspeech2": 1.2, "ncf": 1.5}
"""by how much jobs on the authors' cluster were slower than their profiles; their simulator divides speeds by it"""
IntArray = npt.NDArray[np.int64]


def load(folder: Path, name: str) -> Trace:
    """Return one trace of a folder with `traces/`, `profiles.parquet`, `efficiency.parquet` and `clusters.json`.

    Raises InputError for an unknown trace or application.
    """
    path = folder / "traces" / f"{name}.csv"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in (folder / "traces").glob("*.csv")))
        raise InputError(f"there is no trace {name!r} in {folder}; there are {known}")
    clusters = json.loads((folder / "clusters.json").read_text())
    shape = clusters["heterogeneous"]
    pool, _, units = _configurations(shape)
    courses = _courses(folder)
    with path.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    unknown = {row["application"] for row in rows} - set(courses)
    if unknown:
        raise InputError(f"{name}: no measurements for application {sorted(unknown)[0]!r}; known: {', '.join(courses)}")
    restart_s = clusters["restart_s"]
    prices = clusters["prices_usd_per_gpu_hour"]["on_demand"]
    jobs = [_job(row, courses[row["application"]], units, restart_s) for row in rows]
    resources = tuple(
        Resource(
            id=kind,
            kind=Kind.GPU,
            slots=shape[kind]["nodes"] * shape[kind]["gpus_per_node"],
            price_usd_per_h=prices[kind],
        )
        for kind in CLUSTERS
    )
    round_s = float(clusters["round_s"]["adaptive"])
    jobs.sort(key=lambda job: job.arrival_s)
    return Trace(name=name, resources=resources, pool=pool, jobs=jobs, round_s=round_s)


def _job(row: dict[str, str], course: Phases, units: IntArray, restart_s: dict[str, float]) -> TraceJob:
    return TraceJob(
        id=row["job_id"],
        arrival_s=float(row["arrival_s"]),
        runtime_s=course.left_s[0],
        units=units,
        restart_s=float(restart_s.get(row["application"], restart_s["other"])),
        phases=course,
    )


def _configurations(shape: dict[str, dict[str, int]]) -> tuple[IntArray, IntArray, IntArray]:
    """Return pool, nodes and units [K] of every configuration."""
    found = []
    for m, kind in enumerate(CLUSTERS):
        nodes, per_node = shape[kind]["nodes"], shape[kind]["gpus_per_node"]
        found += [(m, 1, 2**power) for power in range(per_node.bit_length()) if 2**power <= per_node]
        found += [(m, count, count * per_node) for count in range(2, nodes + 1)]
    pool, nodes_of, units = np.array(found, dtype=np.int64).T
    return pool, nodes_of, units


@lru_cache(maxsize=2)
def _courses(folder: Path) -> dict[str, Phases]:
    """Return how each application goes on in every configuration of the folder's cluster."""
    import pandas as pd

    clusters = json.loads((folder / "clusters.json").read_text())
    pool, nodes, units = _configurations(clusters["heterogeneous"])
    profiles = pd.read_parquet(folder / "profiles.parquet")
    statistics = pd.read_parquet(folder / "efficiency.parquet")
    names = list(CLUSTERS.values())
    courses = {}
    for application, epochs in clusters["max_epochs"].items():
        mine = profiles[profiles["application"] == application]
        times = [StepTimes(mine[mine["cluster"] == name]) for name in names]
        efficiency = Efficiency.of(statistics[statistics["application"] == application], epochs)
        pace = [
            goodput(times[m], efficiency, nodes=int(count), gpus=int(gpus))
            for m, count, gpus in zip(pool, nodes, units, strict=True)
        ]
        courses[application] = phases(np.column_stack(pace) / SLOWER.get(application, 1.0), efficiency.ends)
    return courses
