"""Scores become rows with the bars that were asked; what could not run says why, and never passes."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from benchmarks.prediction import __main__ as prediction
from benchmarks.prediction import claims, growth, intervals, search, studies, synthetic
from benchmarks.prediction.scores import CHOSEN, RANDOM, Score, mean_of, median_of, scored
from benchmarks.prediction.search import Regrets
from benchmarks.prediction.studies import Result, Study
from benchmarks.prediction.tasks import COMPUTATION, PRICE, RESOURCE, RUNTIME, Task
from benchmarks.report import Op

CLAIM = {claim.id: claim for claim in claims.CLAIMS}


def score(by="dnaml 0", target="a", errors=(0.1, 0.3), rank=0.97, cover=80.0, width=0.5, count=3, probing=RANDOM):
    return Score(
        by=by,
        target=target,
        probe_count=count,
        errors=np.array(errors),
        spearman=rank,
        cover=cover,
        width=width,
        probing=probing,
    )


def task(count=2, rows=8, machines=6):
    size = np.arange(rows) / 4
    rows = pd.DataFrame(
        {
            RESOURCE: "new",
            COMPUTATION: [f"w{at}" for at in range(rows)],
            RUNTIME: np.exp(size),
            PRICE: 0.01,
            "c_size": size,
        }
    )
    train = pd.concat(
        [rows.assign(**{RESOURCE: f"m{at}", RUNTIME: rows[RUNTIME] * (at + 1)}) for at in range(machines)]
    )
    return Task(
        protocol="made/up",
        probe_count=count,
        target="new",
        draw=0,
        train=train.reset_index(drop=True),
        probes=rows[:count],
        query=rows[count:].reset_index(drop=True),
        key="k",
    )


def test_every_figure_that_was_asked_has_its_floor_as_bar_and_its_aim_in_the_note():
    asked = {
        "P1": (0.966, 0.970), "P2": (0.77, 0.80), "P3.k1": (18, 15), "P3.k3": (14, 10), "P3.k10": (7.5, 7),
        "P4": (5.2, 4.5), "P5.k3": (8.5, 7), "P5.k10": (6.3, 5.5), "P6.k3": (8.2, 6.5), "P6.k10": (5.0, 4.5),
        "P7.with": (4.6, 4), "P9": (27, 22), "P10.k1": (5.3, 4.5), "P10.k2": (4.1, 3.5), "P10.k3": (3.0, 2.7),
        "P11.error": (20, 15), "P11.rank": (0.957, 0.965), "P12": (22, 18),
        "P3.k1.aopt": (13, 13), "P3.k3.aopt": (8, 8), "P3.k10.aopt": (7, 7),
    }  # fmt: skip
    assert {name: (CLAIM[name].bar, CLAIM[name].aim) for name in asked} == asked
    assert set(CLAIM) - set(asked) == {"P7.without"}
    rows = {
        row.id: row for row in claims.search_rows(Result(regrets=[Regrets(by="dnaml 0", target="a", after=(9, 4))]))
    }
    assert [(row.bar, row.value) for row in rows.values()] == [(18, 9), (10, 4)]


def test_a_row_is_the_mean_over_targets_and_seeds_with_the_median_beside():
    scores = [
        score(target="a", errors=(0.1, 0.1)),
        score(target="b", errors=(0.1, 0.3)),
        score(target="c", errors=(0.9, 0.9)),
        score(by="dnaml 1", target="a", errors=(0.2, 0.2)),
        score(by="scaling", errors=(0.5, 0.5)),
    ]
    row = claims.row_of(CLAIM["P5.k3"], Result(scores=scores, cpu_s={"dnaml": 3.0}))
    assert row.value == pytest.approx((100 * (0.1 + 0.2 + 0.9) / 3 + 20) / 2)
    assert row.bar == 8.5
    assert not row.passes
    for told in ("aim <= 7", "median over 3 targets 20", "by seed 40, 20", "scaling 50", "CPU s: dnaml 3"):
        assert told in row.note
    assert (row.peer, row.peer_value) == ("scaling + boosted trees (quoted)", 10.4)


def test_a_quoted_figure_of_the_first_targets_has_a_row_on_those_alone():
    scores = [score(target=f"t{at}", errors=(0.1 if at < 15 else 0.9,)) for at in range(20)]
    assert claims.row_of(CLAIM["P5.k3"], Result(scores=scores)).value == pytest.approx(30)
    row = claims.quoted_row(CLAIM["P5.k3"], Result(scores=scores))
    assert row is not None
    assert (row.id, row.value, row.bar) == ("P5.k3.quoted", pytest.approx(10), 8.5)
    assert "the 15 of 20 targets" in row.metric
    assert claims.quoted_row(CLAIM["P5.k3"], Result(scores=scores, few=True)) is None
    assert claims.quoted_row(CLAIM["P9"], Result(scores=scores)) is None


def test_a_quick_row_has_no_rival_but_the_peers_of_its_run():
    row = claims.row_of(CLAIM["P5.k3"], Result(scores=[score(), score(by="scaling", errors=(0.5,))], few=True))
    assert (row.peer, row.peer_value) == ("scaling", 50)
    assert "few targets" in row.note


def test_the_best_peer_is_the_highest_where_larger_is_better():
    found = claims.row_of(CLAIM["P1"], Result(scores=[score(), score(by="two towers", rank=0.99)]))
    assert (found.op, found.value, found.passes) == (Op.AT_LEAST, 0.97, True)
    assert (found.peer, found.peer_value) == ("two towers", 0.99)


def test_only_answers_with_the_asked_probes_count():
    scores = [score(count=3), score(count=10, errors=(0.05, 0.05)), score(errors=(0.01,), probing=CHOSEN)]
    assert claims.row_of(CLAIM["P3.k3"], Result(scores=scores)).value == pytest.approx(20)
    assert claims.row_of(CLAIM["P3.k10"], Result(scores=scores)).value == pytest.approx(5)
    assert claims.row_of(CLAIM["P3.k3.aopt"], Result(scores=scores)).value == pytest.approx(1)


def test_what_could_not_run_has_no_value_and_its_reason():
    result = Result(scores=[score()], trouble={"": "seed 1, x: it failed"})
    row = claims.row_of(CLAIM["P3.k3"], result)
    assert row.value is None
    assert not row.passes
    assert row.note.startswith("seed 1, x: it failed")
    chosen = Result(scores=[score(), score(probing=CHOSEN)], trouble={CHOSEN: "no next_probe"})
    assert claims.row_of(CLAIM["P3.k3"], chosen).value is not None
    assert claims.row_of(CLAIM["P3.k3.aopt"], chosen).value is None
    assert claims.search_rows(chosen)[0].value is None


def test_a_pooled_median_counts_every_row_and_a_median_over_targets_every_target():
    scores = [score(target="a", errors=(0.1,) * 5), score(target="b", errors=(0.5,)), score(target="c", errors=(0.4,))]
    assert mean_of(scores, "pooled") == pytest.approx(10)
    assert median_of(scores, "pooled") == pytest.approx(40)
    assert np.isnan(mean_of([], "mape"))


def test_coverage_is_pooled_over_targets_and_the_worst_row_counts():
    results = {
        "P5": Result(scores=[score(cover=60), score(cover=70, target="b"), score(by="scaling", cover=85, width=1.0)]),
        "P12": Result(scores=[score(cover=95, width=1.0)]),
    }
    rows = {row.id: row for row in intervals.rows_of(results)}
    assert rows["P13.pooled_least"].value == pytest.approx(75)
    assert (rows["P13.pooled_least"].bar, rows["P13.pooled_least"].passes) == (76, False)
    assert rows["P13.pooled_most"].passes
    assert (rows["P13.each_least"].value, rows["P13.each_most"].value) == (65, 95)
    assert "P5.k3" in rows["P13.each_least"].note
    assert rows["P13.width"].value == pytest.approx(0.5)
    assert (rows["P13.P5.k3"].peer, rows["P13.P5.k3"].peer_value) == ("scaling", 85)


def test_without_answers_there_is_no_coverage():
    (row,) = intervals.rows_of({"P5": Result(trouble={"": "no data"})})
    assert row.value is None
    assert not row.passes


def test_an_answer_is_scored_by_error_order_and_interval():
    asked = task()
    truth = asked.truth_s
    found = scored("x", asked, truth * 1.1, (truth / 2, truth * 2))
    assert found.mape == pytest.approx(10)
    assert (found.spearman, found.cover) == (pytest.approx(1), 100)
    assert found.width == pytest.approx(np.log(4))
    none = scored("x", asked, np.full(len(truth), np.nan))
    assert np.isfinite(none.errors).all()
    assert np.isnan(none.cover)


def test_a_search_never_repeats_a_run_and_its_regret_only_falls():
    rows = pd.concat([task().probes, task().query], ignore_index=True)
    seen = []

    def choose(state):
        assert not set(state.seen) & set(state.left)
        seen.append(list(state.seen))
        return search.by_chance(state)

    regret = search.search(rows, choose, draw=0)
    assert len(regret) == 6
    assert (np.diff(regret) <= 0).all()
    assert [len(each) for each in seen] == [3, 4, 5]


def test_a_search_by_a_perfect_prediction_finds_the_cheapest_at_once():
    class Knowing:
        def predict(self, probes, pairs):
            return np.exp(pairs["c_size"].to_numpy())

    rows = pd.concat([task().probes, task().query], ignore_index=True)
    for draw in range(4):
        assert search.search(rows, search.by_peer(Knowing()), draw)[3] == 0


def test_a_predictor_that_chooses_no_probes_is_told_apart():
    with pytest.raises(LookupError, match="next_probe"):
        search.next_probe(object(), task().query, goal="learn")


def test_a_study_asks_dnaml_and_the_peers_the_same_tasks():
    study = Study(id="made", tasks=lambda data: iter([task(2, 5, 2), task(3, 5, 2)]), peers=studies.QUICK[:1])
    result = studies.run(study, seeds=(0, 1), quick=False)
    asked = sorted((score.by, score.probe_count) for score in result.scores if score.probing == RANDOM)
    assert asked == [(by, count) for by in ("dnaml 0", "dnaml 1", "scaling") for count in (2, 3)]
    assert all(np.isfinite(score.width) for score in result.scores)
    assert set(result.cpu_s) == {"dnaml", "choosing", "scaling"}


class Choosing:
    """A predictor that knows sizes alone: it probes the largest first, and remembers what it was told."""

    def __init__(self, known=()):
        self.known = known

    def update(self, probes):
        return Choosing(tuple(probes[COMPUTATION]))

    def next_probe(self, pairs, *, goal):
        assert goal == "learn"
        assert not set(self.known) & set(pairs[COMPUTATION])
        assert RUNTIME not in pairs
        return pairs["c_size"].idxmax()

    def predict(self, pairs):
        assert not set(self.known) & set(pairs[COMPUTATION])
        return pd.DataFrame({"runtime_s": np.exp(pairs["c_size"]) * (1 + 1 / len(self.known))}, index=pairs.index)


def test_probes_are_chosen_one_by_one_and_never_asked_for_again():
    found = list(studies._with_chosen_probes("dnaml 0", Choosing(), task(rows=16)))
    assert [(one.probe_count, one.probing, len(one.errors)) for one in found] == [
        (1, CHOSEN, 15),
        (3, CHOSEN, 13),
        (10, CHOSEN, 6),
    ]
    assert [one.mape for one in found] == pytest.approx([100, 100 / 3, 10])


def test_a_failing_fit_leaves_the_peers_and_tells_why():
    whole = task()
    broken = dataclasses.replace(whole, train=whole.train.drop(columns=RESOURCE))
    result = Result()
    studies._ask_dnaml(Study(id="made", tasks=iter), [broken], 0, result)
    assert not result.scores
    assert "seed 0, new" in result.trouble[""]


def test_made_up_runs_are_pairs_once_each_with_positive_finite_times():
    table = synthetic.table(200, resources=20, computations=15)
    assert len(table.drop_duplicates([RESOURCE, COMPUTATION])) == 200
    assert np.isfinite(table[RUNTIME]).all()
    assert (table[RUNTIME] > 0).all()
    pd.testing.assert_frame_equal(table, synthetic.table(200, resources=20, computations=15))


def test_growth_is_the_exponent_and_is_drawn(tmp_path):
    taken = {100: 0.1, 1_000: 10.0, 10_000: 1000.0}
    assert growth.exponent(taken) == pytest.approx(2)
    growth.draw({"one": taken, "two": taken}, tmp_path / "new" / "growth.svg")
    assert "<svg" in (tmp_path / "new" / "growth.svg").read_text()


def test_without_the_data_every_row_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DNAML_DATA", str(tmp_path / "absent"))
    assert prediction.main(["--quick", "--json", "--only", "P5,P8,P13"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["name"] == "prediction"
    assert answer["seeds"] == [0]
    by_id = {row["id"]: row for row in answer["rows"]}
    assert {"P5.k3", "P8.n4"} <= set(by_id)
    assert all(row["value"] is None and not row["pass"] for row in answer["rows"])
    assert "DNAML_DATA" in by_id["P5.k3"]["note"]


def test_an_unknown_group_is_refused_by_name(capsys):
    with pytest.raises(SystemExit) as stopped:
        prediction.main(["--only", "P99"])
    assert stopped.value.code == 2
    assert "'P99'" in capsys.readouterr().err
