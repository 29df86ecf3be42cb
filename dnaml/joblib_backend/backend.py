"""joblib's side of the back end: how many at once, submit, results by callback, what nested calls do, how to abort.

joblib decides how many calls make a batch, and hands out the next when one ends; dnaml decides where each batch runs.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from joblib._parallel_backends import AutoBatchingMixin, ParallelBackendBase, SequentialBackend

from dnaml.client import Executor, innermost
from dnaml.core.errors import InputError, UnpicklableError
from dnaml.core.work import Computation
from dnaml.execution.fingerprint.naming import computation_of
from dnaml.futures import Future
from dnaml.joblib_backend.batch import SharedArrays, packed, run_batch

Batch = Any  # joblib's BatchedCalls: a callable with `items`, each (function, args, kwargs)


class DnamlBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]  # joblib ships no types
    """Runs batches as jobs of an executor; `options` are those of `Executor.options`."""

    supports_retrieve_callback = True
    supports_inner_max_num_threads = False
    default_n_jobs = -1  # all that the executor offers, where nobody says how many

    def __init__(self, executor: Executor | None = None, nesting_level: int | None = None, **options: Any) -> None:
        super().__init__(nesting_level=nesting_level)
        self._executor = executor
        self._options = options
        self._open: set[Future[list[Any]]] = set()
        self._shared = SharedArrays()
        self._calls_back: ThreadPoolExecutor | None = None

    @property
    def executor(self) -> Executor:
        """Return the executor in use: the one given, else the innermost open one, else a default one."""
        if self._executor is None:
            self._executor = innermost()
        return self._executor

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Return how many batches joblib keeps going: as many as resources have slots, or fewer where asked."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        slots = sum(resource.slots for resource in self.executor.resources)
        if n_jobs is None:
            return 1
        return max(slots + 1 + n_jobs, 1) if n_jobs < 0 else n_jobs

    def configure(self, n_jobs: int = 1, parallel: Any = None, **_: Any) -> int:
        """Get ready for one `Parallel` call and return how many batches go on at once."""
        self.parallel = parallel
        if self._calls_back is None:
            self._calls_back = ThreadPoolExecutor(1, thread_name_prefix="dnaml-joblib")
        return self.effective_n_jobs(n_jobs)

    def submit(self, func: Batch, callback: Callable[[Future[list[Any]]], None] | None = None) -> Future[list[Any]]:
        """Submit one batch; `callback` is called with its future on a thread of its own when it ended."""
        try:
            body = packed(func, self._shared)
        except Exception as error:  # pickling runs the values' own code, which may raise anything
            raise UnpicklableError(f"a call of {_name(func)} cannot be sent to a worker: {error}") from error
        options = {"computation": computation_of_batch(func), "name": _name(func), **self._options}
        future: Future[list[Any]] = self.executor.options(**options).submit(run_batch, body)
        self._open.add(future)
        future.add_done_callback(lambda _: self._ended(future, callback))
        return future

    def retrieve_result_callback(self, out: Future[list[Any]]) -> list[Any]:
        """Return the results of a batch, or raise what one of its calls raised."""
        return out.result()

    def get_nested_backend(self) -> tuple[Any, None]:
        """Return what a `Parallel` inside a worker uses: one call after another, for a worker has one core."""
        return SequentialBackend(nesting_level=(self.nesting_level or 0) + 1), None

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Withdraw what waits and stop what runs; the executor stays usable."""
        for future in list(self._open):
            if not future.cancel():
                future.stop()
        self._open.clear()
        if not ensure_ready:
            self.terminate()

    def terminate(self) -> None:
        """End the call: remove its shared arrays. The executor belongs to whoever opened it."""
        self._shared.close()
        calls_back, self._calls_back = self._calls_back, None
        if calls_back is not None:
            calls_back.shutdown(wait=False)
        self.reset_batch_stats()

    def _ended(self, future: Future[list[Any]], callback: Callable[[Future[list[Any]]], None] | None) -> None:
        """Leave the engine's thread at once: reading the result and handing out the next batch take their time."""
        self._open.discard(future)
        calls_back = self._calls_back
        if callback is not None and calls_back is not None and not future.cancelled():
            try:
                calls_back.submit(callback, future)
            except RuntimeError:  # the call was aborted between two lines: nobody waits for the result
                return


def computation_of_batch(batch: Batch) -> Computation:
    """Return what a batch repeats: the kernel of its first call, at that call's size and so many calls.

    A call of scikit-learn's is named with the estimator that it fits. Raises InputError for a batch of nothing.
    """
    if not batch.items:
        raise InputError("a batch must hold a call, got none")
    function, args, kwargs = batch.items[0]
    told = _inner(function)
    one = computation_of(told, args, kwargs)
    kind = next((type(value).__name__ for value in args if hasattr(value, "get_params")), "")
    kind = kind or next((type(value).__name__ for value in kwargs.values() if hasattr(value, "get_params")), "")
    kernel = f"{one.kernel}({kind})" if kind else one.kernel
    count = len(batch.items)
    tail = one.id.removeprefix(one.kernel)
    return Computation(
        id=f"{kernel}{tail}" + (f"x{count}" if count > 1 else ""),
        kernel=kernel,
        size={**one.size, "calls": float(count)},
        input_bytes=one.input_bytes,
    )


def _inner(function: Any) -> Any:
    """Return the function inside scikit-learn's wrapper, which carries its configuration along."""
    return getattr(function, "function", function)


def _name(batch: Batch) -> str:
    return str(getattr(_inner(batch.items[0][0]), "__qualname__", "call"))
