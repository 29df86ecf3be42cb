"""One small trace under the same policy object, in the simulator and for real on local resources that differ."""

import statistics
from dataclasses import replace

import pytest

from dnaml.client import Executor
from dnaml.core.events import AttemptEnded, AttemptStarted, ResourceUp, Submitted
from dnaml.core.work import Job, Objective
from dnaml.demo import compare
from dnaml.demo.collect import call_of
from dnaml.demo.kernels import KERNELS
from dnaml.demo.pool import local_pool
from dnaml.engine import EngineSettings, run
from dnaml.execution.simulated import SimulatedBackend
from dnaml.history import History
from dnaml.predict.measured import TablePredictor
from dnaml.schedule.controller import Controller
from dnaml.schedule.matching import MatchingPolicy
from dnaml.schedule.planning import ControllerSettings

NAMES = ("hash_sha256", "json_round_trip", "match_pattern", "sort_fp64")
PRICES = {"tensor": 0.30, "scalar": 0.20, "classic": 0.25}
CORES = 2
POLICY = MatchingPolicy()


def a_pool():
    return tuple(
        replace(resource, price_usd_per_h=PRICES[resource.id], domain="here")
        for resource in local_pool()
        if resource.id in PRICES
    )


def measured(executor):
    """Return a predictor that knows the median of three runs of every pair."""
    calls = [
        call_of(KERNELS[name], KERNELS[name].sizes[1], seed=seed, resource_id=resource.id)
        for seed in range(3)
        for name in NAMES
        for resource in executor.resources
    ]
    for future in executor.submit_all(calls):
        future.result()
    return TablePredictor.from_runs(History.read(executor.state).runs())


def simulated_makespan_s(batch, resources, told, truth, objective, settings):
    """Return the last end on the resources' own clocks in the simulator, where `told` plans and runs take `truth`."""
    runtime_s = {
        (item.kernel, resource.id): float(
            truth.predict([KERNELS[item.kernel].computation(item.size)], [resource]).runtime_s.quantile(0.5)[0, 0]
        )
        for item in batch
        for resource in resources
    }
    arrivals = [ResourceUp(at_s=0.0, resource=resource) for resource in resources]
    for number, item in enumerate(batch):
        computation = KERNELS[item.kernel].computation(item.size)
        job = Job(id=f"j{number}", computation_id=computation.id, submitted_at_s=0.0)
        arrivals.append(Submitted(at_s=0.0, job=job, computation=computation))
    backend = SimulatedBackend(
        lambda start: runtime_s[start.computation.kernel, start.attempt.placement.resource_id], arrivals
    )
    where, clock_s = {}, dict.fromkeys(PRICES, 0.0)

    def read(event):
        if isinstance(event, AttemptStarted):
            where[event.attempt_id] = event.placement.resource_id
        elif isinstance(event, AttemptEnded):
            clock_s[where[event.attempt_id]] += event.usage.runtime_s

    run(Controller(POLICY, told, Objective.of(objective), settings), backend, read)
    assert len(where) == len(batch)
    return max(clock_s.values())


@pytest.mark.serial
@pytest.mark.parametrize("objective", ["min_latency", "balanced"])
def test_the_same_policy_reaches_the_same_makespan_in_the_simulator_and_for_real(objective, tmp_path):
    settings = ControllerSettings(own_clocks=True, cores={"here": CORES})
    kernels = [KERNELS[name] for name in NAMES]
    batch = [
        replace(item, size=KERNELS[item.kernel].sizes[1]) for item in compare.draw_batch(kernels, per_kernel=6, seed=3)
    ]
    with Executor(a_pool(), state=tmp_path, cores=CORES, settings=EngineSettings(controller=settings)) as executor:
        told = measured(executor)
        live_s = statistics.median(
            compare.run_batch(
                executor, batch, label="live", policy=POLICY, predictor=told, objective=objective
            ).makespan_s
            for _ in range(5)  # the machine's own noise: one slow run of a batch says nothing
        )
        truth = TablePredictor.from_runs(History.read(executor.state).runs())
    simulated_s = simulated_makespan_s(batch, a_pool(), told, truth, objective, settings)
    assert live_s == pytest.approx(simulated_s, rel=0.15)
