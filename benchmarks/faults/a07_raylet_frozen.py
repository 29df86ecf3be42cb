"""A7: SIGSTOP of one of three raylets and everything below it: our heartbeat decides; what it says later is refused."""

from functools import partial
from pathlib import Path

from benchmarks.faults.outcome import Bar, Outcome, Tier
from benchmarks.faults.ray_case import VICTIM, pinned, run_case, three_nodes, wait_for, with_journal, works

ID = "A7"
RUNS = {Tier.QUICK: 1, Tier.SOAK: 5}
BAR_DETECT_S = 6.0
BAR_ELSEWHERE_S = 8.0
_LENGTHS_S = (2.0,) * 4


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Freeze a node that runs a job, thaw it when all is done, and have it take part again."""
    detect_s, elsewhere_s, lost, duplicated, back_s = [], [], 0, 0, []
    for number in range(runs):
        place = folder / str(number)
        with three_nodes(place) as (pool, executor):
            told = run_case(executor, _LENGTHS_S, partial(pool.freeze, VICTIM), after_s=0.8, victim=VICTIM)
            pool.thaw()
            # The thawed node first says what it did while it was taken for dead; then it is taken on again.
            future = pinned(executor, VICTIM).submit(works, 0.05)
            back_s.append(wait_for(future.done))
        told = with_journal(told, place)
        detect_s.append(told.detect_s())
        elsewhere_s.append(told.elsewhere_s())
        lost, duplicated = lost + told.lost, duplicated + told.duplicated
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="SIGSTOP of a raylet of 3 and all below it",
        detect_s=tuple(detect_s),
        recover_s=tuple(elsewhere_s),
        lost=lost,
        duplicated=duplicated,
        figures=(
            Bar(name="detect", value=max(detect_s), unit="s", bar=BAR_DETECT_S),
            Bar(name="running_elsewhere", value=max(elsewhere_s), unit="s", bar=BAR_ELSEWHERE_S),
            Bar(name="back_after_thaw", value=max(back_s), unit="s"),
        ),
    )
