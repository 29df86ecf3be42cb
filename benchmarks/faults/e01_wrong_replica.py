"""E1: one of three replicas is wrong in every job; the majority's result is the one that is committed."""

import random
from pathlib import Path

from benchmarks.faults.controller_case import Told
from benchmarks.faults.outcome import Bar, Outcome, Tier
from dnaml.core.work import Resilience

ID = "E1"
RUNS = {Tier.QUICK: 1_000, Tier.SOAK: 10_000}


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Let copies end in a drawn order, one of them, drawn too, with a wrong result."""
    rng = random.Random(seed)
    told, wrong = Told(5), 0
    for number in range(runs):
        name = f"j{number}"
        copies = told.submit(name, Resilience(replicas=3, vote=True))
        liar = rng.choice(copies).attempt.placement.resource_id
        while copies:
            copy = copies.pop(rng.randrange(len(copies)))
            told.at_s += 0.01
            digest = "wrong" if copy.attempt.placement.resource_id == liar else "true"
            copies += told.tell(told.began(copy), told.done(copy, digest))
        end = told.ends.get(name)
        wrong += end is not None and (end.result is None or end.result.digest != "true")
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="one of three replicas is wrong",
        lost=runs - len(told.ends),
        duplicated=told.extra_ends,
        figures=(Bar(name="wrong_commits", value=float(wrong), unit="jobs", bar=0.0),),
    )
