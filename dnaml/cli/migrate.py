"""`dnaml migrate ID`: asks the engine that runs to move a job elsewhere, with its newest checkpoint."""

from typing import TYPE_CHECKING, Annotated

import typer

from dnaml.cli.screen import Screen
from dnaml.cli.verbs import JobId, alone, verb
from dnaml.core.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from dnaml.history import JobView

app = alone()


@verb(app, example="dnaml migrate 3f2a --to gpu1", over="running:migrate")
def migrate(
    screen: Screen,
    job_id: JobId,
    to: Annotated[str, typer.Option(metavar="RESOURCE", help="Where to (default: wherever it does best).")] = "",
    wait: Annotated[float, typer.Option(min=0, help="Wait so many seconds until it runs elsewhere.")] = 30.0,
) -> int:
    """Move a running job; it goes on where it is until its new place confirms. Exit code 1 if it has not moved."""
    from dnaml.cli.job_rows import engine_pid, history_now, open_job, watched
    from dnaml.history import request_migration

    view = open_job(screen.state, job_id)
    if view.last is None:
        raise InputError(f"job {view.id}: waits to start, there is nothing to move")
    known = history_now(screen.state).resources
    if to and to not in known:
        raise NotFoundError(f"no resource {to!r}; there are {', '.join(sorted(known)) or 'none'}")
    if engine_pid(screen.state) is None:
        raise InputError(f"job {view.id}: no engine works on {screen.state}; 'dnaml submit --resume' starts one")
    source = view.last.placement.resource_id
    request_migration(screen.state, view.id, to)
    with screen.working(f"waiting until {view.id} runs elsewhere"):
        view = watched(screen.state, view, wait, lambda now: _where(now) != source)
    return show(screen, view.id, view.state.value, source, _where(view))


def show(screen: Screen, job_id: str, state: str, source: str, now: str) -> int:
    """Answer with where a job was and is; return the exit code."""
    moved = now != source
    line = f"{job_id} runs on {now}" if moved else f"{job_id} is {state} on {source}"
    screen.answer({"id": job_id, "from": source, "resource_id": now, "moved": moved}, line)
    return 0 if moved else 1


def _where(view: "JobView") -> str:
    """Return where the newest attempt of a job is."""
    return view.last.placement.resource_id if view.last is not None else ""
