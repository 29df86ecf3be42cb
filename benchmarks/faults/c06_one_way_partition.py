"""C6: one-way partitions: an agent that hears and is not heard, and one that is heard and does not hear."""

from pathlib import Path

from benchmarks.faults.links import Way
from benchmarks.faults.outcome import Outcome, Tier
from benchmarks.faults.partition_case import outcome_of, partitioned

ID = "C6"
RUNS = {Tier.QUICK: 1, Tier.SOAK: 5}
_QUICK_S, _FULL_S = 12.0, 60.0


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Cut each direction for a minute (a single run: for twelve seconds) and heal."""
    for_s = _QUICK_S if runs == 1 else _FULL_S
    cuts = [partitioned(folder / f"{number}-{way.value}", (way,), for_s) for number in range(runs) for way in Way]
    return outcome_of(ID, f"one-way partition of a node, each way, {for_s:g} s", seed, cuts)
