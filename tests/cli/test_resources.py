"""The pool on the command line: declared from TOML, taken from the price table, listed, removed."""

import json

import pytest

from dnaml.cli.main import main

POOL = """\
[resources.fpga0]
kind = "fpga"
site = "on_prem"
memory = "32GB"
price = 1.5

[resources.gpu0]
kind = "gpu"
memory_bytes = 80000000000
spec = { fp32_flop_per_s = 1.9e13 }
"""


@pytest.fixture(autouse=True)
def _state(tmp_path, monkeypatch):
    monkeypatch.setenv("DNAML_STATE", str(tmp_path / "state"))


@pytest.fixture
def pool(tmp_path):
    path = tmp_path / "pool.toml"
    path.write_text(POOL)
    return path


def listed(capsys):
    assert main(["resources", "ls", "--json"]) == 0
    return {row["id"]: row for row in json.loads(capsys.readouterr().out)}


def test_an_empty_pool_says_what_to_do(capsys):
    assert main(["resources", "ls"]) == 0
    assert "dnaml probe" in capsys.readouterr().out


def test_declared_resources_are_listed_with_what_is_known_and_null_for_the_rest(pool, capsys):
    assert main(["resources", "add", str(pool), "--quiet"]) == 0
    capsys.readouterr()
    rows = listed(capsys)
    assert set(rows) == {"fpga0", "gpu0"}
    assert rows["fpga0"]["price_usd_per_h"] == 1.5
    assert rows["fpga0"]["power_w"] is None
    assert rows["gpu0"]["spec"] == {"fp32_flop_per_s": 1.9e13}


def test_adding_again_replaces_and_removing_removes(pool, capsys):
    main(["resources", "add", str(pool)])
    pool.write_text('[resources.gpu0]\nkind = "gpu"\nprice = 3\n')
    main(["resources", "add", str(pool)])
    assert main(["resources", "rm", "fpga0"]) == 0
    capsys.readouterr()
    rows = listed(capsys)
    assert [(row["id"], row["price_usd_per_h"]) for row in rows.values()] == [("gpu0", 3.0)]


def test_a_machine_of_the_price_table_becomes_a_resource_with_the_date_of_its_price(capsys):
    assert main(["resources", "add", "aws/us-east-1/m7i.large", "--id", "rented"]) == 0
    capsys.readouterr()
    row = listed(capsys)["rented"]
    assert row["site"] == "cloud"
    assert row["price_date"] == "2026-07-20"
    assert row["labels"]["region"] == "us-east-1"
    assert row["spec"]["cores"] == 2.0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[resources.a]\nprice = -1\n", "price_usd_per_h must be finite and not negative, got -1"),
        ('[resources.a]\nmemory = "16XB"\n', "16XB"),
        ('[resources.a]\nkind = "cpuu"\n', "did you mean 'cpu'?"),
        ("[resources.a]\nmemroy = 3\n", "did you mean 'memory'?"),
        ("[resources.a\n", "must be TOML"),
    ],
)
def test_a_bad_file_is_refused_by_name_and_value_and_nothing_is_written(text, says, pool, tmp_path, capsys):
    pool.write_text(text)
    assert main(["resources", "add", str(pool)]) == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["resources", "rm", "gpu7"], "gpu7: no such resource; known are none"),
        (["resources", "add", "aws/us-east-1/no.such"], "no price for 'aws/us-east-1/no.such'"),
        (["resources", "add", "none.toml"], "none.toml: cannot be read"),
        (["probe", "gpu7"], "gpu7: no such resource; known are none"),
    ],
)
def test_an_unknown_resource_is_named(arguments, says, capsys):
    assert main(arguments) == 2
    assert says in capsys.readouterr().err


def test_one_id_cannot_name_two_resources(pool, capsys):
    assert main(["resources", "add", str(pool), "--id", "one"]) == 2
    assert "names one resource" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path, pool, capsys):
    (tmp_path / "file").write_text("")
    assert main(["resources", "add", str(pool), "--state", str(tmp_path / "file" / "state")]) == 2
    assert "cannot be written: Not a directory" in capsys.readouterr().err
