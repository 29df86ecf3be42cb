"""The learned space: what it keeps of a matrix, how strangers are put into it, and when it refuses."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnaml.core.errors import DnaVersionError, InputError
from dnaml.core.resource import Resource
from dnaml.core.work import Computation
from dnaml.dna.geometry import CHEAPEST_USD_PER_H, LEARNED, PRICE, Weights
from dnaml.dna.learned import HEADROOM, Loading, Space, learn_space, spread_out
from dnaml.dna.space import VERSION, computation_dna, match, resource_dna
from dnaml.predict.weights import load_model, save_model

nan = float("nan")


def matrix(
    seed: int = 0, rows: int = 40, columns: int = 60, rank: int = 5, noise: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ln seconds [J, N] of `rank` interactions beside speed, and usage [J]."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 3, (rows, 1)) + rng.normal(0, 1, columns)
    truth = truth + rng.normal(0, 1, (rows, rank)) @ rng.normal(0, 0.5, (rank, columns))
    return truth, rng.lognormal(0, 1, rows), truth + noise * rng.normal(0, 1, truth.shape)


def rebuilt(space: Space, latent: np.ndarray) -> np.ndarray:
    return space.log_centre_s[:, None] + space.basis @ latent.T


def test_a_matrix_of_few_interactions_is_kept_whole() -> None:
    log_s, usage, _ = matrix()
    space = learn_space(log_s, usage)
    np.testing.assert_allclose(rebuilt(space, space.resources(log_s)), log_s, atol=1e-4)
    assert space.noise < 1e-12
    assert (np.abs(space.basis).sum(axis=0) > 0).sum() == 6, "speed and five interactions; the rest is zero"


def test_the_basis_is_orthonormal_under_usage_and_its_first_column_is_one() -> None:
    _, usage, log_s = matrix(noise=0.3)
    space = learn_space(log_s, usage)
    np.testing.assert_array_equal(space.basis[:, 0], 1.0)
    np.testing.assert_allclose((space.basis * space.usage[:, None]).T @ space.basis, np.eye(14), atol=1e-9)
    variance = space.variance[1:]
    assert (np.diff(variance) <= 1e-9).all(), "directions stand in the order of what they explain"


def test_no_other_plane_of_as_many_directions_misses_less() -> None:
    """By Eckart and Young the weighted remainder is the sum of the squared singular values beyond the 13th."""
    _, usage, log_s = matrix(noise=0.5, columns=90)
    space = learn_space(log_s, usage)
    shares = usage / usage.sum()
    centred = log_s - log_s.mean(axis=1, keepdims=True)
    centred = (centred - shares @ centred) * np.sqrt(shares)[:, None]
    least = (np.linalg.svd(centred, compute_uv=False)[13:] ** 2).sum() / 90
    assert space.noise == pytest.approx(least)
    # The shrinkage of `resources` may add a little to the least.
    left = rebuilt(space, space.resources(log_s)) - log_s
    assert shares @ (left**2).mean(axis=1) < 1.05 * least


def test_what_is_used_often_is_kept_best() -> None:
    _, _, log_s = matrix(noise=1.0, rows=60)
    usage = np.ones(60)
    usage[7] = 1e4
    for weights in (usage, None):
        space = learn_space(log_s, weights)
        left = np.abs(rebuilt(space, space.resources(log_s)) - log_s).mean(axis=1)
        assert (left[7] < 0.02 * np.median(left)) == (weights is not None)


def test_a_computation_of_no_usage_bends_nothing_but_has_its_loading() -> None:
    log_s, usage, _ = matrix(rows=41)
    usage[40] = 0.0
    wild = log_s.copy()
    wild[40] += np.random.default_rng(3).normal(0, 5, 60)
    space = learn_space(wild, usage)
    np.testing.assert_allclose(rebuilt(space, space.resources(wild))[:40], log_s[:40], atol=1e-4)
    untouched = learn_space(log_s, usage)
    np.testing.assert_allclose(untouched.basis[40] @ untouched.basis[:40].T, untouched.basis[40] @ space.basis[:40].T)
    np.testing.assert_allclose(rebuilt(untouched, untouched.resources(log_s))[40], log_s[40], atol=1e-4)


def test_the_same_matrix_gives_the_same_version_and_another_one_another() -> None:
    log_s, usage, noisy = matrix(noise=0.1)
    assert learn_space(log_s, usage).version == learn_space(log_s.copy(), usage * 2.0).version
    versions = {learn_space(one, usage).version for one in (log_s, noisy)} | {learn_space(log_s).version}
    assert len(versions) == 3
    assert all(version.startswith("learned-1-") for version in versions)


def test_more_computations_than_resources_and_the_reverse_are_alike_good() -> None:
    for rows, columns in ((100, 30), (30, 100), (3, 50), (50, 3), (1, 5), (5, 1), (1, 1)):
        log_s, _, _ = matrix(rows=rows, columns=columns, rank=2)
        space = learn_space(log_s)
        np.testing.assert_allclose(rebuilt(space, space.resources(log_s)), log_s, atol=1e-3)


def test_a_resource_that_was_not_there_is_put_where_it_belongs() -> None:
    log_s, usage, _ = matrix(columns=80)
    space = learn_space(log_s[:, :60], usage)
    for column in log_s[:, 60:].T:
        latent = space.resource(column)
        assert latent.shape == (14,)
        np.testing.assert_allclose(rebuilt(space, latent[None, :])[:, 0], column, atol=1e-3)


def test_a_column_of_few_known_values_leans_on_the_pool() -> None:
    truth, usage, noisy = matrix(columns=200, noise=0.2)
    space = learn_space(noisy[:, :150], usage)
    errors = {}
    for count in (1, 3, 10, 40):
        part = np.full((40, 50), nan)
        part[:count] = noisy[:count, 150:]
        errors[count] = np.sqrt(np.mean((rebuilt(space, space.resources(part)) - truth[:, 150:]) ** 2))
    assert errors[1] < 1.2 * truth[:, 150:].std(axis=1).mean(), "one value is no licence for wild guesses"
    assert errors[40] < errors[10] < errors[3] < errors[1]


def test_one_column_at_a_time_gives_the_same_place() -> None:
    _, usage, log_s = matrix(noise=0.2)
    log_s[np.random.default_rng(0).random(log_s.shape) < 0.2] = nan
    space = learn_space(matrix()[0], usage)
    together = space.resources(log_s)
    for column in range(log_s.shape[1]):
        np.testing.assert_allclose(space.resource(log_s[:, column]), together[column], atol=1e-10)


def test_the_projector_is_the_way_from_whole_columns_to_places_and_carries_uncertainty_over() -> None:
    _, usage, log_s = matrix(noise=0.3)
    space = learn_space(log_s, usage)
    projector = space.projector()
    np.testing.assert_allclose((projector @ (log_s - space.log_centre_s[:, None])).T, space.resources(log_s))
    rng = np.random.default_rng(0)
    factor = rng.normal(0, 0.2, (40, 6))
    draws = space.resources(log_s[:, :1] + factor @ rng.normal(0, 1, (6, 20_000)))
    np.testing.assert_allclose(projector @ factor @ factor.T @ projector.T, np.cov(draws.T), atol=0.01)


def test_a_new_computation_is_found_from_its_row_on_some_resources() -> None:
    log_s, _, _ = matrix(rows=60)
    space = learn_space(log_s[:40])
    latent = space.resources(log_s[:40])
    anchors = spread_out(latent, 20)
    for row in log_s[40:]:
        loading = space.computation(row[anchors], latent[anchors])
        assert loading.phi[0] == 1.0
        np.testing.assert_allclose(loading.log_offset_s + latent @ loading.phi, row, atol=0.01)
        assert loading.rmse_log < 0.01


def test_a_catalogue_computation_found_from_its_row_is_itself() -> None:
    log_s, _, _ = matrix()
    space = learn_space(log_s)
    latent = space.resources(log_s)
    for row in (0, 39):
        known, found = space.catalogue(row), space.computation(log_s[row], latent)
        np.testing.assert_allclose(latent @ found.phi + found.log_offset_s, log_s[row], atol=1e-4)
        np.testing.assert_allclose(latent @ known.phi + known.log_offset_s, log_s[row], atol=1e-4)


def test_a_computation_known_on_one_resource_is_the_usual_one_at_that_level() -> None:
    log_s, _, _ = matrix()
    space = learn_space(log_s)
    latent = space.resources(log_s)
    row = np.full(60, nan)
    row[5] = 2.5
    loading = space.computation(row, latent)
    np.testing.assert_allclose(loading.phi, np.eye(14)[0], atol=1e-9)
    assert loading.log_offset_s + latent[5] @ loading.phi == pytest.approx(2.5)


def test_anchors_weigh_what_they_are_given() -> None:
    log_s, _, _ = matrix(noise=0.0)
    space = learn_space(log_s)
    latent = space.resources(log_s)
    row = log_s[3].copy()
    row[10] += 5.0
    trusted = np.ones(60)
    trusted[10] = 0.0
    loading = space.computation(row, latent, trusted)
    np.testing.assert_allclose(latent @ loading.phi + loading.log_offset_s, log_s[3], atol=1e-3)
    assert space.computation(row, latent).rmse_log > 0.1


def test_anchors_are_unlike_one_another_and_each_is_there_once() -> None:
    rng = np.random.default_rng(0)
    latent = np.concatenate([np.zeros((50, 14)), rng.normal(0, 1, (30, 14))])
    chosen = spread_out(latent, 20)
    assert len(set(chosen.tolist())) == 20
    assert (chosen < 50).sum() <= 1, "copies teach nothing"
    assert sorted(spread_out(latent, 500).tolist()) == list(range(80))

    def worst(places: np.ndarray) -> float:
        rows = np.concatenate([np.ones((len(latent), 1)), latent], axis=1)
        gram = rows[places].T @ rows[places] + 1e-6 * np.eye(15)
        return float(np.einsum("nd,de,ne->n", rows, np.linalg.inv(gram), rows).max())

    others = [worst(rng.choice(80, 20, replace=False)) for _ in range(20)]
    assert worst(chosen) < min(others)


def dnas(space: Space, log_s: np.ndarray, prices: np.ndarray) -> tuple:
    raw = [resource_dna(Resource(id=f"r{i}", memory_bytes=2**30 * (i + 1))) for i in range(log_s.shape[1])]
    return raw, space.resource_dnas(raw, space.resources(log_s), prices)


def test_both_vectors_have_32_slots_and_keep_their_interpretable_half() -> None:
    log_s, _, _ = matrix()
    prices = np.random.default_rng(1).lognormal(0, 1, 60)
    space = learn_space(log_s, price_usd_per_h=prices)
    raw, full = dnas(space, log_s, prices)
    for before, after in zip(raw, full, strict=True):
        np.testing.assert_array_equal(before.vector[:16], after.vector[:16])
        assert after.vector.dtype == np.float32
        assert np.isfinite(after.vector[LEARNED]).all()
        assert after.version == f"{VERSION}+{space.version}"
    norms = [np.linalg.norm(one.vector[LEARNED].astype(np.float64)) for one in full]
    np.testing.assert_allclose(norms, space.norm, rtol=1e-6)
    largest = max(np.linalg.norm(one.vector[16:31].astype(np.float64)) for one in full)
    assert space.norm == pytest.approx(HEADROOM * largest)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("weights", [Weights(), Weights(time=0.0, cost=1.0), Weights(time=0.5, cost=0.5)], ids=str)
def test_match_orders_resources_by_predicted_time_and_cost(metric: str, weights: Weights) -> None:
    log_s, _, _ = matrix(seed=4)
    prices = np.random.default_rng(1).lognormal(0, 1, 60)
    space = learn_space(log_s, price_usd_per_h=prices)
    _, full = dnas(space, log_s, prices)
    for row in (0, 17, 39):
        plain = computation_dna(Computation(id="c", kernel="k"))
        wanted = space.computation_dna(plain, space.catalogue(row), weights)
        found = [one.resource_id for one in match(wanted, full, metric=metric, k=60)]
        objective = (weights.time + weights.cost) * log_s[row] + weights.cost * np.log(prices)
        ranked = objective[[int(name[1:]) for name in found]]
        assert (np.diff(ranked) > -1e-4).all()


def test_an_unknown_price_counts_as_the_usual_one_and_shows_as_unknown() -> None:
    log_s, _, _ = matrix()
    prices = np.full(60, nan)
    prices[:3] = [1.0, 2.0, 0.0]
    space = learn_space(log_s, price_usd_per_h=prices)
    assert space.log_price_usual == 0.0  # the median of 0, 1 and 2 USD
    _, full = dnas(space, log_s, prices)
    assert full[5].vector[PRICE] == 0.0
    assert full[2].vector[PRICE] == pytest.approx(np.log(CHEAPEST_USD_PER_H))
    assert np.isnan(full[5].vector[14])
    assert learn_space(log_s).log_price_usual == 0.0


def test_a_resource_larger_than_the_norm_has_no_completion_and_is_still_matched_right() -> None:
    log_s, _, _ = matrix()
    space = learn_space(log_s)
    slow = np.concatenate([log_s, log_s[:, :1] + 100.0], axis=1)
    _, full = dnas(space, slow, np.ones(61))
    own = space.resource_dnas([resource_dna(Resource(id="alone"))], space.resources(log_s[:, 1:2]) - 0.0, np.ones(1))
    wanted = space.computation_dna(computation_dna(Computation(id="c", kernel="k")), space.catalogue(0), Weights())
    order = [one.resource_id for one in match(wanted, [*full, *own], k=70)]
    assert order[-1] == "r60"
    assert abs(order.index("alone") - order.index("r1")) == 1


def test_a_space_comes_back_from_its_folder_with_its_version(tmp_path: Path) -> None:
    _, usage, log_s = matrix(noise=0.1)
    space = learn_space(log_s, usage)
    save_model(tmp_path, space)
    again = load_model(tmp_path, {"Space": Space})
    assert again.version == space.version
    np.testing.assert_array_equal(again.resources(log_s), space.resources(log_s))


def test_loadings_of_another_space_are_refused_by_name() -> None:
    log_s, _, noisy = matrix(noise=0.1)
    one, other = learn_space(log_s), learn_space(noisy)
    plain = computation_dna(Computation(id="c", kernel="k"))
    with pytest.raises(DnaVersionError, match=r"learned-1-\w+, learned-1-"):
        one.computation_dna(plain, other.catalogue(0), Weights())


@pytest.mark.parametrize(
    ("log_s", "usage", "said"),
    [
        (np.zeros((0, 3)), None, r"1 <= J <= 512, got \[0, 3\]"),
        (np.zeros((513, 3)), None, r"got \[513, 3\]"),
        (np.zeros((3, 0)), None, r"got \[3, 0\]"),
        (np.zeros(3), None, r"got \[3\]"),
        (np.array([[1.0, nan]]), None, r"ln seconds must be finite, got nan at \[0, 1\]"),
        (np.array([[1.0], [np.inf]]), None, r"got inf at \[1, 0\]"),
        (np.zeros((2, 2)), np.zeros(2), r"usage must be \[2\], finite and non-negative with a positive sum"),
        (np.zeros((2, 2)), np.array([1.0, -1.0]), "usage must be"),
        (np.zeros((2, 2)), np.array([1.0, nan]), "usage must be"),
        (np.zeros((2, 2)), np.ones(3), "usage must be"),
    ],
)
def test_a_catalogue_that_breaks_a_rule_is_refused(log_s: np.ndarray, usage: np.ndarray | None, said: str) -> None:
    with pytest.raises(InputError, match=said):
        learn_space(log_s, usage)


def test_prices_that_cannot_be_are_refused() -> None:
    with pytest.raises(InputError, match=r"prices must be \[2\], got \[3\]"):
        learn_space(np.zeros((2, 2)), price_usd_per_h=np.ones(3))
    with pytest.raises(InputError, match="non-negative, got -1"):
        learn_space(np.zeros((2, 2)), price_usd_per_h=np.array([1.0, -1.0]))


def test_columns_and_rows_that_break_a_rule_are_refused() -> None:
    space = learn_space(matrix()[0])
    latent = np.zeros((3, 14))
    for call, said in (
        (lambda: space.resource(np.zeros(39)), r"must be \[40, N\], got \[39, 1\]"),
        (lambda: space.resource(np.full(40, nan)), "column 0 must have a known value"),
        (lambda: space.resource(np.full(40, np.inf)), "finite or NaN where not known"),
        (lambda: space.computation(np.full(3, nan), latent), "at least one anchor must have a known value, got 3"),
        (lambda: space.computation(np.zeros(0), latent[:0]), "at least one anchor must have a known value, got 0"),
        (lambda: space.computation(np.zeros(3), latent * nan), "u of the anchors must be finite"),
        (lambda: space.computation(np.zeros(2), latent), r"\[A, 14\], got \[2\] and \[3, 14\]"),
        (lambda: space.computation(np.zeros(3), latent, np.zeros(3)), "anchors: usage must be"),
        (lambda: space.catalogue(40), r"row must be in \[0, 40\), got 40"),
        (lambda: Loading(phi=np.full(14, nan), log_offset_s=0.0, version="v"), "14 finite numbers"),
        (lambda: Loading(phi=np.ones(3), log_offset_s=0.0, version="v"), "14 finite numbers"),
        (lambda: dataclasses.replace(space, noise=nan), "all values must be finite"),
        (lambda: dataclasses.replace(space, usage=np.ones(2)), r"arrays must be \[J, 14\]"),
        (lambda: space.resource_dnas([], latent, np.ones(3)), r"must be \[0, 14\] and \[0\]"),
        (
            lambda: space.resource_dnas([resource_dna(Resource(id="gpu0"))], latent[:1] * nan, np.ones(1)),
            "gpu0: learned slots must be finite",
        ),
    ):
        with pytest.raises(InputError, match=said):
            call()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 30), st.sampled_from([0.0, 1e-6, 1.0, 30.0]))
def test_any_matrix_gives_finite_vectors(seed: int, rows: int, columns: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    log_s = scale * rng.normal(0, 1, (rows, columns))
    log_s[rng.random(log_s.shape) < 0.2] = 0.0
    space = learn_space(log_s, rng.random(rows) + 1e-3)
    latent = space.resources(log_s)
    loading = space.computation(log_s[0], latent)
    assert np.isfinite(latent).all()
    assert np.isfinite(loading.phi).all()
