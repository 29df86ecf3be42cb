"""A6: SIGKILL of one of three raylets and everything it started: the work goes on elsewhere from its checkpoints."""

from functools import partial
from pathlib import Path

from benchmarks.faults.outcome import Bar, Outcome, Tier
from benchmarks.faults.ray_case import NODES, VICTIM, ideal_s, run_case, three_nodes, with_journal

ID = "A6"
RUNS = {Tier.QUICK: 1, Tier.SOAK: 5}
BAR_EXCESS_S = 5.5
PEER_EXCESS_S = 13.1
_LENGTHS_S = (2.0,) * 6


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Kill a node that runs a job; return how much longer it all took than it had to."""
    excess_s, detect_s, elsewhere_s, lost, duplicated = [], [], [], 0, 0
    for number in range(runs):
        place = folder / str(number)
        with three_nodes(place) as (pool, executor):
            told = run_case(executor, _LENGTHS_S, partial(pool.kill, VICTIM), after_s=0.8, victim=VICTIM)
        told = with_journal(told, place)
        excess_s.append(told.makespan_s - ideal_s(_LENGTHS_S, len(NODES), told.injected_s))
        detect_s.append(told.detect_s())
        elsewhere_s.append(told.elsewhere_s())
        lost, duplicated = lost + told.lost, duplicated + told.duplicated
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="SIGKILL of a raylet of 3",
        detect_s=tuple(detect_s),
        recover_s=tuple(elsewhere_s),
        lost=lost,
        duplicated=duplicated,
        figures=(
            Bar(
                name="excess_over_ideal_makespan",
                value=max(excess_s),
                unit="s",
                bar=BAR_EXCESS_S,
                peer="Ray retry",
                peer_value=PEER_EXCESS_S,
            ),
        ),
    )
