"""The guard around a predictor: it always answers, notices drift, comes right again, and says what is degraded."""

import math
from dataclasses import replace

import numpy as np
import pytest

from dnaml.core.prediction import LEVELS
from dnaml.core.protocols import Run
from dnaml.core.types import Computation, Objective, Resource
from dnaml.predict.drift import DriftWatch, Watched
from dnaml.predict.guarded import MOST_SAID, Guarded, Health
from dnaml.predict.measured import TablePredictor
from dnaml.predict.outcomes import Hazard, lognormal_quantiles, prediction
from dnaml.predict.placing import LivePredictor
from tests.predict.worlds import world

P10, P50, P90 = (LEVELS.index(level) for level in (0.1, 0.5, 0.9))
POOL = [Resource(id=name, price_usd_per_h=1.0) for name in ("a", "b", "c", "d")]
WORK = [Computation(id="f", kernel="f"), Computation(id="g", kernel="g")]


class Fixed:
    """Says the same of every pair and learns nothing; breaks when told to."""

    version = "fixed-1"

    def __init__(self, seconds=1.0):
        self.seconds, self.broken = seconds, None

    def predict(self, computations, resources):
        if isinstance(self.broken, Exception):
            raise self.broken
        shape = (len(computations), len(resources))
        values = lognormal_quantiles(np.full(shape, math.log(self.seconds)), np.full(shape, 0.1))
        answer = prediction(
            runtime_s=values, computations=computations, resources=resources, hazard=Hazard(), path="fixed"
        )
        if self.broken == "nan":
            answer.runtime_s.values[:] = np.nan
        return answer

    def updated(self, runs):
        return self

    def shortlist(self, computation, resources, objective, k):
        raise NotImplementedError


def ran(computation, resource, seconds, at_s=0.0, **more):
    return Run(computation=computation, resource=resource, runtime_s=seconds, at_s=at_s, **more)


def slowed(guard, resources, seconds, first, count, computations=64):
    """Return the guard after so many rounds of runs that took so long, each of one of many computations."""
    for number in range(first, first + count):
        for resource in resources:
            work = Computation(id=f"w{number % computations}", kernel="w")
            guard.predict([work], POOL)
            guard = guard.updated([ran(work, resource, seconds, float(number))])
    return guard


def test_a_sound_predictor_answers_as_if_there_were_no_guard():
    live = LivePredictor()
    guard, answer = Guarded.of(live), live.predict(WORK, POOL)
    assert guard.predict(WORK, POOL).path == answer.path
    np.testing.assert_array_equal(guard.predict(WORK, POOL).runtime_s.values, answer.runtime_s.values)
    assert guard.version == live.version
    assert guard.health.is_good
    assert guard.updated([]) is guard
    assert guard.shortlist(WORK[0], POOL, Objective(), 2).tolist() == [0, 1]


def test_a_guard_is_not_guarded_again():
    guard = Guarded.of(LivePredictor())
    assert Guarded.of(guard).ladder is guard.ladder


@pytest.mark.parametrize("trouble", [ValueError("no"), "nan"])
def test_the_newest_sound_state_of_a_broken_predictor_answers_in_its_place(trouble):
    told = []
    good = Fixed()
    guard = Guarded.of(good, report=told.append)
    guard.predict(WORK, POOL)
    bad = Fixed()
    bad.broken = trouble
    guard = guard.updated([ran(WORK[0], POOL[0], 1.0)])
    rungs = (replace(guard.ladder.rungs[0], predictor=bad), *guard.ladder.rungs[1:])
    guard = replace(guard, ladder=replace(guard.ladder, rungs=rungs))
    answer = guard.predict(WORK, POOL)
    assert answer.path.startswith("fixed (model: ")
    assert guard.health.rung == "last good"
    assert told[-1].reasons[0].startswith("model: ")


def test_a_predictor_that_never_answered_is_replaced_by_a_match_and_once_runs_are_known_by_the_table():
    bad = Fixed()
    bad.broken = ValueError("no")
    guard = Guarded.of(bad)
    assert guard.predict(WORK, POOL).path == "dna-match (model: predictor error; last good: no model)"
    guard = guard.updated([ran(work, POOL[0], 3.0) for work in WORK for _ in range(2)])
    answer = guard.predict(WORK, POOL)
    assert answer.path.startswith("table (model: predictor error; last good: no model; dna-match: every computation")
    np.testing.assert_allclose(answer.runtime_s.values[:, 0, P50], 3.0)


def test_a_resource_that_slows_down_is_answered_with_four_times_the_variance_until_it_ran_three_times():
    told = []
    guard = Guarded.of(Fixed(), report=told.append)
    rounds = 0
    while guard.health.is_good:
        guard, rounds = slowed(guard, POOL[1:2], 3.0, rounds, 1), rounds + 1
    assert rounds <= 5
    assert guard.health.resources == {"b": 3}
    assert told == [guard.health]
    answer = guard.predict(WORK, POOL)
    spread = np.log(answer.runtime_s.values[..., P90] / answer.runtime_s.values[..., P10])
    np.testing.assert_allclose(spread[:, 1], 2 * spread[:, 0])
    np.testing.assert_allclose(answer.runtime_s.values[..., P50], 1.0)
    np.testing.assert_allclose(answer.cost_usd.values, answer.runtime_s.values / 3600)
    assert answer.path == "fixed (drift: wider)"
    for number in range(3):
        guard.predict(WORK, POOL)
        guard = guard.updated([ran(Computation(id=f"new{number}", kernel="new"), POOL[1], 1.0)])
        assert guard.health.resources == {"b": 3}  # nothing had been said of these
    later = slowed(guard, POOL[1:2], 1.0, rounds, 3)
    assert later.health.resources == {}
    assert later.predict(WORK, POOL).path == "fixed"
    assert guard.health.resources == {"b": 3}  # a value


def test_a_computation_that_changes_is_widened_on_every_resource():
    changed = DriftWatch(computations={"g": Watched(anchors_left=2)})
    guard = replace(Guarded.of(Fixed()), watch=changed)
    values = guard.predict(WORK, POOL).runtime_s.values
    spread = np.log(values[..., P90] / values[..., P10])
    np.testing.assert_allclose(spread[1], 2 * spread[0])
    assert guard.predict(WORK[:1], POOL).path == "fixed"
    assert guard.health.computations == {"g": 2}


def test_a_pool_that_slows_down_is_answered_by_the_table_until_enough_ran():
    guard, rungs, left = Guarded.of(Fixed()), [], []
    for number in range(40):
        guard = slowed(guard, POOL, 3.0, number, 1, computations=2)
        guard.predict([Computation(id="w0", kernel="w")], POOL)
        rungs.append(guard.health.rung)
        left.append(guard.asked)
    assert {"model", "table"} == set(rungs)
    first = rungs.index("table")
    assert "model" in rungs[first + 1 : first + 5]
    assert 0 < max(left) <= 3 * len(POOL)


@pytest.mark.parametrize("seed", range(3))
def test_a_live_predictor_is_right_again_soon_after_a_resource_became_three_times_slower(seed):
    simulated, rng = world(seed), np.random.default_rng(seed)
    guard, slow = Guarded.of(LivePredictor().updated(simulated.runs)), simulated.resources[0]
    pairs = simulated.pairs(ran=True) + simulated.pairs(ran=False)
    errors, alarms = [], 0
    for number in range(300):
        computation, resource, truth = pairs[rng.integers(len(pairs))]
        said = guard.predict([computation], simulated.resources).runtime_s.values[0, :, P50]
        log_s = truth + rng.normal(0, simulated.noise_sd) + math.log(3.0) * (resource is slow)
        if resource is slow:
            errors.append(abs(math.log(said[0]) - log_s))
        guard = guard.updated([ran(computation, resource, math.exp(log_s), float(number))])
        alarms += sum(alarm.id == slow.id for alarm in guard.watch.alarms)
        guard = replace(guard, watch=replace(guard.watch, alarms=()))
    assert 1 <= alarms <= 2
    assert np.median(errors[:4]) > 0.8
    assert np.median(errors[20:50]) < 0.15


def test_kept_answers_of_many_pairs_are_forgotten_oldest_first():
    guard = Guarded.of(Fixed())
    many = [Computation(id=f"c{number}", kernel="c") for number in range(1000)]
    pool = [Resource(id=f"r{number}") for number in range(200)]
    rounds = MOST_SAID // (len(many) * len(pool)) + 2
    for number in range(rounds):
        guard.predict([replace(one, id=f"{number}-{one.id}") for one in many], pool)
    assert guard._said.of(ran(replace(many[0], id="0-c0"), pool[0], 1.0)) is None
    assert guard._said.of(ran(replace(many[0], id=f"{rounds - 1}-c0"), pool[0], 1.0)) is not None


def test_what_tells_nothing_about_drift_is_not_judged():
    guard = Guarded.of(Fixed())
    tiny, oracle = Guarded.of(Fixed(1e-3)), Guarded.of(TablePredictor.from_runs([ran(WORK[0], POOL[0], 1.0)]))
    for one, more in ((guard, {"failed": True}), (guard, {"censored": True}), (tiny, {}), (oracle, {})):
        later = one
        for number in range(20):
            later.predict(WORK[:1], POOL[:1])
            later = later.updated([ran(WORK[0], POOL[0], 9e-3 if one is tiny else 9.0, float(number), **more)])
        assert later.watch.resources == {}
    assert Health().is_good
