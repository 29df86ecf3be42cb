"""`dnaml fingerprint JOB`: what a job demands, from its runs or from a short bounded pilot, kept for later."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dnaml.cli import amounts
from dnaml.cli.screen import Screen, table
from dnaml.cli.verbs import JobSource, alone, verb

if TYPE_CHECKING:
    from dnaml.cli.work import Work
    from dnaml.execution.fingerprint import Fingerprint

app = alone()


@verb(app, example="dnaml fingerprint dnaml.yaml --budget 5")
def fingerprint(
    screen: Screen,
    source: JobSource,
    pilot: Annotated[
        bool, typer.Option("--pilot/--no-pilot", help="Run it for a few seconds; what it does elsewhere stays done.")
    ] = True,
    budget: Annotated[float, typer.Option(min=0.1, help="Seconds that the pilot may take.")] = 3.0,
    scale: Annotated[
        float | None, typer.Option(min=1e-6, max=1, help="Pilot at this fraction of the size, and extrapolate.")
    ] = None,
    save: Annotated[bool, typer.Option("--save/--no-save", help="Keep it for later predictions.")] = True,
) -> int:
    """Measure what a job demands; exit code 1 if the pilot failed, what it told is shown all the same."""
    from dnaml.answers.demands import keep_demand
    from dnaml.cli.work import prepare
    from dnaml.execution.fingerprint.pilot import Outcome

    work = prepare(source)
    with screen.working(f"measuring {work.job.name}"):
        found = _measured(screen, work, pilot=pilot, budget_s=budget, scale=scale)
    if save and found.computation.demand:
        keep_demand(found.computation, screen.state)
    screen.answer(found, table("", ("demand", ">value"), _rows(found)), _story(found))
    return 0 if found.outcome in (Outcome.RETURNED, Outcome.CUT_OFF, Outcome.NOT_RUN) else 1


def _measured(screen: Screen, work: "Work", *, pilot: bool, budget_s: float, scale: float | None) -> "Fingerprint":
    from dataclasses import replace

    from dnaml.execution.fingerprint import measured

    history = _runs(screen)
    options: dict[str, Any] = {"pilot": pilot, "budget_s": budget_s, "scale": scale}  # as they are declared
    function, args, kwargs = work.call()
    found = measured(function, args, kwargs, history=history, **options)
    demand = {**found.computation.demand, **work.computation.demand}
    return replace(found, computation=replace(work.computation, demand=demand))


def _runs(screen: Screen) -> list[Any] | None:  # runs, or None where there is no history
    from dnaml.history import History

    return History.read(screen.state).runs() if (screen.state / "journal.sqlite").exists() else None


def _rows(found: "Fingerprint") -> list[tuple[str, str]]:
    rows = [(name, _value(name, value)) for name, value in sorted(found.computation.demand.items())]
    return [*rows, *((name, amounts.UNKNOWN) for name in found.masked)]


def _value(name: str, value: float) -> str:
    if name.endswith("_bytes"):
        return amounts.size(value)
    if name.endswith(("_share", "_confidence")):
        return amounts.share(value)
    return amounts.rate(value, "FLOP") if name.endswith("flop") else f"{value:.4g}"


def _story(found: "Fingerprint") -> str:
    told = [found.computation.id, f"from {found.source.value}", f"in {amounts.seconds(found.wall_s)}", *found.notes]
    return "; ".join([*told, *([found.message] if found.message else [])])
