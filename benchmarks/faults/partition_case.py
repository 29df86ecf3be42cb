"""One node's link is cut for a while and healed: its work goes on elsewhere, one side commits, then it is back.

The work takes longer than a lease, so that a node which is heard and does not hear cannot end it in time.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.faults.link_case import VICTIM, Linked, linked
from benchmarks.faults.links import Way
from benchmarks.faults.outcome import Bar, Outcome
from benchmarks.faults.ray_case import Told, pinned, run_case, wait_for, with_journal, works

BAR_CONVERGE_S = 5.0
BAR_STOPPED_S = 15.0
"""a lease of five seconds after the engine's last word, which comes at most six after the node's; then it is ended"""
_LENGTHS_S = (8.0,) * 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What one partition showed: the journal's word, when the cut-off worker ended, when the node took part again."""

    told: Told
    stopped_s: float
    converged_s: float


def partitioned(folder: Path, ways: Sequence[Way], for_s: float) -> Cut:
    """Cut a node that runs a job off, in these directions, and have it take part again afterwards."""
    with linked(folder) as case:
        stopped_s: list[float] = []
        began_s = time.monotonic()
        watch: list[threading.Thread] = []

        def cut() -> None:
            nonlocal began_s
            worker, began_s = case.worker(), time.monotonic()
            case.link.cut(*ways)
            watch.append(threading.Thread(target=_note_end, args=(worker, began_s, stopped_s)))
            watch[0].start()

        told = run_case(case.executor, _LENGTHS_S, cut, after_s=0.8, victim=VICTIM)
        watch[0].join()
        wait_for(lambda: time.monotonic() - began_s >= for_s)
        converged_s = _healed(case)
    return Cut(told=with_journal(told, folder), stopped_s=stopped_s[0], converged_s=converged_s)


def _note_end(worker: psutil.Process, began_s: float, stopped_s: list[float]) -> None:
    try:
        worker.wait(60.0)
    except psutil.TimeoutExpired:
        stopped_s.append(float("inf"))
    else:
        stopped_s.append(time.monotonic() - began_s)


def _healed(case: Linked) -> float:
    """Heal the link; return when the node has run a job again."""
    case.link.heal()
    future = pinned(case.executor, VICTIM).submit(works, 0.05)
    return wait_for(future.done)


def outcome_of(fault_id: str, what: str, seed: int, cuts: Sequence[Cut]) -> Outcome:
    """Return what the partitions of one fault showed together."""
    return Outcome(
        id=fault_id,
        seed=seed,
        runs=len(cuts),
        what=what,
        detect_s=tuple(cut.told.detect_s() for cut in cuts),
        recover_s=tuple(cut.converged_s for cut in cuts),
        lost=sum(cut.told.lost for cut in cuts),
        duplicated=sum(cut.told.duplicated for cut in cuts),
        figures=(
            Bar(name="detect", value=max(cut.told.detect_s() for cut in cuts), unit="s"),
            Bar(name="cut_off_worker_ends", value=max(cut.stopped_s for cut in cuts), unit="s", bar=BAR_STOPPED_S),
            Bar(name="converge_after_heal", value=max(cut.converged_s for cut in cuts), unit="s", bar=BAR_CONVERGE_S),
        ),
    )
