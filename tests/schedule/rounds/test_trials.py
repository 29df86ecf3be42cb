"""Unsure batches run on what may be their best for a round each; then nothing of a plan rests on luck."""

from dataclasses import replace

import numpy as np
import pytest

from dnaml.schedule.rounds.adaptive import Adaptive
from dnaml.schedule.rounds.round import check
from dnaml.schedule.rounds.trials import allocate, wanted
from tests.schedule.rounds.rounds import a_round, drawn


def unsure(left_s, sd=0.3, **given):
    left_s = np.asarray(left_s, dtype=float)
    return a_round(left_s, log_sd=np.full(left_s.shape, sd), **given)


def test_long_unsure_pairs_that_may_be_the_best_in_time_or_money_are_tried():
    now = unsure([[9000.0, 10000.0], [9000.0, 90000.0], [9000.0, 16000.0], [100.0, 100.0]])
    assert wanted(now).tolist() == [[True, True], [True, False], [True, True], [False, False]]


def test_what_is_known_was_tried_takes_long_to_change_or_has_no_rounds_is_not_tried():
    now = unsure([[9000.0, 10000.0]])
    assert wanted(now).all()
    assert not wanted(replace(now, log_sd=None)).any()
    assert not wanted(replace(now, log_sd=np.zeros((1, 2)))).any()
    assert not wanted(replace(now, served_s=np.full((1, 2), 60.0))).any()
    assert not wanted(replace(now, restart_s=np.array([30.0]))).any()
    assert not wanted(replace(now, round_s=0.0)).any()


def test_the_longest_go_first_on_their_fastest_and_others_fill_what_is_left():
    now = unsure([[9000.0, 9500.0], [20000.0, 21000.0], [50.0, np.inf]], capacity=(2, 1))
    said = allocate(now, wanted(now))
    assert said.choice.tolist() == [0, 0, -1]
    assert said.again_rounds == 1
    tried = replace(now, served_s=np.array([[60.0, 0.0], [60.0, 0.0], [0.0, 0.0]]), held=said.choice)
    assert allocate(tried, wanted(tried)).choice.tolist() == [0, 1, 0]


def test_a_batch_is_tried_before_it_is_planned_and_only_so_often():
    now = replace(drawn(2, jobs=20), restart_s=np.zeros(20), held=np.full(20, -1), served_s=np.zeros((20, 3)))
    now = replace(now, log_sd=np.full(now.left_s.shape, 0.3))
    policy, rounds = Adaptive(batch=10, rollouts=4, polish=4), 0
    said = policy.allocate(now)
    assert said.memory is None
    while said.again_rounds == 1:
        check(now, said)
        on = np.flatnonzero(said.choice >= 0)
        served_s, log_sd = now.served_s.copy(), now.log_sd.copy()
        served_s[on, said.choice[on]] += now.round_s
        log_sd[on, said.choice[on]] = 0.0
        now = replace(now, served_s=served_s, log_sd=log_sd, held=said.choice, memory=said.memory)
        said = policy.allocate(now)
        rounds += 1
    assert said.gap is not None
    assert 1 < rounds < 20


def test_what_comes_one_by_one_is_not_tried():
    now = unsure([[9000.0, 10000.0]])
    assert Adaptive().allocate(now).again_rounds is None


@pytest.mark.parametrize("seed", range(3))
def test_a_round_of_trials_stays_within_the_pools(seed):
    now = replace(drawn(seed, jobs=30), restart_s=np.zeros(30), served_s=np.zeros((30, 3)))
    now = replace(now, log_sd=np.full(now.left_s.shape, 0.3))
    check(now, allocate(now, wanted(now)))
