"""Kernels at sizes beside the learned model: better where kin ran, asked, stored and updated as the rest."""

import numpy as np
import pandas as pd
import pytest

from dnaml.core.types import Computation, Resource
from dnaml.predict.design import Encoder
from dnaml.predict.experts import Kind
from dnaml.predict.mixed import MOST_ROWS, START, STRANGE, Mixed, Replays, _hidden, _kin, _shares
from dnaml.predict.runtime import RuntimePredictor

SPEEDS = np.array([1.0, 1.6, 0.6, 2.5, 1.2])


def table(seed=0):
    """Ten kernels at four sizes on five resources; each kernel takes to each resource in its own way."""
    rng = np.random.default_rng(seed)
    taste = 0.5 * rng.standard_normal((10, 5))
    slope = rng.uniform(0.7, 1.6, 10)
    return pd.DataFrame(
        {
            "resource_id": f"r{r}",
            "computation_id": f"k{k}-{size}",
            "c_kernel": f"k{k}",
            "s_n": float(size),
            "r_clock_hz": 1e9 * SPEEDS[r],
            "runtime_s": 1e-4 * size ** slope[k] / SPEEDS[r] * np.exp(taste[k, r] + 0.03 * rng.standard_normal()),
        }
        for k in range(10)
        for size in (50, 100, 200, 400)
        for r in range(5)
    )


@pytest.fixture(scope="module")
def split():
    rows = table()
    held = np.random.default_rng(1).random(len(rows)) < 0.3
    return rows[~held], rows[held]


@pytest.fixture(scope="module")
def model(split):
    return RuntimePredictor(seed=0).fit(split[0])


def error(seconds, truth):
    return float(np.mean(np.abs(np.log(seconds) - np.log(truth))))


def test_pairs_of_known_kernels_are_told_far_better_than_by_the_learned_model_alone(model, split):
    _, held = split
    mixed = model.predict(held)
    alone = np.exp(model.learned.log_quantiles(held)[0][:, 3])
    assert error(mixed.runtime_s, held.runtime_s) < 0.7 * error(alone, held.runtime_s)
    inside = (held.runtime_s >= mixed.runtime_s_p10) & (held.runtime_s <= mixed.runtime_s_p90)
    assert 0.6 < inside.mean() < 0.97
    assert mixed.path.str.endswith("+kernels").all()


def test_a_prepared_pool_answers_as_the_table_does(model, split):
    held = split[1].drop_duplicates("computation_id").head(3)
    resources = [Resource(id=f"r{r}", spec={"clock_hz": 1e9 * SPEEDS[r]}) for r in range(5)]
    asked = model.asked_by(resources)
    for row in held.itertuples():
        computation = Computation(id=row.computation_id, kernel=row.c_kernel, size={"n": row.s_n})
        frame = pd.DataFrame(
            {"resource_id": [r.id for r in resources], "r_clock_hz": [r.spec["clock_hz"] for r in resources]}
        ).assign(computation_id=row.computation_id, c_kernel=row.c_kernel, s_n=row.s_n)
        expected = model.predict_quantiles(frame, levels=(0.5,)).to_numpy()[:, 0]
        np.testing.assert_allclose(asked(computation)[:, 3], expected, rtol=1e-9)


def test_one_pair_alone_gets_the_answer_it_gets_among_others(model, split):
    held = split[1].head(6)
    whole = model.predict(held).runtime_s.to_numpy()
    alone = [model.predict(held.iloc[[place]]).runtime_s.iloc[0] for place in range(len(held))]
    np.testing.assert_allclose(alone, whole, rtol=1e-10)


def test_it_is_stored_and_loaded_with_its_model(model, split, tmp_path):
    model.save(tmp_path / "m")
    again = RuntimePredictor.load(tmp_path / "m")
    pd.testing.assert_frame_equal(again.predict(split[1]), model.predict(split[1]))


def test_runs_that_come_later_count(model, split):
    held = split[1].iloc[[0]]
    slower = held.assign(runtime_s=4 * model.predict(held).runtime_s)
    seen = model.update(pd.concat([slower] * 3))
    assert seen.mixed is not None
    assert seen.predict(held).runtime_s.iloc[0] > 2.5 * model.predict(held).runtime_s.iloc[0]
    assert model.predict(held).runtime_s.iloc[0] < seen.predict(held).runtime_s.iloc[0]


def test_tables_without_kernels_at_sizes_and_large_ones_have_none(model):
    rows = table()
    assert Mixed.fit(rows.drop(columns=["c_kernel", "s_n"]), model.learned) is None
    assert Mixed.fit(pd.concat([rows] * (MOST_ROWS // len(rows) + 1)), model.learned) is None


def test_a_handful_of_rows_goes_by_the_stated_shares(model):
    rows = table().iloc[:20]
    mixed = Mixed.fit(rows, model.learned)
    assert mixed is not None
    assert mixed.shares == {}


def test_shares_follow_replayed_errors_and_stay_near_the_start_where_there_are_few():
    truth = np.zeros(300)
    groups = [(int(Kind.COMPUTATION), 1)] * 297 + [(int(Kind.NEW_COMPUTATION) + STRANGE, 0)] * 3
    means = np.stack([np.full(300, 0.01), np.full(300, 0.8)], axis=1)  # the learned model is right, the other is not
    means[-3:] = 0.1  # each as wrong as the other
    shares = _shares(Replays(truth=truth, weight=np.ones(300), means=means, sds=np.ones((300, 2)), groups=groups))
    assert shares[Kind.COMPUTATION, -1] <= 0.05
    strange = Kind.NEW_COMPUTATION + STRANGE
    assert shares[strange, -1] == START[strange]


def test_a_resource_and_its_copy_are_hidden_together():
    rows = pd.concat([table(n).assign(resource_id=lambda t, n=n: f"{n}-" + t.resource_id) for n in range(2)])
    twins = pd.concat([rows.assign(group=rows.resource_id), rows.assign(group=rows.resource_id)])
    twins["resource_id"] = ["original-"] * len(rows) + ["copy-"] * len(rows) + twins.resource_id
    design = Encoder.of(twins).design(twins)
    hidden, _ = _hidden(design, _kin(twins, design), np.random.default_rng(0))
    original, copy = hidden[: len(rows)], hidden[len(rows) :]
    assert (original == copy).all()
    assert 0 < original.mean() < 0.6
    assert (_kin(rows, Encoder.of(rows).design(rows)) == rows.resource_id.to_numpy(str)).all()


def test_single_runs_of_pairs_that_ran_again_are_replayed_so_that_their_intervals_are_their_own(model):
    rows = pd.concat([table(0), table(0).assign(runtime_s=lambda t: 1.02 * t.runtime_s)])
    mixed = Mixed.fit(rows, model.learned)
    assert mixed is not None
    limits = mixed.calibration.limits
    assert (int(Kind.SEEN), 1) in limits
    assert mixed.calibration.counts[int(Kind.SEEN), -1] >= 20


def test_on_a_new_resource_intervals_are_no_narrower_than_the_learned_model_says(model, split):
    asked = split[1].assign(resource_id="new", r_clock_hz=2e9)
    answer = model.predict(asked)
    alone = model.learned.log_quantiles(asked)[0]
    width = np.log(answer.runtime_s_p90 / answer.runtime_s_p10).to_numpy()
    assert (width >= (alone[:, 5] - alone[:, 1]) * (1 - 1e-9)).all()
