"""A17: a resource comes and goes every two seconds for five minutes; work does not go on being placed on it."""

from pathlib import Path

from benchmarks.faults.controller_case import Told
from benchmarks.faults.outcome import Bar, Outcome, Tier
from dnaml.core import events as ev
from dnaml.core.events import StartAttempt

ID = "A17"
RUNS = {Tier.QUICK: 3, Tier.SOAK: 20}
_FOR_S, _EVERY_S, _MORE_THAN_FITS = 300, 2, 2


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Keep both resources wanted while one flaps, and count what starts on it."""
    most = lost = doubled = 0
    for run in range(runs):
        placed, lost_here, doubled_here = _five_minutes(seed + run)
        most, lost, doubled = max(most, placed), lost + lost_here, doubled + doubled_here
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="a resource that flaps every 2 s",
        lost=lost,
        duplicated=doubled,
        figures=(Bar(name="placements_in_5_min", value=float(most), unit="attempts", bar=3.0),),
    )


def _five_minutes(seed: int) -> tuple[int, int, int]:
    told, flapping = Told(2, seed=seed), "r1"
    live: dict[str, StartAttempt] = {}
    placed, jobs, is_up = 0, 0, True
    for second in range(_FOR_S):
        told.at_s += 1.0
        events: list[ev.Event] = []
        for start in list(live.values()):
            if start.attempt.placement.resource_id != flapping:
                events.append(told.done(live.pop(start.attempt.id), "true"))
        if second % _EVERY_S == 0:
            if is_up:
                events.append(ev.ResourceDown(at_s=told.at_s, resource_id=flapping, reason="flaps"))
                events += [told.lost(live.pop(name)) for name in list(live)]
            else:
                events.append(told.up(told.resources[1]))
            is_up = not is_up
        started = told.tell(*events, ev.Tick(at_s=told.at_s))
        for _ in range(_MORE_THAN_FITS):
            started += told.submit(f"j{jobs}")
            jobs += 1
        for start in started:
            live[start.attempt.id] = start
            placed += start.attempt.placement.resource_id == flapping
        told.tell(*(told.began(start) for start in started))
    open_jobs = len(told.controller.ledger.open)
    return placed, jobs - len(told.ends) - open_jobs, told.extra_ends
