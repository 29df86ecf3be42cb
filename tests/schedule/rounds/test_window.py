"""However many jobs wait, a round looks at a bounded number: what runs, what is urgent, and the shortest."""

import time
from dataclasses import replace

import numpy as np
import pytest

from dnaml.schedule.rounds.adaptive import Adaptive
from dnaml.schedule.rounds.round import NONE, Round, check
from dnaml.schedule.rounds.window import MOST_JOBS, only, window
from tests.schedule.rounds.rounds import a_round, drawn


def queue(jobs: int, *, gangs: bool = False) -> Round:
    """Return a long queue of unlike jobs on three pools of eight units, some with deadlines, one of them held."""
    rng = np.random.default_rng(0)
    left_s = rng.exponential(3600.0, (jobs, 1)) * rng.uniform(1.0, 3.0, (jobs, 3))
    held = np.full(jobs, NONE)
    held[int(left_s.min(axis=1).argmax())] = 0
    units = rng.choice([1, 2, 4], (jobs, 1)).repeat(3, 1) if gangs else 1
    deadline_s = np.where(rng.random(jobs) < 0.3, rng.uniform(4000.0, 1e6, jobs), np.inf)
    given = {"held": held, "deadline_s": deadline_s, "units": units}
    return a_round(left_s, capacity=(8, 8, 8), price=(3.0, 2.0, 1.0), **given)


def test_a_short_queue_is_seen_whole_and_a_long_one_by_what_runs_is_urgent_or_short():
    assert window(drawn(0)).tolist() == list(range(12))
    now = queue(3 * MOST_JOBS)
    rows = window(now)
    assert len(rows) == MOST_JOBS
    assert (np.diff(rows) > 0).all()
    assert int(np.flatnonzero(now.held >= 0)[0]) in rows
    assert int(now.left_s.min(axis=1).argmin()) in rows
    assert int((now.deadline_s - now.left_s.min(axis=1)).argmin()) in rows
    assert len(window(now, most=10)) == 2 * int(now.capacity.sum())


def test_many_units_widen_the_window_and_who_can_run_nowhere_is_left_out():
    now = queue(3 * MOST_JOBS)
    assert len(window(replace(now, capacity=np.array([800, 0, 0])))) == 1600
    nowhere = replace(now, left_s=np.full(now.left_s.shape, np.inf), deadline_s=np.full(len(now.numbers), np.inf))
    assert window(nowhere).tolist() == np.flatnonzero(now.held >= 0).tolist()


def test_some_jobs_of_a_round_keep_all_that_is_said_of_them():
    now = replace(drawn(0), log_sd=np.full((12, 3), 0.1))
    some = only(now, np.array([3, 7]))
    assert some.numbers.tolist() == [3, 7]
    np.testing.assert_array_equal(some.left_s, now.left_s[[3, 7]])
    assert some.log_sd.shape == (2, 3)
    assert only(drawn(0), np.array([1])).log_sd is None


@pytest.mark.parametrize("gangs", [False, True], ids=["single", "gangs"])
def test_a_plan_over_a_long_queue_is_possible_repeatable_and_spread_over_the_pools(gangs):
    now, policy = queue(5_000, gangs=gangs), Adaptive(rollouts=0)
    said = policy.allocate(now)
    check(now, said)
    assert (said.choice >= 0).sum() >= 6
    np.testing.assert_array_equal(said.choice, policy.allocate(now).choice)
    later = replace(now, held=said.choice, memory=said.memory)
    assert policy.allocate(later).memory.knobs == said.memory.knobs


@pytest.mark.soak
@pytest.mark.serial
@pytest.mark.timeout(1800)  # of wall time beside whatever else runs; processor time is what is asked for
def test_a_million_queued_jobs_are_planned_within_the_budget_of_steps():
    now, policy = queue(1_000_000), Adaptive()
    began_s = time.process_time()
    said = policy.allocate(now)
    first_s = time.process_time() - began_s
    check(now, said)
    policy.allocate(replace(now, memory=said.memory, held=said.choice))
    assert first_s < 120.0
    assert time.process_time() - began_s - first_s < 10.0
