"""What the faults of Ray nodes share: three raylets, checkpointed jobs on them, one injection, the journal's word."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import dnaml
from benchmarks.faults.witness import events_of, witness
from benchmarks.ray_pool import RayPool, Wanted, raylets
from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState
from dnaml.core.events import Event
from dnaml.engine import EngineSettings
from dnaml.execution.on_ray import RaySettings, on_ray

NODES = ("n0", "n1", "n2")
VICTIM = "n2"
STEP_S = 0.05
CHECKPOINT_EVERY_S = 0.5
_PATIENCE_S = 120.0


def works(length_s: float, *, context: dnaml.Context) -> float:
    """Take `length_s` seconds in small steps, saving how far it is."""
    done_s = context.restore(default=0.0)
    while done_s < length_s and not context.should_stop():
        time.sleep(STEP_S)
        done_s += STEP_S
        context.save(min(1.0, done_s / length_s), done_s)
    return float(done_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What happened: when the fault was injected (engine's clock), the makespan, and the journal."""

    injected_s: float
    began_s: float
    makespan_s: float
    results: int
    wanted: int
    events: tuple[Event, ...]
    duplicated: int = 0
    """the commits beyond one of a job, and those of attempts that were over; a copy that came second is neither"""

    @property
    def lost(self) -> int:
        """Return the jobs that have no result."""
        return self.wanted - self.results

    def losses(self) -> list[ev.AttemptEnded]:
        """Return the attempts that were lost to the fault."""
        return [e for e in self._ends() if e.outcome is AttemptState.LOST and e.at_s >= self.injected_s]

    def detect_s(self) -> float:
        """Return seconds from the fault to the first loss; infinite if nothing was lost."""
        return min((e.at_s for e in self.losses()), default=float("inf")) - self.injected_s

    def elsewhere_s(self) -> float:
        """Return seconds from the fault until every job that was lost runs again."""
        again = [self._next_start_s(lost.attempt_id) for lost in self.losses()]
        return max(again, default=float("inf")) - self.injected_s

    def next_start_s(self) -> float:
        """Return seconds from the fault to the next start of any attempt."""
        starts = [e.at_s for e in self.events if isinstance(e, ev.AttemptStarted) and e.at_s > self.injected_s]
        return min(starts, default=float("inf")) - self.injected_s

    def _ends(self) -> list[ev.AttemptEnded]:
        return [e for e in self.events if isinstance(e, ev.AttemptEnded)]

    def _next_start_s(self, attempt_id: str) -> float:
        job_id, _, epoch = attempt_id.rpartition(".")
        later = [e.at_s for e in self.events if isinstance(e, ev.AttemptStarted) and e.job_id == job_id]
        return min((at_s for at_s in later[int(epoch) :]), default=float("inf"))


@contextmanager
def three_nodes(folder: Path) -> Iterator[tuple[RayPool, dnaml.Executor]]:
    """Start three raylets of one slot each and an executor on them, every node warm."""
    with raylets([Wanted(id=name) for name in NODES]) as pool:
        settings = EngineSettings(open_backend=on_ray(pool.address, RaySettings(probe=False)))
        with dnaml.Executor(state=folder / "state", settings=settings) as executor:
            warm(executor, NODES)
            yield pool, executor


def warm(executor: dnaml.Executor, nodes: Sequence[str]) -> None:
    """Have a worker ready on every node."""
    for future in [pinned(executor, node).submit(works, STEP_S) for node in nodes]:
        future.result(_PATIENCE_S)


def pinned(executor: dnaml.Executor, *nodes: str) -> "dnaml.client.Submitter":
    """Return the executor's view whose jobs run on these nodes only (none named: anywhere), with checkpoints."""
    return executor.options(
        constraints=dnaml.Constraints(resource_ids=nodes),
        resilience=dnaml.Resilience(checkpoint_every_s=CHECKPOINT_EVERY_S),
    )


def run_case(
    executor: dnaml.Executor, lengths_s: Sequence[float], inject: Callable[[], None], *, after_s: float, victim: str
) -> Told:
    """Submit jobs, inject once the victim has been running one for `after_s`, and wait for every result."""
    clock = executor._engine.now_s
    began_s = clock()
    futures = [pinned(executor).submit(works, length_s) for length_s in lengths_s]
    wait_for(lambda: any(where == victim for where, _ in executor.running().values()))
    time.sleep(after_s)
    injected_s = clock()
    inject()
    results = sum(1 for future in futures if future.result(_PATIENCE_S) is not None)
    makespan_s = clock() - began_s
    return Told(
        injected_s=injected_s - began_s,
        began_s=began_s,
        makespan_s=makespan_s,
        results=results,
        wanted=len(futures),
        events=(),
    )


def with_journal(told: Told, folder: Path) -> Told:
    """Return what happened with the journal's events, whose times count from the submission."""
    seen = witness(folder / "state")
    events = tuple(replace(event, at_s=event.at_s - told.began_s) for event in events_of(folder / "state"))
    return replace(told, events=events, duplicated=seen.doubled + seen.stale)


def wait_for(condition: Callable[[], bool], timeout_s: float = _PATIENCE_S) -> float:
    """Wait until something holds and return how long that took; raises TimeoutError."""
    began_s = time.monotonic()
    while not condition():
        if time.monotonic() - began_s > timeout_s:
            raise TimeoutError(f"{condition} did not hold within {timeout_s} s")
        time.sleep(0.01)
    return time.monotonic() - began_s


def ideal_s(lengths_s: Sequence[float], slots: int, lost_at_s: float) -> float:
    """Return the makespan of longest-first work when one of `slots` vanishes and nothing done is lost."""
    left = sorted(lengths_s, reverse=True)
    running: list[float] = []
    now_s = 0.0
    while left or running:
        room = slots if now_s < lost_at_s else slots - 1
        while len(running) < room and left:
            running.append(left.pop(0))
        step_s = min(running)
        if now_s < lost_at_s:
            step_s = min(step_s, lost_at_s - now_s)
        now_s += step_s
        running = [rest_s - step_s for rest_s in running if rest_s - step_s > 1e-9]
        if now_s >= lost_at_s and len(running) > slots - 1:
            running.sort(reverse=True)
            left = sorted([*left, running.pop()], reverse=True)
    return now_s
