"""What is known of a few resources, carried to others, against the whole matrix over all of them."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from dnaml.core.protocols import Run
from dnaml.core.types import Computation, Resource
from dnaml.predict.bound import TRAITS, traits
from dnaml.predict.carried import APART, Carrier, members_of, renumbered
from dnaml.predict.placing import LivePredictor
from dnaml.predict.pooled import UNTOLD_SD, Cells, Points, Posterior, Prior, kinship, learn

NOBODY = np.zeros(0, dtype=np.int64)


def extended(prior, more):
    """Return the prior over further resources too, by the formula of Gaussian conditioning: a matrix of all by all."""
    known = kinship(prior.traits, prior.traits) + UNTOLD_SD**2 * np.eye(len(prior.shift))
    carry = kinship(more, prior.traits) @ np.linalg.inv(known)
    cross = carry @ prior.covariance
    own = kinship(more, more) + carry @ (prior.covariance - known) @ carry.T + APART * np.eye(len(more))
    return replace(
        prior,
        shift=np.concatenate([prior.shift, carry @ (prior.shift + prior.traits[:, 0]) - more[:, 0]]),
        covariance=np.block([[prior.covariance, cross.T], [cross, own]]),
        traits=np.concatenate([prior.traits, more]),
    )


@pytest.fixture
def whole():
    """A learned prior over five resources, three more that only specs tell of, and the carrier of the five."""
    rng = np.random.default_rng(3)
    told = rng.normal(size=(8, TRAITS))
    prior = replace(Prior.of_specs(told[:5]), covariance=np.cov(rng.normal(size=(5, 9))), shift=rng.normal(size=5))
    return extended(prior, told[5:]), Carrier.of(prior, np.arange(5))


@pytest.mark.parametrize("ran", [[0, 3], [1, 6], [5, 7], []])
def test_a_prior_over_those_that_are_asked_is_that_part_of_the_whole(whole, ran):
    whole, carrier = whole
    codes = np.array([*ran, *(code for code in (2, 6, 0, 7, 4) if code not in ran)], dtype=np.int64)
    asked = carrier.over(codes, whole.traits[codes], len(ran))
    np.testing.assert_allclose(asked.shift, whole.shift[codes])
    np.testing.assert_allclose(asked.covariance, whole.covariance[np.ix_(codes, codes[: len(ran)])], atol=1e-12)
    np.testing.assert_allclose(asked.own, np.diagonal(whole.covariance)[codes])
    np.testing.assert_allclose(carrier.shift(codes, whole.traits[codes]), whole.shift[codes])


def test_a_posterior_over_those_that_are_asked_is_that_of_the_whole(whole):
    whole, carrier = whole
    ran, codes = np.array([1, 6]), np.array([1, 6, 0, 5])
    at = Points(size=np.zeros((2, 1)), bucket=NOBODY[[]].repeat(0), item=NOBODY, resource=ran)
    at = replace(at, bucket=np.zeros(2, dtype=np.int64), item=np.zeros(2, dtype=np.int64))
    cells = Cells(at=at, count=np.ones(2), mean=np.array([1.0, 2.0]), scatter=np.zeros(2))
    points = Points(size=np.zeros((4, 1)), bucket=codes * 0, item=codes * 0, resource=codes)
    truth = Posterior(prior=whole, cells=cells).at(points)
    asked = carrier.over(codes, whole.traits[codes], 2)
    local = Posterior(prior=carrier.over(ran, whole.traits[ran], 2), cells=renumbered(cells, ran))
    found = local.over(np.arange(4), asked).at(replace(points, resource=np.arange(4)))
    np.testing.assert_allclose(found[:2], truth, rtol=1e-9)


def test_a_resource_that_nothing_is_carried_to_starts_at_the_speed_its_spec_suggests():
    carrier = Carrier.of(Prior.of_specs([(0.0,) * TRAITS] * 2), np.array([4, 9]))
    rows = np.zeros((2, TRAITS))
    rows[0, 0] = 0.5
    prior = carrier.over(np.array([3, 9]), rows, 0)
    np.testing.assert_allclose(prior.shift, [-0.5, 0.0])
    assert prior.own[0] > prior.own[1]
    assert Carrier.of(Prior.of_specs([]), NOBODY).over(np.array([0]), rows[:1], 0).shift.tolist() == [-0.5]


def test_a_further_resource_takes_after_those_that_stand_out_in_the_same_rates():
    sums, hashes = (
        traits({"fp64_flop_per_s": 1e12, "hash_bytes_per_s": 1e9}),
        traits({"fp64_flop_per_s": 4e10, "hash_bytes_per_s": 2.5e10}),
    )
    carrier = Carrier.of(Prior.of_specs([sums, hashes]), np.arange(2))
    covariance = carrier.over(np.arange(3), np.array([sums, hashes, sums]), 2).covariance
    assert covariance[2, 0] > 0.3 > 0 > covariance[2, 1]


def test_learning_over_those_that_have_cells_is_learning_over_all():
    rng = np.random.default_rng(0)
    told, ran = rng.normal(size=(9, TRAITS)) * 0.5, np.array([1, 2, 5, 8])
    kernels = []
    for _ in range(6):
        zeros = np.zeros(len(ran), dtype=np.int64)
        at = Points(size=np.zeros((len(ran), 1)), bucket=zeros, item=zeros, resource=ran)
        kernels.append(
            Cells(at=at, count=np.ones(len(ran)), mean=rng.normal(size=len(ran)), scatter=np.zeros(len(ran)))
        )
    every = learn(kernels, start=Prior.of_specs(told))
    members = members_of(kernels)
    some = learn([renumbered(cells, members) for cells in kernels], start=Prior.of_specs(told[members]))
    assert members.tolist() == ran.tolist()
    np.testing.assert_allclose(some.covariance, every.covariance[np.ix_(ran, ran)], rtol=1e-9)
    others = np.array([0, 3, 4, 6, 7])
    codes = np.concatenate([ran, others])
    carried = Carrier.of(some, members).over(codes, told[codes], len(ran))
    np.testing.assert_allclose(carried.covariance, every.covariance[np.ix_(codes, ran)], rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(carried.shift, every.shift[codes], rtol=1e-8)
    # those without any cell are a little less sure: only specs tell of them
    assert (carried.own[4:] >= np.diagonal(every.covariance)[others]).all()


def test_ten_thousand_resources_that_ran_take_a_few_megabytes_beside_their_descriptions():
    count = 10_000
    rng = np.random.default_rng(1)
    rates = rng.lognormal(0, 0.5, (count, 2)) * (4e10, 1e9)
    pool = [
        Resource(id=f"r{n}", spec={"fp64_flop_per_s": float(a), "hash_bytes_per_s": float(b)})
        for n, (a, b) in enumerate(rates)
    ]
    works = [Computation(id=f"c{n}", kernel=f"k{n % 20}", size={"n": 100.0}) for n in range(40)]
    runs = [
        Run(computation=works[n % 40], resource=one, runtime_s=float(4e10 / one.spec["fp64_flop_per_s"]), at_s=0.0)
        for n, one in enumerate(pool)
    ]
    live = LivePredictor().updated(runs)
    tracemalloc.start()
    answer = live.predict(works[:1], pool)
    live = live.updated(runs[:1])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert live.prior is not None
    assert len(live.history.codes) == count
    assert live.prior.covariance.nbytes < 10e6
    assert peak < 100e6  # a matrix of all by all is 800 MB
    middle = answer.runtime_s.values[0, :, 3]
    assert np.corrcoef(np.log(middle), np.log(rates[:, 0]))[0, 1] < -0.8
