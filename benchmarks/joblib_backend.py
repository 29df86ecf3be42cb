"""scikit-learn's GridSearchCV and tiny joblib calls on dnaml beside loky: elapsed time, and processor time of all.

The two take turns on the same data and the same cores. dnaml runs once on this machine as one resource, and once on
the five local resources of the demo, of which each lacks something, so that where a fit runs matters.
"""

import statistics
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import joblib
import psutil

import dnaml.joblib_backend
from benchmarks.report import Row, main
from dnaml.client import Executor, usable_cores
from dnaml.core.resource import Resource
from dnaml.demo.pool import local_pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much is run: repeats of the search, rows of its data, tiny calls."""

    repeats: int
    rows: int
    calls: int


FULL = Counts(repeats=7, rows=6000, calls=5000)
POOLS = {"machine": "one resource", "demo": "the demo's five"}
QUICK = Counts(repeats=3, rows=3000, calls=2000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """What one repeat took: elapsed seconds, and processor seconds of this process and all below it."""

    wall_s: float
    cpu_s: float


def measured(action: Callable[[], object]) -> Took:
    """Return what an action took; children that end meanwhile count by what they had used before."""
    cpu_s, began_s = tree_cpu_s(), time.perf_counter()
    action()
    return Took(wall_s=time.perf_counter() - began_s, cpu_s=max(0.0, tree_cpu_s() - cpu_s))


def tree_cpu_s() -> float:
    """Return the processor seconds of this process and of every process below it."""
    own = psutil.Process()
    total = 0.0
    for process in (own, *own.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def search(rows: int) -> Callable[[], Any]:
    """Return a grid search over 12 random forests in 3 folds, always the same."""
    from sklearn.datasets import make_classification
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import GridSearchCV

    x, y = make_classification(rows, 40, n_informative=10, random_state=0)
    grid = {"max_depth": [4, 8, 12, None], "max_features": [4, 8, 16]}
    model = RandomForestClassifier(n_estimators=10, random_state=0)
    return lambda: GridSearchCV(model, grid, cv=3, refit=False).fit(x, y)


def tiny(calls: int) -> Callable[[], Any]:
    """Return a `Parallel` over calls that take next to no time: what is left is the back end's."""
    return lambda: joblib.Parallel()(joblib.delayed(abs)(-number) for number in range(calls))


def turns(actions: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[Took]]:
    """Return what each repeat took, the contenders taking turns; a first round that starts workers is not counted."""
    found: dict[str, list[Took]] = {name: [] for name in actions}
    for repeat in range(repeats + 1):
        for name, action in actions.items():
            took = measured(action)
            if repeat:
                found[name].append(took)
    return found


def on(backend: str, action: Callable[[], object], **options: Any) -> Callable[[], object]:
    """Return the action under a joblib back end."""

    def run() -> object:
        with joblib.parallel_config(backend=backend, **options):
            return action()

    return run


def rows_of(id: str, what: str, found: dict[str, list[Took]], *, per: int, unit: str, note: str) -> list[Row]:
    """Return elapsed and processor time of every contender beside loky's, per so many things."""
    scale = 1e6 if unit == "µs" else 1.0
    rows: list[Row] = []
    for measure in ("wall_s", "cpu_s"):
        middle = {name: statistics.median(getattr(one, measure) for one in took) for name, took in found.items()}
        for name, seconds in middle.items():
            if name != "loky":
                kind = "elapsed" if measure == "wall_s" else "processor"
                rows.append(
                    Row(
                        id=f"{id}.{name}.{measure.removesuffix('_s')}",
                        metric=f"{what} on dnaml, {POOLS[name]}: {kind} time",
                        value=seconds / per * scale,
                        unit=unit,
                        peer="loky",
                        peer_value=middle["loky"] / per * scale,
                        note=note if not rows else "",
                    )
                )
    return rows


def measure(quick: bool) -> Sequence[Row]:
    """Return every row; the two have no bar of their own."""
    warnings.simplefilter("ignore")
    counts = QUICK if quick else FULL
    cores = usable_cores()
    dnaml.joblib_backend.register()
    fit, call = search(counts.rows), tiny(counts.calls)
    one = Resource(id="machine", slots=cores)
    with Executor([one], state="temporary", cores=cores) as plain:
        searched = turns(
            {
                "machine": on("dnaml", fit, executor=plain),
                "loky": on("loky", fit, n_jobs=cores),
            },
            counts.repeats,
        )
        called = turns(
            {
                "machine": on("dnaml", call, executor=plain),
                "loky": on("loky", call, n_jobs=cores),
            },
            counts.repeats,
        )
    with Executor(local_pool(), state="temporary", cores=cores, objective="min_latency") as pool:
        spread = turns({"demo": on("dnaml", fit, executor=pool)}, counts.repeats)
    searched["demo"] = spread["demo"]
    told = (
        f"median of {counts.repeats}; 36 fits of forests on {counts.rows} rows, {cores} cores, workers already started"
    )
    return [
        *rows_of("J1", "GridSearchCV", searched, per=1, unit="s", note=told),
        *rows_of("J2", "a tiny call", called, per=counts.calls, unit="µs", note=f"{counts.calls} calls, auto batches"),
    ]


if __name__ == "__main__":
    sys.exit(main("joblib_backend", measure))
