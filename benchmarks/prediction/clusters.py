"""Runtime of big-data jobs on cluster settings never tried: Spark scale-outs in a new context, AWS clusters for an
unseen application. The history is what other contexts or applications ran; price is of the whole cluster.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.prediction.tasks import COMPUTATION, PRICE, RESOURCE, RUNTIME, Task, held_out, one_hot

_PARAMETERS = (
    *("data_size_MB", "line_length", "lines", "p_occurrence", "features", "observations"),
    *("k", "pages", "links", "convergence_criterion", "iterations"),
)
_SHARES = ("p_occurrence", "convergence_criterion")
_FOLDS = 4


def context_tasks(data: Path, counts: Sequence[int] = (1, 2, 3), draws: Sequence[int] = (0,)) -> Iterator[Task]:
    """Yield the tasks of leaving contexts of a Spark job out, a quarter of them at a time; every second is a target."""
    runs = context_runs(data)
    for job in sorted(runs["job"].unique()):
        contexts = sorted(runs.loc[runs["job"] == job, COMPUTATION].unique())
        for fold in range(_FOLDS):
            hidden = contexts[fold::_FOLDS]
            known = (runs["job"] == job) & ~runs[COMPUTATION].isin(hidden)
            train = runs[known].drop(columns="job")
            for context in hidden[::2]:
                rows = runs[runs[COMPUTATION] == context].sort_values("r_n").drop(columns="job")
                if len(rows) >= 4:
                    yield from held_out(
                        "spark_c3o",
                        "leave-context-out",
                        train=train,
                        rows=rows,
                        side=COMPUTATION,
                        key=f"{job}{fold}",
                        counts=counts,
                        draws=draws,
                    )


def context_runs(data: Path) -> pd.DataFrame:
    """Return one row for each context and scale-out, the median of its repeats, with the column `job`."""
    runs = pd.read_csv(data / "spark_c3o/c3o.csv")
    first = ("job", "machine_type", "cluster_slots", "cluster_memory_MB", *_PARAMETERS)
    of_cell = {"runtime_s": "median", **dict.fromkeys(first, "first")}
    cells = runs.groupby(["context", "instance_count"], as_index=False).agg(of_cell)
    size = cells["instance_count"]
    table = pd.DataFrame(
        {
            COMPUTATION: cells["context"],
            RESOURCE: cells["machine_type"] + "x" + size.astype(str),
            RUNTIME: cells["runtime_s"].astype(float),
            **{f"c_log_{p}": np.log(cells[p].fillna(0) + (1e-3 if p in _SHARES else 1)) for p in _PARAMETERS},
        }
    )
    table = pd.concat([table, one_hot(cells["job"], "c_job_"), one_hot(cells["machine_type"], "r_")], axis=1)
    table = table.assign(
        r_n=size,
        r_logn=np.log(size),
        r_slots=cells["cluster_slots"],
        r_logmem=np.log(cells["cluster_memory_MB"]),
        job=cells["job"],
        c_size=cells["data_size_MB"] / 1e4,
    )
    # A context names its machine type, so it describes the computation too.
    return pd.concat([table, one_hot(cells["machine_type"], "c_m_")], axis=1)


def application_tasks(data: Path, counts: Sequence[int] = (3, 6), draws: Sequence[int] = (0, 1, 2)) -> Iterator[Task]:
    """Yield the tasks of leaving a whole application out, all its inputs, over 69 clusters."""
    runs = pd.read_csv(data / "cloud_scout/scout_multi.csv")
    table = cluster_runs(runs)
    for workload in sorted(set(runs["workload"])):
        framework, application = workload.split("_")[:2]
        same = (runs["framework"] == framework) & (runs["app"] == application)
        yield from held_out(
            "cloud_scout",
            "leave-app-out",
            train=table[~same],
            rows=table[runs["workload"] == workload],
            side=COMPUTATION,
            key=f"cloud_scout/{framework}_{application}",
            counts=counts,
            draws=draws,
        )


def cluster_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the run table of workloads on clusters."""
    nodes, cores = runs["nodes"], runs["vcpu_node"]
    table = pd.DataFrame(
        {
            COMPUTATION: runs["workload"],
            RESOURCE: runs["vm_family"] + "." + runs["vm_size"] + "x" + nodes.astype(str),
            RUNTIME: runs["runtime_s"],
            PRICE: runs["price_usd_h_node"] * nodes / 3600,
            "r_n": nodes,
            "r_logn": np.log(nodes),
            "r_vcpu": cores,
            "r_logcores": np.log(nodes * cores),
            "r_mem_vcpu": runs["mem_gb_node"] / cores,
            "r_logmem": np.log(runs["mem_gb_node"] * nodes),
            "r_cores": nodes * cores,
            "c_size": 1.0,
        }
    )
    kinds = [
        one_hot(runs["vm_family"].str[0], "r_f_"),
        one_hot(runs["framework"], "c_fw_"),
        one_hot(runs["app"], "c_app_"),
        one_hot(runs["input"], "c_in_"),
    ]
    return pd.concat([table, *kinds], axis=1)
