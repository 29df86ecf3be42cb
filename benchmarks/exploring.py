"""What trials gain: the engine's controller and live predictor on machines that nobody knows, with and without them.

Simulated: jobs of a few kernels come one by one, each kernel runs fastest on a machine of its own, and only runs tell.
Reported is how long runs take over the fastest machine of their kernel. `python -m benchmarks.exploring [--quick]`.
"""

import sys
from collections.abc import Sequence

import numpy as np

from benchmarks.report import Row, main
from dnaml.client import default_predictor
from dnaml.core import events as ev
from dnaml.core.events import Event, StartAttempt
from dnaml.core.plan import FloatArray
from dnaml.core.resource import Resource
from dnaml.core.work import Computation, Job, Objective
from dnaml.engine import run
from dnaml.execution.simulated import SimulatedBackend
from dnaml.schedule.controller import Controller
from dnaml.schedule.matching import MatchingPolicy
from dnaml.schedule.settings import ControllerSettings

SEEDS = tuple(range(16))
MACHINES, KERNELS, JOBS = 6, 8, 240
GAP_S = 30.0  # between two jobs: each comes alone
SPEED_SD, KERNEL_SD, FIT_SD, NOISE_SD = 0.3, 0.7, 0.35, 0.08  # of the logarithms


def measure(quick: bool) -> Sequence[Row]:
    """Return the mean time over the best machine's with trials, beside without, over all jobs and the last third."""
    seeds = SEEDS[:3] if quick else SEEDS
    with_trials, without = (
        np.stack([over_best(seed, ControllerSettings(explore_share=share)) for seed in seeds])
        for share in (ControllerSettings().explore_share, 0.0)
    )
    told = f"{len(seeds)} draws of {KERNELS} kernels on {MACHINES} machines, {JOBS} jobs one by one; simulated"
    rows = []
    for name, first in (("all", 0), ("last", 2 * JOBS // 3)):
        ours, theirs = (float(one[:, first:].mean()) for one in (with_trials, without))
        spread = float((with_trials - without)[:, first:].mean(axis=1).std() / np.sqrt(len(seeds)))
        rows.append(
            Row(
                id=f"X1.{name}",
                metric=f"runtime over the best machine's, {'all jobs' if name == 'all' else 'last third of the jobs'}",
                value=ours,
                unit="x",
                bar=theirs,
                peer="without trials",
                peer_value=theirs,
                note=f"{told}; standard error of the difference {spread:.3f}",
            )
        )
    return rows


def over_best(seed: int, settings: ControllerSettings) -> FloatArray:
    """Return how much longer each job [JOBS] takes where it went than on the fastest machine, in order of arrival."""
    rng = np.random.default_rng(seed)
    speed, size = np.exp(rng.normal(0, SPEED_SD, MACHINES)), np.exp(rng.normal(1, KERNEL_SD, KERNELS))
    truth_s = size[:, None] / speed * np.exp(rng.normal(0, FIT_SD, (KERNELS, MACHINES)))
    kernels, noise = rng.integers(0, KERNELS, JOBS), np.exp(rng.normal(0, NOISE_SD, JOBS))
    went = np.zeros(JOBS, dtype=np.int64)

    def runtime_s(start: StartAttempt) -> float:
        job, machine = int(start.attempt.job_id), int(start.attempt.placement.resource_id)
        went[job] = machine
        return float(truth_s[kernels[job], machine] * noise[job])

    events: list[Event] = [
        ev.ResourceUp(at_s=0.0, resource=Resource(id=str(r), domain=str(r), price_usd_per_h=1.0))
        for r in range(MACHINES)
    ]
    for number, kernel in enumerate(kernels.tolist()):
        what = Computation(id=f"kernel-{kernel}", kernel=f"kernel-{kernel}")
        at_s = 1.0 + GAP_S * number
        job = Job(id=str(number), computation_id=what.id, submitted_at_s=at_s)
        events.append(ev.Submitted(at_s=at_s, job=job, computation=what))
    controller = Controller(MatchingPolicy(), default_predictor(), Objective.of("min_latency"), settings, seed)
    run(controller, SimulatedBackend(runtime_s, events), lambda event: None)
    found: FloatArray = truth_s[kernels, went] / truth_s[kernels].min(axis=1)
    return found


if __name__ == "__main__":
    sys.exit(main("exploring", measure, seeds=SEEDS))
