"""`dnaml submit JOB`: runs a job on an embedded engine in the foreground and waits for its end.

The job is in the journal before it starts: Ctrl-C or a crash loses nothing, and `dnaml submit --resume` goes on.
"""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dnaml.cli.screen import Screen
from dnaml.cli.verbs import alone, verb
from dnaml.core.errors import InputError

if TYPE_CHECKING:
    from dnaml.cli.outlook import Outlook
    from dnaml.cli.work import Work

app = alone()


@verb(app, example="dnaml submit dnaml.yaml --follow   or   dnaml submit mypackage.train:fit --dry-run")
def submit(
    screen: Screen,
    source: Annotated[str | None, typer.Argument(metavar="JOB", help="A job file, or module:function.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be decided; write nothing.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Print what the job writes while it runs.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with all that was left unfinished.")] = False,
) -> int:
    """Run a job where it is predicted to do best, and wait for it; exit code 1 if the work failed."""
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
    from dnaml.cli.explain import decision_table, price_line

    shown = f"would run on {seen.decision.chosen}" if seen.placed else f"would wait: {seen.reason}"
    screen.answer(
        outlook_value(work, seen),
        decision_table(seen.decision),
        f"{work.job.name}: {shown}; policy {seen.decision.policy}, predicted by {seen.decision.path}; nothing was run",
        price_line([one.price_date for one in resources]),
    )
    return 0


def outlook_value(work: "Work", seen: "Outlook") -> dict[str, Any]:  # JSON values
    """Return an outlook as one JSON object."""
    from dnaml.cli.explain import decision_value

    value = decision_value(seen.decision)
    del value["job_id"], value["attempt_id"]
    return {
        "name": work.job.name,
        "computation_id": work.computation.id,
        **value,
        "chosen": seen.decision.chosen or None,
        "waits_because": seen.reason or None,
    }


def _run(screen: Screen, source: str, *, follow: bool) -> int:
    from dnaml.cli.foreground import run_to_end
    from dnaml.cli.pool import drivable, keep, known_resources, measured, this_machine
    from dnaml.cli.work import prepare

    work = prepare(source, screen.state)
    work.check_that_it_travels()
    known = known_resources(screen.state)
    resources = known or (measured(screen, this_machine()),)
    pool = drivable(resources)
    work.constraints(pool)  # refuses here, while nothing is written yet
    if not known:
        keep(screen.state, resources)
    return run_to_end(screen, work, pool, out=sys.stdout.buffer if follow and not screen.as_json else None)
