"""How `dnaml top` looks: a line of figures, the pool, what runs, what waits; as much as a terminal has lines for."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dnaml.cli import amounts
from dnaml.cli.overview import JobLine, Overview, PlaceNow
from dnaml.cli.screen import table

if TYPE_CHECKING:
    from rich.console import RenderableType

FEWEST_LINES = 3  # of a section, however small the terminal
_AROUND = 4  # lines of a table beside its rows, and of its remark
_HEAD = 3  # lines above the tables
_BAR = 8  # characters
_POOL = ("resource", "kind", "state", ">running", "load", ">price/h")
_RUNNING = ("job", "name", "on", ">runs", ">left", ">10 to 90 %")
_WAITING = ("job", "name", "to", ">waits", ">starts in", ">ends in", "why")


def shown(now: Overview, lines: int) -> list["RenderableType"]:
    """Return what is printed of one look, on about so many lines."""
    from rich.text import Text

    sections = [len(now.resources), len(now.running), len(now.waiting)]
    room = shared(lines - _HEAD - len(now.degraded) - _AROUND * sum(count > 0 for count in sections), sections)
    found: list[RenderableType] = [Text(headline(now), style="bold"), Text(figures(now))]
    found += [Text(f"degraded: {one}", style="yellow") for one in now.degraded]
    if not now.resources and not now.unfinished and not now.all_jobs:
        found.append("nothing ran here yet: dnaml submit JOB runs something, dnaml probe measures this machine")
    if now.resources:
        found += [table("", _POOL, [_place(one) for one in now.resources[: room[0]]])]
        found += _more(sections[0], room[0], "resources")
    if now.running:
        found += [table("", _RUNNING, [_runs(one) for one in now.running[: room[1]]])]
        found += _more(sections[1], room[1], "running jobs")
    if now.waiting:
        left_out = now.unfinished - len(now.running)
        found += [table("", _WAITING, [_waits(one) for one in now.waiting[: room[2]]])]
        found += _more(max(left_out, sections[2]), room[2], "waiting jobs")
    return found


def headline(now: Overview) -> str:
    """Return where this is and who works there."""
    engine = f"the engine is {now.engine}" if now.engine else "no engine runs"
    return f"dnaml top  {amounts.moment(now.at_s)}  {now.source}  {engine}"


def figures(now: Overview) -> str:
    """Return the sums of one look in a line."""
    slots = sum(one.slots for one in now.resources if one.available)
    running = sum(one.running for one in now.resources)
    states = ", ".join(f"{count:,} {name.lower()}" for name, count in sorted(now.states.items())) or "no jobs"
    part = "" if now.counted_jobs == now.all_jobs else f" (the newest {now.counted_jobs:,} of {now.all_jobs:,} jobs)"
    spent = f"{amounts.usd(now.cost_usd)} spent{part}"
    return f"{running:,} of {slots:,} slots busy; {states}; {spent}"


def shared(lines: int, wanted: Sequence[int]) -> list[int]:
    """Return how many lines each section gets: all that it wants, or what is left after the smaller ones got theirs."""
    given = [0] * len(wanted)
    left = max(lines, 0)
    order = sorted((place for place, count in enumerate(wanted) if count), key=lambda place: wanted[place])
    for number, place in enumerate(order):
        given[place] = min(wanted[place], max(FEWEST_LINES, left // (len(order) - number)))
        left = max(0, left - given[place])
    return given


def _place(one: PlaceNow) -> Sequence[object]:
    state = "down" if not one.available else "busy" if one.running else "idle"
    place = one.kind if one.site == "local" else f"{one.kind} {one.site}"
    return (one.id, place, state, f"{one.running}/{one.slots}", _bar(one.load), amounts.usd(one.price_usd_per_h))


def _runs(one: JobLine) -> Sequence[object]:
    band = f"{amounts.seconds(one.end_in_s_p10)} to {amounts.seconds(one.end_in_s_p90)}"
    where = one.resource_id or amounts.UNKNOWN
    return (one.id, one.name, where, amounts.seconds(one.since_s), amounts.seconds(one.end_in_s), band)


def _waits(one: JobLine) -> Sequence[object]:
    where = one.resource_id or amounts.UNKNOWN
    starts = "now" if one.start_in_s == 0 else amounts.seconds(one.start_in_s)
    return (one.id, one.name, where, amounts.seconds(one.since_s), starts, amounts.seconds(one.end_in_s), one.why)


def _bar(load: float | None) -> str:
    if load is None:
        return amounts.UNKNOWN
    full = round(_BAR * min(max(load, 0.0), 1.0))
    return f"{'█' * full}{'░' * (_BAR - full)} {100 * load:3.0f} %"


def _more(count: int, room: int, what: str) -> list["RenderableType"]:
    return [f"and {count - room:,} more {what}"] if count > room else []
