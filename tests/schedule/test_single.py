"""Single decisions against trying every resource, with releases; batches against one by one; and the time they take."""

import itertools

import numpy as np
import pytest

from dnaml.core.errors import InputError
from dnaml.schedule.single import NOWHERE, Picker
from tests.speed import cpu_s, least, slowness


class Plain:
    """Decides by trying every resource: the meaning of a Picker in a few lines."""

    def __init__(self, dna, capacity, load_weight):
        self.dna, self.capacity, self.weight = dna, capacity, load_weight
        self.free = capacity.astype(float).copy()

    def pick(self, demand, need):
        with np.errstate(divide="ignore", invalid="ignore"):
            used = np.where(self.capacity > 0, 1 - self.free / self.capacity, 0).max(axis=1)
        score = (self.dna @ demand).astype(np.float32) + (self.weight * used).astype(np.float32)
        score[~(self.free >= need).all(axis=1)] = np.inf
        best = int(np.where(np.isnan(score), np.inf, score).argmin())
        if not score[best] < np.inf:
            return NOWHERE
        self.free[best] -= need
        return best


def world(resources=60, kinds=30, seed=0):
    rng = np.random.default_rng(seed)
    dna = rng.standard_normal((resources, 5)).astype(np.float32)
    capacity = rng.integers(2, 9, (resources, 2)).astype(float)
    return (
        dna,
        capacity,
        rng.standard_normal((kinds, 5)).astype(np.float32),
        rng.integers(1, 4, (kinds, 2)).astype(float),
    )


@pytest.mark.parametrize("seed", range(4))
def test_decisions_equal_trying_every_resource_as_they_fill_up_and_are_released(seed):
    dna, capacity, demands, needs = world(seed=seed)
    picker, plain = Picker(dna=dna, capacity=capacity), Plain(dna, capacity, 0.2)
    rng, live = np.random.default_rng(seed), []
    for _ in range(600):
        kind = int(rng.integers(len(demands)))
        picked = picker.pick(str(kind), demands[kind], needs[kind].tolist())
        assert picked == plain.pick(demands[kind], needs[kind])
        if picked != NOWHERE:
            live.append((picked, kind))
        if live and rng.random() < 0.4:
            resource, ended = live.pop(int(rng.integers(len(live))))
            picker.release(resource, needs[ended].tolist())
            plain.free[resource] += needs[ended]
    np.testing.assert_allclose(picker.free, plain.free)
    assert picker.free.min() >= 0


@pytest.mark.parametrize("count", [1, 50, 200])
def test_a_batch_is_decided_as_one_by_one(count):
    dna, capacity, demands, needs = world(kinds=count)
    batch, single = Picker(dna=dna, capacity=capacity), Picker(dna=dna, capacity=capacity)
    one_by_one = [single.pick(str(i), demands[i], needs[i].tolist()) for i in range(count)]
    assert batch.pick_many(demands, needs) == one_by_one
    assert batch.free.min() >= 0


def test_a_full_pool_takes_nothing_until_something_is_released():
    picker = Picker(dna=np.zeros((2, 1)), capacity=np.ones((2, 1)))
    assert [picker.pick("a", np.ones(1), [1.0]) for _ in range(3)] == [0, 1, NOWHERE]
    assert picker.pick_many(np.ones((1, 1)), np.ones((1, 1))) == [NOWHERE]
    picker.release(1, [1.0])
    assert picker.pick("a", np.ones(1), [1.0]) == 1


def test_the_least_loaded_of_alike_resources_is_taken():
    picker = Picker(dna=np.zeros((3, 1)), capacity=np.full((3, 1), 4.0))
    assert [picker.pick("a", np.ones(1), [1.0]) for _ in range(4)] == [0, 1, 2, 0]


def test_scores_that_are_not_numbers_are_never_taken():
    picker = Picker(dna=np.array([[np.nan], [1.0]]), capacity=np.full((2, 1), 2.0))
    assert [picker.pick("a", np.ones(1), [1.0]) for _ in range(3)] == [1, 1, NOWHERE]
    assert picker.pick_many(np.full((1, 1), np.nan), np.ones((1, 1))) == [NOWHERE]


def test_a_computation_too_large_for_all_goes_nowhere():
    dna, capacity, demands, _ = world()
    picker = Picker(dna=dna, capacity=capacity)
    assert picker.pick("large", demands[0], [100.0, 1.0]) == NOWHERE
    assert picker.pick("small", demands[0], [1.0, 1.0]) != NOWHERE
    assert picker.pick("large", demands[0], [100.0, 1.0]) == NOWHERE


def test_no_resources_take_nothing():
    picker = Picker(dna=np.zeros((0, 3)), capacity=np.zeros((0, 1)))
    assert picker.pick("a", np.ones(3), [1.0]) == NOWHERE
    assert picker.pick_many(np.ones((2, 3)), np.ones((2, 1))) == [NOWHERE, NOWHERE]


def test_the_least_recently_seen_computation_is_forgotten():
    picker = Picker(dna=np.eye(3), capacity=np.full((3, 1), 9.0), remembered=2, load_weight=0.0)
    demands = -np.eye(3)
    for name in (0, 1, 0, 2):
        picker.pick(str(name), demands[name], [1.0])
    assert picker.pick("0", demands[1], [1.0]) == 0  # remembered: its new demand is not read
    assert picker.pick("1", demands[2], [1.0]) == 2  # forgotten, so read anew


def test_shapes_that_do_not_match_are_refused():
    with pytest.raises(InputError, match="one capacity row"):
        Picker(dna=np.zeros((2, 3)), capacity=np.zeros((3, 1)))


@pytest.mark.serial
def test_a_decision_over_ten_thousand_resources_takes_well_under_a_millisecond():
    rng = np.random.default_rng(0)
    dna = rng.standard_normal((10_000, 33), dtype=np.float32)
    picker = Picker(dna=dna, capacity=rng.integers(4, 65, (10_000, 2)).astype(float))
    demands = rng.standard_normal((50, 33), dtype=np.float32)
    for kind in range(50):
        picker.pick(str(kind), demands[kind], [1.0, 1.0])
    turn = itertools.count()
    limit_s = 0.5e-3 * slowness()

    def pick():
        i = next(turn)
        picker.pick(str(i % 50), demands[i % 50], [1.0, 1.0])

    assert least(cpu_s(pick, each=1000), limit_s, most=5) <= limit_s
