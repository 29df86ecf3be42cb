"""`dnaml repeat ID`: restores a recorded job's initial state, runs it again, and compares how the two ended."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dnaml.cli.screen import Screen
from dnaml.cli.verbs import JobId, alone, verb
from dnaml.core.errors import InputError

if TYPE_CHECKING:
    from dnaml.execution.capture import InitialState
    from dnaml.history import History, JobView, Record

app = alone()


class Env(Enum):
    """Is what to do about the environment: Python, packages, variables."""

    SAME = "same"  # it must be what it was; what differs is named and nothing runs
    RECREATE = "recreate"  # it is built anew in a fresh virtual environment first
    ANY = "any"  # run in this one, whatever differs


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """What a job brought, ready to be submitted once more."""

    view: "JobView"
    record: "Record"
    function: Callable[..., Any]  # the user's own
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a job repeated. `repeated_as` is the new job, None where nothing ran; `started_otherwise` says what of
    the initial state was not as before although it ran."""

    id: str
    repeated: bool
    differences: tuple[str, ...]
    how: str
    repeated_as: str | None = None
    resource_id: str | None = None
    started_otherwise: tuple[str, ...] = ()


@verb(app, example="dnaml repeat 3f2a --rtol 1e-6", over="running:repeat")
def repeat(
    screen: Screen,
    job_id: JobId,
    env: Annotated[Env, typer.Option(help="What to do about the environment.")] = Env.SAME,
    rtol: Annotated[float, typer.Option(min=0, help="Numbers may differ by this share of the first.")] = 0.0,
    atol: Annotated[float, typer.Option(min=0, help="Numbers may differ by this much.")] = 0.0,
    anyway: Annotated[bool, typer.Option("--anyway", help="Run although code, arguments or inputs changed.")] = False,
) -> int:
    """Run a recorded job again and say whether it repeated, and if not what differs; exit code 1 if it did not."""
    from dnaml.execution.capture import changed
    from dnaml.history import History

    again = _restore(History.read(screen.state), job_id)
    now = _initial(again)
    if env is Env.RECREATE and now.environment != again.record.initial.environment:
        return _in_fresh_environment(screen, again, rtol=rtol, atol=atol, anyway=anyway)
    started = changed(again.record.initial, now, environments=_environments(screen.state, again.record.initial))
    of_environment = [one for one in started if _is_environment(one)]
    stops = [one for one in started if one not in of_environment and not anyway]
    stops += of_environment if env is Env.SAME else []
    if stops:
        how = "not run: the initial state is not what it was"
        return tell(screen, Verdict(id=again.view.id, repeated=False, differences=tuple(stops), how=how))
    return tell(screen, _run_and_compare(screen, again, tuple(started), rtol=rtol, atol=atol))


def _restore(history: "History", job_id: str) -> Again:
    from dnaml.execution import pickling

    view = history.job(job_id)
    record = history.record(view.id)
    if record.terminal is None:
        raise InputError(f"job {view.id}: left no result to compare with, it is {view.state.value}")
    payload = history.payload(view.id)
    if (here := os.getcwd()) not in sys.path:
        sys.path.insert(0, here)
    try:
        function = pickling.loads(payload.function)
        args, kwargs = pickling.loads(payload.arguments)
    except (ImportError, AttributeError) as error:
        raise InputError(f"job {view.id}: its code is not found from {here}: {error}") from error
    return Again(view=view, record=record, function=function, args=args, kwargs=kwargs, outputs=payload.outputs)


def _initial(again: Again) -> "InitialState":
    """Return what the job would start from now."""
    from dnaml.execution.argv import Command
    from dnaml.execution.capture import initial_state, initial_state_of_argv

    inputs = list(again.record.initial.inputs)
    first = again.args[0] if again.args else None
    if isinstance(first, Command):
        return initial_state_of_argv(first.argv, workdir=first.workdir, inputs=inputs, envs=first.envs)
    return initial_state(again.function, again.args, again.kwargs, inputs=inputs)


def _environments(state: Path, initial: "InitialState") -> Any:  # a pair of Environment, or None
    from dnaml.datasets.environments import kept_environment
    from dnaml.execution.environment import current_environment, environment_from_json

    was = kept_environment(state, initial.environment)
    return None if was is None else (environment_from_json(was), current_environment())


def _is_environment(told: str) -> bool:
    return told.startswith(("environment ", "package ", "variable ", "seed "))


def _run_and_compare(screen: Screen, again: Again, started: tuple[str, ...], *, rtol: float, atol: float) -> Verdict:
    from dnaml.execution.capture import compare
    from dnaml.history import History

    new_id, error = _run(screen, again)
    second = History.read(screen.state).record(new_id)
    resource_id = second.attempts[-1].placement.resource_id if second.attempts else None
    differences: tuple[str, ...]
    if error is not None or second.terminal is None or again.record.terminal is None:
        line = " ".join(f"{type(error).__name__}: {error}".split())
        differences, how = (f"the repetition failed: {line}",), "nothing to compare"
    else:
        comparison = compare(again.record.terminal, second.terminal, rtol=rtol, atol=atol)
        differences, how = comparison.differences, comparison.tolerance
    return Verdict(
        id=again.view.id,
        repeated=not differences,
        differences=differences,
        how=how,
        repeated_as=new_id,
        resource_id=resource_id,
        started_otherwise=started,
    )


def _run(screen: Screen, again: Again) -> tuple[str, BaseException | None]:
    """Run the job once more where the scheduler now decides; return its new id and what it raised."""
    from dnaml.cli.foreground import error_of, watch
    from dnaml.cli.pool import drivable, known_resources
    from dnaml.client import Executor

    job = again.view.job
    pool = drivable(known_resources(screen.state))
    with Executor(pool or None, objective=job.objective or "balanced", state=screen.state) as executor:
        options = executor.options(
            name=job.name,
            objective=job.objective,
            constraints=job.constraints,
            resilience=job.resilience,
            computation=again.view.computation,
            inputs=tuple(again.record.initial.inputs),
            outputs=again.outputs,
        )
        future = options.submit(again.function, *again.args, **again.kwargs)
        watch(screen, future, None)
        return future.job_id, error_of(future)


def tell(screen: Screen, verdict: Verdict) -> int:
    """Answer with a verdict; return the exit code."""
    says = "repeated" if verdict.repeated else "did not repeat"
    where = f" as {verdict.repeated_as} on {verdict.resource_id}" if verdict.repeated_as else ""
    notes = [f"  started otherwise: {one}" for one in verdict.started_otherwise]
    lines = [f"{verdict.id} {says}{where} ({verdict.how})", *(f"  {one}" for one in verdict.differences), *notes]
    screen.answer(verdict, *lines)
    return 0 if verdict.repeated else 1


def _in_fresh_environment(screen: Screen, again: Again, *, rtol: float, atol: float, anyway: bool) -> int:
    """Build the recorded environment in a virtual environment and repeat there, in a process of its own Python."""
    import subprocess

    from dnaml.datasets.environments import kept_environment
    from dnaml.execution.environment import environment_from_json, relevant_variables
    from dnaml.execution.environment_build import recreate

    digest = again.record.initial.environment
    kept = kept_environment(screen.state, digest)
    if kept is None:
        raise InputError(f"job {again.view.id}: its environment was not described, so it cannot be built anew")
    was = environment_from_json(kept)
    made = recreate(was, screen.state / "environments" / digest, say=screen.note)
    others = [one for one in made.local if not one.startswith("dnaml ")]
    if others:
        screen.note(f"installed from a folder then, not rebuilt: {', '.join(others)}")
    _lend_dnaml(made.python)
    variables = {name: value for name, value in os.environ.items() if name not in relevant_variables(os.environ)}
    options = [f"--rtol={rtol}", f"--atol={atol}", *(["--anyway"] if anyway else [])]
    options += [*(["--json"] if screen.as_json else []), *(["--quiet"] if screen.quiet else [])]
    verb_line = ["repeat", again.view.id, "--env", "any", "--state", str(screen.state), *options]
    command = [str(made.python), "-m", "dnaml", *verb_line]
    return subprocess.run(command, env={**variables, **made.variables}, check=False).returncode


def _lend_dnaml(python: Path) -> None:
    """Let another environment's Python find this dnaml, where it was not installed from an index."""
    import dnaml

    root = Path(dnaml.__file__).resolve().parents[1]
    for folder in python.parents[1].glob("lib/python*/site-packages"):
        if not (folder / "dnaml").exists():
            (folder / "dnaml-lent.pth").write_text(f"{root}\n", encoding="utf-8")
