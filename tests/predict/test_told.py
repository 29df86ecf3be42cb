"""What a model said is asked for once, kept for every resource that was ever asked about, and never changes."""

import numpy as np
import pytest

from dnaml.core.prediction import LEVELS
from dnaml.core.types import Computation, Kind, Resource
from dnaml.predict import told
from dnaml.predict.told import Told


def work(number):
    return Computation(id=f"c{number}", kernel="k", demand={"flop": 1.0 + number})


def pool(count, first=0):
    return [Resource(id=f"r{n}", kind=Kind.CPU, spec={"cores": 1.0 + n}) for n in range(first, first + count)]


class Model:
    """A model that says (1 + c) times the cores, and remembers how many pairs it was asked about."""

    version = "counted"

    def __init__(self):
        self.pairs = 0

    def pair_quantiles(self, computations, resources):
        self.pairs += len(computations) * len(resources)
        middle = np.array([[c.demand["flop"] * r.spec["cores"] for r in resources] for c in computations])
        return middle[..., None] * np.exp(np.array(LEVELS) - 0.5)


class Prepared(Model):
    """The same, prepared for resources at once."""

    def __init__(self):
        super().__init__()
        self.prepared = []

    def asked_by(self, resources):
        self.prepared.append(len(resources))
        return lambda computation: Model.pair_quantiles(self, [computation], resources)[0]


@pytest.fixture(params=[Model, Prepared])
def model(request):
    return request.param()


def truth(computation, resources):
    return Model().pair_quantiles([computation], resources)[0]


def test_each_pair_is_asked_about_once(model):
    kept, resources = Told(), pool(5)
    for _ in range(3):
        kept.ask(model, [work(0), work(1)], resources)
        np.testing.assert_array_equal(kept.quantiles(model, work(1), resources), truth(work(1), resources))
    assert model.pairs == 10


def test_a_resource_that_comes_later_is_asked_about_alone_and_order_does_not_matter(model):
    kept, resources = Told(), pool(5)
    kept.ask(model, [work(0)], resources)
    more = [*pool(2, 5), *resources[::-1]]
    np.testing.assert_array_equal(kept.quantiles(model, work(0), more), truth(work(0), more))
    assert model.pairs == 7
    np.testing.assert_array_equal(kept.quantiles(model, work(1), more[3:4]), truth(work(1), more[3:4]))


def test_a_computation_of_other_features_is_another(model):
    kept, resources = Told(), pool(2)
    same_id = Computation(id="c0", kernel="k", demand={"flop": 9.0})
    first = kept.quantiles(model, work(0), resources)
    np.testing.assert_array_equal(kept.quantiles(model, same_id, resources), 9.0 * first)


def test_many_parts_are_prepared_again_as_one_and_answer_alike():
    model, kept, resources = Prepared(), Told(), pool(told.MOST_PARTS + 4)
    for count in range(1, len(resources) + 1):
        found = kept.quantiles(model, work(0), resources[:count])
        np.testing.assert_array_equal(found, truth(work(0), resources[:count]))
    assert max(model.prepared) == told.MOST_PARTS + 1
    assert model.pairs <= 2 * len(resources)


def test_resources_that_nobody_asks_about_any_more_are_forgotten(monkeypatch, model):
    monkeypatch.setattr(told, "FEW", 8)
    kept = Told()
    for first in range(0, 400, 4):
        resources = pool(4, first)
        np.testing.assert_array_equal(kept.quantiles(model, work(0), resources), truth(work(0), resources))
    assert len(kept._place) <= told.MOST_GONE * 4 + 8


def test_what_is_kept_is_bounded_and_asked_for_again(monkeypatch, model):
    monkeypatch.setattr(told, "MOST_VALUES", 100)
    kept, resources = Told(), pool(5)
    for number in range(20):
        kept.quantiles(model, work(number), resources)
        assert sum(row.size for row in kept._rows.values()) <= 100 + 2 * 5 * len(LEVELS)
    np.testing.assert_array_equal(kept.quantiles(model, work(0), resources), truth(work(0), resources))


def test_the_median_of_a_pair_is_that_of_the_pool_or_asked_for_alone(monkeypatch, model):
    kept, resources = Told(), pool(3)
    kept.ask(model, [work(0)], resources)
    assert kept.log_median(model, work(0), resources[2]) == pytest.approx(np.log(3.0))
    assert model.pairs == 3
    stranger = pool(1, 7)[0]
    for _ in range(2):
        assert kept.log_median(model, work(0), stranger) == pytest.approx(np.log(8.0))
    assert model.pairs == 4
    monkeypatch.setattr(told, "MOST_SINGLE", 1)
    assert kept.log_median(model, work(1), stranger) == pytest.approx(np.log(16.0))
    assert len(kept._single) == 1
