"""Handlers: stated functions only, and plans made inside a function behind a real server."""

import json
import subprocess
import sys
import urllib.request
from typing import Any

import pytest

from benchmarks.function_provider import provided
from dnaml.execution.serverless import call_handler, plan_handler
from tests.execution.serverless.work import double, fails

PROBLEM: dict[str, Any] = {
    "resources": [
        {"id": "here", "slots": 1, "price_usd_per_h": 1.0},
        {"id": "fn", "site": "serverless", "startup_s": 2.0, "spec": {"usd_per_gb_s": 1e-5, "usd_per_call": 1e-7}},
    ],
    "jobs": [
        {"id": "short", "runtime_s": {"here": 1.0, "fn": {"median": 0.5, "spread": 0.2}}},
        {"id": "long", "runtime_s": {"here": 100.0, "fn": 5.0}},
    ],
    "objective": "min_latency",
}


def test_only_stated_functions_are_called():
    handle = call_handler(double, fails)
    assert handle({"function": "os:getcwd"})["error"]["type"] == "InputError"
    assert handle({"function": f"{double.__module__}:double", "args": [2], "epoch": 3})["epoch"] == 3
    assert handle({"function": f"{fails.__module__}:fails"})["error"]["message"] == "no luck"


def test_the_first_call_of_a_handler_is_its_cold_one():
    handle = call_handler(double)
    event = {"function": f"{double.__module__}:double", "args": [2]}
    assert [handle(event)["metered"]["cold_start"] for _ in range(2)] == [True, False]


@pytest.mark.parametrize("policy", ["matching", "earliest_finish"])
def test_a_plan_is_made_behind_a_real_server(policy: str):
    with provided(plan_handler) as provider:
        body = json.dumps({**PROBLEM, "policy": policy, "job_id": "j", "attempt_id": "j.1", "epoch": 1}).encode()
        with urllib.request.urlopen(urllib.request.Request(provider.url, body), timeout=20) as response:
            plan = json.loads(response.read())["result"]
    where = {one["job_id"]: one["resource_id"] for one in plan["placements"]}
    assert where == {"short": "here", "long": "fn"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"jobs": 3}, "jobs must be a list"),
        ({"resources": []}, "needs resources"),
        ({"resources": [{"id": "x", "secret": 1}]}, "no field 'secret'"),
        ({"policy": "magic"}, "policy must be one of"),
        ({"jobs": [{"id": "a", "runtime_s": {"here": -1}}]}, "not negative"),
        ({"objective": "fast"}, "objective"),
        ({"jobs": [{"runtime_s": {}}]}, "id"),
    ],
)
def test_a_problem_that_breaks_a_rule_is_answered_with_its_error(change: dict[str, Any], said: str):
    assert said in plan_handler({**PROBLEM, **change})["error"]["message"]


def test_a_job_that_no_resource_can_run_is_left_out_with_a_reason():
    result = plan_handler({**PROBLEM, "jobs": [{"id": "none", "runtime_s": {}}]})["result"]
    assert result["placements"] == []
    assert "none" in result["unplaced"]


def test_planning_inside_a_function_loads_no_engine():
    code = (
        "import sys; from dnaml.execution.serverless import plan_handler;"
        f"assert 'result' in plan_handler({PROBLEM!r});"
        "print([name for name in ('dnaml.engine', 'dnaml.execution.local', 'scipy', 'torch', 'lithops')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
