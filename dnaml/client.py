"""`Executor`: a concurrent.futures.Executor that decides where each call runs, on an embedded engine."""

import atexit
import concurrent.futures
import itertools
import os
import secrets
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dnaml.core.errors import InputError
from dnaml.core.events import CancelRequested, ResourceDown
from dnaml.core.protocols import Policy, Predictor
from dnaml.core.resource import Resource, Site
from dnaml.core.work import Computation, Objective
from dnaml.datasets.state import default_folder
from dnaml.engine import Engine, EngineSettings
from dnaml.execution.argv import Command, run_argv
from dnaml.execution.capture import InitialState, initial_state, initial_state_of_argv
from dnaml.execution.notices import Labelled
from dnaml.futures import Future, FutureKeeper, done_future
from dnaml.logbook import watching
from dnaml.scaling import Scaling, plan_of, scaled
from dnaml.submission import PLAIN, Accepted, Call, Chunk, Options, accepted, innermost_executor

T = TypeVar("T")
TEMPORARY = "temporary"

if TYPE_CHECKING:
    from dnaml.history import KeptResults


class Executor(concurrent.futures.Executor):
    """Runs calls on the resources where they cost least by the objective, and learns from every run.

    `resources` defaults to those of the state folder, else to this machine. `state` is the folder that makes accepted
    jobs survive a crash (default: the user's state folder; "temporary": a private one that is removed at the end).
    `cores` is how many attempts run at once on this machine. With `engine="ray"` calls run on the nodes of
    the Ray cluster at `address` ("auto", "local" or HOST:PORT); `resources` then redescribes nodes by their id.
    With `scaling`, a plan or its TOML file, machines are acquired before they are needed, and given back.
    Raises StateInUseError when another engine has the folder.

    >>> import dnaml
    >>> with dnaml.Executor(state="temporary") as executor:
    ...     executor.submit(pow, 2, 10).result()
    1024
    """

    def __init__(
        self,
        resources: Sequence[Resource] | None = None,
        *,
        objective: Objective | str | Mapping[str, float] = "balanced",
        state: str | Path | None = None,
        policy: Policy | None = None,
        predictor: Predictor | None = None,
        cores: int | None = None,
        seed: int = 0,
        settings: EngineSettings | None = None,
        engine: str = "local",
        address: str = "auto",
        scaling: Scaling | str | Path | None = None,
    ) -> None:
        self._temporary = state == TEMPORARY
        settings = (settings or EngineSettings()).on(engine, address)
        folder = Path(tempfile.mkdtemp(prefix="dnaml-")) if self._temporary else Path(state or default_folder())
        elsewhere = settings.open_backend is not None
        pool = tuple(resources or ()) if resources is not None or elsewhere else known_resources(folder)
        _check_ids(pool)
        plan = plan_of(scaling)
        self._machines = plan.machines if plan is not None else ()
        domains = {one.domain for one in (*pool, *self._machines) if one.site is Site.LOCAL}
        limits = dict.fromkeys(domains, cores or usable_cores())
        controller = replace(settings.controller, cores={**limits, **settings.controller.cores})
        self._futures: dict[str, Future[Any]] = {}
        self._changed = threading.Condition()
        self._broken: BaseException | None = None
        self._closed = False
        self._ids = itertools.count(1)
        self._kept: KeptResults | None = None
        self._prefix = f"{secrets.token_hex(4)}-"
        self.resources = pool
        keeper = FutureKeeper(self._futures, self._changed, self._on_broken)
        watcher, self._end_tracking = watching(keeper, default_folder() if self._temporary else folder)
        self.scaling = scaled(watcher, plan)
        self._engine = Engine(
            folder,
            policy or default_policy(),
            predictor or default_predictor(),
            Objective.of(objective),
            self.scaling or watcher,
            replace(settings, controller=controller, seed=seed),
        )
        self.state = self._engine.state.root
        self._notices = Labelled(self._engine.post, self._engine.now_s)
        self._notices.came(*pool)
        self._engine.add_resources(*pool)
        if self.scaling is not None:
            self.scaling.begin(self._engine)
        self._exit = atexit.register(_shut_down, weakref.ref(self))
        self._token = innermost_executor.set(self)

    # -- the standard surface ----------------------------------------------------------------------------------------

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Accept a call and return its Future at once; when this returns, the job survives a crash of this process.

        Raises UnpicklableError when the function or an argument cannot travel, InputError when no resource can hold it.
        """
        return self._submit(getattr(fn, "dnaml_options", PLAIN), fn, args, kwargs)

    def options(self, **options: Any) -> "Submitter":
        """Return a view of this executor whose submissions carry options: objective, constraints, name, ..."""
        return Submitter(self, PLAIN.changed(**options))

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
    ) -> Iterator[T]:
        """Apply a function to every item, results in order; each item (or chunk of items) is placed on its own."""
        if chunksize < 1:
            raise ValueError(f"chunksize must be at least 1, got {chunksize}")
        if chunksize == 1:
            return super().map(fn, *iterables, timeout=timeout)
        items = zip(*iterables, strict=False)
        chunks = iter(lambda: tuple(itertools.islice(items, chunksize)), ())
        lists = super().map(Chunk(getattr(fn, "function", fn)), chunks, timeout=timeout)
        return itertools.chain.from_iterable(lists)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; wait for those accepted (or withdraw the waiting ones), then end the workers."""
        with self._changed:
            already, self._closed = self._closed, True
        if cancel_futures:
            for future in list(self._futures.values()):
                future.cancel()
        if not wait and self._futures and not already:
            threading.Thread(target=self._finish, name="dnaml-shutdown").start()
        elif wait or not already:
            self._finish()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Shut down; after Ctrl-C the accepted jobs stay in the journal and go on with the next engine."""
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self._closed = True
            self._close()
        else:
            self.shutdown(wait=True)

    # -- beyond the standard -----------------------------------------------------------------------------------------

    def submit_argv(
        self, argv: Sequence[str], *, workdir: str | Path = ".", envs: Mapping[str, str] | None = None, **options: Any
    ) -> Future[int]:
        """Run a command without a shell; the Future's result is 0, another exit code raises CommandFailed."""
        command = Command(tuple(argv), str(Path(workdir).absolute()), dict(envs or {}))
        chosen = PLAIN.changed(**options)
        started = initial_state_of_argv(argv, workdir=command.workdir, inputs=chosen.inputs, envs=envs)
        name = chosen.name or Path(argv[0]).name
        computation = chosen.computation or Computation(id=f"argv:{name}", kernel=f"argv:{name}")
        return self._submit(replace(chosen, computation=computation), run_argv, (command,), {}, started)

    def submit_all(self, calls: Iterable[Call[T]]) -> list[Future[T]]:
        """Accept several calls as one batch that is planned as a whole; all or none are accepted."""
        prepared = [self._prepare(call.options, call.fn, call.args, dict(call.kwargs)) for call in calls]
        futures = [future for future, _ in prepared]
        self._hand_over(list(futures), [accepted for _, accepted in prepared])
        return futures

    def configure(
        self,
        *,
        objective: Objective | str | Mapping[str, float],
        policy: Policy | None = None,
        predictor: Predictor | None = None,
    ) -> None:
        """Go on under another objective, policy or predictor; what waits is planned again."""
        self._engine.configure(Objective.of(objective), policy, predictor)

    def add_resource(self, resource: Resource) -> None:
        """Offer one more resource, or replace the description of one."""
        self.resources = (*(known for known in self.resources if known.id != resource.id), resource)
        self._notices.came(resource)
        self._engine.add_resources(resource)

    def remove_resource(self, resource_id: str, reason: str = "removed by its owner") -> None:
        """Withdraw a resource; what runs on it goes on elsewhere."""
        self.resources = tuple(known for known in self.resources if known.id != resource_id)
        gone = ResourceDown(at_s=self._engine.now_s(), resource_id=resource_id, reason=reason)
        self._notices.see(gone)
        self._engine.post(gone)

    def running(self) -> dict[str, tuple[str, int]]:
        """Return the running attempts: attempt id -> (resource id, process id of its worker)."""
        return self._engine.backend.pids()

    # -- inside ------------------------------------------------------------------------------------------------------

    def _submit(
        self,
        options: Options,
        fn: Callable[..., T],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        started: InitialState | None = None,
    ) -> Future[T]:
        if options.cache:
            function: Callable[..., T] = getattr(fn, "function", fn)
            started = started or initial_state(function, args, kwargs, inputs=options.inputs)
            kept = self._kept_results().find(started)
            if kept is not None:
                return done_future(*kept, self._changed, self._record)
        future, accepted = self._prepare(options, fn, args, kwargs, started)
        self._hand_over([future], [accepted])
        return future

    def _kept_results(self) -> "KeptResults":
        """Return what earlier jobs of this state folder ended in."""
        from dnaml.history import KeptResults

        if self._kept is None:
            self._kept = KeptResults(self.state)
        return self._kept

    def _hand_over(self, futures: list[Future[Any]], accepted: list[Accepted]) -> None:
        """Give jobs to the engine, all or none."""
        if self._broken is not None:
            raise RuntimeError(f"the engine has stopped: {self._broken}") from self._broken
        if self._closed:
            raise RuntimeError("cannot schedule new futures after shutdown")
        for future in futures:
            self._futures[future.job_id] = future
        try:
            self._engine.submit(*accepted)
        except BaseException:
            for future in futures:
                self._futures.pop(future.job_id, None)
            raise

    def _prepare(
        self,
        options: Options,
        fn: Callable[..., T],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        started: InitialState | None = None,
    ) -> tuple[Future[T], Accepted]:
        """Check a call, capture its initial state, and make its future and what the engine stores of it."""
        call = Call(fn=fn, args=args, kwargs=kwargs, options=options)
        job_id = self._prefix + format(next(self._ids), "x")
        job, computation, payload = accepted(call, job_id=job_id, at_s=self._engine.now_s(), started=started)
        self._check_memory(computation)
        future: Future[T] = Future(job.id, self._changed, self._stop)
        future._read_record, future._join = self._record, options.join
        return future, (job, computation, payload)

    def _on_broken(self, error: BaseException) -> None:
        self._broken = error

    def _check_memory(self, computation: Computation) -> None:
        needed = computation.memory_bytes
        if not needed or not self.resources:
            return
        largest = max((*self.resources, *self._machines), key=lambda resource: resource.memory_bytes or float("inf"))
        if largest.memory_bytes is not None and needed > largest.memory_bytes:
            raise InputError(
                f"{computation.kernel}: memory_bytes must fit a resource, got {needed / 2**30:.1f} GiB; "
                f"the largest, {largest.id}, has {largest.memory_bytes / 2**30:.1f} GiB"
            )

    def _stop(self, job_id: str) -> None:
        self._engine.post(CancelRequested(at_s=self._engine.now_s(), job_id=job_id, running=True))

    def _record(self, job_id: str) -> Any:  # Any: history imports lazily, its Record is named in futures.py
        """Read what is stored of a job."""
        from dnaml.history import History

        return History.read(self.state).record(job_id)

    def _finish(self) -> None:
        with self._changed:
            while self._futures and self._broken is None:
                self._changed.wait(1.0)
        self._close()

    def _close(self) -> None:
        atexit.unregister(self._exit)
        if innermost_executor.get() is self:
            innermost_executor.set(None)
        self._notices.stop()
        if self.scaling is not None:
            self.scaling.close()
        self._engine.close()
        self._end_tracking()
        if self._temporary:
            shutil.rmtree(self.state, ignore_errors=True)


class Submitter:
    """An executor with options: `executor.options(objective="min_cost").submit(fn, ...)`."""

    def __init__(self, executor: Executor, options: Options) -> None:
        self._executor = executor
        self._options = options

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Submit a call that carries the options."""
        return self._executor._submit(self._options, fn, args, kwargs)

    def options(self, **options: Any) -> "Submitter":
        """Return a view with more options."""
        return Submitter(self._executor, self._options.changed(**options))


def innermost() -> Executor:
    """Return the innermost open Executor of this thread of control, or a new default one."""
    executor = innermost_executor.get()
    return executor if isinstance(executor, Executor) and not executor._closed else Executor()


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def known_resources(folder: Path) -> tuple[Resource, ...]:
    """Return the resources that a state folder knows, else this machine as far as it tells without a probe."""
    from dnaml.telemetry.local import resources_of

    return resources_of(folder)


def default_policy() -> Policy:
    """Return the policy that decides when none is named."""
    from dnaml.schedule.matching import MatchingPolicy

    return MatchingPolicy()


def default_predictor() -> Predictor:
    """Return the predictor that learns from what runs when none is named."""
    from dnaml.predict.placing import LivePredictor

    return LivePredictor()


def _check_ids(pool: Sequence[Resource]) -> None:
    seen: set[str] = set()
    for resource in pool:
        if resource.id in seen:
            raise InputError(f"resource ids must differ, got {resource.id!r} twice")
        seen.add(resource.id)


def _shut_down(reference: "weakref.ref[Executor]") -> None:
    executor = reference()
    if executor is not None:
        executor.shutdown(wait=True)
