"""One HTTP function called directly: what it refuses before the call, what it gives up on, and what it reads."""

import json
import re
import threading

import pytest

from benchmarks.function_provider import provided
from dnaml.core.errors import InputError
from dnaml.execution import messages, pickling
from dnaml.execution.serverless import HttpFunction, Retrying, call_handler
from dnaml.execution.serverless.http_calls import HttpCaller
from dnaml.execution.serverless.invocation import Answer, Invocation, Verdict
from tests.execution.serverless.work import double, naps

QUICK = Retrying(most=2, base_s=0.01, most_wait_s=2.0)


def invocation(function=double, *args, wants_context: bool = False) -> Invocation:
    body, digest = pickling.dumps_function(function)
    payload = messages.Payload(b"", body, digest, pickling.dumps_arguments(args, {}), b"{}", wants_context)
    return Invocation(
        attempt_id="j.1", epoch=1, job_id="j", computation_id="c", resource_id="fn", payload=messages.encode(payload)
    )


def called(faults: list[str], *args, function=double, **limits) -> Answer:
    settings = {"retrying": QUICK, "timeout_s": 5.0, **limits}
    with provided(call_handler(double, naps), faults=faults, retry_after="60") as provider:
        return HttpCaller("fn", HttpFunction(url=provider.url, **settings)).invoke(invocation(function, *args))


def test_the_outcome_is_bytes_with_their_digest():
    answer = called([], 4)
    outcome = messages.decode_outcome(answer.outcome)
    assert answer.verdict is Verdict.DONE
    assert (pickling.loads(outcome.result), pickling.digest(outcome.result)) == (8, answer.digest)
    assert answer.metered.extra["calls"] == 1.0


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        (["500"] * 3, "answered 500 .*3 calls"),
        (["429"], "asks for 60 s and at most 2 s"),
        (["garbage"] * 3, "not JSON"),
        (["stale"] * 3, "epoch 0"),
        (["redirect"], "redirects are not followed"),
        (["413"], "over its provider's limit"),
        (["large"], "over the limit of 1000 bytes"),
        (["hang"] * 3, "no answer within 0.2 s"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_does_not_pass_is_given_up_with_its_reason(faults: list[str], said: str):
    answer = called(faults, 1, most_answer_bytes=1000, timeout_s=0.2 if "hang" in faults else 5.0)
    assert answer.verdict is Verdict.LOST
    assert answer.error is not None
    assert re.search(said, answer.error), answer.error


def test_an_address_that_does_not_answer_is_named():
    function = HttpFunction(url="http://127.0.0.1:9/run", retrying=Retrying(most=0))
    answer = HttpCaller("fn", function).invoke(invocation(double, 1))
    assert answer.verdict is Verdict.LOST
    assert answer.error is not None
    assert "fn: http://127.0.0.1:9/run does not answer" in answer.error


def test_who_stops_waiting_waits_no_longer():
    with provided(call_handler(naps)) as provider:
        call = invocation(naps, 30.0)
        threading.Timer(0.2, call.cut).start()
        answer = HttpCaller("fn", HttpFunction(url=provider.url, retrying=QUICK)).invoke(call)
    assert answer.verdict is Verdict.LOST


class Thing:
    pass


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: invocation(lambda: 1), "plain data and a named function"),
        (lambda: invocation(double, Thing()), "would have to be built here"),
        (lambda: invocation(double, b"bytes"), "cannot be said in JSON"),
        (lambda: invocation(double, float("nan")), "cannot be said in JSON"),
        (lambda: invocation(double, wants_context=True), "no context"),
        (lambda: invocation(double, "x" * 5000), "over the function's limit of 4000"),
    ],
)
def test_what_the_function_cannot_take_is_refused_before_the_call(call, said: str):
    caller = HttpCaller("fn", HttpFunction(url="http://127.0.0.1:9/", most_request_bytes=4000))
    assert said in caller.refusal(call())


@pytest.mark.parametrize(
    "url", ["ftp://host/x", "gopher://host/", "http://", "http://user:secret@host/", "http://host:99999/", "x"]
)
def test_an_address_that_is_none_is_refused(url: str):
    with pytest.raises(InputError) as caught:
        HttpFunction(url=url)
    assert "secret" not in str(caught.value)


def test_limits_must_make_sense():
    for wrong in ({"timeout_s": 0.0}, {"most_request_bytes": -1}, {"most_runtime_s": float("nan")}):
        with pytest.raises(InputError, match="must be positive"):
            HttpFunction(url="http://host/", **wrong)
    for wrong in ({"most": -1}, {"base_s": 0.0}):
        with pytest.raises(InputError):
            Retrying(**wrong)


def test_what_is_metered_wrongly_is_left_out():
    def lies(event):
        return {"result": 1, "metered": {"wall_s": -1, "cpu_s": "x", "cold_start": True, "peak_memory_bytes": 5}}

    with provided(lies) as provider:
        answer = HttpCaller("fn", HttpFunction(url=provider.url)).invoke(invocation(double, 1))
    assert (answer.metered.cpu_s, answer.metered.peak_memory_bytes) == (0.0, 5)
    assert 0.0 < answer.metered.wall_s < 5.0
    json.dumps(answer.metered.extra)
