"""What a pool supplies: checked arrays, the packed covariance, and errors that name the resource."""

import numpy as np
import pytest

from dnaml.core.errors import InputError
from dnaml.dna.supply import LARGEST_POOL, PACKED, Columns, Supply, row_variances, variances

nan = float("nan")


def supply(count: int = 3, **given: object) -> Supply:
    fields = {"ids": tuple(f"gpu{i}" for i in range(count)), "latent": np.zeros((count, 14))}
    return Supply(**(fields | given))


def covariances(count: int, seed: int = 0) -> np.ndarray:
    factor = np.random.default_rng(seed).normal(0, 0.3, (count, 14, 14))
    return factor @ factor.transpose(0, 2, 1)


def test_what_is_absent_is_unknown_but_the_hazard_which_is_none() -> None:
    columns = Columns.of(supply(), 0.7)
    assert len(columns) == 3
    assert columns.spread.shape == (3, 0)
    assert np.isnan(columns.price_usd_per_h).all()
    np.testing.assert_array_equal(columns.log_price, 0.7)
    np.testing.assert_array_equal(columns.hazard_per_h, 0.0)
    assert columns.feasible.all()


def test_arrays_are_copies_so_that_the_caller_may_go_on_with_his() -> None:
    latent, feasible = np.zeros((3, 14)), np.ones(3, dtype=bool)
    columns = Columns.of(supply(latent=latent, feasible=feasible), 0.0)
    latent[0], feasible[0] = 9.0, False
    assert columns.latent[0, 0] == 0.0
    assert columns.feasible[0]


def test_a_covariance_may_come_whole_or_packed_and_gives_the_quadratic_form() -> None:
    covariance = covariances(5)
    whole = Columns.of(supply(5, spread=covariance), 0.0)
    packed = Columns.of(supply(5, spread=whole.spread), 0.0)
    assert whole.spread.shape == (5, PACKED)
    np.testing.assert_array_equal(whole.spread, packed.spread)
    phi = np.random.default_rng(1).normal(0, 1, (4, 14))
    expected = np.einsum("cd,nde,ce->cn", phi, covariance, phi)
    np.testing.assert_allclose(variances(whole.spread, phi), expected, rtol=1e-5)
    np.testing.assert_allclose(row_variances(whole.spread, phi[0]), expected[0], rtol=1e-5)


def test_a_plain_deviation_is_the_same_for_every_computation() -> None:
    columns = Columns.of(supply(spread=np.array([0.1, 0.2, 0.0])), 0.0)
    found = variances(columns.spread, np.ones((2, 14)))
    np.testing.assert_allclose(found, np.square([[0.1, 0.2, 0.0]] * 2), rtol=1e-6)
    np.testing.assert_array_equal(row_variances(columns.spread, np.ones(14)), found[0])


def test_an_unknown_spread_is_no_spread() -> None:
    np.testing.assert_array_equal(variances(np.zeros((3, 0), np.float32), np.ones((2, 14))), np.zeros((2, 3)))


def test_rows_can_be_taken_joined_and_replaced() -> None:
    columns = Columns.of(supply(4, latent=np.arange(56.0).reshape(4, 14)), 0.0)
    ends = columns.rows(np.array([0, 3])).joined(columns.rows(np.array([1])))
    np.testing.assert_array_equal(ends.latent[:, 0], [0.0, 42.0, 14.0])
    swapped = columns.with_rows(np.array([1]), columns.rows(np.array([3])))
    np.testing.assert_array_equal(swapped.latent[:, 0], [0.0, 42.0, 28.0, 42.0])
    assert columns.latent[1, 0] == 14.0
    assert columns.with_rows(np.array([], dtype=np.int64), columns) is columns


def broken_covariance() -> np.ndarray:
    covariance = covariances(3)
    covariance[1, 4, 4] = -1.0
    return covariance


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"latent": np.array([[0.0] * 14, [0.0] * 13 + [nan], [0.0] * 14])}, "gpu1: latent must be finite, got nan"),
        ({"latent": np.zeros((3, 13))}, r"latent must be \[3, 14\], got \[3, 13\]"),
        (
            {"price_usd_per_h": np.array([1.0, nan, -2.0])},
            "gpu2: price_usd_per_h must be finite and non-negative, got -2",
        ),
        ({"price_usd_per_h": np.array([np.inf, 1.0, 1.0])}, "gpu0: price_usd_per_h must be .* got inf"),
        ({"price_usd_per_h": np.ones(2)}, r"price_usd_per_h must be \[3\], got \[2\]"),
        ({"hazard_per_h": np.array([0.0, nan, 0.0])}, "gpu1: hazard_per_h must be finite and non-negative, got nan"),
        ({"hazard_per_h": np.array([0.0, 0.0, -1.0])}, "gpu2: hazard_per_h"),
        ({"feasible": np.ones(2, dtype=bool)}, r"feasible must be \[3\], got \[2\]"),
        ({"spread": np.zeros((3, 7))}, r"spread must be \[3\], \[3, 105\] or \[3, 14, 14\], got \[3, 7\]"),
        ({"spread": np.array([0.1, -0.1, 0.1])}, "gpu1: spread must be finite with variances >= 0"),
        ({"spread": np.array([0.1, 0.1, nan])}, "gpu2: spread must be finite"),
        ({"spread": broken_covariance()}, "gpu1: spread must be finite with variances >= 0"),
    ],
)
def test_a_value_that_breaks_its_rule_is_refused_with_the_name_of_its_resource(given: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Columns.of(supply(**given), 0.0)


def test_a_pool_too_large_is_refused_before_anything_is_copied() -> None:
    count = LARGEST_POOL + 1
    with pytest.raises(InputError, match=f"at most {LARGEST_POOL} resources, got {count}"):
        Columns.of(Supply(ids=("r",) * count, latent=np.zeros((1, 14))), 0.0)
