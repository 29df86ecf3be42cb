"""How fast an elastic training job learns on a gang: measured step times times statistical efficiency, epoch by epoch.

Goodput is "Pollux: Co-adaptive Cluster Scheduling for Goodput-Optimized Deep Learning" (2021): iterations per second
times the gain of their batch size, `(var + sqr) / (var / scale + sqr)`, at the best batch size the gang can hold.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dnaml.datasets.traces.trace import Phases

if TYPE_CHECKING:
    import pandas as pd

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
_CANDIDATES = 50
_EPS = 1e-8


@dataclass(frozen=True, kw_only=True, eq=False)
class Efficiency:
    """One application's statistics by batch size and epoch; `progress` counts iterations of the smallest batch."""

    sizes: FloatArray  # [B] rising
    progress: FloatArray  # [B, E]
    grad_sqr: FloatArray  # [B, E]
    grad_var: FloatArray  # [B, E]

    @classmethod
    def of(cls, rows: "pd.DataFrame", epochs: int) -> "Efficiency":
        """Return the statistics of one application's rows, of its first `epochs` epochs."""
        by_size = [group.sort_values("epoch").head(epochs) for _, group in rows.groupby("batch_size")]
        return cls(
            sizes=np.array([float(group["batch_size"].iloc[0]) for group in by_size]),
            progress=np.array([group["progress"].to_numpy(float) for group in by_size]),
            grad_sqr=np.array([group["grad_sqr"].to_numpy(float) for group in by_size]),
            grad_var=np.array([group["grad_var"].to_numpy(float) for group in by_size]),
        )

    @cached_property
    def ends(self) -> FloatArray:
        """Return the progress [E] at which each epoch ends."""
        ends: FloatArray = self.progress.min(axis=0)
        return ends

    def gain(self, batch: FloatArray) -> FloatArray:
        """Return the progress of one iteration at each batch size, [E, N]."""
        sqr = np.array([np.interp(batch, self.sizes, column) for column in self.grad_sqr.T])
        var = np.array([np.interp(batch, self.sizes, column) for column in self.grad_var.T])
        scale = batch / self.sizes[0]
        gain: FloatArray = (var + sqr) / (var / scale + sqr)
        return gain


class StepTimes:
    """One application's measured step and synchronisation times on one type of GPU, interpolated."""

    def __init__(self, rows: "pd.DataFrame") -> None:
        self._placed = rows[rows["kind"] == "placements"]
        self._scaled = rows[rows["kind"] == "scalability"]
        self.least = int(self._placed["local_bsz"].min())

    def largest(self, nodes: int, gpus: int) -> int:
        """Return the largest batch of one GPU that was measured on such a gang."""
        rows = self._rows(nodes, gpus)
        if not len(rows):
            rows = self._scaled[(self._scaled["num_nodes"] >= nodes) & (self._scaled["num_gpus"] >= gpus)]
        return int(rows["local_bsz"].max())

    def at(self, nodes: int, gpus: int, local: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return step and synchronisation seconds [N] for batches of one GPU, NaN beyond what was measured."""
        rows = self._rows(nodes, gpus)
        if len(rows):
            rows = rows.groupby("local_bsz", as_index=False)[["step_time_s", "sync_time_s"]].mean()
            known = rows["local_bsz"].to_numpy(float)
            inside = (local >= known[0]) & (local <= known[-1])
            step, sync = (
                np.interp(local, known, rows[name].to_numpy(float)) for name in ("step_time_s", "sync_time_s")
            )
            return np.where(inside, step, np.nan), np.where(inside, sync, np.nan)
        return self._between(nodes, gpus, local)

    def _rows(self, nodes: int, gpus: int) -> "pd.DataFrame":
        placement = str(gpus) if nodes == 1 else str(gpus // nodes) * nodes
        return self._placed[self._placed["placement"] == placement]

    def _between(self, nodes: int, gpus: int, local: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Interpolate between gangs that were measured."""
        import pandas as pd
        from scipy.interpolate import LinearNDInterpolator

        where, what = ["num_nodes", "num_gpus", "local_bsz"], ["step_time_s", "sync_time_s"]
        placed = self._placed.groupby(where, as_index=False)[what].mean()
        known = pd.concat([placed, self._scaled[where + what]])
        found = LinearNDInterpolator(known[where].to_numpy(float), known[what].to_numpy(float))(
            np.column_stack([np.full(len(local), nodes), np.full(len(local), gpus), local])
        )
        return found[:, 0], found[:, 1]


def goodput(times: StepTimes, efficiency: Efficiency, *, nodes: int, gpus: int) -> FloatArray:
    """Return the progress per second [E] of a gang in each epoch, at its best batch size; 0 where it cannot run."""
    first, largest = float(efficiency.sizes[0]), float(efficiency.sizes[-1])
    least = max(first, float(times.least * gpus))
    epochs = efficiency.progress.shape[1]
    if least > largest:
        return np.zeros(epochs)
    most_local = times.largest(nodes, gpus)
    local = np.geomspace(least, largest, _CANDIDATES) / gpus
    steps = np.ceil(local / most_local - _EPS) - 1
    if gpus == 1:  # gradient statistics need two batches
        steps = np.where(local > first + _EPS, np.maximum(steps, 1), steps)
    atomic = np.ceil(local / (steps + 1) - _EPS)
    batch = np.minimum(gpus * atomic * (steps + 1), largest)
    step_s, sync_s = times.at(nodes, gpus, atomic)
    total_s = step_s + (step_s - sync_s) * steps
    usable = (atomic >= times.least) & (atomic <= most_local) & np.isfinite(total_s)
    per_s = np.where(usable, 1.0 / np.where(usable, total_s, 1.0), 0.0)
    best: FloatArray = (efficiency.gain(batch) * per_s).max(axis=1)
    return best


def phases(pace: FloatArray, ends: FloatArray) -> Phases:
    """Return a job's phases from its progress per second [E, K] and the progress [E] at which each epoch ends."""
    size = np.diff(ends, prepend=0.0)
    with np.errstate(divide="ignore"):
        epoch_s = np.where(pace > 0, size[:, None] / np.where(pace > 0, pace, 1.0), np.inf)
    left_s = np.vstack([np.cumsum(epoch_s[::-1], axis=0)[::-1], np.zeros(pace.shape[1])])
    left_s[:, np.isinf(left_s[0])] = np.inf  # a configuration that cannot run some epoch cannot run the job
    done = np.concatenate([[0.0], np.cumsum(size) / ends[-1]])
    done[-1] = 1.0
    return Phases(done=done, left_s=left_s)
