"""R3: 50,000 computations on 500 simulated nodes through the real controller, and where its time goes."""

import cProfile
import math
import pstats
import resource
import time
from collections.abc import Iterator

import numpy as np

from benchmarks.report import Op, Row
from dnaml.core import events as ev
from dnaml.core.events import Event, StartAttempt
from dnaml.core.resource import Resource
from dnaml.core.work import Computation, Job, Objective
from dnaml.engine import run
from dnaml.execution.simulated import SimulatedBackend
from dnaml.predict.placing import LivePredictor
from dnaml.schedule.controller import Controller
from dnaml.schedule.matching import MatchingPolicy

BAR_PER_S = 1000.0
NODES, JOBS = 500, 50_000
QUICK_S, FULL_S = 20.0, 120.0
_KINDS, _COMPUTATIONS = 10, 40
_PEERS = "Ray many_tasks"
_PEER_PER_S = 569.0


def rows(quick: bool) -> list[Row]:
    """Return placements a second, memory, and the shares of the controller's time."""
    jobs = JOBS
    cpu_s, placed, memory_bytes, events = crowd(NODES, jobs, budget_s=QUICK_S if quick else FULL_S)
    note = f"{NODES} nodes, {placed} of {jobs} computations placed, {events} events, {cpu_s:.1f} s of processor time"
    return [
        Row(
            id="R3",
            metric="placements a second of processor time, real controller, simulated nodes",
            value=placed / cpu_s,
            unit="1/s",
            op=Op.AT_LEAST,
            bar=BAR_PER_S,
            peer=_PEERS,
            peer_value=_PEER_PER_S,
            note=note,
        ),
        Row(id="R3.memory", metric="largest resident memory of the process", value=memory_bytes / 2**20, unit="MiB"),
    ]


def crowd(nodes: int, jobs: int, *, budget_s: float = math.inf, seed: int = 0) -> tuple[float, int, int, int]:
    """Return processor seconds, placements, resident bytes at most, and events of one run.

    It ends with the last computation or after `budget_s` of processor time: what was sustained so far counts.
    """
    rng = np.random.default_rng(seed)
    slower = rng.lognormal(0.0, 0.5, (_COMPUTATIONS, _KINDS))
    base_s = rng.lognormal(2.0, 1.0, _COMPUTATIONS)
    kind_of = {f"n{i}": i % _KINDS for i in range(nodes)}
    placed = 0

    def runtime_s(start: StartAttempt) -> float:
        nonlocal placed
        placed += 1
        row = int(start.computation.id.removeprefix("c"))
        return float(base_s[row] * slower[row, kind_of[start.attempt.placement.resource_id]])

    backend = _Bounded(SimulatedBackend(runtime_s, _arrivals(nodes, jobs, rng), tick_every_s=1.0), budget_s)
    controller = Controller(MatchingPolicy(), LivePredictor(), Objective.of("balanced"), seed=seed)
    began_s = time.process_time()
    run(controller, backend)
    cpu_s = time.process_time() - began_s
    return cpu_s, placed, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, backend.seen


def _arrivals(nodes: int, jobs: int, rng: np.random.Generator) -> Iterator[Event]:
    """Yield the nodes, then the jobs, all at once: the longest queue that there can be."""
    for number in range(nodes):
        kind = number % _KINDS
        spec = {"fp64_flop_per_s": 1e10 * (1 + kind), "sequential_bytes_per_s": 1e10 * (_KINDS - kind)}
        node = Resource(id=f"n{number}", domain=f"n{number}", price_usd_per_h=0.1 * (1 + kind), spec=spec)
        yield ev.ResourceUp(at_s=0.0, resource=node)
    known = [
        Computation(id=f"c{row}", kernel=f"k{row % 8}", size={"size": float(2 ** (row // 8))})
        for row in range(_COMPUTATIONS)
    ]
    for number, row in enumerate(rng.integers(0, _COMPUTATIONS, jobs)):
        computation = known[row]
        job = Job(id=f"j{number}", computation_id=computation.id, submitted_at_s=0.0)
        yield ev.Submitted(at_s=0.0, job=job, computation=computation)


class _Bounded:
    """A simulated back end whose stream ends when the process has used its budget."""

    def __init__(self, inner: SimulatedBackend, budget_s: float) -> None:
        self._inner, self._until_s = inner, time.process_time() + budget_s
        self.post, self.do = inner.post, inner.do
        self.seen = 0

    def events(self) -> Iterator[Event]:
        for event in self._inner.events():
            self.seen += 1
            yield event
            if time.process_time() > self._until_s:
                return


def profile(nodes: int = NODES, jobs: int = JOBS, budget_s: float = 20.0) -> None:
    """Print the functions in which the time goes."""
    profiler = cProfile.Profile()
    profiler.runcall(crowd, nodes, jobs, budget_s=budget_s)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(25)
