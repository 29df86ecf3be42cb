"""`dnaml submit JOB`: runs a job on an embedded engine in the foreground, or in a service, and waits for its end.

The job is in the journal before it starts: Ctrl-C or a crash loses nothing, and `dnaml submit --resume` goes on.
"""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dnaml.cli.screen import Screen
from dnaml.cli.verbs import alone, verb
from dnaml.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

app = alone()


@verb(
    app,
    example="dnaml submit dnaml.yaml --follow   or   dnaml submit mypackage.train:fit --dry-run",
    over="running:submit",
)
def submit(
    screen: Screen,
    source: Annotated[str | None, typer.Argument(metavar="JOB", help="A job file, or module:function.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be decided; write nothing.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Print what the job writes while it runs.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with all that was left unfinished.")] = False,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="With --url: do not wait for its end.")] = False,
) -> int:
    """Run a job where it is predicted to do best, and wait for it; exit code 1 if the work failed."""
    if detach:
        raise InputError("--detach: needs a service (--url); an engine in the foreground ends with its command")
    if resume:
        if source is not None or dry_run:
            raise InputError("--resume: goes on with the jobs there are; it takes no JOB and no --dry-run")
        from dnaml.cli.foreground import finish_unfinished

        return finish_unfinished(screen)
    if source is None:
        raise InputError("JOB: must be given, a job file or module:function (or --resume)")
    return _dry_run(screen, source) if dry_run else _run(screen, source, follow=follow)


def _dry_run(screen: Screen, source: str) -> int:
    from dnaml.cli.outlook import outlook
    from dnaml.cli.pool import drivable, resources_or_this_machine
    from dnaml.cli.work import prepare

    work = prepare(source, screen.state)
    resources = drivable(resources_or_this_machine(screen))
    seen = outlook(work, resources, screen.state)
    dates = {one.id: one.price_date for one in resources}
    show_outlook(screen, work.job.name, work.computation.id, seen, dates)
    return 0


def show_outlook(
    screen: Screen, name: str, computation_id: str, seen: "Mapping[str, Any]", dates: "Mapping[str, str | None]"
) -> None:
    """Answer with what would be decided: every candidate's time, cost and risk, and why it lost."""
    from dnaml.cli.explain import decision_table, price_line

    value = {"name": name, "computation_id": computation_id, **seen}
    would = f"would run on {seen['chosen']}" if seen["chosen"] else f"would wait: {seen['waits_because']}"
    screen.answer(
        value,
        decision_table(seen),
        f"{name}: {would}; policy {seen['policy']}, predicted by {seen['predicted_by']}; nothing was run",
        price_line([dates.get(one["resource_id"]) for one in seen["candidates"]]),
    )


def _run(screen: Screen, source: str, *, follow: bool) -> int:
    from dnaml.cli.foreground import run_to_end
    from dnaml.cli.pool import drivable, keep, known_resources, measured, this_machine
    from dnaml.cli.work import prepare
    from dnaml.datasets.state import StateFolder

    work = prepare(source, screen.state)
    work.check_that_it_travels()
    StateFolder(screen.state).check()  # before seconds go into probes
    known = known_resources(screen.state)
    resources = known or (measured(screen, this_machine()),)
    pool = drivable(resources)
    work.constraints(pool)  # refuses here, while nothing is written yet
    if not known:
        keep(screen.state, resources)
    return run_to_end(screen, work, pool, out=sys.stdout.buffer if follow and not screen.as_json else None)
