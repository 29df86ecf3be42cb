"""What the options of `dnaml simulate` say of pools and of changes to them, read from the command line."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from dnaml.core.errors import InputError

if TYPE_CHECKING:
    from dnaml.core.work import Objective
    from dnaml.datasets.traces.trace import Trace
    from dnaml.simulation.settings import Change

Sizes = Annotated[str, typer.Option(metavar="POOL=N,...", help="Sizes of the pools.")]
Prices = Annotated[str, typer.Option(metavar="POOL=USD,...", help="What a unit of each pool costs an hour.")]
Powers = Annotated[str, typer.Option(metavar="POOL=W,...", help="What a unit of each pool draws.")]
CostShares = Annotated[
    str,
    typer.Option(
        metavar="SHARE,...", help="In place of --objective: shares of cost against latency from 0 to 1, a run for each."
    ),
]
Resizes = Annotated[
    str, typer.Option(metavar="HOURS:POOL=N,...", help="Pools that shrink (as spot units do) or grow, and when.")
]
Reprices = Annotated[str, typer.Option(metavar="HOURS:POOL=USD,...", help="Prices that change, and when.")]
Stragglers = Annotated[
    float, typer.Option(min=0, max=1, metavar="SHARE", help="Share of the starts that take twice as long.")
]
Write = Annotated[float, typer.Option(min=0, metavar="SECONDS", help="What writing a checkpoint takes.")]
Every = Annotated[
    float | None, typer.Option(min=0, metavar="SECONDS", help="Time between checkpoints (default: none are written).")
]


def on_pools(trace: "Trace", *, sizes: str, prices: str, powers: str) -> "Trace":
    """Return the trace on pools of these sizes, prices and powers; raises InputError for a pool that it has not."""
    slots = {pool: _count("--on", pool, value) for pool, value in _pairs("--on", sizes, "POOL=N")}
    usd = {pool: _number("--price", pool, value) for pool, value in _pairs("--price", prices, "POOL=USD")}
    watts = {pool: _number("--power", pool, value) for pool, value in _pairs("--power", powers, "POOL=W")}
    known = trace.on(slots).resources
    for pool in (*usd, *watts):
        if pool not in {one.id for one in known}:
            raise InputError(f"{trace.name} has no pool {pool!r}; its pools are {', '.join(one.id for one in known)}")
    described = tuple(
        replace(one, price_usd_per_h=usd.get(one.id, one.price_usd_per_h), power_w=watts.get(one.id, one.power_w))
        for one in known
    )
    return replace(trace, resources=described)


def changes(resizes: str, reprices: str) -> "tuple[Change, ...]":
    """Return what becomes of pools, by time."""
    from dnaml.simulation.settings import Change

    found = [
        Change(at_s=hours * 3600.0, resource_id=pool, slots=_count("--resize", pool, value))
        for hours, pool, value in _moments("--resize", resizes, "HOURS:POOL=N")
    ] + [
        Change(at_s=hours * 3600.0, resource_id=pool, price_usd_per_h=_number("--reprice", pool, value))
        for hours, pool, value in _moments("--reprice", reprices, "HOURS:POOL=USD")
    ]
    return tuple(sorted(found, key=lambda change: change.at_s))


def objectives(shares: str) -> "list[tuple[str, Objective]]":
    """Return a name and an objective for each share of cost against latency; raises InputError beyond 0 and 1."""
    from dnaml.core.work import Objective

    found = []
    for text in filter(None, (part.strip() for part in shares.split(","))):
        share = _number("--cost-shares", "a share", text)
        if share > 1:
            raise InputError(f"--cost-shares: a share must be between 0 and 1, got {text}")
        found.append((f"{share:.0%} cost", Objective.of({"cost": share, "latency": 1.0 - share})))
    return found


def _pairs(option: str, text: str, form: str) -> Iterator[tuple[str, str]]:
    for part in filter(None, (one.strip() for one in text.split(","))):
        pool, equals, value = part.rpartition("=")
        if not equals or not pool.strip() or not value.strip():
            raise InputError(f"{option} takes {form} with commas between, got {part!r}")
        yield pool.strip(), value.strip()


def _moments(option: str, text: str, form: str) -> Iterator[tuple[float, str, str]]:
    for moment, value in _pairs(option, text, form):
        hours, colon, pool = moment.partition(":")
        if not colon or not pool:
            raise InputError(f"{option} takes {form} with commas between, got {f'{moment}={value}'!r}")
        yield _number(option, "the time", hours), pool, value


def _count(option: str, pool: str, text: str) -> int:
    if not text.isdecimal():
        raise InputError(f"{option}: the units of {pool} must be a whole number, got {text!r}")
    return int(text)


def _number(option: str, what: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise InputError(f"{option}: {what} must be a number of at least 0, got {text!r}")
    return value
