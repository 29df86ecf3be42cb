"""The public estimator: accuracy, honesty, odd tables, storage."""

import numpy as np
import pandas as pd
import pytest

from dnaml.core.errors import CorruptError, InputError
from dnaml.core.prediction import LEVELS
from dnaml.core.types import Computation, Resource
from dnaml.datasets.table import RunTable, load_runs
from dnaml.predict.paired import episodes
from dnaml.predict.runtime import RuntimePredictor
from dnaml.predict.weights import CONFIG, save_model
from tests.predict.worlds import world

SIMULATED = world(0, kernels=2, repeats=2)
FRAME = RunTable.from_runs(SIMULATED.runs).frame
SMALL = FRAME[FRAME["c_kernel"] == "k0"].reset_index(drop=True)  # three computations
COLUMNS = ["runtime_s_p10", "runtime_s", "runtime_s_p90"]
EMPTY = pd.DataFrame(columns=["resource_id", "computation_id", "runtime_s"])


@pytest.fixture(autouse=True, scope="module")
def no_net():
    """Fit without the neural expert, which takes most of the time and has tests of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(episodes, "FEWEST_ENTITIES", 10**9)
        yield


@pytest.fixture(scope="module")
def fitted(no_net):
    return RuntimePredictor(seed=0).fit(FRAME)


@pytest.fixture(scope="module")
def blend():
    """Return a predictor of a table too small to hold anything out."""
    return RuntimePredictor(seed=0).fit(FRAME[FRAME["resource_id"].isin(["r0", "r1"])].iloc[::9])


def pairs_of(frame):
    return frame.drop(columns="runtime_s")


def frame_of(cells):
    rows = [
        {"computation_id": c.id, "resource_id": r.id, "c_kernel": c.kernel, "s_n": c.size["n"]} for c, r, _ in cells
    ]
    return pd.DataFrame(rows), np.array([truth for _, _, truth in cells])


def check(answer, index):
    assert answer.index.equals(index)
    values = answer[COLUMNS].to_numpy()
    assert np.isfinite(values).all()
    assert (values > 0).all()
    assert (np.diff(values, axis=1) >= 0).all()
    assert answer["path"].map(bool).all()


def test_held_back_cells_and_runs_are_predicted_within_fifteen_percent_with_honest_intervals():
    simulated, rng = world(0), np.random.default_rng(5)
    model = RuntimePredictor(seed=0).fit(RunTable.from_runs(simulated.runs))
    for ran in (False, True):
        asked, truth = frame_of(simulated.pairs(ran))
        answer = model.predict(asked)
        further = np.exp(truth + rng.normal(0, simulated.noise_sd, len(truth)))
        assert np.median(np.abs(answer["runtime_s"] / further - 1)) < 0.15
        inside = (answer["runtime_s_p10"] <= further) & (further <= answer["runtime_s_p90"])
        assert 0.70 <= inside.mean() <= 0.95


def test_predictions_align_with_the_index_and_say_which_path_answered(fitted):
    asked = pairs_of(FRAME).iloc[[5, 3, 30]].set_index(pd.Index(["x", "y", "z"]))
    answer = fitted.predict(asked)
    check(answer, asked.index)
    assert set(answer["path"]) <= {"learned/computation+kernels", "learned/resource+kernels"}
    new = fitted.predict(asked.assign(computation_id="new", c_kernel="new"))
    assert new["path"].unique().tolist() == ["learned/computation+kernels"]
    assert fitted.predict(asked.assign(resource_id="new"))["path"].unique().tolist() == ["learned/resource+kernels"]


def test_a_table_too_small_to_hold_anything_out_is_answered_by_the_blend(blend):
    asked = pairs_of(FRAME).iloc[[5, 3]]
    answer = blend.predict(asked.assign(computation_id="new", c_kernel="new"))
    check(answer, asked.index)
    assert answer["path"].str.startswith("blend/").all()
    assert set(blend.weights) <= {"seen", "new_resource", "new_computation", "new_both"}


def test_one_pair_at_a_time_gives_the_same_answer(fitted):
    asked, _ = frame_of(SIMULATED.pairs(ran=False))
    together = fitted.predict(asked)["runtime_s"].to_numpy()
    for row in (0, 2, len(asked) - 1):
        alone = fitted.predict(asked.iloc[[row]])["runtime_s"].to_numpy()[0]
        assert alone == pytest.approx(together[row], rel=1e-9)


def test_neither_the_order_of_rows_nor_a_second_fit_changes_the_answer(fitted):
    asked, _ = frame_of(SIMULATED.pairs(ran=False)[:10])
    small = RuntimePredictor(seed=0).fit(SMALL).predict(asked)
    shuffled = RuntimePredictor(seed=0).fit(SMALL.sample(frac=1.0, random_state=1)).predict(asked)
    np.testing.assert_allclose(shuffled[COLUMNS], small[COLUMNS], rtol=1e-6)
    again = fitted.predict(asked)
    np.testing.assert_array_equal(fitted.predict(asked)[COLUMNS], again[COLUMNS])


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
    frame = RunTable.from_runs(world(0, kernels=4).runs).frame
    known = frame[frame["resource_id"] != "r4"]
    new = frame[frame["resource_id"] == "r4"].drop_duplicates("computation_id")
    model = RuntimePredictor(seed=0).fit(known)
    probes, asked = new.iloc[::4], new.drop(new.index[::4])
    truth = asked["runtime_s"].to_numpy()

    def error(predictor):
        return np.median(np.abs(predictor.predict(pairs_of(asked))["runtime_s"].to_numpy() / truth - 1))

    assert error(model.update(probes)) < min(0.25, error(model))


def test_a_small_table_that_doubles_is_fitted_again(blend):
    rows = blend._state.model.fitted_rows
    more = FRAME[FRAME["resource_id"].isin(["r0", "r1"])].iloc[1::9]
    grown = blend.update(more)
    assert grown._state.model.fitted_rows == rows + len(more)
    assert blend.update(SMALL.iloc[:1])._state.model.fitted_rows == rows


def test_a_small_table_that_has_grown_large_enough_is_answered_by_the_learned_model(blend):
    assert blend.update(SMALL).predict(pairs_of(SMALL))["path"].str.startswith("learned/").all()


def test_a_learned_table_that_doubles_is_learned_anew_as_if_all_rows_had_come_at_once(blend):
    learned = blend.update(SMALL)
    rest = FRAME.drop(SMALL.index)
    grown = learned.update(rest)
    assert grown._state.fitted_rows == blend._state.fitted_rows + len(SMALL) + len(rest)
    assert learned.update(rest.iloc[:3])._state.fitted_rows == learned._state.fitted_rows
    start = FRAME[FRAME["resource_id"].isin(["r0", "r1"])].iloc[::9]
    at_once = RuntimePredictor(seed=0).fit(pd.concat([start, SMALL, rest]))
    np.testing.assert_allclose(grown.predict(pairs_of(FRAME))[COLUMNS], at_once.predict(pairs_of(FRAME))[COLUMNS])


def test_an_empty_predictor_learns_from_its_first_update():
    warm = RuntimePredictor(seed=0).fit(EMPTY).update(SMALL)
    answer = warm.predict(pairs_of(SMALL))
    check(answer, SMALL.index)
    assert answer["path"].str.startswith("learned/").all()


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
        SMALL.iloc[:1],
        SMALL[SMALL["resource_id"] == "r0"],
        SMALL[SMALL["computation_id"] == "k0-s0"],
        SMALL.assign(runtime_s=1.0),
        pd.concat([SMALL.iloc[:5]] * 20),
        SMALL.assign(censored=True),
        SMALL.assign(r_void=float("nan"), c_void=float("nan"), s_void=None),
        SMALL.assign(resource_id=[i % 3 if i % 2 else f"{i % 3}" for i in range(len(SMALL))]),
        SMALL.assign(c_name=[f"n{i}" for i in range(len(SMALL))]),
        SMALL.assign(runtime_s=np.where(np.arange(len(SMALL)) % 7 == 0, 1000, 1) * SMALL["runtime_s"]),
        SMALL[["resource_id", "computation_id", "runtime_s"]],
        SMALL.assign(r_kind=[["gpu"]] * len(SMALL), r_unit_type=[{"x": 1}] * len(SMALL)),
        SMALL.assign(group=np.nan),
        SMALL.assign(group="all"),
        SMALL.assign(group=SMALL["resource_id"]),
    ],
    ids=["one row", "one resource", "one computation", "constant", "duplicates", "all censored", "void columns",
         "mixed ids", "many categories", "swapped units", "no features",
         "kinds that are lists", "no group", "one group", "a group for each resource"],
)  # fmt: skip
def test_odd_tables_still_give_finite_rising_answers(frame):
    model = RuntimePredictor(seed=0).fit(frame)
    asked = pd.concat([pairs_of(SMALL).iloc[:5], pd.DataFrame({"resource_id": ["n"], "computation_id": ["n"]})])
    check(model.predict(asked), asked.index)
    check(model.update(SMALL.iloc[:2]).predict(asked), asked.index)


@pytest.mark.parametrize("runtime", [float("nan"), float("inf"), 0.0, -1.0, 1e300])
def test_impossible_runtimes_are_set_aside_and_counted(runtime):
    rows = SMALL.copy()
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
    unpriced = RuntimePredictor(seed=0).fit(SMALL.drop(columns="price_usd_per_s"))
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
    np.testing.assert_allclose(loaded.predict(asked)[COLUMNS], warm.predict(asked)[COLUMNS], rtol=1e-12)
    more = pd.concat([FRAME.iloc[5:9], FRAME.iloc[:2].assign(resource_id="new")])
    again = loaded.update(more).predict(asked)
    np.testing.assert_allclose(again[COLUMNS], warm.update(more).predict(asked)[COLUMNS], rtol=1e-12)
    dna = [of.resource_dna("r1").vector for of in (loaded, warm)]
    np.testing.assert_array_equal(*dna)
    assert loaded.set_aside == warm.set_aside
    assert loaded.version == warm.version
    assert loaded.weights == warm.weights


def test_an_empty_predictor_can_be_saved_and_a_changed_folder_is_refused(tmp_path):
    RuntimePredictor().fit(EMPTY).save(tmp_path)
    assert RuntimePredictor.load(tmp_path).version == "runtime-3-seed0+0"
    (tmp_path / CONFIG).write_bytes(b"{}")
    with pytest.raises(CorruptError):
        RuntimePredictor.load(tmp_path)
    save_model(tmp_path, 3)
    with pytest.raises(CorruptError, match="must hold a RuntimePredictor"):
        RuntimePredictor.load(tmp_path)


def test_a_blend_can_be_saved_too(blend, tmp_path):
    blend.save(tmp_path)
    loaded = RuntimePredictor.load(tmp_path)
    np.testing.assert_allclose(loaded.predict(pairs_of(FRAME))[COLUMNS], blend.predict(pairs_of(FRAME))[COLUMNS])
    assert loaded.version == blend.version
    assert loaded.weights == blend.weights


def test_weights_say_what_each_expert_is_worth_by_side_and_number_of_probes(fitted):
    assert {"resource/0", "computation/0", "resource/10"} <= set(fitted.weights)
    for shares in fitted.weights.values():
        assert sum(shares.values()) == pytest.approx(1.0)
        assert all(share >= 0 for share in shares.values())


@pytest.mark.parametrize("goal", ["learn", "cheapest", "fastest"])
def test_the_next_probe_is_the_label_of_one_of_the_pairs(fitted, goal):
    asked = pairs_of(FRAME.drop_duplicates(["computation_id"])).assign(resource_id="new", r_cores=1.0)
    asked.index = pd.Index([f"pair {n}" for n in range(len(asked))])
    warm = fitted.update(asked.iloc[:1].assign(runtime_s=1.0))
    assert warm.next_probe(asked, goal) in asked.index
    assert fitted.next_probe(asked, goal) == fitted.next_probe(asked.iloc[::-1], goal)


def test_the_fastest_and_the_cheapest_pair_differ_as_prices_say(fitted):
    asked = pd.DataFrame({"resource_id": [f"r{r}" for r in range(5)], "computation_id": "other"})
    fastest = fitted.predict(asked)["runtime_s"].idxmin()
    assert fitted.next_probe(asked, "fastest") == fastest
    dear = asked.assign(price_usd_per_s=[1e6 if r == fastest else 1e-3 for r in range(5)])
    assert fitted.next_probe(dear, "cheapest") == fitted.predict(dear)["cost_usd"].idxmin() != fastest


def test_what_was_run_teaches_nothing_more_and_is_not_asked_for_again(fitted):
    asked = pd.DataFrame({"resource_id": "new", "computation_id": SMALL["computation_id"].unique()})
    first = fitted.next_probe(asked)
    ran = pd.concat([asked.loc[[first]].assign(runtime_s=fitted.predict(asked.loc[[first]])["runtime_s"])] * 20)
    assert fitted.update(ran).next_probe(asked) != first


def test_a_goal_or_pairs_that_are_missing_are_named(fitted, blend):
    with pytest.raises(InputError, match="goal must be one of"):
        fitted.next_probe(pairs_of(FRAME), "best")
    with pytest.raises(InputError, match="needs at least one pair"):
        fitted.next_probe(pairs_of(FRAME).iloc[:0])
    for without in (blend, RuntimePredictor().fit(EMPTY)):
        with pytest.raises(InputError, match="needs a learned model"):
            without.next_probe(pairs_of(FRAME))


def learned_part(dna):
    return np.asarray(dna.vector[16:], dtype=float)


def cosine(computation, resource):
    a, b = learned_part(computation), learned_part(resource)
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def ranks(values):
    return np.argsort(np.argsort(values))


def test_cosines_of_dna_order_resources_by_predicted_time_and_cost(fitted):
    resources = [f"r{r}" for r in range(5)]
    for name in FRAME["computation_id"].unique():
        features = pairs_of(FRAME[FRAME["computation_id"] == name]).iloc[:1]
        asked = features.drop(columns="price_usd_per_s").loc[features.index.repeat(5)].assign(resource_id=resources)
        answer = fitted.predict(asked)
        for objective, column in (("min_latency", "runtime_s"), ("min_cost", "cost_usd")):
            of = fitted.computation_dna(name, objective)
            said = [-cosine(of, fitted.resource_dna(r)) for r in resources]
            assert np.corrcoef(ranks(said), ranks(answer[column]))[0, 1] >= 0.9


def test_dna_is_known_for_what_ran_since_and_refused_for_what_never_did(fitted):
    warm = fitted.update(FRAME.iloc[:2].assign(resource_id="new", computation_id="other"))
    assert warm.resource_dna("new").runs == 2
    assert np.isfinite(learned_part(warm.computation_dna("other"))).all()
    assert warm.resource_dna("new").version != fitted.resource_dna("r0").version
    with pytest.raises(InputError, match="never: must be a resource"):
        fitted.resource_dna("never")


def test_dna_needs_a_learned_model(blend):
    with pytest.raises(InputError, match="DNA needs a learned model"):
        blend.resource_dna("r0")


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
