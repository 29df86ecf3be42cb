"""Prices on the command line: found, imported, never without their date."""

import json
from pathlib import Path

import pytest

from dnaml.cli.main import main

HEADER = "provider,region,instance_type,vcpus,memory_gib,ondemand_usd_h,price_date,source\n"


def answer(capsys, *arguments):
    code = main([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.fixture(autouse=True)
def _state(tmp_path, monkeypatch):
    monkeypatch.setenv("DNAML_STATE", str(tmp_path / "state"))


def test_the_shipped_prices_are_listed_by_provider_with_their_dates(capsys):
    code, rows = answer(capsys, "prices", "ls")
    assert code == 0
    assert {"aws", "gcp", "azure"} <= {row["provider"] for row in rows}
    assert all(row["dates"] for row in rows)


def test_the_cheapest_fitting_machine_comes_first_with_date_and_source(capsys):
    code, rows = answer(capsys, "prices", "find", "--cpus", "4", "--memory", "16GB", "--limit", "3")
    assert code == 0
    assert len(rows) == 3
    prices = [row["price_usd_per_h"] for row in rows]
    assert prices == sorted(prices)
    assert all(row["vcpus"] >= 4 and row["memory_bytes"] >= 16 * 2**30 for row in rows)
    assert all(row["price_date"] and row["source"] for row in rows)


def test_nothing_found_is_exit_code_1(capsys):
    code, rows = answer(capsys, "prices", "find", "no-such-type")
    assert (code, rows) == (1, [])


def test_an_imported_table_is_found_again(tmp_path, capsys):
    table = tmp_path / "mine.csv"
    table.write_text(HEADER + "acme,moon,tiny,1,2,0.001,2026-01-02,a letter\n")
    code, done = answer(capsys, "prices", "import", str(table))
    assert code == 0
    assert done["imported"] == 1
    _, rows = answer(capsys, "prices", "find", "--provider", "acme")
    assert [(row["id"], row["price_date"]) for row in rows] == [("acme/moon/tiny", "2026-01-02")]


def test_a_table_with_a_negative_price_is_refused_and_nothing_is_written(tmp_path, capsys):
    table = tmp_path / "mine.csv"
    table.write_text(HEADER + "acme,moon,tiny,1,2,-1,2026-01-02,a letter\n")
    assert main(["prices", "import", str(table)]) == 2
    err = capsys.readouterr().err
    assert "line 2, column ondemand_usd_h" in err
    assert "'-1'" in err
    assert not Path(tmp_path / "state").exists()


def test_tables_for_people_name_the_date_too(capsys):
    assert main(["prices", "find", "m7i", "--limit", "1"]) == 0
    assert "price date" in capsys.readouterr().out
    assert main(["prices", "ls"]) == 0
    assert "price dates" in capsys.readouterr().out
