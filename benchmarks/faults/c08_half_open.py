"""C8: the peer vanishes without a word and its connection stays open: heartbeats of our own decide, not TCP's time."""

from pathlib import Path

import psutil

from benchmarks.faults.link_case import VICTIM, linked
from benchmarks.faults.outcome import Bar, Outcome, Tier
from benchmarks.faults.ray_case import Told, run_case, with_journal

ID = "C8"
RUNS = {Tier.QUICK: 1, Tier.SOAK: 5}
BAR_DETECT_S = 6.0
_LENGTHS_S = (2.0,) * 4


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Kill an agent and all it started behind a link that passes nothing on, the end of the connection neither."""
    told = [_vanished(folder / str(number)) for number in range(runs)]
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="half-open connection: a node vanished",
        detect_s=tuple(case.detect_s() for case in told),
        recover_s=tuple(case.elsewhere_s() for case in told),
        lost=sum(case.lost for case in told),
        duplicated=sum(case.duplicated for case in told),
        figures=(Bar(name="detect", value=max(case.detect_s() for case in told), unit="s", bar=BAR_DETECT_S),),
    )


def _vanished(folder: Path) -> Told:
    with linked(folder) as case:

        def vanish() -> None:
            case.link.cut()
            agent = psutil.Process(case.agents.processes[VICTIM].pid)
            for process in [*agent.children(recursive=True), agent]:
                process.kill()

        told = run_case(case.executor, _LENGTHS_S, vanish, after_s=0.8, victim=VICTIM)
    return with_journal(told, folder)
