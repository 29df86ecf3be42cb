"""Runtime on devices: WebAssembly on edge devices never seen, and on half-known ones; language models on an
accelerator never seen; training steps of a model family never seen, and on a GPU type never seen.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.prediction.tasks import COMPUTATION, RESOURCE, RUNTIME, Task, generator, held_out, one_hot

_FEWEST_ROWS = 40
_SOURCE_ONLY = "Intel Max 1550"
_MODELS_HELD_OUT = (
    *("meta-llama/Meta-Llama-3-8B", "mistralai/Mixtral-8x7B-v0.1"),
    *("meta-llama/Meta-Llama-3-70B", "Qwen/Qwen2-7B"),
)


def edge_tasks(data: Path, counts: Sequence[int] = (1, 3, 10), draws: Sequence[int] = (0,)) -> Iterator[Task]:
    """Yield the tasks of leaving every fourth device out with all its platforms; up to two of each are targets."""
    runs, device = edge_runs(data)
    devices = sorted(set(device))[2::4]
    train = runs[~device.isin(devices)]
    of_device = {name: sorted(runs.loc[device == name, RESOURCE].unique()) for name in devices}
    chosen = [names[1::4] or names for names in of_device.values()]
    for turn in range(2):
        for platform in (names[turn] for names in chosen if turn < len(names)):
            rows = runs[runs[RESOURCE] == platform]
            if len(rows) >= _FEWEST_ROWS:
                yield from held_out(
                    "edge_pitot",
                    "unseen device",
                    train=train,
                    rows=rows,
                    side=RESOURCE,
                    key="dev",
                    counts=counts,
                    draws=draws,
                )


def half_known_tasks(data: Path, *, together: bool = False) -> Iterator[Task]:
    """Yield the tasks with half of all cells known, at random: every twelfth platform, its known cells as probes.

    `together` keeps all these platforms out of the history of each: harder, but one fit answers for all.
    """
    runs, _ = edge_runs(data)
    known = generator("pitot", 50).random(len(runs)) < 0.5
    history, asked = runs[known], sorted(runs[RESOURCE].unique())[::12]
    for platform in asked:
        own = (runs[RESOURCE] == platform).to_numpy()
        yield Task(
            protocol="edge_pitot/random 50 % of cells",
            probe_count=100,
            target=platform,
            draw=0,
            train=history[~history[RESOURCE].isin(asked if together else [platform])],
            probes=runs[own & known].reset_index(drop=True),
            query=runs[own & ~known].reset_index(drop=True),
            key="p50" if together else f"p50{platform}",
        )


def edge_runs(data: Path) -> tuple[pd.DataFrame, pd.Series]:
    """Return runs of WebAssembly workloads on platforms, in milliseconds, and the device of each run."""
    folder = data / "edge_pitot"
    workloads = pd.read_parquet(folder / "workloads.parquet").set_index("workload")
    platforms = pd.read_parquet(folder / "platforms.parquet").set_index("platform")
    runs = pd.read_parquet(folder / "runs.parquet")
    specs = platforms.drop(columns=["device", "wasm_runtime", "uarch"])
    demand, supply = (side.loc[:, side.std() > 1e-6] for side in (workloads, specs))
    ran = pd.DataFrame({COMPUTATION: runs["workload"], RESOURCE: runs["platform"], RUNTIME: runs["runtime_ns"] / 1e6})
    sides = [
        demand.add_prefix("c_").loc[runs["workload"]].reset_index(drop=True),
        supply.add_prefix("r_").loc[runs["platform"]].reset_index(drop=True),
    ]
    device = platforms["device"].reindex(runs["platform"]).reset_index(drop=True)
    return pd.concat([ran, *sides], axis=1), device


def accelerator_tasks(data: Path, counts: Sequence[int] = (5, 20), draws: Sequence[int] = (0, 1, 2)) -> Iterator[Task]:
    """Yield the tasks of leaving one accelerator out; framework and device count belong to the computation."""
    runs = pd.read_csv(data / "llm_inference/runs.csv")
    shape, setting = _serving_features(runs)
    names = _workload(runs) + "|" + runs["framework"] + "|" + runs["devices"].astype(str)
    ran = pd.DataFrame({COMPUTATION: names, RESOURCE: runs["hardware"], RUNTIME: runs["latency_s"]})
    table = pd.concat([ran, shape, setting.add_prefix("c_"), one_hot(runs["hardware"], "r_")], axis=1)
    for hardware in sorted(set(runs["hardware"]) - {_SOURCE_ONLY}):
        yield from held_out(
            "llm_inference",
            "unseen accelerator",
            train=table[table[RESOURCE] != hardware],
            rows=table[table[RESOURCE] == hardware],
            side=RESOURCE,
            key=hardware,
            counts=counts,
            draws=draws,
        )


def language_model_tasks(data: Path, counts: Sequence[int] = (2, 4), draws: Sequence[int] = (0,)) -> Iterator[Task]:
    """Yield the tasks of leaving one language model out; up to eight of its workloads are targets."""
    runs = pd.read_csv(data / "llm_inference/runs.csv")
    shape, setting = _serving_features(runs)
    names = runs["hardware"] + "|" + runs["framework"] + "|" + runs["devices"].astype(str)
    ran = pd.DataFrame({COMPUTATION: _workload(runs), RESOURCE: names, RUNTIME: runs["latency_s"]})
    table = pd.concat([ran, shape, setting.add_prefix("r_"), one_hot(runs["hardware"], "r_h_")], axis=1)
    for model in _MODELS_HELD_OUT:
        own = table[runs["model"] == model]
        cells = own[COMPUTATION].value_counts()
        for workload in generator(model).permutation(sorted(cells[cells >= 8].index))[:8]:
            yield from held_out(
                "llm_inference",
                "unseen model",
                train=table[runs["model"] != model],
                rows=own[own[COMPUTATION] == workload],
                side=COMPUTATION,
                key=model,
                counts=counts,
                draws=draws,
            )


def _workload(runs: pd.DataFrame) -> pd.Series:
    return runs["model"] + "|" + runs["io_tokens"].astype(str) + "|" + runs["batch_size"].astype(str)


def _serving_features(runs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what describes the request, and what describes how it is served (without a prefix)."""
    amounts = {
        "c_logp": np.log2(runs["nominal_params_b"]),
        "c_logio": np.log2(runs["io_tokens"]),
        "c_logbs": np.log2(runs["batch_size"]),
        "c_size": 1.0,
    }
    shape = pd.concat([pd.DataFrame(amounts), one_hot(runs["model"], "c_m_")], axis=1)
    setting = [pd.DataFrame({"logdev": np.log2(runs["devices"])}), one_hot(runs["framework"], "fw_")]
    return shape, pd.concat(setting, axis=1)


def training_tasks(data: Path, counts: Sequence[int] = (1, 3), draws: Sequence[int] = (0,)) -> Iterator[Task]:
    """Yield the tasks of leaving a model family out; a resource is a GPU type with its number and placement."""
    runs, shape, setting = _training_runs(data)
    ran = pd.DataFrame(
        {
            COMPUTATION: runs["model"] + "|" + runs["batch_size"].astype(str),
            RESOURCE: runs["gpu"] + "|" + _placement(runs),
            RUNTIME: 1 / runs["steps_per_s"],
        }
    )
    table = pd.concat([ran, shape, setting.add_prefix("r_"), one_hot(runs["gpu"], "r_g_")], axis=1)
    for model in sorted(runs["model"].unique()):
        own = table[runs["model"] == model]
        for computation in sorted(own[COMPUTATION].unique()):
            rows = own[own[COMPUTATION] == computation]
            yield from held_out(
                "dl_gavel",
                "unseen model",
                train=table[runs["model"] != model],
                rows=rows,
                side=COMPUTATION,
                key=model,
                counts=[count for count in counts if len(rows) > count + 1],
                draws=draws,
            )


def gpu_tasks(data: Path, counts: Sequence[int] = (1, 3, 5), draws: Sequence[int] = (0, 1, 2)) -> Iterator[Task]:
    """Yield the tasks of leaving one of two GPU types out: with one source there is little to learn from."""
    runs, shape, setting = _training_runs(data)
    names = runs["model"] + "|" + runs["batch_size"].astype(str) + "|" + _placement(runs)
    ran = pd.DataFrame({COMPUTATION: names, RESOURCE: runs["gpu"], RUNTIME: 1 / runs["steps_per_s"]})
    table = pd.concat([ran, shape, setting.add_prefix("c_"), one_hot(runs["gpu"], "r_")], axis=1)
    for gpu in ("v100", "k80"):
        yield from held_out(
            "dl_gavel",
            "unseen GPU type",
            train=table[table[RESOURCE] != gpu],
            rows=table[table[RESOURCE] == gpu],
            side=RESOURCE,
            key=gpu,
            counts=counts,
            draws=draws,
        )


def _placement(runs: pd.DataFrame) -> pd.Series:
    return runs["scale_factor"].astype(str) + "|" + runs["consolidated"].astype(str)


def _training_runs(data: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return the runs that worked, what describes the step, and what describes the placement (without a prefix)."""
    runs = pd.read_csv(data / "dl_gavel/isolated.csv")
    runs = runs[(runs["table"] == "simulation") & (runs["steps_per_s"] > 0)].reset_index(drop=True)
    amounts = pd.DataFrame({"c_logbs": np.log2(runs["batch_size"].clip(1)), "c_size": 1.0})
    setting = {"logsf": np.log2(runs["scale_factor"]), "cons": runs["consolidated"].astype(float)}
    return runs, pd.concat([one_hot(runs["model"], "c_m_"), amounts], axis=1), pd.DataFrame(setting)
