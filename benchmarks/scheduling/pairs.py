"""Co-location: the batch and the arrivals again, where two jobs may share units of which a pair was measured.

The peer of each row is dnaml's own policy with every job alone, on the same trace at the same restart cost.
"""

from dataclasses import replace

from benchmarks.report import Row
from benchmarks.scheduling import arrivals, batch, folder
from benchmarks.scheduling.workload import NO_BARS, three
from dnaml.datasets.traces import gavel
from dnaml.schedule.rounds.registry import by_name
from dnaml.simulation import Report, Settings, replay

_QUOTED = "; quoted: Gandiva's packing in its peers' simulator 41.7 h, 215.6 h, 9,559 USD"
"""measured on the same batch with the same table, by the simulator that was published with the traces"""


def pair_rows(quick: bool) -> list[Row]:
    """Return both workloads with measured pairs, at restarts that are free and that take 30 s."""
    measured = gavel.colocation(folder() / "gavel")
    (goal,) = (goal for goal in batch.GOALS if goal.objective == batch.BALANCED)
    jobs, one_by_one = batch.trace(), arrivals.trace()
    rows: list[Row] = []
    for restart_s in (0.0,) if quick else (0.0, 30.0):
        apart = Settings(restart_s=restart_s)
        together = replace(apart, colocation=measured)
        name = f"pairs.{restart_s:.0f}s"
        if not quick:
            found = batch.played(jobs, goal, together), batch.played(jobs, goal, apart)
            rows += _rows(f"{goal.row}.{name}", *found, quoted="" if restart_s else _QUOTED)
        rows += _rows(f"S5.{name}", *(replay(one_by_one, by_name("dnaml"), each) for each in (together, apart)))
    return rows


def _rows(name: str, ours: Report, alone: Report, *, quoted: str = "") -> list[Row]:
    first, *others = three(name, ours, NO_BARS, replace(alone, policy="every job alone"))
    shared = f"{first.note}; {ours.shared_share:.0%} of the unit time is shared, {len(ours.shared())} pairs{quoted}"
    return [replace(first, note=shared), *others]
