"""Calibration and drift as values: figures, charts, and what is said of what drifted or is degraded."""

import json
import math

import pytest

from dnaml.answers.judged import Judged
from dnaml.answers.trust import Trust
from dnaml.dashboard.calibration import (
    MOST_WATCHED,
    degraded,
    drift_rows,
    figures,
    name_rows,
    path_rows,
    verdict,
    watched,
)
from dnaml.dashboard.insight_reads import DriftNow, WatchedNow
from dnaml.dashboard.trust_charts import coverage, errors, reliability
from dnaml.predict.drift import Subject
from dnaml.predict.guarded import Health


def trust(*ratios, paths=()):
    made = Trust()
    for number, ratio in enumerate(ratios):
        made.judged(
            Judged(
                at_s=1_000_000.0 + number,
                resource_id=f"r{number % 2}",
                kernel="fit",
                path="runs",
                said_s=(0.5, 1.0, 2.0),
                runtime_s=ratio,
            )
        )
    for path in paths:
        made.decided(path)
    return made.now(1_000_100.0)


def drift(*found, health=None, **more):
    return DriftNow(watched=found, health=health or Health(), predictor="live-1+9", bound=10.0, now_s=0.0, **more)


def seen(name="gpu0", subject=Subject.RESOURCE, statistic=0.0, **more):
    return WatchedNow(subject=subject, id=name, statistic=statistic, **{"last_s": 5.0, **more})


def test_the_figures_are_those_of_the_runs():
    found = figures(trust(1.0, 2.0, 4.0, 0.5), drift(seen(anchors_left=2), seen("cpu0")))
    assert list(found.values()) == ["4", "75 %", "× 1.41", "1 of 2", "model"]
    empty = figures(trust(), drift())
    assert list(empty.values())[:3] == ["0", "-", "-"]


def test_the_chart_of_levels_has_the_diagonal_the_points_and_bars_within_the_axes():
    found = reliability(trust(0.4, 0.9, 1.5, 3.0))
    diagonal, bars, met = found["series"]
    assert diagonal["data"] == [[0, 0], [1, 1]]
    assert [point["value"] for point in met["data"]] == [[0.1, 0.25], [0.5, 0.5], [0.9, 0.75]]
    for bar in bars["data"]:
        (_, low), (_, high) = bar["coords"]
        assert 0 <= low <= high <= 1
    assert (found["xAxis"]["min"], found["xAxis"]["max"]) == (0, 1)
    json.dumps(found, allow_nan=False)


def test_the_chart_of_errors_holds_every_bar_between_round_ends():
    found = errors(trust(*[0.02] * 5, *[1.0] * 5, *[4.0] * 5))
    low, high = found["yAxis"]["min"], found["yAxis"]["max"]
    assert (low, high) == (0.01, 5.0)
    bars, middle = found["series"]
    assert len(bars["data"]) == len(middle["data"]) == 3
    for bar in bars["data"]:
        (_, lowest), (_, highest) = bar["coords"]
        assert low <= lowest <= highest <= high
    assert "× 4" in middle["data"][-1]["name"]
    times = [point["value"][0] for point in middle["data"]]
    assert times == sorted(times)
    assert 1e12 > times[0] > 1e9 * 0.9  # milliseconds
    json.dumps(found, allow_nan=False)


def test_the_chart_of_coverage_has_eighty_percent_as_its_rule():
    (line,) = coverage(trust(*[1.0] * 8, *[9.0] * 2))["series"]
    assert [point["value"][1] for point in line["data"]] == [1.0, pytest.approx(0.6)]
    assert line["markLine"]["data"] == [{"yAxis": 0.8}]


def test_charts_without_runs_are_empty_and_sound():
    for make in (reliability, errors, coverage):
        json.dumps(make(trust()), allow_nan=False)


def test_what_drifted_is_told_with_the_runs_that_are_asked_of_it():
    row = drift_rows(drift(seen(statistic=-10.5, alarm_s=4.0, anchors_left=3)))[0]
    assert row.strong
    assert (row.cells[2].text, row.cells[2].tone, row.cells[2].note) == ("drifted", "bad", "3 runs asked")
    assert row.cells[3].text == "faster 10.5 of 10"
    assert (row.cells[4].at_s, row.cells[5].at_s) == (5.0, 4.0)


@pytest.mark.parametrize(
    ("statistic", "last_s", "state", "change"),
    [(3.0, 5.0, "steady", "slower 3.0 of 10"), (0.01, 5.0, "steady", "none"), (0.0, -math.inf, "never judged", "none")],
)
def test_what_is_steady_is_told_so(statistic, last_s, state, change):
    row = drift_rows(drift(seen(statistic=statistic, last_s=last_s)))[0]
    assert (row.cells[2].text, row.cells[3].text, row.cells[5].text) == (state, change, "-")
    assert row.cells[3].share == pytest.approx(statistic / 10.0)


def test_few_of_many_are_shown_and_that_is_said():
    many = drift(*[seen(f"r{n}") for n in range(100)])
    assert len(drift_rows(many)) == MOST_WATCHED
    assert watched(many).startswith(f"{MOST_WATCHED} of 100 are shown")
    assert "Nothing is watched yet" in watched(drift())


def test_names_and_paths_are_told_most_first():
    now = trust(1.0, 1.0, 1.0, 9.0, paths=("runs", "runs", "pool"))
    first = name_rows(now.resources)[0]
    assert [cell.text for cell in first.cells] == ["r0", "2", "100 %", "× 1.00"]
    assert first.cells[2].note == "few runs"
    assert [(row.cells[0].text, row.cells[1].text, row.cells[1].share) for row in path_rows(now.paths)] == [
        ("runs", "2", pytest.approx(2 / 3)),
        ("pool", "1", pytest.approx(1 / 3)),
    ]
    assert path_rows({}) == []


def test_what_is_degraded_is_said_with_its_reason():
    assert degraded(drift()).startswith("Nothing is degraded")
    health = Health(resources={f"r{n}": 3 for n in range(7)}, rung="table", reasons=("model: drift alarm",))
    told = degraded(drift(health=health, pool_is_stale=True))
    assert "the model itself is at fault" in told
    assert "'table', because model: drift alarm" in told
    assert "r0 (3 more)" in told
    assert "and 2 others" in told


def test_the_verdict_knows_chance_from_fault():
    assert "2 runs say little yet" in verdict(trust(1.0, 1.0))
    assert "as chance allows" in verdict(trust(*[1.0] * 80, *[9.0] * 20))
    assert "fewer runs were inside" in verdict(trust(*[9.0] * 100))
    assert "more runs were inside" in verdict(trust(*[1.0] * 200))
