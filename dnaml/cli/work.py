"""A job made ready: file read, function imported, inputs found, environment set; nothing is written or started yet."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnaml.answers.demands import with_known_demand
from dnaml.core.resource import Resource
from dnaml.core.work import Computation, Constraints, Job
from dnaml.jobfile import Argv, Call, JobFile
from dnaml.jobfile.sizes import parse_memory

if TYPE_CHECKING:
    from dnaml.client import Executor
    from dnaml.futures import Future


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One job that can be predicted, matched, fingerprinted or submitted. `function` is None for a command."""

    job: JobFile
    runnable: Argv | Call
    function: Callable[..., Any] | None  # a user's function
    computation: Computation

    def call(self) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:  # as the user's function takes them
        """Return the work as a function with its arguments; a command is the function that runs commands."""
        if isinstance(self.runnable, Call):
            assert self.function is not None
            return getattr(self.function, "function", self.function), self.runnable.args, dict(self.runnable.kwargs)
        from dnaml.execution.argv import Command, run_argv

        where = self.runnable
        return run_argv, (Command(where.argv, str(where.workdir), dict(where.envs)),), {}

    def check_that_it_travels(self) -> None:
        """Raise UnpicklableError for a function or argument that no worker could be given."""
        from dnaml.execution import pickling

        function, args, kwargs = self.call()
        pickling.dumps_function(function)
        pickling.dumps_arguments(args, kwargs)

    def constraints(self, resources: Sequence[Resource]) -> Constraints:
        """Return the job's limits over these resources; InputError when none meets its wishes."""
        return self.job.constraints(resources)

    def as_job(self, resources: Sequence[Resource], at_s: float) -> Job:
        """Return the job as a policy sees it."""
        return Job(
            id="dry-run",
            computation_id=self.computation.id,
            submitted_at_s=at_s,
            name=self.job.name,
            objective=self.job.objective(),
            constraints=self.constraints(resources),
            resilience=self.job.resilience(),
            max_parts=self.parts,
        )

    @property
    def parts(self) -> int:
        """Return into how many parts at most the job may be cut."""
        return self.job.document.split.max_parts

    def submit(self, executor: "Executor") -> "Future[Any]":
        """Submit the job to an engine of this process."""
        options = {
            "name": self.job.name,
            "objective": self.job.objective(),
            "constraints": self.constraints(executor.resources),
            "resilience": self.job.resilience(),
            "inputs": tuple(str(path) for path in self.job.input_paths()),
            "outputs": tuple(str(path) for path in self.job.output_paths()),
            "computation": self.computation,
            "divisible": self.parts > 1,
            "max_parts": self.parts,
        }
        if isinstance(self.runnable, Argv):
            where = self.runnable
            options["join"] = max  # of exit codes, each 0
            return executor.submit_argv(where.argv, workdir=where.workdir, envs=where.envs, **options)
        assert self.function is not None
        submit = executor.options(**options).submit
        return submit(self.function, *self.runnable.args, **self.runnable.kwargs)


def prepare(source: str, state: Path | None = None) -> Work:
    """Return the work of a job file or `module:function`; InputError for whatever is wrong with it.

    With `state`, the computation carries what was measured of it before.

    Variables and secrets of the job are set in this process, from which workers inherit them; a function's folder
    becomes the current one.
    """
    job = JobFile.read(source)
    runnable = job.runnable()
    secrets = job.secrets()
    job.input_paths()
    os.environ.update(secrets)
    os.environ.update({"DNAML_PART": "0", "DNAML_PARTS": "1"})
    function = None
    if isinstance(runnable, Argv):
        computation = _command(job, runnable)
    else:
        os.environ.update(runnable.envs)
        os.chdir(runnable.workdir)
        function = runnable.load()
        computation = _call(job, runnable, function)
    if state is not None:
        computation = with_known_demand(computation, state)
    return Work(job=job, runnable=runnable, function=function, computation=computation)


def _command(job: JobFile, command: Argv) -> Computation:
    from dnaml.execution.fingerprint.naming import computation_of_argv

    inputs = [str(path) for path in job.input_paths()]
    name, declared = job.document.name, _declared(job)
    return computation_of_argv(command.argv, workdir=command.workdir, name=name, inputs=inputs, declared=declared)


def _call(job: JobFile, call: Call, function: Callable[..., Any]) -> Computation:
    from dnaml.execution.fingerprint.naming import computation_of

    inner: Callable[..., Any] = getattr(function, "function", function)
    return computation_of(inner, call.args, call.kwargs, declared=_declared(job))


def _declared(job: JobFile) -> dict[str, float] | None:
    """Return what the job file says about the computation: the memory it needs."""
    wish = job.document.resources.memory
    return None if wish is None else {"memory_bytes": int(parse_memory(wish, what="resources.memory").amount)}
