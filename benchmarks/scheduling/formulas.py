"""S13: shares, copies and checkpoint intervals against trying everything, and against simulated failures."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from benchmarks.report import Row
from dnaml.core.plan import FloatArray
from dnaml.schedule.checkpointing import Hazards, checkpoint_plan, expected_s
from dnaml.schedule.replication import Candidate, fewest_copies, joint_failure
from dnaml.schedule.splitting import split

_RESOURCES = 8
_WANTED = 0.999


def formula_rows(quick: bool) -> list[Row]:
    """Return the largest relative distance to exhaustive search, and of a formula to simulated failures."""
    rng = np.random.default_rng(0)
    cases = 20 if quick else 200
    found = {
        "split": max(_split_distance(rng) for _ in range(cases)),
        "copies": max(_copies_distance(rng) for _ in range(cases)),
        "interval": max(_interval_distance(rng) for _ in range(cases)),
    }
    names = {"split": "end of a split", "copies": "cost of copies", "interval": "time with checkpoints"}
    rows = [
        Row(id=f"S13.{key}", metric=f"{names[key]} over the best of all", value=float(value), unit="relative", bar=1e-9)
        for key, value in found.items()
    ]
    simulated = _simulated_distance(rng, 20_000 if quick else 200_000)
    metric = "expected time with failures over the simulated one"
    return [*rows, Row(id="S13.failures", metric=metric, value=float(simulated), unit="relative", bar=0.05)]


def _sets(count: int, most: int) -> Iterator[list[int]]:
    for size in range(1, most + 1):
        for chosen in combinations(range(count), size):
            yield list(chosen)


def _split_distance(rng: np.random.Generator) -> float:
    a, b = rng.uniform(0, 50, _RESOURCES), rng.uniform(1, 100, _RESOURCES)
    best_s = np.inf
    for s in _sets(_RESOURCES, _RESOURCES):
        end_s = (1 + (a[s] / b[s]).sum()) / (1 / b[s]).sum()
        best_s = min(best_s, end_s if (end_s >= a[s]).all() else np.inf)
    return abs(split(a, b, worth=0.0).end_s / best_s - 1)


def _copies_distance(rng: np.random.Generator) -> float:
    domains = rng.choice(["a", "b", "c"], _RESOURCES)
    pairs = zip(rng.uniform(0, 0.5, _RESOURCES), rng.uniform(0.1, 10, _RESOURCES), domains, strict=True)
    candidates = [Candidate(p_fail=float(p), cost=float(c), domain=str(d)) for p, c, d in pairs]
    found = fewest_copies(candidates, _WANTED)
    if found.reason:
        return 0.0
    size = len(found.chosen)
    safe = (s for s in combinations(candidates, size) if 1 - joint_failure(s) >= _WANTED)
    return abs(found.cost / min(sum(c.cost for c in s) for s in safe) - 1)


def _interval_distance(rng: np.random.Generator) -> float:
    work_s = float(rng.uniform(600, 2e5))
    hazards = Hazards(hazard_per_s=1 / float(rng.uniform(3600, 1e5)), write_s=float(rng.uniform(1, 600)), restore_s=30)
    plan = checkpoint_plan(work_s, hazards)
    if work_s * hazards.hazard_per_s < 0.01:
        return 0.0
    searched_s = float(expected_s(work_s, np.arange(1, 2 * plan.stretches + 1000), hazards).min())
    return abs(plan.expected_s / searched_s - 1)


def _simulated_distance(rng: np.random.Generator, runs: int) -> float:
    """Return how far the formula is from drawn failures, for a day of work with failures every four hours."""
    work_s, hazards = 86_400.0, Hazards(hazard_per_s=1 / 14_400, write_s=60.0, restore_s=30.0)
    plan = checkpoint_plan(work_s, hazards)
    exposed_s = (work_s + (plan.stretches - 1) * hazards.write_s) / plan.stretches
    drawn_s = sum(_stretch(rng, exposed_s, hazards, max(1, runs // plan.stretches)) for _ in range(plan.stretches))
    return abs(plan.expected_s / float(np.mean(drawn_s)) - 1)


def _stretch(rng: np.random.Generator, exposed_s: float, hazards: Hazards, runs: int) -> FloatArray:
    """Return drawn times [runs] of one stretch, repeated from its start, restore included, until it comes through."""
    total_s, need_s = np.zeros(runs), np.full(runs, exposed_s)
    going = np.arange(runs)
    while len(going):
        fails_s = rng.exponential(1 / hazards.hazard_per_s, len(going))
        through = fails_s >= need_s[going]
        total_s[going] += np.where(through, need_s[going], fails_s)
        going = going[~through]
        need_s[going] = exposed_s + hazards.restore_s
    return total_s
