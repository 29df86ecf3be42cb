"""The benchmark of scheduling: rows without traces say so, wishes name rows there are, formulas keep their bars."""

import json

import pytest

from benchmarks.scheduling import folder
from benchmarks.scheduling.__main__ import PARTS, main, measure


def test_without_traces_their_rows_say_so_and_do_not_pass(tmp_path, monkeypatch):
    monkeypatch.setenv("DNAML_DATA", str(tmp_path))
    rows = measure(True, ["S1", "S5"])
    assert [row.id for row in rows] == ["S1", "S5"]
    assert not any(row.passes for row in rows)
    assert "DNAML_DATA" in rows[0].note


def test_an_unknown_row_is_refused_by_name(capsys):
    with pytest.raises(SystemExit) as refused:
        main(["--only", "S99"])
    assert refused.value.code == 2
    assert "S99" in capsys.readouterr().err


def test_the_formulas_equal_exhaustive_search(capsys):
    assert main(["--quick", "--json", "--only", "S13"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["name"] == "scheduling"
    assert {row["id"] for row in answer["rows"]} == {"S13.split", "S13.copies", "S13.interval", "S13.failures"}
    assert all(row["pass"] for row in answer["rows"])


def test_every_part_is_a_row_of_its_own():
    assert list(PARTS) == ["S0", "S1", "S2", "S5", "frontier", "pairs", "S6", "S7", "S8", "S9", "S10", "S13"]


@pytest.mark.skipif(not folder().is_dir(), reason="public traces are not there: set DNAML_DATA")
def test_arrivals_keep_their_bars():
    rows = {row.id: row for row in measure(True, ["S5"])}
    assert all(row.passes for row in rows.values()), {row.id: row.value for row in rows.values() if not row.passes}


@pytest.mark.skipif(not folder().is_dir(), reason="public traces are not there: set DNAML_DATA")
def test_measured_pairs_cut_the_cost_of_arrivals():
    rows = {row.id: row for row in measure(True, ["pairs"])}
    assert rows["S5.pairs.0s.usd"].value < 0.95 * rows["S5.pairs.0s.usd"].peer_value
    assert "% of the unit time is shared" in rows["S5.pairs.0s.jct"].note
