"""R2: one batch of the demo's kernels on four unlike raylets, placed by dnaml, by Ray, and by an oracle.

The raylets share this machine's cores, so each node's queue advances by the runtimes of its own attempts, as in the
demo: completion times, makespan and cost come from these clocks. Ray's tasks run in Ray's own workers on the same
raylets; of both sides a runtime is the processor time of the work.
"""

import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

import dnaml
from benchmarks.ray_pool import Wanted, raylets
from benchmarks.report import Op, Row
from dnaml.core.plan import FloatArray
from dnaml.demo import collect, compare
from dnaml.demo.kernels import KERNELS, Kernel
from dnaml.demo.main import PRICE_OF_SCORE_1_USD_PER_H
from dnaml.demo.pool import MEMBERS, Host, environment_of
from dnaml.engine import EngineSettings
from dnaml.execution.on_ray import RaySettings, on_ray
from dnaml.predict.measured import TablePredictor
from dnaml.predict.placing import LivePredictor
from dnaml.schedule.matching import MatchingPolicy
from dnaml.schedule.planning import ControllerSettings
from dnaml.telemetry.profile import probe_score

BAR_PEER, BAR_ORACLE = 0.75, 1.15
DOMAIN = "this machine"
CORES = 2

Figures = Mapping[str, float]

# Every node's worker is warmed up like dnaml's; then a line of JSON a batch: (position, node, seconds) in start order.
_RAY_DRIVER = """
import json, sys, time, ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from dnaml.demo.kernels import KERNELS, warm_up
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
names = {n["NodeID"]: n["Labels"]["dnaml-id"] for n in ray.nodes()}
@ray.remote(num_cpus=1)
def warm():
    return warm_up()
@ray.remote(num_cpus=1)
def work(kernel, size, seed):
    at, began = time.time(), time.process_time()
    KERNELS[kernel].run(size, seed)
    return at, ray.get_runtime_context().get_node_id(), time.process_time() - began
for line in sys.stdin:
    order = json.loads(line)
    pinned = [NodeAffinitySchedulingStrategy(node, soft=False) for node in names]
    ray.get([warm.options(scheduling_strategy=p).remote() for p in pinned])
    placed = work.options(scheduling_strategy=order["strategy"])
    ends = ray.get([placed.remote(*item) for item in order["items"]])
    print(json.dumps([(i, names[n], s) for i, (_, n, s) in sorted(enumerate(ends), key=lambda e: e[1][0])]), flush=True)
"""


def rows(quick: bool) -> list[Row]:
    """Return dnaml over Ray's own placements and over the oracle, for mean completion time, makespan and cost."""
    kernels = tuple(KERNELS.values())[:: 3 if quick else 1]
    passes = 1 if quick else 3
    host = Host.here()
    wanted = [Wanted(id=each.id, environment=environment_of(each, host)) for each in MEMBERS[:4]]
    with raylets(wanted) as pool, tempfile.TemporaryDirectory(prefix="dnaml-unlike-") as folder:
        domain = ControllerSettings(cores={DOMAIN: CORES}, own_clocks=True)
        settings = EngineSettings(controller=domain, open_backend=on_ray(pool.address, RaySettings(ready_s=60.0)))
        with dnaml.Executor(state=Path(folder), settings=settings) as executor:
            describe(executor, len(wanted))
            found = measured(executor, kernels, passes, pool.address)
    return as_rows(found, len(wanted), passes)


def describe(executor: dnaml.Executor, nodes: int) -> None:
    """Wait until every node is probed, then say that they share cores, and price them by the demo's one rule."""
    from benchmarks.faults.ray_case import wait_for

    pool = executor._engine.controller.pool
    wait_for(lambda: sum("contention" in each.spec for each in pool.resources) == nodes, 120.0)
    for each in pool.resources:
        price = PRICE_OF_SCORE_1_USD_PER_H * probe_score(each)
        executor.add_resource(replace(each, domain=DOMAIN, price_usd_per_h=price, price_date="demo rule"))


def measured(
    executor: dnaml.Executor, kernels: Sequence[Kernel], passes: int, address: str
) -> dict[str, list[Figures]]:
    """Return the figures of each way to place the same batches; nothing of a batch was seen before but its kernels."""
    list(collect.warm(executor))
    cells = collect.cells_of(kernels, executor.resources)
    runs = collect.runs_of(executor, list(collect.run_cells(executor, cells, repeats=2, seed=0)))
    truth, learned = TablePredictor.from_runs(runs), LivePredictor().updated(runs)
    found: dict[str, list[Figures]] = {}
    for number in range(passes):
        batch = compare.draw_batch(kernels, per_kernel=4, seed=number)
        for strategy in ("DEFAULT", "SPREAD"):
            found.setdefault(strategy, []).append(by_ray(executor, batch, address, strategy))
        for preset in ("min_latency", "min_cost"):
            for label, predictor in (("dnaml", learned), ("oracle", truth)):
                policy = MatchingPolicy(name=f"{label}-{preset}-{number}")
                ran = compare.run_batch(
                    executor, batch, label=label, policy=policy, predictor=predictor, objective=preset
                )
                found.setdefault(f"{label} {preset}", []).append(figures(ran.jct_s, ran.cost_usd))
    return found


def by_ray(executor: dnaml.Executor, batch: Sequence[compare.Item], address: str, strategy: str) -> Figures:
    """Return the figures of Ray's own placement of a batch."""
    order = {"strategy": strategy, "items": [(item.kernel, item.size, item.seed) for item in batch]}
    answer = subprocess.run(
        [sys.executable, "-c", _RAY_DRIVER, address],
        input=msgspec.json.encode(order) + b"\n",
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    prices = {each.id: each.price_usd_per_h or 0.0 for each in executor.resources}
    clock_s = dict.fromkeys(prices, 0.0)
    jct_s, cost_usd = np.zeros(len(batch)), np.zeros(len(batch))
    for position, node, runtime_s in msgspec.json.decode(answer, type=list[tuple[int, str, float]]):
        clock_s[node] += runtime_s
        jct_s[position], cost_usd[position] = clock_s[node], runtime_s / 3600 * prices[node]
    return figures(jct_s, cost_usd)


def figures(jct_s: FloatArray, cost_usd: FloatArray) -> Figures:
    """Return mean completion time, makespan and cost of one batch."""
    return {"mean_jct_s": float(jct_s.mean()), "makespan_s": float(jct_s.max()), "cost_usd": float(cost_usd.sum())}


def as_rows(found: Mapping[str, Sequence[Figures]], nodes: int, passes: int) -> list[Row]:
    """Return each figure beside Ray's placements and the oracle's, under the preset it belongs to."""
    made = []
    for name, preset in (("mean_jct_s", "min_latency"), ("makespan_s", "min_latency"), ("cost_usd", "min_cost")):
        mean = {label: float(np.mean([one[name] for one in ran])) for label, ran in found.items()}
        ours = mean[f"dnaml {preset}"]
        note = f"{nodes} raylets, {passes} batches, {preset}; " + ", ".join(f"{k} {v:.4g}" for k, v in mean.items())
        for peer in ("DEFAULT", "SPREAD"):
            made.append(
                _row(f"R2.{name}.{peer.lower()}", f"{name} over Ray's {peer}", ours / mean[peer], BAR_PEER, note)
            )
        oracle = ours / mean[f"oracle {preset}"]
        made.append(_row(f"R2.{name}.oracle", f"{name} over the oracle's", oracle, BAR_ORACLE, note))
    return made


def _row(row_id: str, metric: str, value: float, bar: float, note: str) -> Row:
    return Row(id=row_id, metric=metric, value=value, unit="x", op=Op.AT_MOST, bar=bar, note=note)
