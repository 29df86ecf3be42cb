"""The public estimator: accuracy, honesty, odd tables, storage."""

import numpy as np
import pandas as pd
import pytest

from dnaml.core.errors import CorruptError, InputError
from dnaml.core.prediction import LEVELS
from dnaml.core.types import Computation, Resource
from dnaml.datasets.table import RunTable, load_runs
from dnaml.predict.runtime import RuntimePredictor
from dnaml.predict.weights import CONFIG, save_model
from tests.predict.worlds import world

SIMULATED = world(0, kernels=6, repeats=2)
FRAME = RunTable.from_runs(SIMULATED.runs).frame
EMPTY = pd.DataFrame(columns=["resource_id", "computation_id", "runtime_s"])


@pytest.fixture(scope="module")
def fitted():
    return RuntimePredictor(seed=0).fit(FRAME)


def pairs_of(frame):
    return frame.drop(columns="runtime_s")


def frame_of(cells):
    rows = [
        {"computation_id": c.id, "resource_id": r.id, "c_kernel": c.kernel, "s_n": c.size["n"]} for c, r, _ in cells
    ]
    return pd.DataFrame(rows), np.array([truth for _, _, truth in cells])


def check(answer, index):
    assert answer.index.equals(index)
    columns = ["runtime_s_p10", "runtime_s", "runtime_s_p90"]
    values = answer[columns].to_numpy()
    assert np.isfinite(values).all()
    assert (values > 0).all()
    assert (np.diff(values, axis=1) >= 0).all()
    assert answer["path"].map(bool).all()


def test_held_back_cells_and_runs_are_predicted_within_fifteen_percent_with_honest_intervals():
    for ran, rng in ((False, np.random.default_rng(5)), (True, np.random.default_rng(6))):
        errors, inside = [], []
        for seed in range(2):
            simulated = world(seed)
            asked, truth = frame_of(simulated.pairs(ran))
            answer = RuntimePredictor(seed=0).fit(RunTable.from_runs(simulated.runs)).predict(asked)
            further = np.exp(truth + rng.normal(0, simulated.noise_sd, len(truth)))
            errors.append(np.abs(answer["runtime_s"] / further - 1))
            inside.append((answer["runtime_s_p10"] <= further) & (further <= answer["runtime_s_p90"]))
        assert np.median(np.concatenate(errors)) < 0.15
        assert 0.70 <= np.concatenate(inside).mean() <= 0.92


def test_predictions_align_with_the_index_and_say_which_path_answered(fitted):
    asked = pairs_of(FRAME).iloc[[5, 3, 100]].set_index(pd.Index(["x", "y", "z"]))
    answer = fitted.predict(asked)
    check(answer, asked.index)
    assert answer["path"].unique().tolist() == ["blend/seen"]
    new = fitted.predict(asked.assign(computation_id="new", c_kernel="new"))
    assert new["path"].unique().tolist() == ["blend/new_computation"]


def test_one_pair_at_a_time_gives_the_same_answer(fitted):
    asked, _ = frame_of(SIMULATED.pairs(ran=False))
    together = fitted.predict(asked)["runtime_s"].to_numpy()
    for row in (0, 7, 20):
        alone = fitted.predict(asked.iloc[[row]])["runtime_s"].to_numpy()[0]
        assert alone == pytest.approx(together[row], rel=1e-9)


def test_neither_the_order_of_rows_nor_a_second_fit_changes_the_answer(fitted):
    asked, _ = frame_of(SIMULATED.pairs(ran=False)[:10])
    shuffled = FRAME.sample(frac=1.0, random_state=1)
    other = RuntimePredictor(seed=0).fit(shuffled).predict(asked)["runtime_s"]
    np.testing.assert_allclose(other, fitted.predict(asked)["runtime_s"], rtol=1e-6)


def test_an_update_returns_another_predictor_that_leans_on_the_new_runs(fitted):
    row = FRAME.iloc[[0]]
    before = fitted.predict(pairs_of(row))["runtime_s"].iloc[0]
    slower = pd.concat([row.assign(runtime_s=3 * before)] * 6)
    warm = fitted.update(slower)
    assert warm is not fitted
    assert warm.predict(pairs_of(row))["runtime_s"].iloc[0] > 1.3 * before
    assert fitted.predict(pairs_of(row))["runtime_s"].iloc[0] == before
    assert warm.version != fitted.version


def test_probes_of_a_new_resource_teach_how_fast_it_is():
    frame = RunTable.from_runs(world(0).runs).frame
    known = frame[frame["resource_id"] != "r4"]
    new = frame[frame["resource_id"] == "r4"].drop_duplicates("computation_id")
    model = RuntimePredictor(seed=0).fit(known)
    probes, asked = new.iloc[::4], new.drop(new.index[::4])
    truth = asked["runtime_s"].to_numpy()

    def error(predictor):
        return np.median(np.abs(predictor.predict(pairs_of(asked))["runtime_s"].to_numpy() / truth - 1))

    assert error(model.update(probes)) < min(0.25, error(model))


def test_a_table_that_doubles_is_fitted_again():
    small = FRAME.iloc[::8]
    model = RuntimePredictor(seed=0).fit(small)
    grown = model.update(FRAME)
    assert grown._state.model.fitted_rows == len(small) + len(FRAME)
    assert model.update(FRAME.iloc[:2])._state.model.fitted_rows == len(small)


def test_without_runs_a_bound_or_the_specs_answer_and_the_first_runs_are_fitted():
    model = RuntimePredictor().fit(EMPTY)
    asked = pd.DataFrame(
        {
            "resource_id": ["slow", "quick", "quick"],
            "computation_id": ["f", "f", "g"],
            "r_fp64_flop_per_s": [1e10, 1e11, 1e11],
            "c_fp64_flop": [1e11, 1e11, np.nan],
        }
    )
    answer = model.predict(asked)
    check(answer, asked.index)
    assert set(answer["path"]) == {"dna-match"}
    assert answer["runtime_s"][0] == pytest.approx(10 * answer["runtime_s"][1])
    assert model.weights == {}
    assert model.update(FRAME.iloc[:0]).predict(asked)["path"].eq("dna-match").all()
    assert model.update(FRAME.iloc[:3]).predict(asked)["path"].str.startswith("blend/").all()


@pytest.mark.parametrize(
    "frame",
    [
        FRAME.iloc[:1],
        FRAME[FRAME["resource_id"] == "r0"],
        FRAME[FRAME["computation_id"] == "k0-s0"],
        FRAME.assign(runtime_s=1.0),
        pd.concat([FRAME.iloc[:5]] * 20),
        FRAME.assign(censored=True),
        FRAME.assign(r_void=float("nan"), c_void=float("nan"), s_void=None),
        FRAME.assign(resource_id=[i % 3 if i % 2 else f"{i % 3}" for i in range(len(FRAME))]),
        FRAME.assign(c_name=[f"n{i}" for i in range(len(FRAME))]),
        FRAME.assign(runtime_s=np.where(np.arange(len(FRAME)) % 7 == 0, 1000, 1) * FRAME["runtime_s"]),
        FRAME[["resource_id", "computation_id", "runtime_s"]],
    ],
    ids=["one row", "one resource", "one computation", "constant", "duplicates", "all censored", "void columns",
         "mixed ids", "many categories", "swapped units", "no features"],
)  # fmt: skip
def test_odd_tables_still_give_finite_rising_answers(frame):
    model = RuntimePredictor(seed=0).fit(frame)
    asked = pd.concat([pairs_of(FRAME).iloc[:5], pd.DataFrame({"resource_id": ["n"], "computation_id": ["n"]})])
    check(model.predict(asked), asked.index)
    check(model.update(FRAME.iloc[:2]).predict(asked), asked.index)


@pytest.mark.parametrize("runtime", [float("nan"), float("inf"), 0.0, -1.0, 1e300])
def test_impossible_runtimes_are_set_aside_and_counted(runtime):
    rows = FRAME.iloc[:40].reset_index(drop=True)
    rows.loc[3, "runtime_s"] = runtime
    rows.loc[4, "failed"] = True
    model = RuntimePredictor(seed=0).fit(rows)
    assert sum(model.set_aside.values()) == 2
    assert model.set_aside["failed"] == 1
    more = model.update(rows.iloc[2:5])
    assert sum(more.set_aside.values()) == 4


def test_costs_follow_the_pairs_price_else_the_resources_last_known_one(fitted):
    asked = pairs_of(FRAME).iloc[[0]]
    price = asked["price_usd_per_s"].iloc[0]
    seconds = fitted.predict(asked)["runtime_s"].iloc[0]
    assert fitted.predict(asked.assign(price_usd_per_s=2.0))["cost_usd"].iloc[0] == pytest.approx(2 * seconds)
    assert fitted.predict(asked.drop(columns="price_usd_per_s"))["cost_usd"].iloc[0] == pytest.approx(price * seconds)
    unpriced = RuntimePredictor(seed=0).fit(FRAME.drop(columns="price_usd_per_s").iloc[:40])
    assert "cost_usd" not in unpriced.predict(asked.drop(columns="price_usd_per_s"))


def test_quantiles_at_any_level_rise_and_agree_with_predict(fitted):
    asked, _ = frame_of(SIMULATED.pairs(ran=False)[:20])
    levels = (0.01, 0.1, 0.3, 0.5, 0.77, 0.9, 0.999)
    found = fitted.predict_quantiles(asked, levels)
    assert found.columns.tolist() == list(levels)
    assert (np.diff(found.to_numpy(), axis=1) >= 0).all()
    np.testing.assert_allclose(found[0.1], fitted.predict(asked)["runtime_s_p10"])
    for wrong in ((), (0.0,), (1.5,)):
        with pytest.raises(InputError, match="levels must be inside"):
            fitted.predict_quantiles(asked, wrong)


def test_a_saved_predictor_answers_as_before_and_goes_on_learning(fitted, tmp_path):
    warm = fitted.update(FRAME.iloc[:3])
    warm.save(tmp_path / "model")
    loaded = RuntimePredictor.load(tmp_path / "model")
    asked, _ = frame_of([*SIMULATED.pairs(ran=False), *SIMULATED.pairs(ran=True)])
    np.testing.assert_allclose(loaded.predict(asked)["runtime_s"], warm.predict(asked)["runtime_s"], rtol=1e-9)
    again = loaded.update(FRAME.iloc[5:9]).predict(asked)["runtime_s"]
    np.testing.assert_allclose(again, warm.update(FRAME.iloc[5:9]).predict(asked)["runtime_s"], rtol=1e-9)
    assert loaded.version == warm.version
    assert loaded.weights == warm.weights


def test_an_empty_predictor_can_be_saved_and_a_changed_folder_is_refused(tmp_path):
    RuntimePredictor().fit(EMPTY).save(tmp_path)
    assert RuntimePredictor.load(tmp_path).version == "runtime-1-seed0+0"
    (tmp_path / CONFIG).write_bytes(b"{}")
    with pytest.raises(CorruptError):
        RuntimePredictor.load(tmp_path)
    save_model(tmp_path, 3)
    with pytest.raises(CorruptError, match="must hold a RuntimePredictor"):
        RuntimePredictor.load(tmp_path)


def test_weights_say_what_each_expert_is_worth_per_kind(fitted):
    assert {"seen", "new_resource", "new_computation"} <= set(fitted.weights)
    for shares in fitted.weights.values():
        assert sum(shares.values()) == pytest.approx(1.0)


def test_core_values_can_be_asked_about_directly(fitted):
    computations = [SIMULATED.computations[0, 0], Computation(id="new", kernel="new", demand={"flop": 1.0})]
    resources = [SIMULATED.resources[0], Resource(id="new", spec={"cores": 2.0})]
    values = fitted.pair_quantiles(computations, resources)
    assert values.shape == (2, 2, len(LEVELS))
    row = load_runs([run for run in SIMULATED.runs if run.computation == computations[0]]).frame
    same = fitted.predict(pairs_of(row[row["resource_id"] == "r0"]).iloc[:1])["runtime_s"]
    if len(same):
        assert values[0, 0, LEVELS.index(0.5)] == pytest.approx(same.iloc[0], rel=1e-6)


def test_what_is_missing_is_named():
    with pytest.raises(InputError, match="must be fitted"):
        RuntimePredictor().predict(pairs_of(FRAME))
    with pytest.raises(InputError, match="column 'resource_id' is required"):
        RuntimePredictor().fit(EMPTY).predict(pd.DataFrame({"computation_id": ["f"]}))


def test_no_pairs_get_no_answers(fitted):
    assert len(fitted.predict(pairs_of(FRAME).iloc[:0])) == 0
    assert len(RuntimePredictor().fit(EMPTY).predict(EMPTY)) == 0
