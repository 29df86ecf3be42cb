"""A decision as values: every candidate, the chosen first, and what came of the prediction."""

import math
from dataclasses import replace

import pytest

from dnaml.dashboard.decision import MOST_DRAWN, MOST_ROWS, compared, made_of, outcome, rows, runtimes, told
from tests.dashboard.rows import attempt_row, decision


def test_the_chosen_candidate_comes_first_and_the_others_say_why_they_lost():
    found = rows(decision("a", "b", "c", chosen="b"))
    assert [row.key for row in found] == ["b", "a", "c"]
    assert [row.strong for row in found] == [True, False, False]
    texts = [cell.text for cell in found[2].cells]
    assert texts[:8] == ["c", "1.5 s", "3 s", "12 s", "0 s", "$3.00", "1 %", "3.000"]
    assert texts[8] == "1.50x the runtime, 1.50x the cost"
    assert found[0].cells[8].text == "chosen"


def test_a_candidate_without_a_score_or_price_is_shown_with_dashes():
    base = decision("a", "b")
    odd = replace(base, score=(1.0, math.inf), cost_usd=(1.0, math.nan))
    texts = [cell.text for cell in rows(odd)[1].cells]
    assert (texts[5], texts[7]) == ("-", "-")


def test_of_many_candidates_the_best_are_shown_and_the_page_says_so():
    many = decision(*(f"r{n}" for n in range(200)), chosen="r150")
    assert len(rows(many)) == MOST_ROWS
    assert rows(many)[0].key == "r150"
    assert "50 best of 200 candidates" in told(many)
    assert "matching" in told(many)
    assert "best of" not in told(decision("a"))
    assert len(runtimes(many, None)["yAxis"]["data"]) == MOST_DRAWN


def test_a_score_is_drawn_as_what_it_sums_up_where_there_is_one():
    found = made_of(replace(decision("a", "b", "c", chosen="b"), score=(1.0, 2.0, math.inf)))
    assert found["yAxis"]["data"] == ["b", "a"]
    assert [one["name"] for one in found["series"]] == ["latency", "cost"]
    assert [point["value"] for point in found["series"][0]["data"]] == [1.5, 0.75]
    assert found["series"][1]["data"][0]["name"] == "b: cost 0.500"
    assert made_of(replace(decision("a"), terms={}))["series"] == []


def test_the_outcome_is_that_of_the_attempt_that_succeeded_where_it_was_predicted():
    chosen = decision("a", "here", chosen="here")
    assert outcome(chosen, []) is None
    assert outcome(chosen, [attempt_row(state="LOST"), attempt_row(resource_id="elsewhere")]) is None
    found = outcome(chosen, [attempt_row(state="LOST"), attempt_row("a-1.2")])
    assert found is not None
    assert (found.runtime_s, found.predicted_s, found.predicted_usd) == (3.0, (1.0, 2.0, 8.0), 2.0)
    assert found.inside
    words = compared(found)
    assert words["measured / predicted"] == "1.5, inside the band"
    assert words["cost measured"] == "$0.50"
    assert "not yet" in compared(None)["measured"]


@pytest.mark.parametrize(("measured_s", "inside"), [(0.9, False), (1.0, True), (8.0, True), (8.1, False)])
def test_a_measured_time_outside_the_band_is_told_as_such(measured_s, inside):
    found = outcome(decision("a", "here", chosen="here"), [attempt_row(runtime_s=measured_s)])
    assert found is not None
    assert found.inside is inside
    assert ("inside" in compared(found)["measured / predicted"]) is inside


def test_the_chart_marks_the_measured_time_on_the_row_of_its_resource():
    chosen = decision("a", "here", "c", chosen="here")
    option = runtimes(chosen, outcome(chosen, [attempt_row()]))
    by_name = {one["name"]: one["data"] for one in option["series"]}
    assert option["yAxis"]["data"] == ["here", "a", "c"]
    assert by_name["measured"][0]["value"] == [3.0, 0]
    assert by_name["predicted, chosen"][0]["value"] == [0, 1.0, 2.0, 8.0]
    assert len(by_name["predicted"]) == 2
    assert option["xAxis"]["type"] == "log"


def test_times_that_differ_little_are_drawn_on_a_plain_axis_and_zero_never_on_a_logarithmic_one():
    assert runtimes(decision("a"), None)["xAxis"]["type"] == "value"
    assert runtimes(decision("a", scale=0.0), None)["xAxis"]["type"] == "value"
