"""A14: a computation never ends, ignores SIGTERM and leaves children; its deadline ends it and all that it started."""

from pathlib import Path

from benchmarks.faults.calls import never_ends, waits
from benchmarks.faults.local_case import executor_on, is_alive, now_s, resources, seen
from benchmarks.faults.outcome import Bar, Outcome, Tier
from dnaml.core.attempt import Cause
from dnaml.core.work import Constraints

ID = "A14"
RUNS = {Tier.QUICK: 2, Tier.SOAK: 20}
_DEADLINE_S = 3.0


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Submit endless computations with a deadline, with the default settings."""
    overrun_s: list[float] = []
    with executor_on(folder, resources(2)) as executor:
        brief = folder / "note-x.brief"
        brief.touch()
        for _ in range(4):  # known to be brief: what nothing is known of is not placed so close to its deadline
            executor.submit(never_ends, str(folder / "note-x")).result(60)
        brief.unlink()
        limited = executor.options(constraints=Constraints(deadline_s=_DEADLINE_S))
        due_s = now_s(executor) + _DEADLINE_S
        futures = [limited.submit(never_ends, str(folder / f"note-{number}")) for number in range(runs)]
        failed = 0
        for future in futures:
            failed += future.exception(120) is not None
        after = executor.submit(waits, 0.0, 2).result(60)
    told = seen(folder)
    ours = {future.job_id for future in futures}
    ends = [event for event in told.ended if event.attempt_id.rpartition(".")[0] in ours]
    overrun_s = [event.at_s - due_s for event in ends if event.began]
    notes = [note.read_text().split() for note in folder.glob("note-*")]
    orphans = sum(is_alive(int(pid)) for pids in notes for pid in pids)
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="a computation that never ends and ignores SIGTERM",
        recover_s=tuple(overrun_s),
        lost=told.lost(),
        duplicated=told.doubled + told.stale,
        figures=(
            Bar(name="overrun", value=max(overrun_s, default=None), unit="s", bar=5.0),
            Bar(name="orphans", value=float(orphans), unit="", bar=0.0),
            Bar(name="not_ended", value=float(runs - failed + (after != 2)), unit="", bar=0.0),
            Bar(
                name="unclassified",
                value=float(sum(event.cause is not Cause.OVERRAN for event in ends if event.began)),
                unit="",
                bar=0.0,
            ),
        ),
        extra={"began": float(len(overrun_s)), "children": float(sum(map(len, notes)))},
    )
