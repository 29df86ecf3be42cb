"""Co-location: two jobs share units only where that was measured, fits, keeps deadlines, and gains by the objective."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnaml.core.errors import InputError
from dnaml.core.work import Objective
from dnaml.schedule.rounds import sharing
from dnaml.schedule.rounds.adaptive import Adaptive
from dnaml.schedule.rounds.round import Allocation, Round, check, guests
from dnaml.schedule.rounds.sharing import shared
from dnaml.schedule.rounds.srpt import Srpt
from dnaml.schedule.rounds.together import ALONE, Together
from tests.schedule.rounds.rounds import a_round, drawn


def together(now, kept, *, kind=None, partner=None, fill=None):
    """Return what was measured of a round's jobs: `kept` [Q, Q] in every configuration."""
    jobs, columns = now.left_s.shape
    return Together(
        kept=np.repeat(np.asarray(kept, dtype=float)[:, :, None], columns, axis=2),
        kind=np.zeros(jobs, dtype=np.int64) if kind is None else np.asarray(kind),
        partner=np.full(jobs, ALONE) if partner is None else np.asarray(partner),
        fill=np.zeros((jobs, columns)) if fill is None else np.asarray(fill),
    )


def one_unit(*left_s, kept=0.7, **measured):
    """Return a round of single jobs that all want the one unit there is."""
    now = a_round([[value] for value in left_s], capacity=(1,), price=(1.0,))
    return replace(now, together=together(now, [[kept]], **measured))


def choice_of(now, alone=None):
    """Return what sharing makes of the shortest jobs on their own."""
    made = shared(now, alone or Srpt().allocate(now))
    check(now, made)
    return made


def test_without_a_table_nothing_changes():
    now = replace(one_unit(10.0, 10.0), together=None)
    alone = Srpt().allocate(now)
    assert shared(now, alone) is alone
    assert Adaptive().allocate(now).partner is None


def test_two_that_keep_more_than_half_of_their_speed_share_and_others_do_not():
    made = choice_of(one_unit(10.0, 10.0))
    assert (made.choice.tolist(), made.partner.tolist()) == ([0, 0], [1, 0])
    made = choice_of(one_unit(10.0, 10.0, kept=0.45))
    assert (made.choice.tolist(), made.partner.tolist()) == ([0, -1], [-1, -1])
    assert choice_of(one_unit(10.0, 10.0, 10.0)).partner.tolist() == [1, 0, -1]


def test_what_was_never_measured_or_does_not_fit_into_memory_is_never_tried():
    assert choice_of(one_unit(10.0, 10.0, kind=[0, -1])).partner.tolist() == [-1, -1]
    assert choice_of(one_unit(10.0, 10.0, kept=0.0)).partner.tolist() == [-1, -1]
    assert choice_of(one_unit(10.0, 10.0, fill=[[0.5], [0.6]])).partner.tolist() == [-1, -1]
    assert choice_of(one_unit(10.0, 10.0, fill=[[0.5], [0.5]])).partner.tolist() == [1, 0]
    gangs = replace(one_unit(10.0, 10.0), units=np.array([[1], [2]]), capacity=np.array([2]))
    assert choice_of(gangs).partner.tolist() == [-1, -1]


def test_nobody_misses_a_deadline_by_sharing_that_would_be_met_alone():
    pressed = replace(one_unit(10.0, 10.0), deadline_s=np.array([12.0, np.inf]))
    assert choice_of(pressed).partner.tolist() == [-1, -1]
    assert choice_of(replace(pressed, deadline_s=np.array([20.0, np.inf]))).partner.tolist() == [1, 0]
    lost = replace(pressed, deadline_s=np.array([5.0, np.inf]))
    assert choice_of(lost).partner.tolist() == [1, 0]


def test_a_unit_that_a_pair_gives_up_goes_to_a_job_that_waits():
    now = a_round([[10.0, 100.0], [10.0, 100.0], [np.inf, 10.0]], capacity=(1, 1), price=(1.0, 1.0))
    measured = together(now, [[0.8]], kind=[0, 0, -1])
    now = replace(now, together=measured, objective=Objective.of("min_latency"))
    made = choice_of(now, Allocation(choice=np.array([0, 1, -1])))
    assert (made.choice.tolist(), made.partner.tolist()) == ([0, 0, 1], [1, 0, -1])


def test_money_joins_two_that_each_have_a_unit_and_haste_keeps_them_apart():
    now = a_round([[10.0], [10.0]], capacity=(2,), price=(1.0,))
    now = replace(now, together=together(now, [[0.7]]))
    thrifty, hasty = (replace(now, objective=Objective.of(name)) for name in ("min_cost", "min_latency"))
    assert choice_of(thrifty).partner.tolist() == [1, 0]
    assert choice_of(hasty).partner.tolist() == [-1, -1]


def test_a_pair_of_before_goes_on_where_another_is_as_good_and_one_that_must_restart_counts_less():
    now = one_unit(10.0, 20.0, 20.0, partner=[2, -1, 0])
    assert choice_of(now).partner.tolist() == [2, -1, 0]
    slow = replace(one_unit(10.0, 20.0, 20.1), restart_s=np.array([0.0, 5000.0, 0.0]))
    assert choice_of(slow).partner.tolist() == [2, -1, 0]
    assert choice_of(replace(slow, round_s=0.0)).partner.tolist() == [2, -1, 0]


def test_of_very_many_jobs_the_shortest_are_asked_first(monkeypatch):
    monkeypatch.setattr(sharing, "_MOST_PAIRS", 2)
    assert choice_of(one_unit(10.0, 30.0, 20.0, 40.0)).partner.tolist() == [2, -1, 0, -1]


def test_sharing_reaches_the_default_policy_also_where_a_round_looks_at_some_jobs_only(monkeypatch):
    assert Adaptive().allocate(one_unit(10.0, 10.0)).partner.tolist() == [1, 0]
    monkeypatch.setattr("dnaml.schedule.rounds.adaptive.window", lambda now: np.array([1, 2]))
    assert Adaptive().allocate(one_unit(10.0, 10.0, 10.0)).partner.tolist() == [-1, 2, 1]


@pytest.mark.parametrize(
    ("choice", "partner"),
    [
        ([0, 0], [1, -1]),  # not mutual
        ([0, 0], [7, 0]),  # nobody
        ([0, -1], [1, 0]),  # only one of them holds it
        ([0, 1], [1, 0]),  # unlike pools
    ],
)
def test_an_allocation_that_pairs_what_may_not_be_paired_is_refused(choice, partner):
    now = a_round([[10.0, 10.0], [10.0, 10.0]], capacity=(1, 1))
    now = replace(now, together=together(now, [[0.7]]))
    with pytest.raises(InputError, match=r"job \d may not share configuration -?\d with job \d"):
        check(now, Allocation(choice=np.array(choice), partner=np.array(partner)))


def test_a_pair_is_refused_where_nothing_was_measured():
    now = replace(one_unit(10.0, 10.0), together=None)
    with pytest.raises(InputError, match="the pair must have been measured there"):
        check(now, Allocation(choice=np.array([0, 0]), partner=np.array([1, 0])))


@st.composite
def rounds(draw) -> Round:
    """Draw a lot of unlike jobs on three pools, with a table that holds some pairs of three classes."""
    now = drawn(draw(st.integers(0, 10_000)), jobs=draw(st.integers(0, 20)))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    jobs, columns = now.left_s.shape
    kept = np.where(rng.random((3, 3, columns)) < 0.7, rng.uniform(0.1, 1.2, (3, 3, columns)), 0.0)
    fill = rng.uniform(0.0, 0.8, (jobs, columns))
    kind, nobody = rng.integers(-1, 3, jobs), np.full(jobs, ALONE)
    measured = Together(kept=kept, kind=kind, partner=nobody, fill=fill)
    goal = draw(st.sampled_from(["min_cost", "min_latency", "balanced"]))
    return replace(now, together=measured, objective=Objective.of(goal))


@settings(max_examples=40, deadline=None)
@given(now=rounds())
def test_units_hold_one_or_a_measured_pair_within_the_pools_and_equal_input_gives_equal_pairs(now):
    policy = Adaptive(rollouts=4, polish=2)
    made = policy.allocate(now)
    check(now, made)
    again = policy.allocate(now)
    np.testing.assert_array_equal(made.choice, again.choice)
    np.testing.assert_array_equal(made.partner, again.partner)
    owners = np.flatnonzero((made.choice >= 0) & ~guests(now, made))
    held = np.zeros(3)
    for j in owners:
        held[now.pool[made.choice[j]]] += now.units[j, made.choice[j]]
    assert (held <= now.capacity).all()
    for j in np.flatnonzero(made.partner != ALONE):
        other, k = int(made.partner[j]), int(made.choice[j])
        assert other != j
        assert (made.partner[other], made.choice[other], now.units[other, k]) == (j, k, now.units[j, k])
        assert now.together.kept[now.together.kind[j], now.together.kind[other], k] > 0
        assert now.together.fill[j, k] + now.together.fill[other, k] <= 1.0
