"""From a job's JSON to what the engine takes in: read, checked against what clients may do, captured."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dnaml.core.errors import InputError
from dnaml.core.resource import Resource
from dnaml.core.work import Computation
from dnaml.execution.argv import Command, run_argv
from dnaml.execution.capture import InitialState, initial_state_of_argv
from dnaml.execution.fingerprint.naming import computation_of, computation_of_argv
from dnaml.jobfile import Argv, JobFile
from dnaml.jobfile import Call as NamedCall
from dnaml.jobfile.sizes import parse_memory
from dnaml.rest.allowed import AllowList
from dnaml.rest.confine import check_argument_files, check_paths, check_texts
from dnaml.rest.problems import Problem
from dnaml.submission import Call, Options

Json = Mapping[str, Any]
"""a JSON object as a client sent it"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What clients of a service may run, and where."""

    allowed: AllowList
    argv: bool
    root: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One job that a client asks for, checked; nothing of it was run or read but its inputs."""

    job: JobFile
    computation: Computation
    function: Callable[..., Any]  # the client's choice from the allow-list, or the one that runs commands
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    started: InitialState | None

    @property
    def parts(self) -> int:
        """Return into how many parts at most the job may be cut."""
        return self.job.document.split.max_parts

    def call(self, pool: tuple[Resource, ...], *, tenant: str, key: str | None) -> Call[Any]:
        """Return the call with everything it carries; raise InputError when no resource meets its wishes."""
        options = Options(
            name=self.job.name,
            objective=self.job.objective(),
            constraints=self.job.constraints(pool),
            resilience=self.job.resilience(),
            inputs=tuple(str(path) for path in self.job.input_paths()),
            outputs=tuple(str(path) for path in self.job.output_paths()),
            computation=self.computation,
            tenant=tenant,
            idempotency_key=key,
            divisible=self.parts > 1,
            max_parts=self.parts,
        )
        return Call(fn=self.function, args=self.args, kwargs=self.kwargs, options=options)


def read_request(values: Json, rules: Rules) -> Request:
    """Return what a job's JSON asks for; raise InputError or a Problem for what may not be."""
    job = JobFile.of(values, source="job", folder=rules.root)
    check_texts(job)
    check_paths(job, rules.root)
    if job.document.computation is not None:
        return _function(job, rules)
    if not rules.argv:
        raise Problem(403, "run: this service runs no commands; name a computation", kind="not-allowed")
    return _command(job)


def _function(job: JobFile, rules: Rules) -> Request:
    document = job.document
    for section in ("workdir", "envs"):
        if getattr(document, section):
            raise InputError(f"{section}: belongs to run; a computation is found where the service finds it")
    function = rules.allowed.function(document.computation or "")
    runnable = job.runnable({})
    assert isinstance(runnable, NamedCall)
    check_argument_files(runnable.args, runnable.kwargs, rules.root)
    inner = getattr(function, "function", function)
    computation = computation_of(inner, runnable.args, runnable.kwargs, declared=_declared(job))
    return Request(
        job=job,
        computation=computation,
        function=function,
        args=runnable.args,
        kwargs=runnable.kwargs,
        started=None,
    )


def _command(job: JobFile) -> Request:
    runnable = job.runnable({})
    assert isinstance(runnable, Argv)
    inputs = [str(path) for path in job.input_paths()]
    where = runnable.workdir
    computation = computation_of_argv(
        runnable.argv, workdir=where, name=job.document.name, inputs=inputs, declared=_declared(job)
    )
    return Request(
        job=job,
        computation=computation,
        function=run_argv,
        args=(Command(runnable.argv, str(where), dict(runnable.envs)),),
        kwargs={},
        started=initial_state_of_argv(runnable.argv, workdir=where, inputs=inputs, envs=runnable.envs),
    )


def with_demand(request: Request, known: Computation | None) -> Request:
    """Return the request with what was measured or declared of its computation before."""
    if known is None:
        return request
    own = request.computation
    demand = {**known.demand, **own.demand}
    return replace(
        request, computation=replace(own, demand=demand, memory_bytes=own.memory_bytes or known.memory_bytes)
    )


def _declared(job: JobFile) -> dict[str, float] | None:
    wish = job.document.resources.memory
    return None if wish is None else {"memory_bytes": int(parse_memory(wish, what="resources.memory").amount)}
