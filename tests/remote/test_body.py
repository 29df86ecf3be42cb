"""Options travel as the job file writes them; what cannot travel is refused and named."""

from typing import Any

import pytest

import dnaml
from dnaml.core.errors import InputError
from dnaml.core.resource import Kind
from dnaml.jobfile import JobFile
from dnaml.remote.body import body_of
from dnaml.submission import PLAIN
from tests.rest import work


def body(**options: Any) -> dict[str, Any]:
    return body_of(work.double, (4,), {}, PLAIN.changed(**options))


def test_a_plain_call_is_a_name_and_arguments() -> None:
    assert body() == {"computation": "tests.rest.work:double", "args": [4]}
    assert body_of(work.double, (), {"x": 4}, PLAIN)["args"] == {"x": 4}


def test_what_options_say_is_what_the_service_reads() -> None:
    constraints = dnaml.Constraints(deadline_s=1e-05, max_cost_usd=0.5, max_price_usd_per_h=2.0, labels={"a": "b"})
    resilience = dnaml.Resilience(replicas=2, checkpoint_every_s=90.5, max_restarts=3)
    sent = body(
        name="n",
        objective="min_cost",
        constraints=constraints,
        resilience=resilience,
        memory_bytes=12345,
        inputs=("a",),
    )
    job = JobFile.of(sent)
    assert job.objective() == dnaml.Objective.of("min_cost")
    assert job.constraints() == constraints
    assert job.resilience() == resilience
    assert (job.name, job.document.inputs, sent["resources"]["memory"]) == ("n", ["a"], "12.0556640625K+")
    weights = dnaml.Objective(cost=3, latency=0.5, resilience=0, energy=1)
    assert JobFile.of(body(objective=weights)).objective() == weights
    no_checkpoint = dnaml.Resilience(checkpoint=False)
    assert JobFile.of(body(resilience=no_checkpoint)).resilience() == no_checkpoint


def test_a_divisible_call_says_into_how_many_parts_at_most() -> None:
    divisible = PLAIN.changed(divisible=True)
    assert body_of(work.total, ([1, 2, 3],), {}, divisible)["split"] == {"max_parts": 3}
    assert body_of(work.total, ([1, 2, 3],), {}, divisible.changed(max_parts=2))["split"] == {"max_parts": 2}
    with pytest.raises(InputError, match="must be a list"):
        body_of(work.double, (4,), {}, divisible)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"priority": 3}, "option priority"),
        ({"cache": True}, "option cache"),
        ({"tenant": "x"}, "option tenant"),
        ({"demand": {"fp64_flop": 1.0}}, "option demand"),
        ({"constraints": dnaml.Constraints(resource_ids=("a",))}, "resource_ids"),
        ({"constraints": dnaml.Constraints(kinds=(Kind.GPU,))}, "kinds"),
        ({"resilience": dnaml.Resilience(replicas=3, vote=True)}, "vote"),
    ],
)
def test_what_a_service_does_not_take_is_named(options: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        body(**options)


def test_arguments_both_ways_are_refused() -> None:
    with pytest.raises(InputError, match="one of both"):
        body_of(work.count, (1,), {"context": None}, PLAIN)
