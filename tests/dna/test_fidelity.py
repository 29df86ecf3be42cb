"""How much the learned slots keep: ranks with ties, unknown cells, and the regret of a shortlist, on real runs too."""

import os
from pathlib import Path

import numpy as np
import pytest

from dnaml.core.errors import InputError
from dnaml.dna.bank import Bank, Ranked
from dnaml.dna.fidelity import order_agreement, two_stage_regret
from dnaml.dna.geometry import Weights
from dnaml.dna.learned import learn_space
from dnaml.dna.supply import Supply
from dnaml.predict.metrics import spearman

DATA = Path(os.environ.get("DNAML_DATA", "../shared/data"))


def ranked(index: list[int], score: list[float]) -> Ranked:
    count = len(index)
    return Ranked(
        ids=tuple(f"r{i}" for i in index),
        index=np.array(index, dtype=np.int64),
        score=np.array(score),
        runtime_s=np.ones((count, 7)),
        cost_usd=np.ones(count),
    )


def test_agreement_is_the_rank_correlation_with_ties_at_their_mean() -> None:
    rng = np.random.default_rng(0)
    plane, full = np.round(rng.normal(0, 2, (6, 40))), rng.normal(0, 1, (6, 40))
    full += 0.5 * plane
    expected = [spearman(one, other) for one, other in zip(plane, full, strict=True)]
    np.testing.assert_allclose(order_agreement(plane, full), expected)


def test_a_computation_without_an_order_has_no_agreement() -> None:
    plane = np.array([[1.0, 2.0, 3.0], [1.0, 1.0, 1.0], [1.0, np.nan, 2.0], [3.0, 2.0, 1.0]])
    found = order_agreement(plane, np.array([[10.0, 20.0, 30.0]] * 4))
    np.testing.assert_array_equal(np.isnan(found), [False, True, True, False])
    np.testing.assert_allclose(found[[0, 3]], [1.0, -1.0])


def test_regret_is_what_the_best_of_the_shortlist_costs_more() -> None:
    full = np.array([3.0, 1.5, 1.0, np.inf])
    assert two_stage_regret(ranked([2, 0], [1.0, 3.0]), full) == 0.0
    assert two_stage_regret(ranked([1, 0], [1.5, 3.0]), full) == 0.5


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(InputError, match=r"must be two \[C, N\], got \[1, 3\] and \[2, 3\]"):
        order_agreement(np.zeros((1, 3)), np.zeros((2, 3)))
    with pytest.raises(InputError, match="at least one resource must have been ranked"):
        two_stage_regret(ranked([], []), np.ones(2))


def edge_runtimes() -> np.ndarray:
    """Return measured ln seconds [C, R] of the edge platforms on which most of the work ran."""
    import pandas as pd

    file = DATA / "edge_pitot" / "runs.parquet"
    if not file.is_file():
        pytest.skip(f"{file} is not there: set DNAML_DATA to the folder of the public data")
    table = pd.read_parquet(file).pivot_table(index="workload", columns="platform", values="runtime_ns")
    table = table.loc[:, table.notna().mean() > 0.9].dropna()
    return np.log(table.to_numpy(dtype=np.float64) * 1e-9)


def test_fourteen_directions_keep_the_order_of_measured_runtimes_of_new_platforms_and_new_work() -> None:
    log_s = edge_runtimes()
    assert min(log_s.shape) > 40
    rng = np.random.default_rng(0)
    old_work = rng.random(len(log_s)) < 0.7
    old = rng.random(log_s.shape[1]) < 0.7
    space = learn_space(log_s[np.ix_(old_work, old)])
    latent = space.resources(log_s[old_work])
    bank = Bank.of(Supply(ids=tuple(f"r{i}" for i in range(len(latent))), latent=latent), space)
    loadings = [space.computation(row[old], latent[old]) for row in log_s[~old_work]]
    plane = bank.scores(loadings, Weights())
    assert np.nanmean(order_agreement(plane, log_s[~old_work])) >= 0.95
    assert np.nanmean(order_agreement(plane[:, ~old], log_s[np.ix_(~old_work, ~old)])) >= 0.95
    regrets = []
    for one, truth in zip(loadings, log_s[~old_work], strict=True):
        found = bank.match(
            one, Weights(), k=16, rescore=lambda index, truth=truth: np.exp(truth[index, None] + np.zeros(7))
        )
        regrets.append(two_stage_regret(found, truth))
    assert np.mean(regrets) <= 0.01
