"""Latency of neural networks on devices never seen: cells of NAS-Bench-201 and chains of FBNet blocks.

The history is some networks on the source devices; the probes are a few of them on the target; the query is other
networks on the target. A network is described by its operations and by the work that they add up to.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.prediction.tasks import COMPUTATION, RESOURCE, RUNTIME, Task, generator, one_hot

CELL_SOURCES = (
    *("1080ti_1", "1080ti_32", "1080ti_256", "silver_4114", "silver_4210r"),
    *("samsung_a50", "pixel3", "essential_ph_1", "samsung_s7"),
)
CELL_TARGETS = ("titan_rtx_256", "gold_6226", "fpga", "pixel2")
CHAIN_SOURCES = tuple(
    f"{device}_{batch}" for device in ("1080ti", "2080ti", "titan_rtx", "titanx", "titanxp") for batch in (1, 32, 64)
)
CHAIN_TARGETS = ("gold_6226", "essential_ph_1", "samsung_s7", "pixel2")

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# Edges of a cell between its four nodes, and what may stand on each.
_EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
_SKIP, _CONV1, _CONV3, _POOL = 1, 2, 3, 4

# FBNet: kernel, expansion, groups of each block choice (the ninth skips); channels and stride of each layer.
_KERNELS = (3, 3, 3, 3, 5, 5, 5, 5)
_EXPANSIONS = (1, 1, 3, 6, 1, 1, 3, 6)
_GROUPS = (1, 2, 1, 1, 1, 2, 1, 1)
_BLOCK_SKIP = 8
_CHANNELS = (16, *(24,) * 4, *(32,) * 4, *(64,) * 4, *(112,) * 4, *(184,) * 4, 352)
_STRIDES = (1, *(2, 1, 1, 1) * 3, *(1,) * 4, *(2, 1, 1, 1), 1)


def cell_tasks(data: Path, counts: Sequence[int] = (10, 20), draws: Sequence[int] = (0, 1)) -> Iterator[Task]:
    """Yield the tasks on cells: 900 known ones on nine devices, 1,000 others to predict on four."""
    cells = pd.read_parquet(data / "nas_latency/nb201.parquet")
    operations = cells[[f"op{edge}" for edge in range(6)]].to_numpy(dtype=np.int64)
    space = _Space(
        name="nb201", protocol="ND", latencies=_latencies(cells), features=cell_features(operations), data=data
    )
    yield from space.tasks(CELL_SOURCES, CELL_TARGETS, np.arange(900), np.arange(900, 1900), counts, draws)


def chain_tasks(data: Path, counts: Sequence[int] = (10, 20), draws: Sequence[int] = (0, 1)) -> Iterator[Task]:
    """Yield the tasks on chains: 800 of 4,000 known on 15 GPU settings, 1,000 others to predict on a CPU and phones."""
    chains = pd.read_parquet(data / "nas_latency/fbnet.parquet")
    names = [f"op{layer}" for layer in range(22)]
    shape = [one_hot(chains[name], f"c_l{layer}o") for layer, name in enumerate(names)]
    features = pd.concat([*shape, chain_work(chains[names].to_numpy(dtype=np.int64))], axis=1)
    known = generator("fbnet", "FA").choice(4000, 800, replace=False)
    space = _Space(name="fbnet", protocol="FA", latencies=_latencies(chains), features=features, data=data)
    yield from space.tasks(CHAIN_SOURCES, CHAIN_TARGETS, known, np.arange(4000, 5000), counts, draws)


class _Space:
    """A space of networks with their latencies [N] by device."""

    def __init__(
        self, *, name: str, protocol: str, latencies: Mapping[str, Floats], features: pd.DataFrame, data: Path
    ) -> None:
        self.name, self.protocol, self.latencies, self.features = name, protocol, latencies, features
        self.devices = pd.read_csv(data / "nas_latency/devices.csv").set_index("device")

    def tasks(
        self,
        sources: Sequence[str],
        targets: Sequence[str],
        known: Ints,
        asked: Ints,
        counts: Sequence[int],
        draws: Sequence[int],
    ) -> Iterator[Task]:
        """Yield a task for each target, count of probes and draw; probes are among the known networks."""
        train = pd.concat([self.runs(device, known) for device in sources], ignore_index=True)
        for target in targets:
            query = self.runs(target, asked)
            for count in counts:
                for draw in draws:
                    chance = generator(self.name, self.protocol, target, count, draw)
                    yield Task(
                        protocol=f"nas_{self.name}/{self.protocol}",
                        probe_count=count,
                        target=target,
                        draw=draw,
                        train=train,
                        probes=self.runs(target, chance.choice(known, count, replace=False)),
                        query=query,
                        key=f"{self.name}/{self.protocol}",
                    )

    def runs(self, device: str, networks: Ints) -> pd.DataFrame:
        """Return the run table of some networks on one device."""
        kinds = sorted(self.devices["kind"].unique())
        own = self.devices.loc[device]
        ran = {
            COMPUTATION: [f"a{network}" for network in networks],
            RESOURCE: device,
            RUNTIME: self.latencies[device][networks],
            **{f"r_is_{kind}": float(own["kind"] == kind) for kind in kinds},
            "r_logbatch": np.log2(own["batch"]),
        }
        return pd.concat([pd.DataFrame(ran), self.features.iloc[networks].reset_index(drop=True)], axis=1)


def _latencies(frame: pd.DataFrame) -> dict[str, Floats]:
    return {str(name)[3:]: frame[name].to_numpy(dtype=np.float64) for name in frame if str(name).startswith("ms_")}


def cell_features(operations: Ints) -> pd.DataFrame:
    """Describe cells [N, 6]: the operation on each edge, on the live graph too, and the work of the live graph.

    A compiler removes what no path from input to output crosses; a cell without any such path costs next to nothing.
    """
    live, connected = live_edges(operations)
    found: dict[str, npt.NDArray[np.generic]] = {}
    for edge in range(6):
        for kind in range(1, 5):
            found[f"c_e{edge}o{kind}"] = operations[:, edge] == kind
            found[f"c_L{edge}o{kind}"] = (operations[:, edge] == kind) & live[:, edge]
    count = {kind: ((operations == kind) & live).sum(axis=1) for kind in range(1, 5)}
    for kind in range(1, 5):
        found[f"c_n{kind}"], found[f"c_a{kind}"] = count[kind], (operations == kind).sum(axis=1)
    depth = _depth(operations, live)
    found |= {"c_depth": depth, "c_dead": ~connected}
    found["c_g_macs"] = np.log(9 * count[_CONV3] + count[_CONV1] + 0.5)
    found["c_g_mem"] = np.log(count[_SKIP] + count[_CONV1] + count[_CONV3] + count[_POOL] + 0.5)
    found |= {"c_g_pool": count[_POOL], "c_g_n3": count[_CONV3], "c_g_n2": count[_CONV1]}
    found |= {"c_g_depth": depth, "c_g_dead": ~connected}
    return pd.DataFrame({name: values.astype(np.float32) for name, values in found.items()})


def live_edges(operations: Ints) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return which edges [N, 6] lie on a path from input to output, and which cells [N] have such a path."""
    present = operations > 0
    fed, used = np.zeros((2, len(operations), 4), dtype=bool)
    fed[:, 0] = used[:, 3] = True
    for edge, (begin, end) in enumerate(_EDGES):
        fed[:, end] |= fed[:, begin] & present[:, edge]
    for edge, (begin, end) in reversed(list(enumerate(_EDGES))):
        used[:, begin] |= used[:, end] & present[:, edge]
    live = [present[:, edge] & fed[:, begin] & used[:, end] for edge, (begin, end) in enumerate(_EDGES)]
    return np.stack(live, axis=1), fed[:, 3]


def _depth(operations: Ints, live: npt.NDArray[np.bool_]) -> Floats:
    """Return the most operations [N] that follow on each other; a skip counts none."""
    steps = np.array([0, 0, 1, 1, 1])
    depth = np.full((len(operations), 4), -9.0)
    depth[:, 0] = 0
    for edge, (begin, end) in enumerate(_EDGES):
        longer = np.maximum(depth[:, end], depth[:, begin] + steps[operations[:, edge]])
        depth[:, end] = np.where(live[:, edge], longer, depth[:, end])
    longest: Floats = np.maximum(depth[:, 3], 0)
    return longest


def chain_work(operations: Ints) -> pd.DataFrame:
    """Return ln of the work of chains [N, 22] over its mean.

    The six amounts are multiply-adds of 1x1 and of depthwise convolutions, activations, weights, kernels launched, and
    blocks with a kernel of 5.
    """
    amounts = np.zeros((9, 22, 6))
    channels, side = 16, 112
    for layer, (wide, stride) in enumerate(zip(_CHANNELS, _STRIDES, strict=True)):
        small = side // stride
        for choice, (kernel, factor, groups) in enumerate(zip(_KERNELS, _EXPANSIONS, _GROUPS, strict=True)):
            middle, area = channels * factor, kernel**2
            amounts[choice, layer] = (
                (side * side * channels * middle + small * small * middle * wide) / groups,
                small * small * middle * area,
                side * side * middle + small * small * (middle + wide),
                (channels * middle + middle * wide) / groups + middle * area,
                1,
                kernel == 5,
            )
        if channels != wide or stride != 1:  # a skip that changes the shape is a 1x1 convolution
            work = small * small * channels * wide
            amounts[_BLOCK_SKIP, layer] = (work, 0, small * small * wide, channels * wide, 1, 0)
        channels, side = wide, small
    total = amounts[operations, np.arange(22)].sum(axis=1)  # [N, 6]
    names = [f"c_g_{name}" for name in ("pw", "dw", "act", "weights", "kernels", "k5")]
    return pd.DataFrame(np.log(total / total.mean(axis=0) + 0.02).astype(np.float32), columns=names)
