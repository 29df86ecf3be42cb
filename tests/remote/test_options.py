"""Options, tokens and limits over `connect`, against the real service."""

import time
from pathlib import Path
from typing import Any

import pytest

import dnaml
from dnaml.core.errors import ComputationStopped, InputError, NotFoundError
from dnaml.core.work import Job
from dnaml.remote import AccessRefused, NotReachable
from dnaml.remote.job import RemoteError
from dnaml.remote.wire import Wire
from dnaml.rest.auth import Scope
from dnaml.rest.settings import Limits
from tests.remote.served import Served, served
from tests.rest import work


def job_of(service: Served, future: Any) -> Job:
    return service.service.live.history.jobs[future.job_id].job


def test_what_options_say_reaches_the_scheduler(service: Served) -> None:
    weights = dnaml.Objective(cost=0.5, latency=0.3, resilience=0.2)
    limits = dnaml.Constraints(deadline_s=600, max_cost_usd=5.0)
    protection = dnaml.Resilience(max_restarts=2)
    with dnaml.connect(service.url) as ex:
        view = ex.options(name="named", objective=weights, constraints=limits, resilience=protection)
        future = view.submit(work.double, 4)
        assert future.result(60) == 8
        job = job_of(service, future)
        assert (job.name, job.objective, job.resilience.max_restarts) == ("named", weights, 2)
        assert (job.constraints.deadline_s, job.constraints.max_cost_usd) == (600, 5.0)
        preset = view.options(objective="min_latency").submit(work.double, 1)
        assert preset.result(60) == 2
        assert job_of(service, preset).objective == dnaml.Objective.of("min_latency")


def test_a_decorated_function_carries_its_own_options(service: Served) -> None:
    with dnaml.connect(service.url) as ex:
        future = work.marked.remote(3)  # to the innermost open executor
        assert future.result(60) == 9
        assert job_of(service, future).name == "marked"
        (value,) = ex.map(work.marked, [5])
        assert value == 25


def test_a_divisible_call_comes_back_joined_in_order(service: Served) -> None:
    numbers = list(range(40))
    with dnaml.connect(service.url) as ex:
        future = ex.options(divisible=True, max_parts=2).submit(work.total, numbers)
        assert future.result(60) == [2 * number for number in numbers]
        assert job_of(service, future).max_parts == 2


def test_a_cost_limit_that_no_resource_meets_is_refused_with_its_reason(service: Served) -> None:
    with dnaml.connect(service.url) as ex, pytest.raises(InputError, match="label"):
        ex.options(constraints=dnaml.Constraints(labels={"provider": "moon"})).submit(work.double, 1)


def test_the_same_key_is_the_same_job(service: Served) -> None:
    with dnaml.connect(service.url) as ex:
        first, second = (ex.options(idempotency_key="mine").submit(work.double, 4) for _ in range(2))
        assert first.job_id == second.job_id
        with pytest.raises(InputError, match="another request"):
            ex.options(idempotency_key="mine").submit(work.double, 5)


def test_a_failure_is_the_exception_itself_with_the_traceback_of_the_worker(service: Served) -> None:
    with dnaml.connect(service.url) as ex:
        error = ex.submit(work.fail, "of\nmine").exception(60)
        own = ex.submit(work.refuse, "its own").exception(60)
    assert (type(error), error.args) == (ValueError, ("of\nmine",))
    assert "work.py" in str(error.__cause__)
    assert isinstance(own, RemoteError)
    assert (own.type_name, own.message) == ("tests.rest.work.Refusal", "its own")
    assert "work.py" in own.traceback


def test_a_stopped_job_says_so_and_cannot_be_withdrawn(service: Served) -> None:
    with dnaml.connect(service.url) as ex:
        running = ex.submit(work.count, 100_000)
        assert running.decision.record["chosen"] == "here"
        running.stop()
        with pytest.raises(ComputationStopped):
            running.result(60)
        assert not running.cancel()
        done = ex.future(running.job_id)
        assert isinstance(done.exception(0), ComputationStopped)


def test_an_unknown_job_and_one_that_is_over(service: Served) -> None:
    with dnaml.connect(service.url) as ex:
        with pytest.raises(NotFoundError, match="no job"):
            ex.future("nothing")
        done = ex.submit(work.double, 2)
        assert done.result(60) == 4
        assert ex.future(done.job_id).done()
    with pytest.raises(RuntimeError, match="after shutdown"):
        ex.submit(work.double, 1)


def test_tokens_that_do_not_let_in_say_why_and_are_not_shown(tmp_path: Path) -> None:
    with served(tmp_path, token_required=True) as found:
        tokens = found.service.tokens
        good = tokens.create("good", tenant="t", scope=Scope.SUBMIT)
        reader = tokens.create("reader", tenant="t", scope=Scope.READ)
        over = tokens.create("over", tenant="t", scope=Scope.SUBMIT, lasts_s=1e-6)
        with dnaml.connect(found.url, token=good) as ex:
            waiting = ex.submit(work.wait_for, str(tmp_path / "gate"))
            assert ex.submit(work.double, 2).result(60) == 4
            for wrong in (None, "dnaml_wrong", over):
                with (
                    dnaml.connect(found.url, token=wrong) as other,
                    pytest.raises(AccessRefused, match="token") as told,
                ):
                    other.submit(work.double, 1)
                assert str(wrong) not in str(told.value)
            with dnaml.connect(found.url, token=reader) as other, pytest.raises(AccessRefused, match="scope submit"):
                other.submit(work.double, 1)
            with dnaml.connect(found.url, token=reader) as other:
                assert not other.future(waiting.job_id).done()
                other.shutdown(wait=False)
            tokens.revoke("good")
            with pytest.raises(AccessRefused, match="token"):
                ex.submit(work.double, 1)
            ex.shutdown(wait=False)
            (tmp_path / "gate").touch()


def test_who_asks_too_much_comes_back_when_told(tmp_path: Path) -> None:
    with served(tmp_path, limits=Limits(requests_per_s=2.0, burst=2)) as found, dnaml.connect(found.url) as ex:
        began_s = time.monotonic()
        assert [ex.submit(work.double, n).result(60) for n in range(3)] == [0, 2, 4]
        assert time.monotonic() - began_s > 0.5  # a bucket of two does not hold all these requests


def test_who_is_told_to_come_back_too_late_is_told_so(tmp_path: Path) -> None:
    with served(tmp_path, limits=Limits(requests_per_s=0.01, burst=1)) as found:
        wire = Wire(found.url, None, timeout_s=5.0)
        assert wire.ask("GET", "/resources")["items"]
        with pytest.raises(NotReachable, match="too many requests"):
            wire.ask("GET", "/resources")
        wire.close()
