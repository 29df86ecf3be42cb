"""What a decision may cost, in CPU time of one core at stated sizes."""

import itertools
import time
from collections.abc import Callable

import numpy as np
import pytest

from dnaml.core.plan import Problem
from dnaml.schedule.matching import MatchingPolicy
from dnaml.schedule.objective import terms
from tests.contracts.problems import problem
from tests.speed import least, slowness

POLICY = MatchingPolicy()


def planned(make: Callable[[int], Problem], *, each: int) -> Callable[[], float]:
    """Return a measurement: the CPU seconds of one plan and its explanation, as the mean over problems never seen."""
    turn = itertools.count()

    def measure() -> float:
        fresh = [make(next(turn)) for _ in range(each)]
        start_s = time.thread_time()
        for wanted in fresh:
            POLICY.plan(wanted)
            terms(wanted)
        return (time.thread_time() - start_s) / each

    return measure


@pytest.mark.serial
def test_one_job_among_four_resources_is_placed_and_explained_in_a_tenth_of_a_millisecond() -> None:
    def make(seed: int) -> Problem:
        return problem(np.random.default_rng(seed).uniform(1.0, 2.0, (1, 4)), [1.0, 2.0, 3.0, 4.0])

    limit_s = 100e-6 * slowness()
    assert least(planned(make, each=50), limit_s) <= limit_s


@pytest.mark.serial
def test_256_alike_jobs_are_placed_on_four_resources_in_six_milliseconds() -> None:
    def make(seed: int) -> Problem:
        row = np.random.default_rng(seed).uniform(1.0, 2.0, (1, 4))
        return problem(np.repeat(row, 256, axis=0), [1.0, 2.0, 3.0, 4.0])

    limit_s = 6e-3 * slowness()
    assert least(planned(make, each=3), limit_s) <= limit_s


@pytest.mark.serial
def test_256_unlike_jobs_on_eight_resources_are_matched_exactly_in_a_twentieth_of_a_second() -> None:
    def make(seed: int) -> Problem:
        rng = np.random.default_rng(seed)
        return problem(np.exp(rng.normal(0, 1, (256, 1)) + rng.normal(0, 0.5, (256, 8))), [1.0] * 8)

    assert POLICY.plan(make(0)).gap == pytest.approx(0.0, abs=1e-9)
    limit_s = 50e-3 * slowness()
    assert least(planned(make, each=1), limit_s, most=10) <= limit_s
