"""`dnaml simulate TRACE`: what policies would have reached on a recorded workload."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dnaml.cli import amounts
from dnaml.cli.screen import Screen, table
from dnaml.cli.verbs import alone, verb

if TYPE_CHECKING:
    from dnaml.datasets.traces.trace import Trace
    from dnaml.simulation import Report, Settings

app = alone()
_COLUMNS = (
    "policy",
    ">mean JCT",
    ">p50",
    ">p99",
    ">makespan",
    ">cost",
    ">late",
    ">restarts",
    ">used",
    ">shared",
    ">decisions",
    ">CPU each",
    ">gap",
)


@verb(app, example="dnaml simulate jobs.csv --policy dnaml,srpt,fifo --on big=4,small=8 --plot runs.png")
def simulate(
    screen: Screen,
    source: Annotated[Path, typer.Argument(metavar="TRACE", help="A CSV: job_id, arrival_s, runtime_s:POOL, ...")],
    policy: Annotated[str, typer.Option(help="One or more, with commas between.")] = "dnaml",
    objective: Annotated[str, typer.Option(help="min_cost, min_latency or balanced.")] = "balanced",
    on: Annotated[str, typer.Option(metavar="POOL=N,...", help="Sizes of the pools.")] = "",
    deadline: Annotated[
        float | None, typer.Option(min=0, metavar="HOURS", help="All jobs are to end by this time of the trace.")
    ] = None,
    restart: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="What a start or a change costs.")] = 0.0,
    error: Annotated[
        float, typer.Option(min=0, help="Standard deviation of the log of what policies are told of runtimes.")
    ] = 0.0,
    pairs: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Measured pairs that may share units: kind_a, kind_b, pool, kept_a, kept_b."),
    ] = None,
    failures: Annotated[float, typer.Option(min=0, metavar="PER_HOUR", help="Rate at which each unit fails.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Of everything that is drawn.")] = 0,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw runs, completion times and costs.")] = None,
) -> None:
    """Replay a trace under policies and compare what they reach; equal input and seed give equal answers."""
    from dnaml.core.work import Objective
    from dnaml.datasets.traces.read import read, read_pairs
    from dnaml.schedule.rounds.registry import by_name
    from dnaml.simulation import Settings
    from dnaml.simulation.settings import Disturbances

    policies = [by_name(name.strip()) for name in policy.split(",")]
    settings = Settings(
        objective=Objective.of(objective),
        seed=seed,
        restart_s=restart,
        disturbances=Disturbances(error_sd=error, failures_per_h=failures),
        colocation=None if pairs is None else read_pairs(pairs),
    )
    trace = _on(read(source), on)
    trace = trace if deadline is None else trace.with_deadline(deadline * 3600.0)
    reports = []
    with _quiet_solver():
        for one in policies:
            with screen.working(f"simulating {one.name}"):
                reports.append(_report(trace, one.name, settings))
    if plot is not None:
        from dnaml.cli.simulate_plot import draw

        draw(reports, plot)
        screen.note(f"written: {plot}")
    screen.answer([_summary(one) for one in reports], table("", _COLUMNS, map(_row, reports)), _story(reports))


def _report(trace: "Trace", name: str, settings: "Settings") -> "Report":
    from dnaml.schedule.rounds.registry import by_name
    from dnaml.simulation import replay

    return replay(trace, by_name(name), settings)


def _on(trace: "Trace", sizes: str) -> "Trace":
    from dnaml.core.errors import InputError

    if not sizes:
        return trace
    wanted = {}
    for part in sizes.split(","):
        pool, _, count = part.partition("=")
        if not count.strip().isdigit():
            raise InputError(f"--on takes POOL=N with commas between, got {part!r}")
        wanted[pool.strip()] = int(count)
    return trace.on(wanted)


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


def _row(report: "Report") -> tuple[str, ...]:
    each_s = report.decision_cpu_s / report.decisions if report.decisions else None
    return (
        report.policy,
        amounts.seconds(report.mean_jct_s),
        amounts.seconds(report.p50_jct_s),
        amounts.seconds(report.p99_jct_s),
        amounts.seconds(report.makespan_s),
        amounts.usd(report.cost_usd),
        str(report.late),
        str(report.restarts),
        amounts.share(report.utilisation),
        amounts.share(report.shared_share),
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
