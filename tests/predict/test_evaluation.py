"""Folds keep apart what they say they do, probes are never judged, and scores say what is in the answers."""

import math

import numpy as np
import pandas as pd
import pytest

from dnaml.core.errors import InputError
from dnaml.core.prediction import LEVELS
from dnaml.datasets.table import RunTable
from dnaml.predict import evaluation
from dnaml.predict.evaluation import Held, Plan, answers, folds_of, scores

KERNELS, SIZES, RESOURCES = 4, 3, 6


def table_of(repeats=1, **extra):
    rows = [
        {
            "resource_id": f"r{r}",
            "computation_id": f"k{k}-{s}",
            "c_kernel": f"k{k}",
            "s_size": float(s + 1),
            "r_rate_per_s": float(r + 1),
            "t_faults": 1.0,
            "runtime_s": (k + 1) * (s + 1) / (r + 1),
            "at_s": float(r * 100 + k * 10 + s),
            **extra,
        }
        for r in range(RESOURCES)
        for k in range(KERNELS)
        for s in range(SIZES)
        for _ in range(repeats)
    ]
    return RunTable.from_frame(pd.DataFrame(rows))


class Recorder:
    """Answers the truth of the table by its law, and keeps what it was shown."""

    def __init__(self, log=None):
        self.log = [] if log is None else log

    def fit(self, table):
        self.log.append(("fit", table.frame))
        return self

    def update(self, probes):
        self.log.append(("update", probes.frame))
        return Recorder(self.log)

    def predict_quantiles(self, pairs, levels):
        self.log.append(("asked", pairs))
        kernel = pairs["c_kernel"].str[1:].astype(int)
        median = (kernel + 1) * pairs["s_size"] / pairs["r_rate_per_s"]
        return pd.DataFrame({level: median * (0.5 + level) for level in levels}, index=pairs.index)


def keys(frame):
    return set(zip(frame["computation_id"], frame["resource_id"], strict=True))


@pytest.mark.parametrize(
    ("held", "column"),
    [(Held.RESOURCE, "resource_id"), (Held.FAMILY, "c_kernel"), (Held.COMPUTATION, "computation_id")],
)
def test_what_is_held_is_in_no_training_and_in_one_test(held, column):
    table = table_of()
    tested = []
    for train, test in folds_of(table, held, Plan(folds=3)):
        assert not set(train.frame[column]) & set(test.frame[column])
        assert len(train) + len(test) == len(table)
        tested += sorted(set(test.frame[column]))
    assert sorted(tested) == sorted(set(table.frame[column]))


def test_pairs_are_held_with_all_their_runs():
    table = table_of(repeats=2)
    for train, test in folds_of(table, Held.CELL, Plan(folds=4)):
        assert not keys(train.frame) & keys(test.frame)


def test_both_new_means_that_neither_side_was_ever_trained_on():
    for train, test in folds_of(table_of(), Held.BOTH, Plan(folds=2)):
        assert len(test) > 0
        assert not set(train.frame["resource_id"]) & set(test.frame["resource_id"])
        assert not set(train.frame["c_kernel"]) & set(test.frame["c_kernel"])


def test_the_later_runs_are_judged_by_the_earlier_ones():
    ((train, test),) = folds_of(table_of(), Held.LATER, Plan())
    assert train.frame["at_s"].max() < test.frame["at_s"].min()
    assert len(test) == pytest.approx(0.2 * RESOURCES * KERNELS * SIZES, abs=2)


def test_more_folds_than_names_hold_back_one_each():
    assert len(list(folds_of(table_of(), Held.RESOURCE, Plan(folds=50)))) == RESOURCES


@pytest.mark.parametrize(
    ("held", "column"), [(Held.RESOURCE, "resource_id"), (Held.FAMILY, "c_kernel"), (Held.LATER, "at_s")]
)
def test_a_table_with_one_of_what_is_held_cannot_be_judged(held, column):
    frame = table_of().frame
    with pytest.raises(InputError, match="needs"):
        list(folds_of(RunTable.from_frame(frame[frame[column] == frame[column].iloc[0]]), held, Plan()))


def test_without_kernels_each_computation_is_its_own_family():
    table = RunTable.from_frame(table_of().frame.drop(columns="c_kernel"))
    for train, test in folds_of(table, Held.FAMILY, Plan(folds=3)):
        assert not set(train.frame["computation_id"]) & set(test.frame["computation_id"])


def test_failed_and_censored_runs_are_learned_from_but_never_judged():
    frame = table_of().frame
    frame["failed"] = frame.index % 5 == 0
    frame["censored"] = frame.index % 7 == 0
    table = RunTable.from_frame(frame)
    for train, test in folds_of(table, Held.RESOURCE, Plan(folds=3)):
        assert not (test.frame["failed"] | test.frame["censored"]).any()
        assert train.frame["failed"].any()


def test_probes_of_every_new_thing_are_given_and_never_judged():
    recorder = Recorder()
    plan = Plan(held=(Held.RESOURCE,), probes=(0, 1, 3), folds=3)
    made = list(answers(table_of(), {"law": recorder.fit}, plan))
    given = [frame for what, frame in recorder.log if what == "update"]
    asked = [frame for what, frame in recorder.log if what == "asked"]
    assert [len(frame) for frame in given] == [2, 6] * 3  # two resources a fold
    assert all(set(frame.groupby("resource_id").size()) == {len(frame) // 2} for frame in given)
    for fold in range(3):
        largest = keys(given[2 * fold + 1])
        assert keys(given[2 * fold]) <= largest
        for frame in asked[3 * fold : 3 * fold + 3]:
            assert not keys(frame) & largest
    assert [one.probes for one in made] == [0, 1, 3] * 3


def test_half_of_the_runs_stay_to_be_judged_however_many_probes_are_asked():
    recorder = Recorder()
    list(answers(table_of(), {"law": recorder.fit}, Plan(held=(Held.RESOURCE,), probes=(100,), folds=3)))
    (given, *_), (asked, *_) = ([f for what, f in recorder.log if what == name] for name in ("update", "asked"))
    assert len(given) == len(asked) == KERNELS * SIZES


def test_pairs_take_no_probes():
    recorder = Recorder()
    made = list(answers(table_of(), {"law": recorder.fit}, Plan(held=(Held.CELL,), probes=(0, 1), folds=3)))
    assert {what for what, _ in recorder.log} == {"fit", "asked"}
    assert [one.probes for one in made] == [0, 0, 0]


def test_nothing_measured_is_shown_when_asking():
    recorder = Recorder()
    list(answers(table_of(energy_j=3.0, cost_usd=1.0), {"law": recorder.fit}, Plan(held=(Held.CELL,))))
    asked = next(frame for what, frame in recorder.log if what == "asked")
    assert not set(asked.columns) & {"runtime_s", "t_faults", "energy_j", "cost_usd", "failed", "censored", "at_s"}
    assert {"r_rate_per_s", "s_size", "c_kernel"} <= set(asked.columns)


def test_perfect_medians_score_perfectly():
    made = answers(table_of(), {"law": Recorder().fit}, Plan(folds=3, probes=(0, 1)))
    found = scores(made)
    assert {(one.held, one.probes) for one in found} == {
        ("resource", 0),
        ("resource", 1),
        ("family", 0),
        ("family", 1),
        ("cell", 0),
    }
    for one in found:
        assert one.mape_pct == pytest.approx(0, abs=1e-9)
        assert one.inside_pct == 100
        assert one.width == pytest.approx(math.log(1.4 / 0.6))
        assert one.spearman == pytest.approx(1)
        assert one.regret_pct == pytest.approx(0, abs=1e-9)
    assert next(one.runs for one in found if one.held == "cell") == RESOURCES * KERNELS * SIZES


def test_equal_seeds_draw_equal_folds_and_others_others():
    def drawn(seed):
        return [
            sorted(set(test.frame["resource_id"])) for _, test in folds_of(table_of(), Held.RESOURCE, Plan(seed=seed))
        ]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_the_mean_over_seeds_counts_all_runs():
    one = scores(answers(table_of(), {"law": Recorder().fit}, Plan(held=(Held.CELL,))))[0]
    other = evaluation.Score(**{name: getattr(one, name) for name in one.__slots__} | {"mape_pct": 10.0})
    (mean,) = evaluation.averaged([one, other])
    assert mean.runs == 2 * one.runs
    assert mean.mape_pct == pytest.approx((one.mape_pct + 10) / 2)


def test_levels_are_met_by_the_share_of_runs_below_them():
    truth = np.array([1.0, 2.0, 3.0, 4.0])
    values = np.tile(np.linspace(0.5, 3.5, len(LEVELS)), (4, 1))
    assert evaluation.met(truth, values)[0] == (LEVELS[0], 0.0)
    assert evaluation.met(truth, values)[-1] == (LEVELS[-1], 0.75)


@pytest.mark.parametrize("wrong", [{"folds": 1}, {"held": ()}, {"probes": ()}, {"probes": (-1,)}])
def test_a_plan_that_judges_nothing_is_refused(wrong):
    with pytest.raises(InputError, match="plan"):
        Plan(**wrong)
