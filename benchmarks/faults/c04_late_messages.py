"""C4: messages arrive up to 30 s late and out of order, in simulated histories; what is stale is ignored."""

from dataclasses import replace
from pathlib import Path

from benchmarks.faults.outcome import Bar, Outcome, Tier
from benchmarks.histories.checker import violations
from benchmarks.histories.script import script_of
from benchmarks.histories.world import World

ID = "C4"
RUNS = {Tier.QUICK: 50, Tier.SOAK: 2_000}


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Go through whole histories on a virtual clock and judge each by its journal and by what clients were told."""
    found: list[str] = []
    for run in range(runs):
        script = replace(script_of(seed * runs + run), delay_s=30.0, drop=0.0, repeat=0.3)
        found += violations(World(script).run())
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="messages up to 30 s late and out of order",
        lost=sum(line.endswith("was lost") for line in found),
        duplicated=sum("twice" in line for line in found),
        figures=(Bar(name="violations", value=float(len(found)), unit="", bar=0.0),),
    )
