"""Functions beside workers: calls become attempts that end once, whatever their provider does."""

import time
from concurrent.futures import wait
from pathlib import Path

import pytest

import dnaml
from benchmarks.function_provider import Provider, provided
from dnaml.core.errors import ComputationFailed, DnamlError
from dnaml.core.resource import Site
from dnaml.engine import EngineSettings
from dnaml.execution.serverless import HttpFunction, Retrying, call_handler, serverless
from tests.execution.serverless.work import double, fails, naps

HANDLER = call_handler(double, fails, naps)
QUICK = Retrying(most=4, base_s=0.01, most_wait_s=5.0)


def executor(folder: Path, provider: Provider, *more: dnaml.Resource, slots: int = 4, **limits) -> dnaml.Executor:
    """Return an executor with one function, and with what else is given."""
    function = HttpFunction(url=provider.url, **{"retrying": QUICK, "timeout_s": 10.0, **limits})
    settings = EngineSettings(open_backend=serverless({"fn": function}))
    resource = dnaml.Resource(id="fn", site=Site.SERVERLESS, domain="away", slots=slots)
    return dnaml.Executor([resource, *more], state=folder, settings=settings)


def test_a_call_runs_in_its_function_and_its_result_comes_back(tmp_path: Path):
    with provided(HANDLER) as provider, executor(tmp_path, provider) as pool:
        assert pool.submit(double, 21).result(20) == 42
        (request,) = provider.requests
    assert request["function"] == "tests.execution.serverless.work:double"
    assert (request["args"], request["kwargs"], request["epoch"]) == ([21], {}, 1)


def test_the_functions_own_error_fails_the_job_with_its_words(tmp_path: Path):
    with provided(HANDLER) as provider, executor(tmp_path, provider) as pool:
        with pytest.raises(ComputationFailed, match="ValueError: no luck"):
            pool.submit(fails).result(20)
        assert len(provider.requests) == 1


@pytest.mark.parametrize("fault", ["429", "500", "garbage", "drop", "stale"])
def test_what_may_pass_is_tried_again_and_committed_once(tmp_path: Path, fault: str):
    with provided(HANDLER, faults=[fault, fault]) as provider, executor(tmp_path, provider) as pool:
        assert pool.submit(double, 2).result(20) == 4
        assert len(provider.requests) == 3
        assert len({request["attempt_id"] for request in provider.requests}) == 1


def test_retry_after_is_waited_for(tmp_path: Path):
    with provided(HANDLER, faults=["429"], retry_after="1") as provider, executor(tmp_path, provider) as pool:
        begun_s = time.monotonic()
        assert pool.submit(double, 2).result(20) == 4
    assert time.monotonic() - begun_s >= 1.0


def test_a_call_that_timed_out_is_made_again_and_its_first_answer_counts_for_nothing(tmp_path: Path):
    with provided(HANDLER, faults=["hang"]) as provider, executor(tmp_path, provider, timeout_s=0.5) as pool:
        assert pool.submit(double, 5).result(20) == 10
        assert [request["epoch"] for request in provider.requests] == [1, 1]


def test_no_more_calls_run_at_once_than_the_resource_has_slots(tmp_path: Path):
    with provided(HANDLER) as provider, executor(tmp_path, provider, slots=2) as pool:
        assert wait([pool.submit(naps, 0.05, n) for n in range(8)], 30).not_done == set()
        assert provider.most_busy <= 2


def test_work_that_a_function_cannot_take_goes_to_a_worker_of_this_machine(tmp_path: Path):
    here = dnaml.Resource(id="here")
    with provided(HANDLER) as provider, executor(tmp_path, provider, here) as pool:
        local = pool.options(constraints=dnaml.Constraints(resource_ids=("here",)))
        away = pool.options(constraints=dnaml.Constraints(resource_ids=("fn",)))
        futures = [local.submit(double, 1), away.submit(double, 2), away.submit(double, 3)]
        assert [future.result(30) for future in futures] == [2, 4, 6]
        assert len(provider.requests) == 2


def test_a_running_call_can_be_withdrawn(tmp_path: Path):
    with provided(HANDLER) as provider, executor(tmp_path, provider) as pool:
        future = pool.submit(naps, 30.0)
        while not provider.requests:
            time.sleep(0.01)
        future.stop()
        with pytest.raises(DnamlError):
            future.result(10)


def test_what_the_call_used_and_how_it_started_is_known_afterwards(tmp_path: Path):
    with provided(HANDLER, cold_s=0.2) as provider, executor(tmp_path, provider) as pool:
        pool.submit(naps, 0.05).result(20)
        pool.submit(naps, 0.05).result(20)
        warmth = pool._engine.backend.warmth("fn")
    assert (warmth.colds, warmth.warms) == (1, 1)
    assert 0.2 <= warmth.cold_s < 2.0
    assert warmth.warm_s < warmth.cold_s


def test_an_address_that_does_not_answer_sends_the_job_elsewhere(tmp_path: Path):
    function = HttpFunction(url="http://127.0.0.1:9/run", retrying=Retrying(most=0))
    settings = EngineSettings(open_backend=serverless({"fn": function}))
    away = dnaml.Resource(id="fn", site=Site.SERVERLESS, domain="away", price_usd_per_h=0.001)
    here = dnaml.Resource(id="here", price_usd_per_h=100.0)
    with dnaml.Executor([away, here], state=tmp_path, settings=settings, objective="min_cost") as pool:
        assert pool.submit(double, 4).result(60) == 8


def test_a_job_that_only_a_function_may_run_and_it_cannot_take_ends_with_the_limit(tmp_path: Path):
    with provided(HANDLER) as provider, executor(tmp_path, provider, most_request_bytes=1000) as pool:
        future = pool.submit(double, "x" * 5000)
        with pytest.raises(DnamlError, match="over the function's limit of 1000"):
            future.result(60)
        assert provider.requests == []


def test_the_start_up_time_of_a_resource_follows_what_its_next_start_takes(tmp_path: Path):
    with provided(HANDLER, cold_s=0.5) as provider, executor(tmp_path, provider, idle_s=0.5) as pool:
        lane = pool._engine.controller.pool.lanes
        for _ in range(2):
            pool.submit(naps, 0.01).result(20)
        give_up_s = time.monotonic() + 20
        while (lane["fn"].resource.startup_s or 0.0) < 0.4 and time.monotonic() < give_up_s:
            time.sleep(0.05)
        assert lane["fn"].resource.startup_s == pytest.approx(0.5, abs=0.4)
