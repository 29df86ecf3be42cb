"""All benchmarks together: found, run in processes of their own, kept, and written to one page."""

import importlib
import json
import subprocess

import pytest

from benchmarks import report
from benchmarks.report import Row

all_of_them = importlib.import_module("benchmarks.__main__")


def answer(name="engine", quick=False, **changes):
    row = Row(**{"id": "E1.ratio", "metric": "cost | share", "value": 2.5, "unit": "x", "bar": 3.0} | changes)
    return report.document(name, [row], quick=quick)


def test_every_benchmark_is_found_by_its_function():
    found = all_of_them.names()
    assert {"engine", "telemetry", "demo"} <= set(found)
    assert not {"report", "tasks", "__main__"} & set(found)


def test_a_row_of_the_page_says_whether_the_bar_was_met():
    assert "| 2.5 x | <= 3 | met |" in all_of_them.page({"engine": answer()})
    assert "| 3.5 x | <= 3 | **MISSED** |" in all_of_them.page({"engine": answer(value=3.5)})
    assert "| not run | <= 3 | **MISSED** |" in all_of_them.page({"engine": answer(value=None, note="no disk")})
    assert "| 2.5 x |  |  |" in all_of_them.page({"engine": answer(bar=None)})


def test_the_page_names_command_machine_commit_and_notes():
    page = all_of_them.page({"engine": answer(quick=True, note="3 pairs", peer="loky", peer_value=1.25)})
    assert "`python -m benchmarks.engine --quick`" in page
    assert report.commit() in page
    assert "- E1.ratio: 3 pairs" in page
    assert "| loky 1.25 |" in page
    assert r"cost \| share" in page


def test_a_benchmark_that_runs_alone_replaces_its_own_part(tmp_path):
    kept, written = tmp_path / "kept.json", tmp_path / "page.md"
    all_of_them.keep({"engine": answer(), "telemetry": answer("telemetry")}, kept=kept, written=written)
    all_of_them.keep({"engine": answer(value=9.0)}, kept=kept, written=written)
    assert set(json.loads(kept.read_text())) == {"engine", "telemetry"}
    assert "9 x" in written.read_text()
    assert written.read_text().index("## engine") < written.read_text().index("## telemetry")


def test_parts_that_run_alone_replace_their_rows_and_the_others_say_of_which_commit_they_are():
    peers = [Row(id="E2.peer", metric="peer", value=value, unit="x").as_json() for value in (1.0, 2.0)]
    kept = {
        **answer(),
        "commit": "old",
        "rows": [*answer()["rows"], *peers, *answer(id="E3", note="of commit older")["rows"]],
    }
    fresh = {
        **answer(),
        "rows": [peers[0] | {"value": 5.0}, Row(id="E2.more", metric="new", value=6.0, unit="x").as_json()],
    }
    merged = all_of_them.merged(kept, fresh)
    assert [(row["id"], row["value"]) for row in merged["rows"]] == [
        ("E1.ratio", 2.5), ("E2.peer", 5.0), ("E2.more", 6.0), ("E3", 2.5)
    ]  # fmt: skip
    notes = [row["note"] for row in merged["rows"]]
    assert notes[0].startswith("of commit old, load ")
    assert notes[1:] == ["", "", "of commit older"]
    assert merged["commit"] == fresh["commit"]


def test_only_is_of_one_benchmark(capsys):
    with pytest.raises(SystemExit):
        all_of_them.main(["--only", "R1"])
    assert "--only is of one benchmark, got 0 names" in capsys.readouterr().err


def test_a_benchmark_runs_in_a_process_of_its_own(tmp_path):
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "small.py").write_text("import json, sys\nprint(json.dumps({'asked': sys.argv[1:]}))\n")
    assert all_of_them.ask("small", quick=True, root=tmp_path) == {"asked": ["--json", "--quick"]}
    assert all_of_them.ask("small", quick=False, only="R1", root=tmp_path) == {"asked": ["--json", "--only", "R1"]}
    with pytest.raises(subprocess.CalledProcessError):
        all_of_them.ask("absent", quick=False, root=tmp_path)


def test_an_unknown_benchmark_is_refused_by_name(capsys):
    with pytest.raises(SystemExit) as stopped:
        all_of_them.main(["engines"])
    assert stopped.value.code == 2
    assert "'engines'" in capsys.readouterr().err


def test_the_page_in_docs_is_the_one_that_the_kept_answers_make():
    assert all_of_them.PAGE.read_text() == all_of_them.page(all_of_them.known(all_of_them.ANSWERS))
