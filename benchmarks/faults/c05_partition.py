"""C5: two-way partition between an agent and the engine, healed: the worker stops at lease end, one side commits."""

from pathlib import Path

from benchmarks.faults.outcome import Outcome, Tier
from benchmarks.faults.partition_case import outcome_of, partitioned

ID = "C5"
RUNS = {Tier.QUICK: 1, Tier.SOAK: 5}
_QUICK_S, _FULL_S = 12.0, 60.0


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Cut a node off for a minute (a single run: for twelve seconds) and heal."""
    for_s = _QUICK_S if runs == 1 else _FULL_S
    cuts = [partitioned(folder / str(number), (), for_s) for number in range(runs)]
    return outcome_of(ID, f"two-way partition of a node, {for_s:g} s", seed, cuts)
