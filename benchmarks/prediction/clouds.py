"""Runtime of big-data workloads on virtual machines of several clouds, with telemetry of every run.

Three questions: a cloud never seen, an application never seen, and what the telemetry of one run of a new application
is worth.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.prediction.tasks import COMPUTATION, RESOURCE, RUNTIME, Task, held_out, one_hot

REFERENCE = "alibaba/g6.xlarge"
_FOLDS = 6
_KEYS = ["cloud", "vm", "framework", "app", "input"]
_INPUTS = {"tiny": 0, "small": 1, "large": 2, "huge": 3}
_TELEMETRY = (
    *("pct_user", "pct_system", "pct_iowait", "pct_steal", "tps", "bread_per_s", "bwrtn_per_s", "await", "pct_util"),
    *("runq-sz", "ldavg-1", "blocked", "kbmemused", "pct_memused", "kbcached", "kbcommit", "kbactive", "kbdirty"),
    *("rxkB_per_s", "txkB_per_s", "pgpgin_per_s", "pgpgout_per_s", "fault_per_s", "majflt_per_s", "cswch_per_s"),
    "proc_per_s",
)


def cloud_tasks(data: Path, counts: Sequence[int] = (3, 10), draws: Sequence[int] = (0,)) -> Iterator[Task]:
    """Yield the tasks of leaving a cloud out; every second of its machines is a target."""
    runs = machine_runs(data)
    cloud = runs[RESOURCE].str.split("/").str[0]
    for hidden in sorted(cloud.unique()):
        train = runs[cloud != hidden]
        for machine in sorted(runs.loc[cloud == hidden, RESOURCE].unique())[::2]:
            yield from held_out(
                "cloud_lumos",
                "unseen-cloud VM",
                train=train,
                rows=runs[runs[RESOURCE] == machine],
                side=RESOURCE,
                key=f"cloud:{hidden}",
                counts=counts,
                draws=draws,
            )


def application_tasks(data: Path, counts: Sequence[int] = (3, 10), draws: Sequence[int] = (0,)) -> Iterator[Task]:
    """Yield the tasks of leaving a sixth of the applications out; up to two input sizes of each are targets."""
    runs = machine_runs(data)
    application = application_of(runs)
    names = sorted(application.unique())
    for fold in range(_FOLDS):
        hidden = names[fold::_FOLDS]
        train = runs[~application.isin(hidden)]
        for name in hidden:
            for workload in sorted(runs.loc[application == name, COMPUTATION].unique())[::2][:2]:
                yield from held_out(
                    "cloud_lumos",
                    "unseen app",
                    train=train,
                    rows=runs[runs[COMPUTATION] == workload],
                    side=COMPUTATION,
                    key=f"fold{fold}",
                    counts=counts,
                    draws=draws,
                )


def one_run_tasks(data: Path, *, telemetry: bool) -> Iterator[Task]:
    """Yield the tasks of one run on the reference machine for every workload of a sixth of the applications.

    Every workload that ran on the reference counts; the query is all its other machines. With `telemetry`, runs carry
    mean and 95th percentile of every quantity, else none.
    """
    runs = machine_runs(data, kinds=("mean", "p95") if telemetry else ())
    known = set(runs.loc[runs[RESOURCE] == REFERENCE, COMPUTATION])
    runs = runs[runs[COMPUTATION].isin(known)].reset_index(drop=True)
    application = application_of(runs)
    names = sorted(application.unique())
    for fold in range(_FOLDS):
        hidden = application.isin(names[fold::_FOLDS])
        train = runs[~hidden]
        for workload in sorted(runs.loc[hidden, COMPUTATION].unique()):
            rows = runs[runs[COMPUTATION] == workload]
            yield Task(
                protocol="cloud_lumos/one run",
                probe_count=1,
                target=workload,
                draw=0,
                train=train,
                probes=rows[rows[RESOURCE] == REFERENCE].reset_index(drop=True),
                query=rows[rows[RESOURCE] != REFERENCE].reset_index(drop=True),
                key=f"one-run:{fold}",
            )


def application_of(runs: pd.DataFrame) -> pd.Series:
    """Return framework and application of each run: its computation without the input size."""
    return runs[COMPUTATION].str.rsplit("_", n=1).str[0]


def machine_runs(data: Path, kinds: Sequence[str] = ("mean",)) -> pd.DataFrame:
    """Return one row for each workload and machine, the median of its repeats; telemetry in ln(1 + value)."""
    runs = pd.read_parquet(data / "cloud_lumos/runs.parquet")
    measured = [f"{kind}_{name}" for name in _TELEMETRY for kind in kinds if f"{kind}_{name}" in runs.columns]
    of_cell = {"runtime_s": "median", "vcpu": "first", "mem_gb": "first", "high_freq": "first"}
    of_cell |= {"input_bytes": "median", **dict.fromkeys(measured, "median")}
    cells = runs.groupby(_KEYS, as_index=False).agg(of_cell)
    usual = cells.groupby("app")["input_bytes"].transform("median")
    table = pd.DataFrame(
        {
            COMPUTATION: cells["framework"] + "_" + cells["app"] + "_" + cells["input"],
            RESOURCE: cells["cloud"] + "/" + cells["vm"],
            RUNTIME: cells["runtime_s"],
            "c_size": 1.0,
            "c_logbytes": np.log(cells["input_bytes"].fillna(usual).fillna(1e6).clip(1e3)),
            "c_inp": cells["input"].map(_INPUTS).astype(float),
        }
    )
    table = pd.concat([table, one_hot(cells["framework"], "c_fw_"), one_hot(cells["app"], "c_app_")], axis=1)
    table = table.assign(
        r_logvcpu=np.log2(cells["vcpu"]),
        r_logmem=np.log2(cells["mem_gb"]),
        r_mem_vcpu=cells["mem_gb"] / cells["vcpu"],
        r_hf=cells["high_freq"],
    )
    seen = {_short(name, kinds): np.log1p(cells[name].clip(lower=0).fillna(0)).astype("float32") for name in measured}
    return pd.concat([table, one_hot(cells["cloud"], "r_cloud_"), pd.DataFrame(seen, index=table.index)], axis=1)


def _short(name: str, kinds: Sequence[str]) -> str:
    """Return the column of a quantity: its kind stands in it only if there are several."""
    return f"t_{name}" if len(kinds) > 1 else f"t_{name.split('_', 1)[1]}"
