"""The bank: exact scans, ties by place, cheap updates, exact rescoring, and its budgets of time and memory."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from dnaml.core.errors import DnaVersionError, InputError
from dnaml.core.prediction import LEVELS
from dnaml.dna.bank import LARGEST_OVERLAY, Bank
from dnaml.dna.fidelity import order_agreement, two_stage_regret
from dnaml.dna.geometry import Weights
from dnaml.dna.learned import Loading, Space, learn_space
from dnaml.dna.supply import Supply
from dnaml.predict.metrics import spearman, top1_regret
from tests.speed import cpu_s, least, slowness

NORMAL = np.array([-1.6449, -1.2816, -0.6745, 0.0, 0.6745, 1.2816, 1.6449])
ALL_FOUR = Weights(time=0.5, cost=0.5, tail=0.3, loss=0.2)
nan = float("nan")


def space() -> Space:
    rng = np.random.default_rng(0)
    return learn_space(rng.normal(0, 1, (60, 80)), price_usd_per_h=rng.lognormal(0, 1, 80))


SPACE = space()


def pool(count: int, seed: int = 0, **given: object) -> Supply:
    rng = np.random.default_rng(seed)
    factor = rng.normal(0, 0.1, (count, 14, 3)).astype(np.float32)
    fields = {
        "ids": tuple(f"r{i}" for i in range(count)),
        "latent": rng.normal(0, 1, (count, 14)),
        "spread": factor @ factor.transpose(0, 2, 1),
        "price_usd_per_h": rng.lognormal(0, 1, count),
        "hazard_per_h": rng.gamma(1.0, 0.05, count),
    }
    return Supply(**(fields | given))


def loading(seed: int = 0, offset: float = 5.0) -> Loading:
    phi = np.concatenate([[1.0], np.random.default_rng(seed).normal(0, 0.5, 13)])
    return Loading(phi=phi, log_offset_s=offset, version=SPACE.version)


def textbook(supply: Supply, wanted: Loading, weights: Weights) -> np.ndarray:
    """Return the objective [N] resource by resource, as the formula says."""
    found = []
    for i in range(len(supply.ids)):
        log_s = wanted.log_offset_s + float(supply.latent[i] @ wanted.phi)
        sd = np.sqrt(wanted.phi @ supply.spread[i].astype(np.float64) @ wanted.phi)
        losses = supply.hazard_per_h[i] * np.exp(log_s) / 3600.0
        cost = log_s + np.log(supply.price_usd_per_h[i])
        found.append(weights.time * log_s + weights.cost * cost + weights.tail * sd + weights.loss * losses)
    return np.array(found)


def exactly(supply: Supply, wanted: Loading, extra: np.ndarray | float = 0.0) -> Callable[[np.ndarray], np.ndarray]:
    """Return a rescoring whose ln seconds are the plane's plus `extra` [N], with each resource's own spread."""

    def rescore(index: np.ndarray) -> np.ndarray:
        log_s = wanted.log_offset_s + supply.latent[index] @ wanted.phi + np.broadcast_to(extra, len(supply.ids))[index]
        sd = np.sqrt(np.einsum("d,nde,e->n", wanted.phi, supply.spread[index].astype(np.float64), wanted.phi))
        return np.exp(log_s[:, None] + sd[:, None] * NORMAL)

    return rescore


@pytest.mark.parametrize("weights", [Weights(), Weights(time=0.0, cost=1.0), ALL_FOUR], ids=str)
def test_the_shortlist_is_that_of_the_formula(weights: Weights) -> None:
    supply, wanted = pool(1000), loading()
    bank = Bank.of(supply, SPACE)
    expected = textbook(supply, wanted, weights)
    np.testing.assert_allclose(bank.scores([wanted], weights)[0], expected, atol=1e-5)
    found = bank.shortlist(wanted, weights, k=50)
    np.testing.assert_allclose(expected[found], np.sort(expected)[:50], atol=1e-5)
    np.testing.assert_allclose(bank.log_runtimes(wanted), wanted.log_offset_s + supply.latent @ wanted.phi)


def test_many_computations_are_scored_as_one_by_one() -> None:
    supply = pool(300)
    bank = Bank.of(supply, SPACE)
    wanted = [loading(seed) for seed in range(7)]
    for weights in (Weights(), ALL_FOUR):
        table = bank.scores(wanted, weights)
        assert table.shape == (7, 300)
        for row, one in zip(table, wanted, strict=True):
            np.testing.assert_allclose(row, bank.scores([one], weights)[0], atol=1e-6)


@pytest.mark.parametrize("weights", [Weights(), ALL_FOUR], ids=str)
@pytest.mark.parametrize("count", [300, 1001])
def test_equal_resources_come_in_the_order_of_their_places(weights: Weights, count: int) -> None:
    one = pool(1, seed=3)
    alike = {
        name: np.repeat(getattr(one, name), count, axis=0)
        for name in ("latent", "spread", "price_usd_per_h", "hazard_per_h")
    }
    bank = Bank.of(pool(count, **alike), SPACE)
    for wanted in (loading(seed) for seed in range(20)):
        assert bank.shortlist(wanted, weights, k=200).tolist() == list(range(200))
        moved = bank.updated(40, pool_row(pool(count, **alike), 40))
        assert moved.shortlist(wanted, weights, k=200).tolist() == list(range(200))


def pool_row(supply: Supply, place: int, **given: object) -> Supply:
    fields = {
        name: None if getattr(supply, name) is None else getattr(supply, name)[place : place + 1]
        for name in ("latent", "spread", "price_usd_per_h", "feasible", "hazard_per_h")
    }
    return Supply(**({"ids": (supply.ids[place],)} | fields | given))


def test_an_updated_bank_answers_like_one_made_anew_to_the_bit() -> None:
    old, new, wanted = pool(900, seed=0), pool(900, seed=1), loading()
    bank, rng = Bank.of(old, SPACE), np.random.default_rng(2)
    changed: dict[int, None] = {}
    for place in rng.integers(0, 900, 2 * LARGEST_OVERLAY).tolist():
        bank = bank.updated(place, pool_row(new, place))
        changed[place] = None
    is_new = np.isin(np.arange(900), list(changed))
    mixed = {
        name: np.where(is_new.reshape(-1, *[1] * (getattr(old, name).ndim - 1)), getattr(new, name), getattr(old, name))
        for name in ("latent", "spread", "price_usd_per_h", "hazard_per_h")
    }
    anew = Bank.of(pool(900, **mixed), SPACE)
    assert 0 < len(bank.touched) <= LARGEST_OVERLAY
    supply = pool(900, **mixed)
    one = bank.match(wanted, ALL_FOUR, rescore=exactly(supply, wanted))
    other = anew.match(wanted, ALL_FOUR, rescore=exactly(supply, wanted))
    assert one.ids == other.ids
    for name in ("index", "score", "runtime_s", "cost_usd"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_an_update_touches_its_row_alone_and_leaves_the_old_bank_as_it_was() -> None:
    supply, wanted = pool(500), loading()
    bank = Bank.of(supply, SPACE)
    before = bank.scores([wanted], Weights())[0]
    fast = bank.updated(7, pool_row(supply, 7, latent=np.full((1, 14), -9.0) * np.sign(wanted.phi)))
    assert fast.base is bank.base
    assert fast.shortlist(wanted, Weights(), k=1).tolist() == [7]
    np.testing.assert_array_equal(bank.scores([wanted], Weights())[0], before)
    after = fast.scores([wanted], Weights())[0]
    assert np.flatnonzero(after != before).tolist() == [7]
    barred = fast.updated(7, pool_row(supply, 7, feasible=np.array([False])))
    assert 7 not in barred.shortlist(wanted, Weights(), k=500)


def test_what_is_not_feasible_or_not_allowed_is_never_listed() -> None:
    rng = np.random.default_rng(0)
    feasible, allowed = rng.random(400) < 0.5, rng.random(400) < 0.5
    bank = Bank.of(pool(400, feasible=feasible), SPACE)
    found = bank.shortlist(loading(), Weights(), k=400, allowed=allowed)
    assert sorted(found.tolist()) == np.flatnonzero(feasible & allowed).tolist()
    nothing = bank.match(loading(), Weights(), rescore=no_rescore, allowed=np.zeros(400, dtype=bool))
    assert nothing.ids == ()
    assert nothing.runtime_s.shape == (0, len(LEVELS))


def no_rescore(index: np.ndarray) -> np.ndarray:
    raise AssertionError("nothing to rescore")


def test_an_empty_bank_answers_with_nothing() -> None:
    bank = Bank.of(pool(0), SPACE)
    assert len(bank) == 0
    assert bank.shortlist(loading(), ALL_FOUR).tolist() == []
    assert bank.match(loading(), Weights(), rescore=no_rescore).ids == ()
    assert bank.scores([loading()], Weights()).shape == (1, 0)


def test_rescoring_ranks_the_shortlist_by_what_the_plane_missed() -> None:
    supply, wanted = pool(2000), loading()
    extra = np.random.default_rng(5).normal(0, 0.2, 2000)
    bank = Bank.of(supply, SPACE)
    ranked = bank.match(wanted, ALL_FOUR, rescore=exactly(supply, wanted, extra))
    assert len(ranked.ids) == 256
    assert (np.diff(ranked.score) >= 0).all()
    assert set(ranked.index.tolist()) == set(bank.shortlist(wanted, ALL_FOUR).tolist())
    assert ranked.ids[0] == f"r{ranked.index[0]}"
    np.testing.assert_allclose(ranked.cost_usd, supply.price_usd_per_h[ranked.index] * ranked.runtime_s[:, 3] / 3600.0)
    shifted = Supply(
        ids=supply.ids,
        latent=supply.latent + extra[:, None] * np.eye(14)[0],
        spread=supply.spread,
        price_usd_per_h=supply.price_usd_per_h,
        hazard_per_h=supply.hazard_per_h,
    )
    np.testing.assert_allclose(ranked.score, textbook(shifted, wanted, ALL_FOUR)[ranked.index], atol=1e-3)


def test_a_shortlist_loses_nothing_while_the_plane_is_near_the_truth() -> None:
    supply = pool(3000)
    bank, rng = Bank.of(supply, SPACE), np.random.default_rng(9)
    regrets, agreements, picked, truths, names = [], [], [], [], []
    for seed in range(10):
        wanted, extra = loading(seed), rng.normal(0, 0.3, 3000)
        full = bank.log_runtimes(wanted) + extra
        ranked = bank.match(wanted, Weights(), rescore=exactly(supply, wanted, extra))
        regrets.append(two_stage_regret(ranked, full))
        plane = bank.log_runtimes(wanted)
        agreements.append(order_agreement(plane[None, :], full[None, :])[0])
        assert agreements[-1] == pytest.approx(spearman(plane, full))
        answer = np.full(3000, np.inf)
        answer[ranked.index] = ranked.runtime_s[:, 3]
        picked.append(answer)
        truths.append(np.exp(full))
        names.append(np.full(3000, f"c{seed}"))
    assert np.mean(regrets) <= 0.01
    assert min(agreements) > 0.95
    percent = top1_regret(np.concatenate(truths), np.concatenate(picked), np.concatenate(names))
    assert percent == pytest.approx(100 * np.mean(np.expm1(regrets)), abs=1e-6)


def test_an_unknown_price_gives_an_unknown_cost_and_the_usual_rank() -> None:
    prices = np.full(3, nan)
    supply = pool(3, latent=np.zeros((3, 14)), price_usd_per_h=prices)
    usual = float(np.exp(SPACE.log_price_usual))
    prices[:] = [2 * usual, nan, usual / 2]
    ranked = Bank.of(supply, SPACE).match(
        loading(), Weights(time=0.0, cost=1.0), rescore=lambda index: np.exp(np.tile(NORMAL, (len(index), 1)))
    )
    assert ranked.index.tolist() == [2, 1, 0]
    assert np.isnan(ranked.cost_usd).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("quantiles", "said"),
    [
        (np.ones((3, 6)), r"rescore: must give \[3, 7\], got \[3, 6\]"),
        (np.ones((2, 7)), r"got \[2, 7\]"),
        (np.array([[1.0] * 7, [nan] * 7, [1.0] * 7]), r"r\d: quantiles of seconds must be positive, finite and rising"),
        (np.zeros((3, 7)), "must be positive"),
        (np.tile(np.arange(7.0, 0.0, -1.0), (3, 1)), "rising"),
        (np.full((3, 7), np.inf), "finite"),
    ],
)
def test_a_rescoring_that_cannot_be_is_refused(quantiles: np.ndarray, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Bank.of(pool(3), SPACE).match(loading(), Weights(), rescore=lambda index: quantiles)


def test_other_questions_that_cannot_be_answered_are_refused() -> None:
    supply = pool(3)
    bank = Bank.of(supply, SPACE)
    foreign = Loading(phi=loading().phi, log_offset_s=0.0, version="learned-1-other")
    with pytest.raises(DnaVersionError, match=r"learned-1-\w+, learned-1-other"):
        bank.shortlist(foreign, Weights())
    with pytest.raises(InputError, match="k must be at least 1, got 0"):
        bank.shortlist(loading(), Weights(), k=0)
    with pytest.raises(InputError, match=r"allowed must be \[3\], got \[2\]"):
        bank.shortlist(loading(), Weights(), allowed=np.ones(2, dtype=bool))
    with pytest.raises(InputError, match=r"index must be in \[0, 3\), got 3"):
        bank.updated(3, pool_row(supply, 0))
    with pytest.raises(InputError, match="row 1 must be that of 'r1' alone, got"):
        bank.updated(1, pool_row(supply, 0))
    with pytest.raises(InputError, match="r1: spread must hold 105 numbers as in the others, got 0"):
        bank.updated(1, pool_row(supply, 1, spread=None))
    with pytest.raises(InputError, match="r1: latent must be finite, got nan"):
        bank.updated(1, pool_row(supply, 1, latent=np.full((1, 14), nan)))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(1, 70), st.sampled_from([1e-6, 1.0, 1e3]))
def test_any_pool_is_listed_by_rising_score_without_repeats(seed: int, count: int, k: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    latent = scale * np.round(rng.normal(0, 1, (count, 14)))
    bank = Bank.of(pool(count, latent=latent), SPACE)
    found = bank.shortlist(loading(seed), Weights(), k=k)
    scores = latent @ loading(seed).phi
    assert len(set(found.tolist())) == len(found) == min(k, count)
    np.testing.assert_allclose(scores[found], np.sort(scores)[: len(found)], atol=1e-9 * (1 + scale))


def takes_at_most(limit_ms: float, call: Callable[[], object]) -> bool:
    limit_s = limit_ms / 1000 * slowness()
    with threadpool_limits(1):
        return least(cpu_s(call), limit_s) <= limit_s


@pytest.mark.serial
def test_ten_thousand_resources_are_searched_and_the_best_rescored_within_two_milliseconds() -> None:
    supply, wanted = pool(10_000), loading()
    bank = Bank.of(supply, SPACE)
    rescore = exactly(supply, wanted)
    assert takes_at_most(1.0, lambda: bank.shortlist(wanted, Weights(time=0.5, cost=0.5)))
    ranked = rescore(bank.shortlist(wanted, ALL_FOUR))
    assert takes_at_most(2.0, lambda: bank.match(wanted, ALL_FOUR, rescore=lambda index: ranked))


@pytest.mark.serial
def test_a_thousand_by_a_thousand_scores_take_at_most_sixty_milliseconds() -> None:
    bank, wanted = Bank.of(pool(1000), SPACE), [loading(seed) for seed in range(1000)]
    assert takes_at_most(60.0, lambda: bank.scores(wanted, Weights(time=0.5, cost=0.5)))


@pytest.mark.serial
def test_a_hundred_thousand_resources_fit_into_150_mb_and_an_update_copies_few_of_them() -> None:
    supply = pool(100_000)
    bank = Bank.of(supply, SPACE)
    assert bank.nbytes <= 100e6
    row = pool_row(supply, 5)
    assert takes_at_most(5.0, lambda: bank.updated(5, row))
