"""Summaries of the demo become rows with the bars that were asked; the worst seed counts."""

import json

import pytest

from benchmarks import demo


def summary(dnaml=0.8, best=1.0, others=2.0, oracle=0.75, mdape=12.0, cover80=80.0, lost=0):
    reached = {"dnaml": dnaml, "random": best, "oracle": oracle} | dict.fromkeys(demo.SIMPLE[1:], others)
    figures = {name: {"objective": value} for name, value in reached.items()}
    return {
        "prediction": {"mdape": mdape, "cover80": cover80},
        "policies": dict.fromkeys(demo.PRESETS, figures),
        "failover": {"detect_s": 0.01, "redone_s": 0.2, "lost": lost, "duplicated": 0},
        "elapsed_s": {"learning": 3.0, "placing": 100.0},
    }


def rows(*summaries, trouble=()):
    return {row.id: row for row in demo.rows_of(summaries, trouble)}


def test_every_figure_that_was_asked_has_its_row_and_its_bar():
    found = rows(summary())
    assert {row_id: row.bar for row_id, row in found.items() if row_id.endswith("min_cost")} == {
        "D1.min_cost": 0.85,
        "D2.min_cost": 0.6,
        "D3.min_cost": 1.15,
    }
    assert [found[key].bar for key in ("D4.mdape", "D5.cover_least", "D5.cover_most")] == [15.0, 72.0, 88.0]
    assert [found[key].bar for key in ("D6.lost", "D6.duplicated", "D7.elapsed")] == [0, 0, 240.0]
    assert all(row.passes for row in found.values())


def test_ratios_are_those_of_dnaml_to_the_simple_policies_and_the_oracle():
    found = rows(summary())
    assert found["D1.balanced"].value == pytest.approx(0.8)
    assert found["D2.balanced"].value == pytest.approx(0.8 / 1.8)
    assert found["D3.balanced"].value == pytest.approx(0.8 / 0.75)


def test_the_worst_seed_counts():
    found = rows(summary(), summary(dnaml=0.9, mdape=16.0, cover80=70.0, lost=1))
    assert not found["D1.balanced"].passes
    assert found["D4.mdape"].value == 16.0
    assert (found["D5.cover_least"].value, found["D5.cover_most"].value) == (70.0, 80.0)
    assert not found["D5.cover_least"].passes
    assert not found["D6.lost"].passes
    assert "0.8, 0.9" in found["D1.balanced"].note


def test_a_seed_that_could_not_run_leaves_no_row_passing():
    found = rows(summary(), trouble=["seed 1: exit code 1: no disk"])
    assert not any(row.passes for row in found.values())
    assert all(row.value is None and "no disk" in row.note for row in found.values())


def test_stored_summaries_are_judged_without_a_run(tmp_path, capsys):
    stored = tmp_path / "0.json"
    stored.write_text(json.dumps(summary()))
    assert demo.main(["--from", str(stored), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["name"] == "demo"
    assert next(row for row in answer["rows"] if row["id"] == "D7.elapsed")["value"] == 103.0


def test_a_summary_without_times_leaves_the_elapsed_time_open():
    found = rows({**summary(), "elapsed_s": {}})
    assert found["D7.elapsed"].value is None
    assert "does not tell" in found["D7.elapsed"].note
