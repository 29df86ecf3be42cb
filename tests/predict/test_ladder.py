"""The fallback ladder: which rung answers, why, and that a decision can always be made."""

import math
from dataclasses import replace

import numpy as np
import pytest

from dnaml.core.errors import CorruptError, InputError
from dnaml.core.prediction import LEVELS, Prediction, Quantiles
from dnaml.core.protocols import Run
from dnaml.core.types import Computation, Objective, Resource
from dnaml.predict.ladder import FIRST_REST, TABLE, Choice, Ladder, Reason, Rung, Skipped, closed, flaw
from dnaml.predict.outcomes import Hazard, lognormal_quantiles, prediction
from dnaml.predict.placing import LivePredictor

RESOURCES = [Resource(id="a", price_usd_per_h=1.0), Resource(id="b")]
WORK = [Computation(id="f", kernel="f"), Computation(id="g", kernel="g"), Computation(id="h", kernel="h")]


def sound(seconds=2.0, computations=WORK, resources=RESOURCES, path="good"):
    shape = (len(computations), len(resources))
    values = lognormal_quantiles(np.full(shape, math.log(seconds)), np.full(shape, 0.1))
    return prediction(runtime_s=values, computations=computations, resources=resources, hazard=Hazard(), path=path)


class Says:
    """A predictor that answers with what a function makes of the question, and remembers what it learned."""

    version = "says-1"

    def __init__(self, answer, learned=0):
        self.answer, self.learned = answer, learned

    def predict(self, computations, resources):
        return self.answer(computations, resources)

    def updated(self, runs):
        return Says(self.answer, self.learned + len(runs))

    def shortlist(self, computation, resources, objective, k):
        raise NotImplementedError


def good(seconds=2.0, path="good"):
    return Says(lambda computations, resources: sound(seconds, computations, resources, path))


def with_values(change):
    """Return a predictor whose quantiles were changed after they were made, as broken arithmetic would."""

    def answer(computations, resources):
        whole = sound(2.0, computations, resources)
        values = whole.runtime_s.values.copy()
        change(values)
        whole.runtime_s.values[...] = values
        return whole

    return Says(answer)


def raising(error):
    def answer(computations, resources):
        raise error

    return Says(answer)


def ladder(*predictors, **more):
    names = ("model", "last-good", "dna-match")
    rungs = tuple(
        Rung(name=name, predictor=one, learned=name != "dna-match")
        for name, one in zip(names, predictors, strict=False)
    )
    return Ladder(rungs=rungs, **more)


def test_the_first_rung_answers_and_its_own_path_stands():
    top = ladder(good(), raising(ValueError("never asked")))
    answer = top.predict(WORK, RESOURCES)
    assert answer.path == "good"
    assert top.choice == Choice(rung="model")
    assert top.counts == {}
    assert top.version == "ladder-1/says-1"


def set_nan(values):
    values[1, 1, 3] = math.nan


def set_infinite(values):
    values[0, 0, -1] = math.inf


def set_negative(values):
    values[..., 0] = -1.0


def set_zero(values):
    values[..., 0] = 0.0


def set_falling(values):
    values[2, 1] = values[2, 1, ::-1]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (None, Reason.NO_MODEL),
        (raising(RuntimeError("broken")), Reason.ERROR),
        (raising(KeyError("id")), Reason.ERROR),
        (raising(MemoryError()), Reason.ERROR),
        (Says(lambda computations, resources: None), Reason.ERROR),
        (with_values(set_nan), Reason.BAD_NUMBERS),
        (with_values(set_infinite), Reason.BAD_NUMBERS),
        (with_values(set_negative), Reason.BAD_NUMBERS),
        (with_values(set_zero), Reason.BAD_NUMBERS),
        (with_values(set_falling), Reason.NOT_RISING),
        (Says(lambda computations, resources: sound(2.0, computations[:1], resources)), Reason.WRONG_SHAPE),
        (Says(lambda computations, resources: sound(2.0, computations, resources[:1])), Reason.WRONG_SHAPE),
    ],
)
def test_each_failure_of_the_model_is_named_and_the_next_rung_answers(broken, reason):
    fallback = ladder(broken, good(path="older"))
    answer = fallback.predict(WORK, RESOURCES)
    assert answer.path == f"older (model: {reason.value})"
    assert fallback.choice.rung == "last-good"
    assert [(one.rung, one.reason) for one in fallback.choice.skipped] == [("model", reason)]
    assert fallback.counts == {("model", reason): 1}
    assert np.isfinite(answer.runtime_s.values).all()


def test_when_all_rungs_fail_the_table_answers_with_what_it_measured():
    runs = [Run(computation=WORK[0], resource=RESOURCES[0], runtime_s=7.0, at_s=0.0)]
    broken = ladder(raising(ValueError("x")), None, with_values(set_nan)).updated(runs)
    answer = broken.predict(WORK, RESOURCES)
    assert broken.choice.rung == TABLE
    assert answer.path == (
        "table (model: predictor error; last-good: no model; dna-match: numbers that are not finite and positive)"
    )
    assert answer.runtime_s.values[0, 0, LEVELS.index(0.5)] == pytest.approx(7.0)
    assert broken.shortlist(WORK[0], RESOURCES, Objective.of("min_latency"), 1).shape == (1,)
    assert Ladder().predict(WORK, RESOURCES).path == Choice(rung=TABLE).path("table") == "table"
    assert Ladder().version == "ladder-1/static-1+0"


def test_an_answer_a_thousand_times_off_what_the_same_pair_took_is_not_used():
    runs = [Run(computation=WORK[1], resource=RESOURCES[1], runtime_s=2.0, at_s=0.0)] * 2
    wild = ladder(good(2000.0), good(3.0)).updated(runs)
    assert wild.predict(WORK, RESOURCES).path == f"good (model: {Reason.IMPLAUSIBLE.value})"
    assert wild.predict(WORK[:1], RESOURCES).path == "good"  # nothing is known against it here


def test_a_pool_wide_drift_alarm_skips_what_was_learned():
    three = ladder(good(), good(), good(path="match"))
    drifted = three.with_drift(True)
    assert drifted.predict(WORK, RESOURCES).path == "match (model: drift alarm; last-good: drift alarm)"
    assert drifted.with_drift(False).predict(WORK, RESOURCES).path == "good"


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def slow(clock, seconds, predictor):
    def answer(computations, resources):
        clock.now += seconds
        return predictor.predict(computations, resources)

    return Says(answer)


@pytest.mark.parametrize("inner", [good(path="late"), raising(ValueError("late"))], ids=["answers", "raises"])
def test_a_rung_that_overran_its_budget_rests_ever_longer(inner):
    clock = Clock()
    busy = ladder(slow(clock, 10.0, inner), good(path="older"), clock=clock, call_s=1.0)
    paths = [busy.predict(WORK, RESOURCES).path for _ in range(3 * FIRST_REST + 3)]
    asked = [n for n, path in enumerate(paths) if Reason.BUDGET.value not in path]
    assert asked == [0, 1, FIRST_REST + 1, 3 * FIRST_REST + 1]
    assert paths[2] == "older (model: budget overrun)"
    assert clock.now == 40.0


def test_a_rung_within_its_budget_is_always_asked():
    clock = Clock()
    steady = ladder(slow(clock, 0.5, good()), clock=clock, call_s=1.0)
    assert {steady.predict(WORK, RESOURCES).path for _ in range(5)} == {"good"}


def test_one_slow_call_between_quick_ones_is_forgiven():
    clock = Clock()
    seconds = iter([9.0, 0.1, 9.0, 0.1, 9.0, 0.1])

    def answer(computations, resources):
        clock.now += next(seconds)
        return sound(2.0, computations, resources)

    once = ladder(Says(answer), clock=clock, call_s=1.0)
    assert {once.predict(WORK, RESOURCES).path for _ in range(6)} == {"good"}


def test_every_rung_learns_and_one_that_cannot_answers_as_before():
    class Stubborn(Says):
        def updated(self, runs):
            raise ValueError("full")

    first = ladder(good(), Stubborn(good().answer), None)
    runs = [Run(computation=WORK[0], resource=RESOURCES[0], runtime_s=1.0, at_s=0.0)]
    after = first.updated(runs)
    assert after.rungs[0].predictor.learned == 1
    assert first.rungs[0].predictor.learned == 0
    assert after.rungs[1].predictor is first.rungs[1].predictor
    assert after.counts == {("last-good", Reason.ERROR): 1}
    assert (len(first.table.items), len(after.table.items)) == (0, 1)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (CorruptError("schema must be 'b', got 'a'"), Reason.SCHEMA),
        (InputError("no model there"), Reason.NO_MODEL),
        (FileNotFoundError("gone"), Reason.NO_MODEL),
    ],
)
def test_a_model_that_cannot_be_loaded_leaves_its_rung_empty_with_the_reason(error, reason):
    def load():
        raise error

    rung = Rung.loaded("model", load)
    assert rung.predictor is None
    assert rung.absent == Skipped(rung="model", reason=reason, detail=str(error))
    assert Ladder(rungs=(rung,)).predict(WORK, RESOURCES).path == f"table (model: {reason.value})"
    assert Rung.loaded("model", good).predictor is not None


def test_whether_a_rung_is_asked_is_a_pure_function():
    rung = Rung(name="m", predictor=good())
    assert closed(rung, drifted=False, rests=0) is None
    assert closed(rung, drifted=True, rests=5).reason is Reason.DRIFT
    assert closed(replace(rung, learned=False), drifted=True, rests=5).reason is Reason.BUDGET
    assert closed(replace(rung, predictor=None), drifted=True, rests=5).reason is Reason.NO_MODEL


def test_costs_hazards_and_levels_are_looked_at_too():
    unknown = np.full((3, 2), math.nan)
    assert flaw(sound(), unknown) is None
    assert flaw(replace(sound(), hazard_per_h=np.array([0.1, math.nan])), unknown) is Reason.BAD_NUMBERS
    assert flaw(replace(sound(), hazard_per_h=np.zeros(3)), unknown) is Reason.WRONG_SHAPE
    cost = np.zeros((3, 2, len(LEVELS)))
    cost[0, 0, -1] = math.inf
    wild = Quantiles(levels=np.array(LEVELS), values=cost)
    assert flaw(replace(sound(), cost_usd=wild), unknown) is Reason.BAD_NUMBERS
    other = Quantiles(levels=np.array([0.1, 0.5, 0.9]), values=np.ones((3, 2, 3)))
    assert flaw(replace(sound(), runtime_s=other), unknown) is Reason.WRONG_SHAPE


def test_an_answer_that_was_found_sound_is_judged_again_once_more_is_known():
    kept = sound(5000.0)
    first = ladder(Says(lambda computations, resources: kept))
    assert first.predict(WORK, RESOURCES) is kept
    assert first.predict(WORK, RESOURCES) is kept
    runs = [Run(computation=WORK[0], resource=RESOURCES[0], runtime_s=1.0, at_s=0.0)] * 2
    assert first.updated(runs).predict(WORK, RESOURCES).path == f"table (model: {Reason.IMPLAUSIBLE.value})"


def test_the_live_predictor_is_a_rung_like_any_other():
    live = ladder(raising(ValueError("x")), None, LivePredictor())
    answer = live.predict(WORK, RESOURCES)
    assert isinstance(answer, Prediction)
    assert answer.path == "dna-match (model: predictor error; last-good: no model)"
