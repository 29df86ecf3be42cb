"""Why candidates lost, in words, and parts that join; what else futures do is tested through the executor."""

import threading
from dataclasses import replace

import pytest

from dnaml.core.attempt import JobState, Stored
from dnaml.core.errors import InputError
from dnaml.core.events import EndJob
from dnaml.core.plan import Decision
from dnaml.execution import messages, pickling
from dnaml.futures import ExplainedDecision, Future, FutureKeeper, Join, reasons

DECISION = Decision(
    job_id="j",
    attempt_id="j.1",
    at_s=0.0,
    policy="matching",
    path="runs",
    chosen="b",
    resource_ids=("a", "b", "c", "d"),
    runtime_p10_s=(1.0, 0.5, 0.4, 0.1),
    runtime_p50_s=(2.0, 1.0, 1.0, 0.2),
    runtime_p90_s=(3.0, 1.5, 1.2, 0.3),
    wait_s=(0.0, 0.0, 5.0, 0.0),
    cost_usd=(3.0, 1.0, 1.0, 9.0),
    risk=(0.0, 0.0, 0.0, 0.0),
    score=(3.0, 1.0, 2.0, float("inf")),
    reasons=("", "", "", "needs 2.0 GiB, it has 1.0 GiB"),
)


def test_each_candidate_says_what_is_worse_about_it() -> None:
    assert reasons(DECISION) == [
        "2.00x the runtime, 3.00x the cost",
        "chosen",
        "5 s more wait",
        "needs 2.0 GiB, it has 1.0 GiB",
    ]


def test_where_nothing_could_be_chosen_every_limit_is_named() -> None:
    nothing = replace(DECISION, chosen="", reasons=("too dear", "too dear", "too late", "too small"))
    assert reasons(nothing) == ["too dear", "too dear", "too late", "too small"]


def test_a_better_score_that_was_not_taken_served_other_work() -> None:
    shared = replace(DECISION, score=(0.5, 1.0, 2.0, 3.0), runtime_p50_s=(1.0,) * 4, cost_usd=(1.0,) * 4)
    assert reasons(shared)[0] == "kept for other work of the same plan"


def test_the_table_is_ordered_by_score() -> None:
    table = ExplainedDecision(DECISION).explain()
    assert table["resource_id"].tolist() == ["b", "c", "a", "d"]
    assert table["chosen"].tolist() == [True, False, False, False]
    assert repr(ExplainedDecision(DECISION)) == "<decision: b of 4 by runs>"


def outcome_of(result: object) -> bytes:
    return messages.encode(messages.Outcome(pickling.dumps(result), b"", "", b""))


def ended_in_parts(*results: object, join: Join = None) -> Future[object]:
    """Return the future of a job that was split and has ended."""
    future: Future[object] = Future("j", threading.Condition(), lambda _: None)
    future._join = join
    keeper = FutureKeeper({"j": future}, future._placed, lambda _: None)
    stored = tuple(Stored(segment=0, offset=i, size_bytes=1, digest="-") for i in range(len(results)))
    command = EndJob(job_id="j", state=JobState.SUCCEEDED, attempt_id=None, error=None, result=None, parts=stored)
    keeper.ended(command, None, [outcome_of(result) for result in results])
    return future


def test_the_results_of_parts_are_joined_in_order() -> None:
    future = ended_in_parts([1, 2], [3])
    assert future.result(0) == [1, 2, 3]
    assert future.result(0) is future.result(0)
    assert ended_in_parts(1, 2, join=sum).result(0) == 3


def test_parts_that_cannot_be_joined_say_so() -> None:
    with pytest.raises(InputError, match="join="):
        ended_in_parts({"a": 1}, {"b": 2}).result(0)
