"""The screen: JSON or tables on standard output, notes on standard error, a reader who leaves early."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from dnaml.cli.screen import Screen, table, to_json
from dnaml.core.attempt import JobState


def screen(*, as_json=False, quiet=False):
    return Screen(as_json=as_json, quiet=quiet, state=Path("state"))


@dataclass(frozen=True)
class Answer:
    number: float
    path: Path
    vector: object
    state: JobState


def test_json_has_plain_values_and_null_for_what_is_no_number():
    answer = Answer(number=math.nan, path=Path("a/b"), vector=np.array([1.0, 2.0]), state=JobState.RUNNING)
    assert json.loads(to_json(answer)) == {"number": None, "path": "a/b", "vector": [1.0, 2.0], "state": "RUNNING"}


def test_the_answer_is_json_if_asked_for_and_text_otherwise(capsys):
    screen(as_json=True).answer({"a": 1}, "shown")
    assert json.loads(capsys.readouterr().out) == {"a": 1}
    screen().answer({"a": 1}, table("title", ("name", ">n"), [("x", 3)]), "shown")
    out = capsys.readouterr().out
    assert "title" in out
    assert "shown" in out
    assert "x" in out


def test_brackets_in_a_cell_are_not_taken_for_markup(capsys):
    screen().answer({}, table("", ("name",), [("hello[bold]",)]), "id[]")
    assert "hello[bold]" in (out := capsys.readouterr().out)
    assert "id[]" in out


def test_notes_go_to_standard_error_and_quiet_drops_them(capsys):
    screen().note("said")
    screen(quiet=True).note("not said")
    captured = capsys.readouterr()
    assert captured.err == "said\n"
    assert captured.out == ""


def test_quick_work_says_nothing_and_slow_work_says_so_twice(capsys, monkeypatch):
    with screen().working("reading"):
        pass
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("dnaml.cli.screen._PATIENCE_S", 0.0)
    with screen().working("reading"):
        while not (err := capsys.readouterr().err):
            pass
    assert err.startswith("reading ...")
    assert capsys.readouterr().err.startswith("reading: done in")


def test_quiet_work_says_nothing(capsys, monkeypatch):
    monkeypatch.setattr("dnaml.cli.screen._PATIENCE_S", 0.0)
    with screen(quiet=True).working("reading"):
        pass
    assert capsys.readouterr().err == ""


def test_an_error_inside_working_is_passed_on():
    with pytest.raises(KeyError), screen().working("reading"):
        raise KeyError("x")
