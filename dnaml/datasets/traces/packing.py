"""Packing problems: nodes with CPU, memory and GPUs, and a stream of requests for shares or whole gangs of GPUs.

`openb` reads the Alibaba GPU-sharing trace (folder with `nodes.csv` and `pods/`), `large` its ten-fold repetition with
100,000 tasks, `instances` the service instances and `spot_nodes` the node list that stand beside them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dnaml.core.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
_MIB = 2**20
_GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Nodes:
    """Machines [N]: thousandths of a core, bytes, whole GPUs and their model ("" for none)."""

    names: tuple[str, ...]
    cpu_milli: IntArray
    memory_bytes: IntArray
    gpus: IntArray
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Requests:
    """What is asked for [J]: `gpus` whole GPUs, or `gpu_milli` thousandths of one where `gpus` is 1.

    `models` names the allowed models of each (empty: any). `arrived_s` and `ended_s` are NaN where unknown.
    """

    names: tuple[str, ...]
    arrived_s: FloatArray
    ended_s: FloatArray
    cpu_milli: IntArray
    memory_bytes: IntArray
    gpus: IntArray
    gpu_milli: IntArray
    models: tuple[frozenset[str], ...]


def openb(folder: Path, pods: str = "default") -> tuple[Nodes, Requests]:
    """Return the nodes and one list of pods; raises InputError for an unknown list."""
    import pandas as pd

    path = folder / "pods" / f"{pods}.csv"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in (folder / "pods").glob("*.csv")))
        raise InputError(f"there is no list of pods {pods!r} in {folder}; there are {known}")
    return _nodes(pd.read_csv(folder / "nodes.csv")), _requests(pd.read_csv(path), "name", "creation_time")


def large(folder: Path) -> tuple[Nodes, Requests]:
    """Return 15,230 nodes and 100,000 tasks."""
    import pandas as pd

    nodes = _nodes(pd.read_parquet(folder / "nodes_openb_x10.parquet"))
    return nodes, _requests(pd.read_parquet(folder / "tasks_openb_100k.parquet"), "task_id", "arrival_s")


def spot_nodes(folder: Path) -> Nodes:
    """Return 4,278 nodes of a spot GPU cluster; their memory is not known and counts as none."""
    import pandas as pd

    rows = pd.read_csv(folder / "nodes_spot4278.csv")
    rows = rows.rename(columns={"node_name": "sn", "gpu_capacity_num": "gpu", "gpu_model": "model"})
    return _nodes(rows.assign(cpu_milli=rows["cpu_num"] * 1000, memory_mib=0))


def instances(folder: Path) -> Requests:
    """Return 23,871 service instances; they ask for whole GPUs."""
    import pandas as pd

    rows = pd.read_parquet(folder / "instances_dlrm23871.parquet")
    count = len(rows)
    return Requests(
        names=tuple(rows["instance_sn"].astype(str)),
        arrived_s=rows["creation_time"].to_numpy(float),
        ended_s=rows["deletion_time"].to_numpy(float),
        cpu_milli=rows["cpu_request"].to_numpy(np.int64) * 1000,
        memory_bytes=(rows["memory_request"].to_numpy(float) * _GIB).astype(np.int64),
        gpus=rows["gpu_request"].to_numpy(np.int64),
        gpu_milli=np.full(count, 1000),
        models=(frozenset(),) * count,
    )


def _nodes(rows: "pd.DataFrame") -> Nodes:
    return Nodes(
        names=tuple(rows["sn"].astype(str)),
        cpu_milli=rows["cpu_milli"].to_numpy(np.int64),
        memory_bytes=rows["memory_mib"].to_numpy(np.int64) * _MIB,
        gpus=rows["gpu"].to_numpy(np.int64),
        models=tuple(rows["model"].astype("string").fillna("").astype(str)),
    )


def _requests(rows: "pd.DataFrame", name: str, arrival: str) -> Requests:
    """Return the requests of a table; times that it does not hold are NaN, and without `gpu_spec` any model will do."""
    unknown = np.full(len(rows), np.nan)
    wanted = rows["gpu_spec"].astype("string").fillna("").astype(str) if "gpu_spec" in rows else [""] * len(rows)
    return Requests(
        names=tuple(rows[name].astype(str)),
        arrived_s=rows[arrival].to_numpy(float) if arrival in rows else unknown,
        ended_s=rows["deletion_time"].to_numpy(float) if "deletion_time" in rows else unknown,
        cpu_milli=rows["cpu_milli"].to_numpy(np.int64),
        memory_bytes=rows["memory_mib"].to_numpy(np.int64) * _MIB,
        gpus=rows["num_gpu"].to_numpy(np.int64),
        gpu_milli=rows["gpu_milli"].to_numpy(np.int64),
        models=tuple(frozenset(spec.split("|")) if spec else frozenset() for spec in wanted),
    )
