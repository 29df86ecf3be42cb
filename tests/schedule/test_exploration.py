"""Exploration: jobs that come alone try what is not known, while what trials lost stays a small share of the work."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from dnaml.core.attempt import Usage
from dnaml.core.plan import Decision
from dnaml.core.prediction import Prediction
from dnaml.core.resource import Resource
from dnaml.core.work import Computation, Constraints, Resilience
from dnaml.schedule.exploration import Exploration
from dnaml.schedule.objective import WEIGHING, terms
from tests.contracts.problems import problem
from tests.schedule.doubles import Desk, StatedPredictor, job, starts


def decided(chosen: str, hope: tuple[float, ...] | None = (0.0, -0.8)) -> Decision:
    """A decision between `known` (1.0 s) and `new` (2.0 s), of which the second might be as good as 0.2."""
    return Decision(
        job_id="j",
        attempt_id="j.1",
        at_s=0.0,
        policy="matching",
        path="runs",
        chosen=chosen,
        resource_ids=("known", "new"),
        runtime_p10_s=(1.0, 0.2),
        runtime_p50_s=(1.0, 2.0),
        runtime_p90_s=(1.0, 9.0),
        wait_s=(0.0, 0.0),
        cost_usd=(0.0, 0.0),
        risk=(0.0, 0.0),
        score=(1.0, 1.0 if hope is None else 1.0 + hope[1]),
        reasons=("", ""),
        terms={} if hope is None else {"latency": (1.0, 1.0), "explore": hope},
    )


def used(seconds: float) -> Usage:
    return Usage(wall_s=seconds)


def test_trials_stop_when_they_lost_their_share_and_go_on_once_more_work_is_done():
    trials = Exploration(1.0, 0.1)
    assert trials.wants(job("a"))
    trials.started(decided("new"))
    trials.ended("j.1", used(4.0))  # 3 s beyond what was expected of the other
    assert not trials.wants(job("a"))
    trials.ended("other", used(25.0))
    assert not trials.wants(job("a"))
    trials.ended("other", used(2.0))
    assert trials.wants(job("a"))


def test_a_trial_that_does_well_costs_nothing():
    trials = Exploration(1.0, 0.0)
    trials.started(decided("new"))
    trials.ended("j.1", used(0.5))
    assert trials.wants(job("a"))


@pytest.mark.parametrize("decision", [decided("known"), decided("new", hope=None)], ids=["sober", "without hope"])
def test_who_goes_where_it_would_have_gone_anyway_is_no_trial(decision: Decision):
    trials = Exploration(1.0, 0.0)
    trials.started(decision)
    trials.ended("j.1", used(60.0))
    assert trials.wants(job("a"))


@pytest.mark.parametrize(
    "bound",
    [
        {"priority": 1},
        {"units": (2, 2)},
        {"resilience": Resilience(replicas=2)},
        {"constraints": Constraints(deadline_s=60.0)},
        {"constraints": Constraints(max_cost_usd=1.0)},
    ],
    ids=lambda bound: next(iter(bound)),
)
def test_a_job_of_which_something_is_promised_tries_nothing(bound):
    assert not Exploration(1.0, 0.1).wants(replace(job("a"), **bound))


def test_a_share_of_the_jobs_is_drawn_by_their_names_and_none_of_a_share_of_zero():
    names = [f"3f2a81c0-{number}" for number in range(2000)]
    drawn = sum(Exploration(0.2, 0.1).wants(job(name)) for name in names)
    assert 300 <= drawn <= 500
    assert not any(Exploration(0.0, 0.1).wants(job(name)) for name in names)


def test_a_job_that_explores_is_judged_by_how_well_it_may_turn_out():
    wanted = problem([[10.0, 20.0]], [1.0, 1.0], objective="min_latency", spread=2.0, explores=True)
    found, sober = terms(wanted), terms(problem([[10.0, 20.0]], [1.0, 1.0], objective="min_latency", spread=2.0))
    hope = wanted.prediction.runtime_s.quantile(WEIGHING.hope)[0]
    shorter = (found.runtime_s[0] - hope) / found.runtime_s[0, 0]
    assert found.parts["explore"][0] == pytest.approx(-shorter, rel=1e-3)
    assert found.score[0] - found.parts["explore"][0] == pytest.approx(sober.score[0])
    assert "explore" not in sober.parts
    unpriced = terms(problem([[10.0, 20.0]], objective="balanced", spread=2.0, explores=True))
    assert (unpriced.parts["explore"] < 0).all()


class Unsure(StatedPredictor):
    """Is sure of the resource `known`, and of `new` within a factor of thirty."""

    def predict(self, computations: Sequence[Computation], resources: Sequence[Resource]) -> Prediction:
        said = super().predict(computations, resources)
        values = said.runtime_s.values.copy()
        for place, resource in enumerate(resources):
            if resource.id == "new":
                values[:, place] *= 30.0 ** np.linspace(-0.5, 0.5, values.shape[2])
        return replace(said, runtime_s=replace(said.runtime_s, values=values))


def went(share: float, *batches: tuple[str, ...]) -> list[str]:
    """Return where jobs go that come in batches, each after the one before is done."""
    predictor = Unsure(seconds={"known": 1.0, "new": 1.2})
    desk = Desk(predictor=predictor, explore_share=share, explore_lost=1.0)
    desk.up("known", "new")
    found = []
    for names in batches:
        begun = starts(desk.submit(*names))
        desk.after(1.0).began(*begun)
        desk.after(1.0).done(*begun)
        found += [start.attempt.placement.resource_id for start in begun]
    return found


def test_a_job_that_lost_an_attempt_goes_where_it_is_expected_to_do_best():
    desk = Desk(predictor=Unsure(seconds={"known": 1.0, "other": 1.1, "new": 1.2}), explore_share=1.0)
    desk.up("known", "other", "new")
    (first,) = starts(desk.submit("a"))
    desk.began(first)
    assert first.attempt.placement.resource_id == "new"
    (again,) = starts(desk.after(1.0).down_with("new", first))
    assert again.attempt.placement.resource_id == "known"
    assert "explore" not in again.decision.terms


def test_a_job_that_comes_alone_tries_another_resource_and_several_share_them_as_they_are_known():
    assert went(0.0, ("a",)) == ["known"]
    assert went(1.0, ("a",)) == ["new"]
    assert went(1.0, ("a", "b")) == went(0.0, ("a", "b"))
