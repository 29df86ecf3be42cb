"""E12: a shard of split work is lost, and gangs want the same places; only the shard is redone, and nothing gets stuck.

Shards are real processes, of which one is killed. Gangs and splits are given to the real controller with few places.
"""

import os
import random
import signal
from contextlib import suppress
from pathlib import Path

from benchmarks.faults.calls import naps
from benchmarks.faults.controller_case import Told
from benchmarks.faults.local_case import executor_on, resources, seen, until
from benchmarks.faults.outcome import Bar, Outcome, Tier
from dnaml.client import Executor
from dnaml.core.events import StartAttempt, Tick

ID = "E12"
RUNS = {Tier.QUICK: 1, Tier.SOAK: 40}
_ITEMS, _KNOWN = 60, 3
_GANGS, _SLOTS = 60, 4


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Kill one of two shards a run; let many gangs of half a resource and more stand before two resources."""
    chance = random.Random(seed)
    split: list[str] = []
    with executor_on(folder, resources(2)) as executor:
        whole = executor.options(divisible=True, max_parts=1)
        for _ in range(_KNOWN):  # a computation is split once it is known
            assert whole.submit(naps, list(range(_ITEMS))).result(60) == list(range(_ITEMS))
        for _ in range(runs):
            future = executor.options(divisible=True, max_parts=2).submit(naps, list(range(_ITEMS)))
            shards = until(lambda job=future.job_id: _shards(executor, job))  # type: ignore[misc]
            with suppress(ProcessLookupError):
                os.kill(chance.choice(shards), signal.SIGKILL)
            assert future.result(60) == list(range(_ITEMS))
            split.append(future.job_id)
    told = seen(folder)
    lost = {event.attempt_id for event in told.lost_attempts()}
    begun = [event for job_id in split for event in told.attempts_of(job_id)]
    placed = [(event.job_id, event.placement.part) for event in begun]
    redone = len(placed) - len(set(placed))
    stuck, overbooked = _gangs(seed)
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="a shard of a split lost; gangs before too few places",
        lost=told.lost(split),
        duplicated=told.doubled + told.stale,
        figures=(
            Bar(name="redone_beyond_lost", value=float(abs(redone - len(lost))), unit="shards", bar=0.0),
            Bar(name="stuck_gangs", value=float(stuck), unit="jobs", bar=0.0),
            Bar(name="places_taken_beyond_those_there", value=float(overbooked), unit="", bar=0.0),
        ),
        extra={"shards_lost": float(len(lost))},
    )


def _shards(executor: Executor, job_id: str) -> list[int] | None:
    """Return the processes of the shards of a job that run; None while there is none."""
    return [pid for name, (_, pid) in executor.running().items() if name.rpartition(".")[0] == job_id] or None


def _gangs(seed: int) -> tuple[int, int]:
    """Let gangs of two to four places meet on two resources of four; return how many never ended, and overbookings."""
    chance = random.Random(seed)
    told, live = Told(2, seed=seed, slots=_SLOTS), list[StartAttempt]()
    overbooked = 0
    for number in range(_GANGS):
        live += told.submit(f"g{number}", units=(chance.randint(2, _SLOTS),) * 2)
    for _ in range(3 * _GANGS):
        told.at_s += 1.0
        held = dict.fromkeys((resource.id for resource in told.resources), 0)
        for start in live:
            held[start.attempt.placement.resource_id] += start.attempt.placement.units
        overbooked += sum(units > _SLOTS for units in held.values())
        if live:
            one = live.pop(chance.randrange(len(live)))
            live += told.tell(told.began(one), told.done(one, "true"), Tick(at_s=told.at_s))
    return _GANGS - len(told.ends), overbooked
