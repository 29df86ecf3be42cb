"""The one form of a benchmark: when a row passes, what the JSON holds, what the table shows."""

import json
import subprocess
import sys

import pytest

from benchmarks import report
from benchmarks.report import Op, Row


def row(**changes):
    return Row(**{"id": "S1.jct", "metric": "mean completion", "value": 0.8, "unit": "ratio", "bar": 0.85} | changes)


@pytest.mark.parametrize(
    ("value", "op", "bar", "passes"),
    [
        (0.85, Op.AT_MOST, 0.85, True),
        (0.86, Op.AT_MOST, 0.85, False),
        (0.95, Op.AT_LEAST, 0.95, True),
        (0.94, Op.AT_LEAST, 0.95, False),
        (None, Op.AT_MOST, 0.85, False),
        (float("nan"), Op.AT_MOST, 0.85, False),
        (7.0, Op.AT_MOST, None, True),
    ],
)
def test_a_row_passes_only_on_the_right_side_of_its_bar(value, op, bar, passes):
    assert row(value=value, op=op, bar=bar).passes is passes


def test_the_json_has_exactly_the_keys_of_the_one_form():
    answer = report.document("engine", [row(peer="loky", peer_value=1.5, note="n")], seeds=[0, 1])
    assert set(answer) == {"name", "commit", "machine", "seeds", "quick", "rows"}
    assert answer["rows"] == [
        {
            "id": "S1.jct",
            "metric": "mean completion",
            "value": 0.8,
            "unit": "ratio",
            "op": "<=",
            "bar": 0.85,
            "peer": "loky",
            "peer_value": 1.5,
            "pass": True,
            "note": "n",
        }
    ]
    json.dumps(answer, allow_nan=False)


def test_a_value_that_is_not_a_number_becomes_null_and_fails():
    assert row(value=float("nan")).as_json()["value"] is None
    assert row(value=float("nan")).as_json()["pass"] is False


def test_the_machine_is_described_by_what_figures_depend_on():
    here = report.machine()
    assert here["cores"] >= 1
    assert here["memory_bytes"] > 2**20
    assert "numpy" in here["packages"]


def test_the_commit_is_that_of_the_checkout():
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    found = report.commit()
    assert found == "unknown" if not head else head.startswith(found.removesuffix("-dirty"))


def test_the_table_shows_misses_rows_not_run_and_their_reason():
    text = report.table("engine", [row(value=None, note="no GPU"), row(value=0.9), row(value=0.5)], quick=True)
    lines = text.splitlines()
    assert "quick" in lines[0]
    assert lines[2].startswith("MISS")
    assert "not run" in lines[2]
    assert lines[3].strip() == "no GPU"
    assert lines[4].startswith("MISS")
    assert "0.9 ratio" in lines[4]
    assert "<= 0.85" in lines[4]
    assert lines[5].startswith("ok")


def test_the_command_line_prints_one_json_object(capsys):
    asked = []
    code = report.main("engine", lambda quick: asked.append(quick) or [row()], ["--quick", "--json"], seeds=[3])
    answer = json.loads(capsys.readouterr().out)
    assert code == 0
    assert asked == [True]
    assert (answer["name"], answer["seeds"], answer["quick"]) == ("engine", [3], True)


def test_the_command_line_prints_a_table_by_default(capsys):
    report.main("engine", lambda quick: [row(peer="loky")], [])
    assert "benchmarks.engine" in capsys.readouterr().out


def test_an_unknown_option_is_refused():
    with pytest.raises(SystemExit) as stopped:
        report.main("engine", lambda quick: [], ["--fast"])
    assert stopped.value.code == 2


def test_importing_the_form_prints_nothing():
    done = subprocess.run([sys.executable, "-c", "import benchmarks.report"], capture_output=True, check=True)
    assert done.stdout == b""


def test_parts_are_measured_in_the_order_asked_for_and_unknown_ones_refused_by_name(capsys):
    parts = {one: lambda quick, one=one: [row(id=one, value=float(quick))] for one in ("R1", "R2", "R3")}
    assert report.main("ray", parts, ["--json", "--quick", "--only", "R3,R1"]) == 0
    told = capsys.readouterr()
    assert [(one["id"], one["value"]) for one in json.loads(told.out)["rows"]] == [("R3", 1.0), ("R1", 1.0)]
    assert "R1 (2 of 2) ..." in told.err
    with pytest.raises(SystemExit):
        report.main("ray", parts, ["--only", "R9"])
    assert "--only must name parts of R1, R2, R3, got 'R9'" in capsys.readouterr().err
