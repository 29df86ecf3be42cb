"""Verbs that look at jobs of a service, and end them: status, queue, logs, cancel, explain."""

import sys
from dataclasses import fields
from typing import Any

from dnaml.answers.rows import AttemptRow, JobRow
from dnaml.cli import cancel as cancel_verb
from dnaml.cli import explain as explain_verb
from dnaml.cli import queue as queue_verb
from dnaml.cli import status as status_verb
from dnaml.cli.remote.desk import Desk, Json
from dnaml.cli.screen import Screen, reader_may_leave
from dnaml.core.errors import InputError
from dnaml.remote.answers import NotReachable, Patience
from dnaml.remote.job import is_over

_MOST_WAIT_S = 30.0  # in one request
_MOST_WAITING = 200  # jobs of a forecast


def status(screen: Screen, desk: Desk, *, job_id: str | None, limit: int) -> None:
    """Show jobs, or one job with its attempts."""
    if job_id is None:
        found = list(desk.items("/jobs", limit))[::-1]
        rows = [row_of(told) for told in found]
        degraded = [told.get("degraded") or [] for told in found]
        lines = dict.fromkeys(f"degraded: {one}" for told in degraded for one in told)
        total = desk.get("/jobs", limit=1)["total"]
        status_verb.show_jobs(screen, rows, degraded, total, list(lines))
        return
    told = desk.job(job_id)
    tries = [AttemptRow(**one) for one in desk.get(f"/jobs/{told['id']}/attempts")["items"]]
    predicted = told["predicted"]
    if predicted is not None:
        del predicted["resource_id"]
    degraded_now = told.get("degraded") or []
    lines_now = [f"degraded: {one}" for one in degraded_now]
    status_verb.show_job(screen, row_of(told), tries, predicted, degraded_now, lines_now)


def queue(screen: Screen, desk: Desk) -> None:
    """Show the jobs that have not ended, with their predicted start and end."""
    told = desk.get("/forecast", limit=_MOST_WAITING)
    if told["waiting"] > len(told["items"]):
        screen.note(f"the first {len(told['items'])} of {told['waiting']} unfinished jobs")
    queue_verb.show(screen, {"engine_pid": None, "jobs": told["items"]}, f"the engine is that of {desk.url}")


def logs(screen: Screen, desk: Desk, *, job_id: str, follow: bool) -> None:
    """Print what a job wrote to its output and error streams."""
    told = desk.job(job_id)
    if screen.as_json:
        text = b"".join(_written(desk, told["id"], 0, follow=False)).decode("utf-8", "replace")
        screen.answer({"id": told["id"], "state": told["state"], "log": text})
        return
    copy_log(desk, told["id"], follow=follow)


def copy_log(desk: Desk, job_id: str, *, follow: bool) -> None:
    """Copy what a job writes to standard output; a stream that breaks is taken up where it broke."""
    at, patience = 0, Patience(desk.timeout_s)
    while True:
        try:
            for part in _written(desk, job_id, at, follow=follow):
                with reader_may_leave():
                    sys.stdout.buffer.write(part)
                    sys.stdout.buffer.flush()
                at, patience = at + len(part), Patience(desk.timeout_s)
            if not follow or is_over(desk.get(f"/jobs/{job_id}")):
                return
        except NotReachable:
            pause_s = patience.pause_s()
            if pause_s is None:
                raise
            desk.wire.closed.wait(pause_s)


def cancel(screen: Screen, desk: Desk, *, job_id: str, wait: float) -> int:
    """Ask that a job end without a result; exit code 1 if it has not ended after the wait."""
    told = desk.job(job_id)
    if is_over(told):
        raise InputError(f"job {told['id']}: has already ended, it is {told['state']}")
    desk.wire.ask("DELETE", f"/jobs/{told['id']}")
    with screen.working(f"waiting for the end of {told['id']}"):
        told = until_over(desk, told, wait)
    return cancel_verb.show(screen, told["id"], told["state"], over=is_over(told))


def explain(screen: Screen, desk: Desk, *, job_id: str) -> None:
    """Show each candidate's time, cost and risk, and why it lost."""
    decision = desk.get(f"/jobs/{desk.job(job_id)['id']}/decision")
    explain_verb.show(screen, decision, price_dates(screen, desk))


def price_dates(screen: Screen, desk: Desk) -> dict[str, str | None]:
    """Return from when the price of each resource is; asked for only where people read it."""
    return {} if screen.as_json else {one["id"]: one["price_date"] for one in desk.items("/resources")}


def row_of(told: Json) -> JobRow:
    """Return a job as the command line's tables take it."""
    return JobRow(**{field.name: told[field.name] for field in fields(JobRow)})


def until_over(desk: Desk, told: Json, wait_s: float) -> Json:
    """Return a job when it has ended, or as it is after so many seconds."""
    left_s = wait_s
    while left_s > 0 and not is_over(told):
        part_s = min(left_s, _MOST_WAIT_S)
        told = desk.get(f"/jobs/{told['id']}", wait_s=part_s)
        left_s -= part_s
    return told


def _written(desk: Desk, job_id: str, offset: int, *, follow: bool) -> Any:  # an iterator of bytes
    with desk.wire.stream(f"/jobs/{job_id}/logs", params={"offset": offset, "follow": follow}) as stream:
        yield from stream.pieces()
