"""What a user holds of a submitted job: a standard Future that also knows its decision and its record."""

import concurrent.futures
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from dnaml.core.errors import ComputationFailed, ComputationLost, ComputationStopped
from dnaml.core.events import EndJob, Explain, StartAttempt
from dnaml.core.plan import Decision
from dnaml.engine import Watcher
from dnaml.execution import messages, pickling
from dnaml.execution.parts import joined

if TYPE_CHECKING:
    import pandas as pd

    from dnaml.history import Record

T = TypeVar("T")
Join = Callable[[list[Any]], Any] | None  # Any: the results of parts, and what is made of them


class RemoteTraceback(Exception):
    """Carries the worker's traceback as the cause of the exception that the user sees."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._text = text

    def __str__(self) -> str:
        """Return the traceback as the worker printed it."""
        return f'\n"""\n{self._text}"""'


class ExplainedDecision:
    """A decision with its table: every candidate, what was predicted of it, and why it lost."""

    def __init__(self, decision: Decision) -> None:
        self.record = decision

    def explain(self) -> "pd.DataFrame":
        """Return one row per candidate, best score first: p10, p50, p90 in seconds, wait, cost, risk, score, why.

        The columns `score_latency`, `score_cost`, ... are the weighed terms that the score sums up.
        """
        import pandas as pd

        record = self.record
        table = pd.DataFrame(
            {
                "resource_id": record.resource_ids,
                "chosen": [resource_id == record.chosen for resource_id in record.resource_ids],
                "runtime_p10_s": record.runtime_p10_s,
                "runtime_p50_s": record.runtime_p50_s,
                "runtime_p90_s": record.runtime_p90_s,
                "wait_s": record.wait_s,
                "cost_usd": record.cost_usd,
                "risk": record.risk,
                "score": record.score,
                **{f"score_{name}": values for name, values in record.terms.items()},
                "why": reasons(record),
            }
        )
        return table.sort_values("score", kind="stable").reset_index(drop=True)

    def __repr__(self) -> str:
        """Return the choice in one line."""
        return f"<decision: {self.record.chosen} of {len(self.record.resource_ids)} by {self.record.path}>"


def reasons(decision: Decision) -> list[str]:
    """Return for every candidate why it lost, in words; "chosen" for the one that won, if any did."""
    if decision.chosen not in decision.resource_ids:
        return list(decision.reasons)
    best = decision.resource_ids.index(decision.chosen)
    return [
        "chosen" if index == best else told or _compare(decision, index, best)
        for index, told in enumerate(decision.reasons)
    ]


def _compare(decision: Decision, index: int, best: int) -> str:
    """Say what is worse about a candidate than about the chosen one."""
    worse = []
    slower = decision.runtime_p50_s[index] / max(decision.runtime_p50_s[best], 1e-12)
    dearer = decision.cost_usd[index] / max(decision.cost_usd[best], 1e-300)
    waits = decision.wait_s[index] - decision.wait_s[best]
    if slower > 1.02:
        worse.append(f"{slower:.2f}x the runtime")
    if dearer > 1.02:
        worse.append(f"{dearer:.2f}x the cost")
    if waits > 0.02 * decision.runtime_p50_s[best]:
        worse.append(f"{waits:.3g} s more wait")
    if not worse:
        return "kept for other work of the same plan" if decision.score[index] <= decision.score[best] else "no better"
    return ", ".join(worse)


class Future(concurrent.futures.Future[T]):
    """A standard Future of one job. `cancel` is False once it runs, as is standard; `stop` asks it to end."""

    def __init__(self, job_id: str, placed: threading.Condition, stop: Callable[[str], None]) -> None:
        super().__init__()
        self.job_id = job_id
        self._placed = placed
        self._ask_to_stop = stop
        self._decision: Decision | None = None
        self._waits_because = ""
        self._read_record: Callable[[str], Record] | None = None
        self._join: Join = None

    def result(self, timeout: float | None = None) -> T:
        """Return what the computation returned, or raise what it raised (with the worker's traceback as cause)."""
        value: Any = super().result(timeout)  # Any: the raw outcome, until it is read below
        if isinstance(value, _Unread | _UnreadParts):
            value = self._result = value.read()
        result: T = value
        return result

    def cancel(self) -> bool:
        """Withdraw a job that has not started; False once it runs."""
        if not super().cancel():
            return False
        self._ask_to_stop(self.job_id)
        return True

    def stop(self) -> None:
        """Ask a waiting or running job to end; `result` then raises ComputationStopped."""
        if not self.done():
            self._ask_to_stop(self.job_id)

    @property
    def decision(self) -> ExplainedDecision:
        """Return the newest decision about this job; waits until it was placed."""
        with self._placed:
            while self._decision is None and not self.done():
                self._placed.wait(0.5)
        if self._decision is None:
            raise ComputationStopped(f"job {self.job_id} ended before it was placed")
        return ExplainedDecision(self._decision)

    @property
    def record(self) -> "Record":
        """Return what is stored of this job: initial and terminal state, attempts, telemetry."""
        if self._read_record is None:
            raise ComputationStopped(f"job {self.job_id} has no record: its executor keeps none")
        return self._read_record(self.job_id)

    @property
    def waiting_reason(self) -> str:
        """Return why the job waits, in words; empty when nothing special holds it."""
        return self._waits_because

    # -- called by the engine's thread -----------------------------------------------------------------------------

    def _begin(self, decision: Decision) -> bool:
        self._decision = decision
        if self.running():
            return True
        return not self.cancelled() and self.set_running_or_notify_cancel()

    def _end(self, command: EndJob, outcome: bytes | None, parts: Sequence[bytes] = ()) -> None:
        if self.cancelled() or self.done():
            return
        if command.state.value == "SUCCEEDED" and parts:
            self.set_result(_UnreadParts(parts, self._join))  # type: ignore[arg-type]  # as below
        elif command.state.value == "SUCCEEDED" and outcome is not None:
            self.set_result(_Unread(outcome))  # type: ignore[arg-type]  # read on first use, in the user's thread
        elif command.state.value == "CANCELLED" and not self.running() and super().cancel():
            self.set_running_or_notify_cancel()
        else:
            self.set_exception(_exception(command, outcome))


class FutureKeeper(Watcher):
    """Carries an engine's news to the futures of one executor; `on_broken` hears what ended the loop."""

    def __init__(
        self,
        futures: dict[str, Future[Any]],
        changed: threading.Condition,
        on_broken: Callable[[BaseException], None],
    ) -> None:
        self._futures = futures
        self._changed = changed
        self._on_broken = on_broken

    def starting(self, command: StartAttempt) -> bool:
        """Note the decision; False when the future was cancelled just now."""
        future = self._futures.get(command.job.id)
        if future is None:
            return True  # a job of an earlier process that goes on here
        goes = future._begin(command.decision)
        self._tell()
        return goes

    def ended(self, command: EndJob, outcome: bytes | None, parts: Sequence[bytes] = ()) -> None:
        """Give the job's future its result or error."""
        future = self._futures.pop(command.job_id, None)
        if future is not None:
            future._end(command, outcome, parts)
            self._tell()

    def explained(self, command: Explain) -> None:
        """Note why a job waits."""
        future = self._futures.get(command.job_id)
        if future is not None:
            future._waits_because = command.reason

    def broke(self, error: BaseException) -> None:
        """Give every open future the error that ended the loop."""
        self._on_broken(error)
        for future in list(self._futures.values()):
            if not future.done():
                future.set_exception(error)
        self._futures.clear()
        self._tell()

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()


def done_future(
    job_id: str, outcome: bytes, placed: threading.Condition, read_record: "Callable[[str], Record]"
) -> Future[Any]:  # Any: whatever the earlier job returned
    """Return the future of a job that succeeded before, with its stored outcome."""
    future: Future[Any] = Future(job_id, placed, lambda _: None)
    future._read_record = read_record
    future.set_running_or_notify_cancel()
    future.set_result(_Unread(outcome))
    return future


class _Unread:
    """The bytes of a result that nobody asked for yet."""

    __slots__ = ("_outcome",)

    def __init__(self, outcome: bytes) -> None:
        self._outcome = outcome

    def read(self) -> Any:  # Any: whatever the user returned
        return pickling.loads(messages.decode_outcome(self._outcome).result)


class _UnreadParts:
    """The bytes of the results of all parts of a split job, in order."""

    __slots__ = ("_join", "_parts")

    def __init__(self, parts: Sequence[bytes], join: Join) -> None:
        self._parts, self._join = parts, join

    def read(self) -> Any:  # Any: whatever the user's join makes of them
        return joined([_Unread(part).read() for part in self._parts], self._join)


def _exception(command: EndJob, outcome: bytes | None) -> BaseException:
    """Return the exception that a job's end stands for."""
    error = command.error or "ended without a result"
    if command.state.value == "CANCELLED":
        return ComputationStopped(f"job {command.job_id}: {error}")
    if outcome is None:
        kind = ComputationLost if "different resources" in error else ComputationFailed
        return kind(f"job {command.job_id}: {error}")
    told = messages.decode_outcome(outcome)
    exception: BaseException = ComputationFailed(f"job {command.job_id}: {error}")
    if told.exception:
        original = pickling.loads(told.exception)
        if isinstance(original, Exception):
            exception = original
    exception.__cause__ = RemoteTraceback(told.traceback)
    return exception
