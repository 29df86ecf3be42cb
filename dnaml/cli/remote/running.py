"""Verbs that make a service run something: submit with its dry run, repeat, migrate."""

import contextlib
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import msgspec

from dnaml.cli import amounts, foreground
from dnaml.cli import migrate as migrate_verb
from dnaml.cli import repeat as repeat_verb
from dnaml.cli import submit as submit_verb
from dnaml.cli.remote.desk import Desk, Json
from dnaml.cli.remote.jobs import copy_log, price_dates, row_of, until_over
from dnaml.cli.screen import Screen
from dnaml.core.errors import InputError
from dnaml.jobfile import JobFile
from dnaml.remote.answers import NotReachable
from dnaml.remote.job import is_over

_LOOK_EVERY_S = 0.3
_LONG_S = 30.0


def submit(
    screen: Screen, desk: Desk, *, source: str | None, dry_run: bool, follow: bool, resume: bool, detach: bool
) -> int:
    """Have a service run a job, and wait for its end unless detached; exit code 1 if the work failed."""
    if resume:
        raise InputError("--resume: a service goes on with its jobs by itself")
    if source is None:
        raise InputError("JOB: must be given, a job file or module:function")
    if detach and (dry_run or follow):
        raise InputError("--detach: does not wait; leave --dry-run and --follow out")
    job = JobFile.read(source)
    body = body_of(job)
    if dry_run:
        _show_outlook(screen, desk, job, body)
        return 0
    told = desk.post("/jobs", body, key=uuid.uuid4().hex)
    screen.note(f"{told['id']} {told['state']}: {told['name']} is recorded at {desk.url}")
    if detach:
        screen.answer(told, f"{told['id']} {told['state']}; dnaml status {told['id']} tells of it")
        return 0
    try:
        with _copied(screen, desk, told["id"]) if follow and not screen.as_json else contextlib.nullcontext():
            ended = _watch(screen, desk, told["id"])
    except KeyboardInterrupt:
        screen.note(f"interrupted; {told['id']} goes on at {desk.url}, dnaml cancel {told['id']} ends it")
        raise
    return _sum_up(screen, ended)


def repeat(screen: Screen, desk: Desk, *, job_id: str, env: Any, rtol: float, atol: float, anyway: bool) -> int:
    """Have a service run a job again, and say whether it repeated; exit code 1 if it did not."""
    if env is repeat_verb.Env.RECREATE or anyway:
        raise InputError("--env recreate, --anyway: belong to this machine; a service repeats where it runs")
    first = desk.job(job_id)
    asked = desk.post(f"/jobs/{first['id']}/repeat", {"rtol": rtol, "atol": atol}, once=True)
    screen.note(f"{asked['id']} repeats {first['id']}")
    told = _watch(screen, desk, asked["id"])
    verdict = told["repeat"] or {"repeated": False, "differences": ["the service does not tell"]}
    exact = rtol == 0 and atol == 0
    return repeat_verb.tell(
        screen,
        repeat_verb.Verdict(
            id=first["id"],
            repeated=bool(verdict["repeated"]),
            differences=tuple(verdict["differences"]),
            how="equal" if exact else f"equal within rtol {rtol:g}, atol {atol:g}",
            repeated_as=told["id"],
            resource_id=told["resource_id"],
        ),
    )


def migrate(screen: Screen, desk: Desk, *, job_id: str, to: str, wait: float) -> int:
    """Move a running job of a service; exit code 1 if it has not moved."""
    told = desk.job(job_id)
    source = told["resource_id"] or ""
    desk.post(f"/jobs/{told['id']}/migrate", {"to": to} if to else {}, once=True)
    left_s = wait
    with screen.working(f"waiting until {told['id']} runs elsewhere"):
        while left_s > 0 and told["resource_id"] == source and not is_over(told):
            told = until_over(desk, told, min(left_s, _LOOK_EVERY_S))
            left_s -= _LOOK_EVERY_S
    return migrate_verb.show(screen, told["id"], told["state"], source, told["resource_id"] or "")


def body_of(job: JobFile) -> Json:
    """Return a job file as the body of a request: what it says, with variables of this environment filled in."""
    document = job.document
    if document.secrets:
        raise InputError(f"{job.source}: secrets are not sent to a service; set them where it runs")
    plain: Json = msgspec.to_builtins(document)
    default = msgspec.to_builtins(JobFile.of({"run": "true"}).document)
    body = {key: value for key, value in plain.items() if value is not None and value != default[key]}
    body.update({"run": plain["run"]} if document.run is not None else {})
    if document.envs:
        body["envs"] = dict(job.runnable().envs)
    return body


def _show_outlook(screen: Screen, desk: Desk, job: JobFile, body: Json) -> None:
    (plan,) = desk.post("/plans", {"jobs": [body], "explain": True})["plans"]
    seen = plan["outlook"]
    submit_verb.show_outlook(screen, job.name, plan["computation_id"], seen, price_dates(screen, desk))


def _watch(screen: Screen, desk: Desk, job_id: str) -> Json:
    """Tell each change until the job has ended, however long the service is away meanwhile; return the job."""
    shown = ""
    while True:
        try:
            told: Json = desk.get(f"/jobs/{job_id}", wait_s=_LONG_S if shown.startswith("RUNNING") else 1.0)
        except NotReachable as error:
            screen.note(f"{job_id}: waiting for the service: {error}")
            continue
        if is_over(told):
            return told
        now = _line(told)
        if now != shown:
            screen.note(f"{job_id} {now}")
            shown = now


def _line(told: Json) -> str:
    predicted = told["predicted"]
    if told["state"] != "RUNNING" or predicted is None:
        return f"{told['state']}: {told['waits_because'] or 'waits to start'}"
    band = f"{amounts.seconds(predicted['runtime_p10_s'])} to {amounts.seconds(predicted['runtime_p90_s'])}"
    middle, cost = amounts.seconds(predicted["runtime_p50_s"]), amounts.usd(predicted["cost_usd"])
    return f"RUNNING on {told['resource_id']}: predicted {middle} ({band}), cost {cost}"


def _sum_up(screen: Screen, told: Json) -> int:
    if told["state"] == "SUCCEEDED":
        if told["result_note"]:
            screen.note(told["result_note"])
        return foreground.sum_up(screen, row_of(told), told["result"], None)
    if told["traceback"]:
        screen.note(told["traceback"].strip())
    return foreground.sum_up(screen, row_of(told), None, told["error"] or told["state"])


@contextlib.contextmanager
def _copied(screen: Screen, desk: Desk, job_id: str) -> Iterator[None]:
    """Copy the job's log meanwhile; at the end all of it is there."""

    def copy() -> None:
        with contextlib.suppress(NotReachable):
            copy_log(desk, job_id, follow=True)

    thread = threading.Thread(target=copy, name="dnaml-log", daemon=True)
    thread.start()
    yield
    thread.join()
