"""Drift: how soon a slow-down is noticed, how seldom nothing is, and how fast predictions come right again."""

import math
from dataclasses import dataclass

import numpy as np
import pytest

from dnaml.core.errors import InputError
from dnaml.predict.drift import (
    ANCHORS,
    BOUND,
    WIDEN,
    Alarm,
    DriftWatch,
    Innovation,
    PageHinkley,
    Subject,
    response,
)

RUN_S = 600.0
PRIOR_SD, NOISE_SD = 0.5, 0.1


def student(rng, count):
    """Return noise with heavy tails (Student-t, 4 degrees of freedom) of sd one."""
    return rng.standard_t(4, count) / math.sqrt(2)


def shifted(watch, name, shift, count, at_s=0.0):
    """Return the watch after runs of a resource whose innovations all stand at `shift` sd, and all alarms."""
    alarms = []
    for run in range(count):
        one = Innovation(resource_id=name, computation_id=f"c{run}", at_s=at_s + run, log_error=shift, sd=1.0)
        watch = watch.updated([one])
        alarms += watch.alarms
    return watch, alarms


def test_clean_runs_raise_less_than_one_alarm_in_ten_thousand():
    rng, sums, alarms, runs = np.random.default_rng(0), PageHinkley(), 0, 200_000
    for value in student(rng, runs).tolist():
        sums = sums.updated(value)
        if abs(sums.statistic) > BOUND:
            alarms, sums = alarms + 1, PageHinkley()
    assert alarms / runs * 10_000 < 1.0


@pytest.mark.parametrize(("noise_sd", "within"), [(0.05, 6), (0.1, 7), (0.2, 12), (0.3, 25)])
@pytest.mark.parametrize("factor", [1.5, 1 / 1.5], ids=["slower", "quicker"])
def test_a_change_by_a_half_is_noticed_within_a_few_runs(noise_sd, within, factor):
    rng, late = np.random.default_rng(1), 0
    for _ in range(100):
        sums, runs = PageHinkley(), 0
        for value in student(rng, 400).tolist():
            sums, runs = sums.updated(value + math.log(factor) / noise_sd), runs + 1
            if abs(sums.statistic) > BOUND:
                break
        assert sums.statistic * math.log(factor) > 0
        late += runs > within
    assert late <= 5


@dataclass
class Learner:
    """The speed of one resource, learned run by run with fading and robust updates; drift makes it start afresh."""

    widens: bool
    mean: float = 0.0
    variance: float = PRIOR_SD**2
    watch: DriftWatch = DriftWatch()

    def run(self, at_s, residual):
        """Learn from one run."""
        keep = math.exp(-RUN_S / (14 * 86_400.0))
        self.mean, self.variance = keep * self.mean, keep**2 * self.variance + (1 - keep**2) * PRIOR_SD**2
        error, sd = residual - self.mean, math.sqrt(self.variance + NOISE_SD**2)
        self.watch = self.watch.updated(
            [Innovation(resource_id="r", computation_id=f"c{at_s}", at_s=at_s, log_error=error, sd=sd)]
        )
        for alarm in self.watch.alarms:
            if self.widens:
                self.variance = response(alarm).widen * PRIOR_SD**2
        sd = math.sqrt(self.variance + NOISE_SD**2)
        doubt = NOISE_SD**2 * max(abs(error) / (3 * sd), 1.0) ** 2  # an outlier is not believed in full
        gain = self.variance / (self.variance + doubt)
        self.mean, self.variance = self.mean + gain * error, (1 - gain) * self.variance


def recovery(factor, seed, *, widens=True):
    """Return after how many runs the alarm came and the error was back to normal, for a change after 300 runs."""
    rng = np.random.default_rng(seed)
    learner, alarmed, errors = Learner(widens=widens), None, []
    for run in range(500):
        truth = math.log(factor) if run >= 300 else 0.0
        learner.run(run * RUN_S, truth + NOISE_SD * float(student(rng, 1)[0]))
        errors.append(abs(truth - learner.mean))
        if alarmed is None and run >= 300 and any(a.subject is Subject.RESOURCE for a in learner.watch.alarms):
            alarmed = run - 299
    wrong = [run for run in range(300, 500) if errors[run] > math.log(1.2)]
    return alarmed, (wrong[-1] - 299 if wrong else 0)


@pytest.mark.parametrize("factor", [1.5, 3.0, 1 / 3])
def test_predictions_are_right_again_soon_after_a_resource_changes(factor):
    found = [recovery(factor, seed) for seed in range(20)]
    assert all(alarmed is not None and alarmed <= 20 for alarmed, _ in found)
    assert max(back for _, back in found) <= 20


def test_without_the_alarm_a_resource_that_became_three_times_slower_stays_wrong_for_longer():
    with_alarm = np.mean([recovery(3.0, seed)[1] for seed in range(5)])
    without = np.mean([recovery(3.0, seed, widens=False)[1] for seed in range(5)])
    assert without > 5 * with_alarm


def test_one_bad_run_is_no_drift():
    watch, alarms = shifted(DriftWatch(), "r", 1000.0, 1)
    assert not alarms
    _, alarms = shifted(watch, "r", 0.0, 50)
    assert not alarms


def test_an_alarm_marks_the_resource_stale_until_its_anchors_ran():
    watch, alarms = shifted(DriftWatch(), "r", 3.0, 5)
    assert [(a.subject, a.id, a.bound) for a in alarms] == [(Subject.RESOURCE, "r", BOUND)]
    assert alarms[0].statistic > BOUND
    assert watch.is_stale(resource_id="r")
    assert watch.anchors_left("r") == ANCHORS
    assert not watch.is_stale(resource_id="other", computation_id="c0")
    watch, _ = shifted(watch, "r", 0.0, ANCHORS - 1)
    assert watch.is_stale(resource_id="r")
    watch, _ = shifted(watch, "r", 0.0, 1)
    assert not watch.is_stale(resource_id="r")
    assert watch.anchors_left("never seen") == 0


def test_a_computation_that_changed_is_told_from_the_resources_it_ran_on():
    watch, alarms = DriftWatch(), []
    for run in range(5):
        watch = watch.updated([Innovation(resource_id=f"r{run}", computation_id="c", at_s=run, log_error=-3.0, sd=1.0)])
        alarms += watch.alarms
    assert [(a.subject, a.id) for a in alarms] == [(Subject.COMPUTATION, "c")]
    assert alarms[0].statistic < -BOUND
    assert watch.is_stale(computation_id="c")


def test_when_a_third_of_the_pool_drifts_within_a_day_the_model_is_at_fault_and_says_so_once_a_day():
    watch, alarms = DriftWatch(), []
    for name in range(9):
        watch, _ = shifted(watch, f"steady{name}", 0.0, 1)
    for name in range(6):
        watch, raised = shifted(watch, f"r{name}", 3.0, 5, at_s=100.0 * name)
        alarms += [a for a in raised if a.subject is Subject.POOL]
    assert len(alarms) == 1
    assert alarms[0].statistic >= alarms[0].bound
    assert watch.pool_is_stale(alarms[0].at_s + 3600)
    assert not watch.pool_is_stale(alarms[0].at_s + 100_000)
    assert not watch.refitted().pool_is_stale(alarms[0].at_s)


def test_a_few_resources_or_old_alarms_never_condemn_the_pool():
    watch = DriftWatch()
    for name in range(4):
        watch, raised = shifted(watch, f"r{name}", 3.0, 5, at_s=1e5 * name)
        assert all(a.subject is Subject.RESOURCE for a in raised)
    assert not watch.pool_is_stale(4e5)


def test_what_an_alarm_asks_for_depends_on_what_it_is_about():
    def about(subject):
        return response(Alarm(subject=subject, id="x", at_s=0.0, statistic=11.0, bound=10.0))

    for subject in (Subject.RESOURCE, Subject.COMPUTATION):
        assert (about(subject).widen, about(subject).stale, about(subject).anchors) == (WIDEN, True, ANCHORS)
        assert not about(subject).fallback
    assert about(Subject.POOL).fallback
    assert (about(Subject.COVERAGE).widen, about(Subject.COVERAGE).anchors) == (WIDEN, 0)


def test_an_update_leaves_the_older_watch_as_it_was():
    first, _ = shifted(DriftWatch(), "r", 3.0, 2)
    sums = first.resources["r"].sums
    shifted(first, "r", 3.0, 5)
    assert first.resources["r"].sums == sums


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"log_error": math.nan}, "r: log_error must be finite, got nan"),
        ({"sd": 0.0}, "r: sd must be positive and finite, got 0"),
        ({"sd": math.inf}, "r: sd must be positive and finite, got inf"),
    ],
)
def test_an_innovation_that_cannot_be_is_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        Innovation(**{"resource_id": "r", "computation_id": "c", "at_s": 0.0, "log_error": 0.0, "sd": 1.0, **wrong})
