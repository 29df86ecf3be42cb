"""B4: flushing the disk fails with EIO; what was not confirmed counts as lost, and nothing more is acknowledged."""

import random
from pathlib import Path

from benchmarks.faults.outcome import Bar, Outcome, Tier
from benchmarks.faults.storage_case import NO_STRACE, injecting, known, submitted

ID = "B4"
RUNS = {Tier.QUICK: 2, Tier.SOAK: 50}
_WHAT = "flushing the disk fails"
_JOBS = 12


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Let one flush fail at a random submission; count what was acknowledged afterwards, and what a restart misses."""
    if NO_STRACE:
        return Outcome(id=ID, seed=seed, runs=0, what=_WHAT, skipped=NO_STRACE)
    chance = random.Random(seed)
    lost = after = unclear = 0
    for run in range(runs):
        case, at = folder / str(run), chance.randrange(2, _JOBS)
        told = submitted(case, _JOBS, before=injecting(f"fdatasync:error=EIO:when={at}", case))
        lost += len(told.acknowledged_s.keys() - known(case))
        after += len(told.acknowledged_s) - (at - 1)
        unclear += sum("did not confirm" not in refusal for refusal in told.refusals) + (not told.refusals)
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what=_WHAT,
        lost=lost,
        figures=(
            Bar(name="acknowledged_after_it", value=float(after), unit="", bar=0.0),
            Bar(name="unclear_errors", value=float(unclear), unit="", bar=0.0),
        ),
    )
