"""Kept answers: order, paths, and bounds on what is kept."""

import numpy as np

from dnaml.core.prediction import LEVELS
from dnaml.core.types import Resource
from dnaml.predict.bound import TRAITS
from dnaml.predict.history import History
from dnaml.predict.outcomes import Hazard
from dnaml.predict.pools import MATCH, MODEL, MOST_VALUES, RUNS, KeptAnswers

POOL = [Resource(id="a", memory_bytes=10), Resource(id="b")]
ROW = np.ones((2, len(LEVELS)))


def kept():
    return KeptAnswers(POOL, History(), Hazard())


def test_rows_come_back_in_the_order_asked_for_and_a_single_one_is_kept_whole():
    answers = kept()
    one, two = answers.add(("x",), ROW, None, RUNS), answers.add(("y",), 2 * ROW, 20, RUNS)
    np.testing.assert_array_equal(answers.answer([two, one, two]).runtime_s.values[:, 0, 0], [2, 1, 2])
    assert answers.answer([one]) is answers.answer([one])
    assert answers.answer([two]).feasible.tolist() == [[False, True]]


def test_the_path_is_the_weakest_that_was_used():
    answers = kept()
    strong, weak = answers.add(("x",), ROW, None, MODEL), answers.add(("y",), ROW, None, MATCH)
    assert answers.answer([strong, strong]).path == "model"
    assert answers.answer([strong, weak]).path == "dna-match"


def test_answers_cannot_be_written_to():
    answers = kept()
    answer = answers.answer([answers.add(("x",), ROW, None, RUNS)])
    assert not answer.runtime_s.values.flags.writeable
    assert not answer.hazard_per_h.flags.writeable


def test_it_is_full_after_so_many_values_and_can_be_cleared():
    answers = kept()
    rows = MOST_VALUES // ROW.size + 1
    for row in range(rows):
        answers.add((row,), ROW, None, RUNS)
    assert answers.full
    answers.clear()
    assert not answers.full
    assert answers.index == {}


def test_resources_without_runs_get_codes_of_their_own():
    answers = KeptAnswers(POOL, History(codes={"b": 0}, traits=((0.0,) * TRAITS,)), Hazard())
    assert answers.codes.tolist() == [1, 0]
