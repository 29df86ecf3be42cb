"""E3: the price of the cheapest resource jumps to ten times itself; what waits, and what that pays for, goes elsewhere.

The engine works meanwhile, on real workers; the price comes in as a refresh of the resource, as its source tells it.
"""

import random
from pathlib import Path

from benchmarks.faults.local_case import PATIENCE_S, executor_on, now_s, seen, until
from benchmarks.faults.outcome import Bar, Outcome, Tier
from benchmarks.faults.spot_case import STEP_S, steps_begun, written_steps
from benchmarks.faults.witness import Witness
from dnaml.core import events as ev
from dnaml.core.resource import Resource, ResourceState
from dnaml.core.work import Objective, Resilience

ID = "E3"
RUNS = {Tier.QUICK: 3, Tier.SOAK: 30}
JOBS, STEPS = 5, 200
USUAL, JUMPED, OTHER = 1.0, 10.0, 2.0  # USD per hour
CHECKPOINT_S = 1.0


def measure(runs: int, seed: int, folder: Path, steps: int = STEPS) -> Outcome:
    """Let the price jump in the middle of `runs` batches; compare what they cost with the least possible."""
    rng = random.Random(seed)
    over, wrong, late, turned, lost, doubled = [], 0, 0, 0, 0, 0
    for number in range(runs):
        case = folder / str(number)
        results, jump_s, done = _batch(case, steps, after=int(steps * rng.uniform(0.2, 2.0)))
        told = seen(case)
        over.append(_paid(told, jump_s) / _least(told, jump_s, JOBS * steps - done))
        wrong += results != [steps] * JOBS
        late += sum(one.at_s > jump_s + 1.0 and one.placement.resource_id == "cheap" for one in told.started)
        turned += sum(_turns(told, job_id) for job_id in told.accepted)
        lost += told.lost()
        doubled += told.doubled + told.stale
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="a price jumps to ten times itself",
        lost=lost,
        duplicated=doubled,
        figures=(
            Bar(name="cost_over_oracle", value=max(over), unit="x", bar=1.1),
            Bar(name="ping_pong", value=float(turned), unit="jobs", bar=0.0),
            Bar(name="started_dear", value=float(late), unit="attempts", bar=0.0),
            Bar(name="wrong_results", value=float(wrong), unit="", bar=0.0),
        ),
    )


def _batch(folder: Path, steps: int, after: int) -> tuple[list[int], float, int]:
    """Run a batch; return its results, when the price jumped, and how many steps were begun by then."""
    folder.mkdir()
    pool = tuple(Resource(id=name, price_usd_per_h=usd) for name, usd in (("cheap", USUAL), ("other", OTHER)))
    with executor_on(folder, pool) as executor:
        asked = executor.options(
            objective=Objective(cost=1.0, latency=0.0, resilience=0.0, energy=0.0),
            resilience=Resilience(checkpoint_every_s=CHECKPOINT_S),
        )
        futures = [asked.submit(written_steps, str(folder / "steps"), steps) for _ in range(JOBS)]
        done = until(lambda: count if (count := _begun(folder)) >= after else None)
        jump_s = now_s(executor)
        dear = ResourceState(resource_id="cheap", at_s=jump_s, price_usd_per_h=JUMPED)
        executor._engine.post(ev.ResourceRefreshed(at_s=jump_s, state=dear))
        results = [future.result(PATIENCE_S) for future in futures]
    return results, jump_s, done


def _begun(folder: Path) -> int:
    return sum(map(len, steps_begun(folder / "steps").values()))


def _paid(told: Witness, jump_s: float) -> float:
    """Return what all attempts cost, in USD, each second at the price of its resource then."""
    ends, last_s = {one.attempt_id: one.at_s for one in told.ended}, max(one.at_s for one in told.ended)
    paid = 0.0
    for one in told.started:
        began_s, ended_s = one.at_s, ends.get(one.attempt_id, last_s)
        if one.placement.resource_id == "other":
            paid += OTHER * (ended_s - began_s)
        else:
            paid += USUAL * max(0.0, min(ended_s, jump_s) - began_s) + JUMPED * max(0.0, ended_s - max(began_s, jump_s))
    return paid / 3600.0


def _least(told: Witness, jump_s: float, left: int) -> float:
    """Return what was paid before the jump, and the steps that were left then at the least price there is."""
    before = [one for one in told.started if one.at_s < jump_s]
    ends = {one.attempt_id: min(one.at_s, jump_s) for one in told.ended}
    spent_s = sum(ends[one.attempt_id] - one.at_s for one in before)
    return (USUAL * spent_s + min(OTHER, JUMPED) * left * STEP_S) / 3600.0


def _turns(told: Witness, job_id: str) -> bool:
    """Say whether a job went back to where it had been."""
    where = [one.placement.resource_id for one in told.attempts_of(job_id)]
    visited = [here for here, before in zip(where, [None, *where], strict=False) if here != before]
    return len(visited) > len(set(visited))
