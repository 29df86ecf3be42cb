"""`dnaml simulate TRACE`: what policies would have reached on a recorded workload."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dnaml.cli import amounts
from dnaml.cli.screen import Screen, table
from dnaml.cli.simulate_options import (
    CostShares,
    Every,
    Powers,
    Prices,
    Reprices,
    Resizes,
    Sizes,
    Stragglers,
    Write,
    changes,
    objectives,
    on_pools,
)
from dnaml.cli.verbs import alone, verb

if TYPE_CHECKING:
    from dnaml.core.work import Objective
    from dnaml.datasets.traces.trace import Trace
    from dnaml.schedule.rounds.round import RoundPolicy
    from dnaml.simulation import Report, Settings

    _Run = tuple[str, RoundPolicy, Settings]

app = alone()
_ALWAYS = ("policy", ">mean JCT", ">p50", ">p99", ">makespan", ">cost")
_THEN = (">late", ">restarts", ">used")
_LAST = (">decisions", ">CPU each", ">gap")


@verb(app, example="dnaml simulate jobs.csv --policy dnaml,srpt,fifo --on big=4,small=8 --plot runs.png")
def simulate(
    screen: Screen,
    source: Annotated[Path, typer.Argument(metavar="TRACE", help="A CSV: job_id, arrival_s, runtime_s:POOL, ...")],
    policy: Annotated[str, typer.Option(help="One or more, with commas between.")] = "dnaml",
    objective: Annotated[str, typer.Option(help="min_cost, min_latency or balanced.")] = "balanced",
    cost_shares: CostShares = "",
    on: Sizes = "",
    price: Prices = "",
    power: Powers = "",
    deadline: Annotated[
        float | None, typer.Option(min=0, metavar="HOURS", help="All jobs are to end by this time of the trace.")
    ] = None,
    restart: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="What a start or a change costs.")] = 0.0,
    checkpoint: Write = 0.0,
    every: Every = None,
    error: Annotated[
        float, typer.Option(min=0, help="Standard deviation of the log of what policies are told of runtimes.")
    ] = 0.0,
    pairs: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Measured pairs that may share units: kind_a, kind_b, pool, kept_a, kept_b."),
    ] = None,
    failures: Annotated[float, typer.Option(min=0, metavar="PER_HOUR", help="Rate at which each unit fails.")] = 0.0,
    stragglers: Stragglers = 0.0,
    resize: Resizes = "",
    reprice: Reprices = "",
    seed: Annotated[int, typer.Option(min=0, help="Of everything that is drawn.")] = 0,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw runs, completion times and costs.")] = None,
) -> None:
    """Replay a trace under policies and compare what they reach; equal input and seed give equal answers."""
    from dnaml.core.work import Objective
    from dnaml.datasets.traces.read import read, read_pairs
    from dnaml.simulation import Settings
    from dnaml.simulation.settings import Disturbances

    wrong = Disturbances(
        error_sd=error, failures_per_h=failures, straggler_share=stragglers, changes=changes(resize, reprice)
    )
    settings = Settings(
        objective=Objective.of(objective),
        seed=seed,
        restart_s=restart,
        checkpoint_s=checkpoint,
        checkpoint_every_s=every,
        disturbances=wrong,
        colocation=None if pairs is None else read_pairs(pairs),
    )
    wanted = _runs(policy, objectives(cost_shares), settings)
    trace = on_pools(read(source), sizes=on, prices=price, powers=power)
    trace = trace if deadline is None else trace.with_deadline(deadline * 3600.0)
    reports = _reports(screen, trace, wanted)
    if plot is not None:
        from dnaml.cli.simulate_plot import draw

        draw(reports, plot)
        screen.note(f"written: {plot}")
    screen.answer([_summary(one) for one in reports], _table(reports, shared=pairs is not None), _story(reports))


def _runs(policies: str, weights: "list[tuple[str, Objective]]", settings: "Settings") -> "list[_Run]":
    """Return what is to be replayed; only dnaml's own policy heeds weights, the others run once."""
    from dnaml.schedule.rounds.registry import DEFAULT, ORACLE, by_name

    found: list[_Run] = []
    for name in (part.strip() for part in policies.split(",")):
        chosen = by_name(name)
        if name in (DEFAULT, ORACLE) and weights:
            found += [(f"{name}, {told}", chosen, replace(settings, objective=one)) for told, one in weights]
        else:
            found.append((name, chosen, settings))
    return found


def _reports(screen: Screen, trace: "Trace", runs: "list[_Run]") -> "list[Report]":
    from dnaml.simulation import replay

    reports = []
    with _quiet_solver():
        for name, policy, settings in runs:
            with screen.working(f"simulating {name}"):
                reports.append(replace(replay(trace, policy, settings), policy=name))
    return reports


class _quiet_solver:  # noqa: N801 - used as a block, like the functions of contextlib
    """Sends what the solver's library prints on standard output to standard error: the answer must stay alone."""

    def __enter__(self) -> None:
        import os
        import sys

        sys.stdout.flush()
        self._kept = os.dup(1)
        os.dup2(2, 1)

    def __exit__(self, *_: object) -> None:
        import os

        os.dup2(self._kept, 1)
        os.close(self._kept)


def _summary(report: "Report") -> dict[str, object]:
    from dataclasses import asdict

    return {key: value for key, value in asdict(report).items() if key not in ("outcomes", "spans")}


def _table(reports: "list[Report]", *, shared: bool) -> Any:  # Any: what rich draws
    """Return one row a report; energy stands there where some is known, sharing where it was allowed."""
    energy = any(one.energy_j is not None for one in reports)
    columns = (*_ALWAYS, *(">energy",) * energy, *_THEN, *(">shared",) * shared, *_LAST)
    return table("", columns, (_row(one, energy=energy, shared=shared) for one in reports))


def _row(report: "Report", *, energy: bool, shared: bool) -> tuple[str, ...]:
    each_s = report.decision_cpu_s / report.decisions if report.decisions else None
    return (
        report.policy,
        amounts.seconds(report.mean_jct_s),
        amounts.seconds(report.p50_jct_s),
        amounts.seconds(report.p99_jct_s),
        amounts.seconds(report.makespan_s),
        amounts.usd(report.cost_usd),
        *(amounts.rate(report.energy_j, "J"),) * energy,
        str(report.late),
        str(report.restarts),
        amounts.share(report.utilisation),
        *(amounts.share(report.shared_share),) * shared,
        str(report.decisions),
        amounts.seconds(each_s),
        amounts.share(report.gap),
    )


def _story(reports: list["Report"]) -> str:
    first = reports[0]
    told = [f"{first.trace}: {first.jobs} jobs ended"]
    if first.measured != first.jobs:
        told.append(f"completion times of {first.measured} of them")
    if first.unplaced:
        job, why = next(iter(first.unplaced.items()))
        told.append(f"{len(first.unplaced)} never ran ({job}: {why})")
    for one in reports:
        if pairs := one.shared():
            told.append(f"{one.policy}: {len(pairs)} pairs shared units, longest: {pairs[0]}")
    return "; ".join(told)
