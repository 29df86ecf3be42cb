"""What past runs tell of a computation, so that no pilot is needed: its own demand, its telemetry, its sensitivity.

Whether a computation streams through memory or jumps about in it shows in how its run time follows the two probes of
memory from one resource to the next; how sure that is depends on how much the probes differ and how well they explain.
"""

import math
import statistics
from collections.abc import Iterable, Sequence

import numpy as np

from dnaml.core.protocols import Run
from dnaml.core.types import Computation
from dnaml.execution.fingerprint.demand import MASK_BELOW

_PROBES = ("random_access_per_s", "sequential_bytes_per_s", "fp64_flop_per_s", "python_ops_per_s")
_FEWEST_RESOURCES = 4
_LEAST_SPREAD = 0.1  # standard deviation of ln(probe) over resources below which it tells nothing
_COPIED = (
    "read_bytes",
    "written_bytes",
    "transferred_bytes",
    "checkpoint_bytes",
    "working_set_bytes",
    "peak_memory_bytes",
)
_MOST_RUNS = 500


def known_demand(computation: Computation, history: Iterable[Run]) -> dict[str, float]:
    """Return the demands that runs of this very computation tell; empty if it never ran to its end.

    A demand that was measured or declared for one of them comes first, the newest before the older; telemetry gives
    the rest, by its median.
    """
    runs = [run for run in history if run.computation.id == computation.id and not run.failed and not run.censored]
    runs = sorted(runs, key=lambda run: run.at_s)[-_MOST_RUNS:]
    if not runs:
        return {}
    found = {**random_sensitivity(runs), **_from_telemetry(runs)}
    for run in runs:
        found.update(run.computation.demand)
    return found


def _from_telemetry(runs: Sequence[Run]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name in _COPIED:
        values = [run.telemetry[name] for run in runs if name in run.telemetry]
        if values:
            found[name] = statistics.median(values)
    shares = [
        (run.telemetry["cpu_user_s"] + run.telemetry["cpu_system_s"]) / run.runtime_s
        for run in runs
        if "cpu_user_s" in run.telemetry and "cpu_system_s" in run.telemetry and run.runtime_s > 0
    ]
    if shares:
        found["cpu_share"] = min(1.0, statistics.median(shares))
    busy = [run.telemetry["gpu_busy_share"] for run in runs if "gpu_busy_share" in run.telemetry]
    if busy:
        found["gpu_share"] = min(1.0, statistics.median(busy))
    return found


def random_sensitivity(runs: Sequence[Run]) -> dict[str, float]:
    """Return the shares of run time that follow the random and the sequential probe of memory, with the confidence.

    Fits ln runtime = a + sum_j w_j ln(1 / probe_j), w_j >= 0, over the medians of at least four resources with those
    probes that differ between them. The confidence is the explained share of variance, less what as many
    observations as weights would explain by chance.
    """
    names, x, y = _table(runs)
    if "random_access_per_s" not in names or len(y) < max(_FEWEST_RESOURCES, len(names) + 2):
        return {}
    from scipy.optimize import nnls

    x, y = x - x.mean(axis=0), y - y.mean()
    weights, left = nnls(x, y)
    total = float(y @ y)
    explained = 1.0 - left**2 / total if total > 0 else 0.0
    freedom = len(y) - 1
    confidence = max(0.0, 1.0 - (1.0 - explained) * freedom / max(1, freedom - len(names)))
    found = {"random_share_confidence": confidence}
    if confidence >= MASK_BELOW and weights.sum() > 0:
        shares = dict(zip(names, weights / max(1.0, weights.sum()), strict=True))
        found["random_share"] = float(shares["random_access_per_s"])
        if "sequential_bytes_per_s" in shares:
            found["sequential_share"] = float(shares["sequential_bytes_per_s"])
    return found


def _table(runs: Sequence[Run]) -> "tuple[list[str], np.ndarray, np.ndarray]":
    """Return the probes that differ and, per resource [N], ln(1 / probe) [N, F] and the median ln runtime [N]."""
    seconds: dict[str, list[float]] = {}
    specs = {}
    for run in runs:
        if run.runtime_s > 0 and all(run.resource.spec.get(name, 0.0) > 0 for name in _PROBES[:2]):
            seconds.setdefault(run.resource.id, []).append(math.log(run.runtime_s))
            specs[run.resource.id] = run.resource.spec
    names = [name for name in _PROBES if specs and all(spec.get(name, 0.0) > 0 for spec in specs.values())]
    rows = np.array([[-math.log(spec[name]) for name in names] for spec in specs.values()]).reshape(
        len(specs), len(names)
    )
    told = [at for at in range(len(names)) if rows[:, at].std() >= _LEAST_SPREAD]
    y = np.array([statistics.median(seconds[owner]) for owner in specs])
    return [names[at] for at in told], rows[:, told], y
