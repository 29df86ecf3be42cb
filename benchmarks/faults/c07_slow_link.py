"""C7: links of 1 Mbit/s that are reset now and then: what was under way is said again, and all work completes."""

import time
from pathlib import Path

from benchmarks.faults.link_case import linked
from benchmarks.faults.outcome import Bar, Outcome, Tier
from benchmarks.report import Op

ID = "C7"
RUNS = {Tier.QUICK: 1, Tier.SOAK: 5}
BITS_PER_S = 1e6
RESET_SHARE = 0.05
_JOBS = 8
_RESULT_BYTES = 60_000
_PATIENCE_S = 300.0


def makes(number: int) -> bytes:
    """Return a result that takes half a second on such a link, other bytes for each number."""
    return number.to_bytes(1, "little") * _RESULT_BYTES


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Run jobs whose arguments and results travel over bad links; a chunk in twenty resets its connection."""
    right, took_s, resets = 0, [], 0
    for number in range(runs):
        began_s = time.monotonic()
        place = folder / str(number)
        with linked(place, bytes_per_s=BITS_PER_S / 8, reset_share=RESET_SHARE, seed=seed + number) as case:
            futures = [case.executor.submit(makes, job) for job in range(_JOBS)]
            right += sum(future.result(_PATIENCE_S) == makes(job) for job, future in enumerate(futures))
            resets += sum(each.resets for each in case.agents.links.values())
        took_s.append(time.monotonic() - began_s)
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="links of 1 Mbit/s, a chunk in twenty resets its connection",
        recover_s=tuple(took_s),
        lost=runs * _JOBS - right,
        figures=(
            Bar(name="completed_share", value=right / (runs * _JOBS), unit="", op=Op.AT_LEAST, bar=1.0),
            Bar(name="resets", value=float(resets), unit="", op=Op.AT_LEAST, bar=1.0),
        ),
    )
