"""One batch under many policies: the same computations, really run under each, on the resources' own clocks.

The resources share the cores of one machine, so each resource's queue advances by the runtimes of its own attempts
(CPU time of the process tree plus time blocked); completion times, makespan and cost come from these clocks.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dnaml.client import Executor
from dnaml.core.attempt import AttemptState
from dnaml.core.plan import FloatArray, Problem
from dnaml.core.protocols import Policy, Predictor
from dnaml.core.resource import Resource
from dnaml.core.work import Job, Objective
from dnaml.demo.collect import call_of
from dnaml.demo.kernels import KERNELS, Kernel
from dnaml.futures import Future
from dnaml.history import History, JobView
from dnaml.schedule.matching import utopia
from dnaml.schedule.objective import References, evaluate

PRESETS = ("min_cost", "min_latency", "balanced")
_SETTLE_S = 60.0  # a copy that does not heed its stop is killed long before


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One computation of the batch."""

    kernel: str
    size: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ran:
    """What one policy made of the batch: per job the completion time on its resource's clock, and the cost."""

    policy: str
    jct_s: FloatArray  # [J]
    cost_usd: FloatArray  # [J]
    wall_s: float
    used: Mapping[str, int]
    first: Future[object]

    @property
    def makespan_s(self) -> float:
        """Return the time of the last completion."""
        return float(self.jct_s.max())


def draw_batch(kernels: Sequence[Kernel], *, per_kernel: int, seed: int) -> list[Item]:
    """Draw a batch: every kernel equally often, sizes and order by the seed."""
    rng = np.random.default_rng(seed)
    items = [
        Item(kernel=kernel.name, size=int(rng.choice(kernel.sizes)), seed=int(rng.integers(1 << 30)))
        for kernel in kernels
        for _ in range(per_kernel)
    ]
    return [items[index] for index in rng.permutation(len(items))]


def run_batch(
    executor: Executor, batch: Sequence[Item], *, label: str, policy: Policy, predictor: Predictor, objective: str
) -> Ran:
    """Run the batch under a policy, for real, and read the clocks from the journal."""
    executor.configure(objective=objective, policy=policy, predictor=predictor)
    since_s = time.monotonic()
    futures = executor.submit_all(call_of(KERNELS[item.kernel], item.size, seed=item.seed) for item in batch)
    for future in futures:
        future.result()
    wall_s = time.monotonic() - since_s
    return _read_clocks(executor, futures, label, wall_s)


def _settled(executor: Executor, futures: Sequence[Future[object]]) -> list[JobView]:
    """Return the jobs once all their attempts ended: a copy of one that has its result is still being stopped."""
    pause, until_s = threading.Event(), time.monotonic() + _SETTLE_S
    while True:
        jobs = History.read(executor.state).jobs
        views = [jobs[future.job_id] for future in futures]
        running = [attempt.id for view in views for attempt in view.attempts if attempt.usage is None]
        if not running:
            return views
        if time.monotonic() > until_s:
            raise TimeoutError(f"{', '.join(running)}: not ended {_SETTLE_S:.0f} s after the batch had its results")
        pause.wait(0.05)


def _read_clocks(executor: Executor, futures: Sequence[Future[object]], label: str, wall_s: float) -> Ran:
    resources = {resource.id: resource for resource in executor.resources}
    started = []
    for position, view in enumerate(_settled(executor, futures)):
        for attempt in view.attempts:
            assert attempt.usage is not None
            done = attempt.state is AttemptState.DONE
            started.append(
                (attempt.started_at_s, position, attempt.placement.resource_id, attempt.usage.runtime_s, done)
            )
    clock_s = dict.fromkeys(resources, 0.0)
    used = dict.fromkeys(resources, 0)
    jct_s, cost_usd = np.zeros(len(futures)), np.zeros(len(futures))
    for _, position, resource_id, runtime_s, done in sorted(started):
        clock_s[resource_id] += runtime_s
        used[resource_id] += 1
        cost_usd[position] += runtime_s / 3600 * (resources[resource_id].price_usd_per_h or 0.0)
        if done:
            jct_s[position] = clock_s[resource_id]
    return Ran(policy=label, jct_s=jct_s, cost_usd=cost_usd, wall_s=wall_s, used=used, first=futures[0])


def references_of(batch: Sequence[Item], resources: Sequence[Resource], truth: Predictor) -> References:
    """Return the units in which every policy's objective is stated: the batch's utopia point on measured runtimes."""
    computations = tuple(KERNELS[item.kernel].computation(item.size) for item in batch)
    jobs = tuple(Job(id=str(i), computation_id=c.id, submitted_at_s=0.0) for i, c in enumerate(computations))
    prediction = truth.predict(computations, tuple(resources))
    problem = Problem(
        at_s=0.0,
        jobs=jobs,
        computations=computations,
        resources=tuple(resources),
        free_in_s=np.zeros(len(resources)),
        prediction=prediction,
        objective=Objective(),
    )
    return utopia(problem)


def figures(ran: Ran, preset: str, references: References) -> dict[str, float]:
    """Return mean completion time, makespan, cost and objective of a run under one preset."""
    reached = evaluate(ran.jct_s, ran.cost_usd, objective=Objective.of(preset), references=references)
    return {
        "mean_jct_s": reached.mean_jct_s,
        "makespan_s": reached.makespan_s,
        "cost_usd": reached.cost_usd,
        "objective": reached.objective,
        "wall_s": ran.wall_s,
    }


def mean_figures(passes: Sequence[Ran], preset: str, references: References) -> dict[str, float]:
    """Return the means of the figures over several runs of the batch under one policy."""
    all_figures = [figures(ran, preset, references) for ran in passes]
    return {name: float(np.mean([one[name] for one in all_figures])) for name in all_figures[0]}
