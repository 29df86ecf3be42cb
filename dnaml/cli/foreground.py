"""An engine in the foreground: told on standard error as it goes, summed up on standard output at the end."""

import contextlib
import reprlib
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from concurrent.futures import wait as wait_for
from typing import TYPE_CHECKING, Any, BinaryIO

from dnaml.cli import amounts
from dnaml.cli.job_rows import OVER, JobRow, job_row, job_table
from dnaml.cli.screen import Screen, reader_may_leave
from dnaml.core.attempt import JobState
from dnaml.core.errors import StateFolderError
from dnaml.core.plan import Decision
from dnaml.core.resource import Resource

if TYPE_CHECKING:
    from dnaml.cli.logs import Tail
    from dnaml.cli.work import Work
    from dnaml.client import Executor
    from dnaml.futures import Future

_LOOK_EVERY_S = 0.25
_SHOWN_CHARACTERS = 2000


def run_to_end(screen: Screen, work: "Work", pool: Sequence[Resource], *, out: BinaryIO | None) -> int:
    """Run one job and return the exit code: 0 when it succeeded. `out` gets what the job writes, as it writes it."""
    from dnaml.cli.logs import Tail

    with _engine(screen, pool, work) as executor:
        _tell_of_others(screen)
        future = work.submit(executor)
        job_id = future.job_id
        screen.note(f"{job_id} PENDING: {work.job.name} is recorded in {screen.state}")
        try:
            tail = Tail(screen.state, job_id, out) if out is not None else None
            watch(screen, future, tail)
        except KeyboardInterrupt:
            screen.note(f"interrupted; nothing is lost: dnaml submit --resume goes on, dnaml cancel {job_id} ends it")
            raise
        error = error_of(future)
    return _sum_up(screen, job_id, None if error else future, error)


def finish_unfinished(screen: Screen) -> int:
    """Run an engine until no job of the state folder is left unfinished; exit code 1 if one of them failed."""
    from dnaml.cli.job_rows import history_now
    from dnaml.cli.pool import drivable, known_resources

    waiting = _unfinished(history_now(screen.state))
    if waiting:
        pool = drivable(known_resources(screen.state))
        with _engine(screen, pool, None), screen.working(f"going on with {len(waiting)} jobs"):
            while any(job_id in waiting for job_id in _unfinished(history_now(screen.state))):
                time.sleep(2 * _LOOK_EVERY_S)
    history = history_now(screen.state)
    rows = [job_row(history.jobs[job_id], history) for job_id in waiting]
    screen.answer(rows, *((job_table(rows),) if rows else ("nothing was left unfinished",)))
    return int(any(row.state == JobState.FAILED.value for row in rows))


@contextlib.contextmanager
def _engine(screen: Screen, pool: Sequence[Resource], work: "Work | None") -> "Iterator[Executor]":
    from dnaml.client import Executor

    objective = work.job.objective() if work else "balanced"
    with Executor(tuple(pool) or None, objective=objective, state=screen.state) as executor:
        yield executor


def _unfinished(history: Any) -> set[str]:  # a History, imported late
    return {job_id for job_id, view in history.jobs.items() if view.state not in OVER}


def _tell_of_others(screen: Screen) -> None:
    """Say that jobs of earlier runs share the engine: it took them up when it opened the journal."""
    from dnaml.cli.job_rows import history_now

    with contextlib.suppress(StateFolderError):  # no journal yet
        others = _unfinished(history_now(screen.state))
        if others:
            screen.note(f"{len(others)} unfinished jobs of earlier runs go on meanwhile; --resume waits for them")


def watch(screen: Screen, future: "Future[Any]", tail: "Tail | None") -> None:
    """Tell each change until the job has ended."""
    told_waiting, told_attempt = "", ""
    while not wait_for([future], timeout=_LOOK_EVERY_S).done:
        if future.running():
            decision = future.decision.record
            if decision.attempt_id != told_attempt:
                screen.note(_placed(decision, again=bool(told_attempt)))
                told_attempt = decision.attempt_id
            _copy(tail, told_attempt)
        elif future.waiting_reason != told_waiting:
            told_waiting = future.waiting_reason
            screen.note(f"{future.job_id} PENDING: {told_waiting}")
    _copy(tail, None)


def _copy(tail: "Tail | None", attempt_id: str | None) -> None:
    """Copy the log; the journal is read again only for an attempt that it did not yet know, and at the end."""
    if tail is not None:
        with reader_may_leave():
            if attempt_id not in tail.attempts:
                tail.look()
            tail.copy()


def _placed(decision: Decision, *, again: bool) -> str:
    place = decision.resource_ids.index(decision.chosen)
    band = f"{amounts.seconds(decision.runtime_p10_s[place])} to {amounts.seconds(decision.runtime_p90_s[place])}"
    middle = amounts.seconds(decision.runtime_p50_s[place])
    cost = amounts.usd(decision.cost_usd[place])
    state = "RECOVERING" if again else "RUNNING"
    return f"{decision.job_id} {state} on {decision.chosen}: predicted {middle} ({band}), cost {cost}"


def error_of(future: "Future[Any]") -> BaseException | None:
    """Return what the work raised; an engine that broke raises here, it is not the work's fault."""
    try:
        error = future.exception()
    except CancelledError as cancelled:
        return cancelled
    if isinstance(error, StateFolderError):
        raise error
    return error


def _sum_up(screen: Screen, job_id: str, future: "Future[Any] | None", error: BaseException | None) -> int:
    from dnaml.cli.job_rows import history_now

    history = history_now(screen.state)
    row = job_row(history.job(job_id), history)
    result = future.result() if future is not None else None
    if error is not None:
        screen.note(_told(error))
    return sum_up(screen, row, result, _line(error) if error else None)


def sum_up(screen: Screen, row: JobRow, result: Any, error: str | None) -> int:  # whatever the function returned
    """Answer with a job that has ended; return the exit code."""
    failed = f"{row.state} on {row.resource_id or 'no resource'}: {error}; dnaml logs {row.id} shows what it wrote"
    value = {"job": row, "result": _plain(result), "error": error}
    screen.answer(value, job_table([row]), failed if error is not None else _end_line(row, result))
    return 0 if error is None else 1


def _end_line(row: JobRow, result: Any) -> str:  # whatever the function returned
    cost = f", cost {amounts.usd(row.cost_usd)}" if row.cost_usd is not None else ""
    end = f"{row.state} on {row.resource_id} in {amounts.seconds(row.runtime_s)}{cost}"
    return end if result is None else f"{end}; result {_repr(result)}"


def _plain(result: Any) -> Any:
    """Return a small plain result as it is, anything else as bounded text."""
    if result is None or isinstance(result, bool | int | float | str):
        return result
    return _repr(result)


def _repr(result: Any) -> str:
    short = reprlib.Repr()
    short.maxstring = short.maxother = 200
    return short.repr(result)


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _told(error: BaseException) -> str:
    """Return the worker's traceback, its end if it is long."""
    text = str(error.__cause__).strip().strip('"').strip() if error.__cause__ else ""
    return text if len(text) <= _SHOWN_CHARACTERS else f"... {text[-_SHOWN_CHARACTERS:]}"
