"""Both directions together: who answers which pair, what runs since the fit teach, and what is told apart."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from dnaml.core.prediction import LEVELS
from dnaml.predict.paired import layout
from dnaml.predict.paired import learned as module
from dnaml.predict.paired.grid import Entity
from dnaml.predict.paired.learned import SHOWN, Learned
from tests.predict.paired.grids import FRAME, PAIRS, frame, learned, one_sided

P10, P50, P90 = (LEVELS.index(level) for level in (0.1, 0.5, 0.9))
BOTH, RESOURCE, COMPUTATION = "learned/resource+computation", "learned/resource", "learned/computation"
HIDDEN = frame(5, 5)  # one resource and no computation more than FRAME
NEW = HIDDEN[HIDDEN["resource_id"] == "r4"].reset_index(drop=True)


def pairs(*named):
    return pd.DataFrame(named, columns=["resource_id", "computation_id"])


def medians(model, asked):
    return model.log_quantiles(asked)[0][:, P50]


def paths(model, asked):
    return model.log_quantiles(asked)[1]


def test_the_side_that_training_did_not_hold_is_the_entity():
    asked = pairs(("r0", "c0"), ("new", "c0"), ("r0", "new"), ("new", "new"))
    assert paths(learned(), asked)[1:] == [RESOURCE, COMPUTATION, BOTH]


def test_of_two_known_sides_the_scarcer_one_is_the_entity_a_computation_if_they_are_equal():
    few = FRAME.drop(index=[0, 1, 5])  # r0 lacks c0 and c1, r1 lacks c0
    model = Learned.fit(few)
    assert paths(model, pairs(("r0", "c4"), ("r3", "c0"), ("r3", "c4"))) == [RESOURCE, COMPUTATION, COMPUTATION]


def test_of_two_new_sides_the_one_with_runs_since_answers():
    asked = pairs(("new", "other"), ("else", "fresh"), ("new", "fresh"))
    warm = learned().updated(pairs(("new", "c0"), ("r0", "fresh")).assign(runtime_s=2.0))
    assert paths(warm, asked) == [RESOURCE, COMPUTATION, BOTH]


def test_of_two_new_sides_that_ran_the_one_with_more_runs_answers():
    ran = pairs(("new", "c0"), ("new", "c1"), ("new", "fresh")).assign(runtime_s=2.0)
    assert paths(learned().updated(ran), pairs(("new", "fresh"))) == [RESOURCE]


def test_a_pair_without_a_scale_out_is_asked_apart_and_takes_no_expert_from_the_others():
    model = learned()
    rows = model.layout.rows(pairs(("new", "c0"), ("new", "c1"), ("new", "c2")))
    rows = replace(rows, scale_out=np.array([[2.0, 2.0], [np.nan, np.nan], [8.0, 8.0]]))
    together = [places.tolist() for places, _ in model.tasks(Entity.RESOURCE, rows, np.arange(3))]
    assert sorted(together) == [[0, 2], [1]]


def test_known_cells_are_told_nearly_as_they_ran():
    log_values, _ = learned().log_quantiles(PAIRS)
    truth = np.log(FRAME["runtime_s"])
    assert np.abs(log_values[:, P50] - truth).max() < 0.05
    assert (np.diff(log_values, axis=1) > 0).all()
    assert ((log_values[:, P10] < truth) & (truth < log_values[:, P90])).mean() > 0.9


@pytest.mark.parametrize("probes", [0, 1, 2, 4])
def test_a_new_resource_is_answered_with_any_number_of_probes(probes):
    warm = learned().updated(NEW.iloc[:probes])
    found, _ = warm.log_quantiles(NEW.iloc[probes:].drop(columns="runtime_s"))
    assert np.abs(found[:, P50] - np.log(NEW["runtime_s"].iloc[probes:])).max() < (0.6 if probes == 0 else 0.2)
    assert warm.runs == len(FRAME) + probes


def test_probes_of_a_resource_without_a_description_teach_how_fast_it_is():
    asked = NEW[["resource_id", "computation_id"]].iloc[2:]
    odd = NEW.assign(runtime_s=NEW["runtime_s"] * 20)[["resource_id", "computation_id", "runtime_s"]]
    truth = np.log(odd["runtime_s"].iloc[2:])
    warm = learned().updated(odd.iloc[:2])
    assert np.abs(medians(warm, asked) - truth).mean() < 0.5 * np.abs(medians(learned(), asked) - truth).mean()


def test_a_new_pair_of_known_sides_that_ran_is_drawn_to_its_runs():
    pair = PAIRS.iloc[[3]]
    before = medians(learned(), pair)[0]
    slow = pd.concat([pair.assign(runtime_s=3 * np.exp(before))] * 30)
    after = learned().updated(slow).log_quantiles(pair)[0][0]
    assert after[P50] > before + 0.25
    other = PAIRS.iloc[[9]]
    assert abs(medians(learned().updated(slow), other)[0] - medians(learned(), other)[0]) < 0.1


def test_a_pair_of_new_sides_that_ran_often_is_told_as_it_ran():
    pair = pairs(("new", "fresh"))
    warm = learned().updated(pd.concat([pair.assign(runtime_s=100.0)] * 20))
    assert np.exp(medians(warm, pair)[0]) == pytest.approx(100.0, rel=0.15)


def test_a_resource_beyond_the_largest_grid_is_still_known_by_its_runs(monkeypatch):
    monkeypatch.setattr(layout, "MOST_ENTITIES", 4)
    plain = HIDDEN[["resource_id", "computation_id", "runtime_s"]]
    slow = plain.assign(runtime_s=plain["runtime_s"] * np.where(plain["resource_id"] == "r4", 20.0, 1.0))
    found = medians(Learned.fit(slow), slow[slow["resource_id"] == "r4"].iloc[:4])
    assert np.abs(found - np.log(slow.loc[slow["resource_id"] == "r4", "runtime_s"].iloc[:4])).max() < 0.5


def test_on_some_of_its_rows_a_model_learns_anew_but_weighs_experts_as_before():
    some = FRAME[FRAME["computation_id"] != "c0"]
    again = learned().refitted(some)
    assert again is not None
    assert again.weights == learned().weights
    assert again.runs == len(some)
    assert paths(again, pairs(("r0", "c0"))) == [COMPUTATION]
    truth = np.log(some["runtime_s"])
    assert np.abs(medians(again, some.drop(columns="runtime_s")) - truth).mean() < 0.2
    assert learned().refitted(FRAME[FRAME["resource_id"].isin(["r0", "r1"]) & (FRAME["computation_id"] < "c2")]) is None


def test_an_answer_does_not_depend_on_what_else_is_asked_or_in_which_order():
    asked = pd.concat([PAIRS, pairs(("new", "c0"), ("new", "new"), ("r1", "new"))], ignore_index=True)
    warm = learned().updated(NEW.iloc[:2])
    together = warm.log_quantiles(asked)[0]
    turned = warm.log_quantiles(asked.iloc[::-1])[0][::-1]
    np.testing.assert_allclose(turned, together, atol=1e-9)
    for row in range(0, len(asked), 3):
        np.testing.assert_allclose(warm.log_quantiles(asked.iloc[[row]])[0][0], together[row], atol=1e-9)


def test_the_order_of_training_rows_and_of_updates_changes_nothing():
    small = frame(3, 3)
    other = Learned.fit(small.sample(frac=1.0, random_state=5))
    same = Learned.fit(small)
    np.testing.assert_allclose(other.log_quantiles(PAIRS)[0], same.log_quantiles(PAIRS)[0], atol=1e-6)
    runs = NEW.iloc[:3]
    parts = learned().updated(runs.iloc[:1]).updated(runs.iloc[1:])
    for warm in (parts, learned().updated(runs.iloc[::-1])):
        np.testing.assert_allclose(
            warm.log_quantiles(PAIRS)[0], learned().updated(runs).log_quantiles(PAIRS)[0], atol=1e-9
        )


def test_an_update_without_runs_changes_nothing():
    np.testing.assert_array_equal(
        learned().updated(FRAME.iloc[:0]).log_quantiles(PAIRS)[0], learned().log_quantiles(PAIRS)[0]
    )
    assert learned().updated(FRAME.iloc[:0]).runs == learned().runs


def test_runs_of_one_pair_count_as_one_probe_and_the_last_items_are_kept(monkeypatch):
    warm = learned().updated(pd.concat([NEW.iloc[[0]]] * 9 + [NEW.iloc[[1]]]))
    found = warm._probes(Entity.RESOURCE, "r4")
    assert found.runs.tolist() == [9.0, 1.0]
    np.testing.assert_allclose(found.y, np.log(NEW["runtime_s"].iloc[:2]))
    monkeypatch.setattr(module, "MOST_PROBES", 1)
    assert warm._probes(Entity.RESOURCE, "r4").item.tolist() == [1]


def test_a_resource_described_anew_keeps_the_description_of_training():
    described = PAIRS.assign(r_clock_hz=9e12)
    np.testing.assert_allclose(medians(learned(), described), medians(learned(), PAIRS), atol=0.03)
    fast, slow = (medians(learned(), PAIRS.iloc[:1].assign(resource_id="new", r_clock_hz=hz))[0] for hz in (3e9, 4e8))
    assert fast < slow


def test_odd_values_in_pairs_and_updates_are_unknown():
    odd = NEW.assign(r_clock_hz=np.inf, c_flop=np.nan, t_new=1.0)
    warm = learned().updated(odd)
    assert np.isfinite(warm.log_quantiles(odd)[0]).all()
    assert np.isfinite(warm.log_quantiles(odd[["resource_id", "computation_id"]])[0]).all()


def test_telemetry_may_be_there_in_training_alone_or_in_an_update_too():
    told = frame(4, 5, telemetry=True)
    model = Learned.fit(told)
    assert len(model.layout.telemetry) == 2
    bare = model.updated(NEW.iloc[:2])
    with_load = model.updated(NEW.iloc[:2].assign(t_load=[0.4, 0.5], t_bytes=[10.0, np.nan]))
    for warm in (model, bare, with_load):
        assert np.isfinite(warm.log_quantiles(PAIRS)[0]).all()
        assert np.isfinite(warm.log_quantiles(NEW)[0]).all()
    assert not bare._probes(Entity.RESOURCE, "r4").telemetry.any()
    assert with_load._probes(Entity.RESOURCE, "r4").telemetry.any()


def test_sizes_of_a_computation_are_members_of_their_own():
    model = Learned.fit(frame(4, 2, sizes=(1.0, 8.0)))
    assert len(model.directions["computation"].grid.entities) == 4
    asked = frame(4, 2, sizes=(1.0, 8.0)).drop(columns="runtime_s").iloc[:2]
    small, large = medians(model, asked)
    assert large - small == pytest.approx(np.log(8), abs=0.2)
    assert np.isfinite(medians(model, asked.drop(columns="s_n"))).all()


def test_a_table_with_one_usable_side_has_one_direction():
    assert Learned.fit(frame(2, 5)) is None
    wide = Learned.fit(one_sided())
    assert list(wide.directions) == ["resource"]
    asked = pairs(("r0", "c0"), ("new", "c0"), ("r0", "new"), ("new", "new"))
    assert paths(wide, asked) == [RESOURCE] * 4
    assert np.isfinite(wide.log_quantiles(asked)[0]).all()


def test_weights_are_told_by_direction_and_number_of_probes():
    assert set(learned().weights) == {f"{side}/{n}" for side in ("resource", "computation") for n in SHOWN}
    for shares in learned().weights.values():
        assert sum(shares.values()) == pytest.approx(1.0)


def test_a_pair_that_ran_often_in_training_is_moved_little_by_one_more_run():
    often = pd.concat([FRAME] * 10, ignore_index=True)
    pair = FRAME.iloc[[0]]
    name, other = pair["resource_id"].iloc[0], pair["computation_id"].iloc[0]
    warm = Learned.fit(often).updated(pair.assign(runtime_s=pair["runtime_s"] * 100))
    y, runs = warm.measured(Entity.RESOURCE, name)[other]
    assert runs == 11
    assert y == pytest.approx(np.log(pair["runtime_s"].iloc[0]) + np.log(100) / 11, abs=1e-6)
