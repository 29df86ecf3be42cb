"""Cost and demand as values: sums, stacks, forecasts, and what scaling does or would do."""

import json
import math

import numpy as np
import pytest

from dnaml.answers.demanded import OTHERS, DemandNow
from dnaml.answers.scaling_advice import Advice, expected
from dnaml.answers.spending import Spending
from dnaml.core.resource import Resource
from dnaml.dashboard.demand import (
    DemandView,
    _slots,
    advice_facts,
    cost_rows,
    decided_rows,
    figures,
    quality,
    scaling_facts,
)
from dnaml.dashboard.demand_charts import (
    ALL,
    MOST_SERIES,
    demanded,
    demanded_height,
    shown_families,
    spent,
    spent_height,
)
from dnaml.dashboard.insight_reads import DemandShown
from dnaml.dashboard.reads import About
from dnaml.scaling.told import DecidedTold, ScalingTold

ABOUT = About(url="http://x", allowed=["m:f"], argv=False, needs_token=False)


def spending(*used):
    made = Spending()
    for at_s, name, price, seconds in used:
        made.used(at_s, Resource(id=name, price_usd_per_h=price), seconds)
    return made.now()


def shown(bins=40, ahead=2, **more):
    seconds = np.concatenate([np.linspace(30.0, 90.0, bins), [5.0]])
    demand = DemandNow(first_s=0.0, width_s=60.0, seconds={"fit": seconds}, jobs={"fit": np.ones(bins + 1)})
    forecasts = {name: expected(seconds[:-1], ahead, 60.0) for name in (ALL, "fit")}
    return DemandShown(demand=demand, expected=forecasts, now_s=bins * 60.0 + 1.0, **more)


def told(**more):
    values = {
        "template": "t4",
        "dry_run": True,
        "at_s": 9.0,
        "bin_s": 60.0,
        "ahead_s": 180.0,
        "lead_p95_s": 90.0,
        "levels": (0.1, 0.5, 0.9),
        "demand": (1.0, 2.0, 3.0),
        "newest_demand": 2.0,
        "level": 0.98,
        "wanted": 3,
        "machines": ("t4-1",),
        "coming": 2,
        "waiting_s": 0.0,
        "spent_usd": 1.5,
        "most_usd": 20.0,
        "decisions": (),
        "refused": (),
        **more,
    }
    return ScalingTold(**values)


def test_bars_of_every_series_stand_at_the_same_places_so_that_they_stack():
    now = spending((100.0, "a", 3.6, 10.0), (101.0, "b", 36.0, 10.0), (105.0, "a", 3.6, 20.0))
    *bars, line = spent(now)["series"]
    assert [one["name"] for one in bars] == ["b", "a"]
    places = [[point["value"][0] for point in one["data"]] for one in bars]
    assert places[0] == places[1]
    assert len(places[0]) == 6
    assert line["data"][-1]["value"][1] == pytest.approx(now.usd)
    json.dumps(spent(now), allow_nan=False)


def test_the_costliest_are_told_apart_and_the_others_added_up():
    now = spending(*[(100.0, f"r{n}", 3.6 * (n + 1), 10.0) for n in range(20)])
    *bars, _ = spent(now)["series"]
    assert [one["name"] for one in bars] == [*(f"r{n}" for n in range(19, 19 - MOST_SERIES, -1)), OTHERS]
    assert sum(one["data"][0]["value"][1] for one in bars) == pytest.approx(now.usd)


def test_costs_are_told_by_resource_and_an_unknown_price_is_no_zero():
    rows = cost_rows(spending((0.0, "a", 3.6, 10.0), (0.0, "free", None, 7200.0)))
    assert [cell.text for cell in rows[0].cells] == ["a", "$0.0100", "10 s", "1", "$3.60"]
    assert rows[0].cells[1].share == 1.0
    assert [cell.text for cell in rows[1].cells] == ["free", "-", "2 h", "1", "-"]
    assert rows[1].cells[1].note == "no price known"


def test_a_chart_without_a_price_takes_no_room():
    assert spent_height(spending((0.0, "free", None, 5.0))) == "0"
    assert spent_height(spending((0.0, "a", 1.0, 5.0))) != "0"
    json.dumps(spent(spending()), allow_nan=False)


def test_demand_takes_room_once_a_bin_is_over_and_a_lone_bin_fills_the_axis():
    lone = demanded(DemandShown(demand=shown(bins=1).demand, expected={}, now_s=61.0), ALL, 0)
    assert (lone["xAxis"]["min"], lone["xAxis"]["max"]) == (0.0, 60_000.0)
    assert demanded_height(shown(bins=1)) == "22rem"
    assert demanded_height(shown(bins=0)) == "0"
    json.dumps(demanded(shown(bins=0), ALL, 0), allow_nan=False)


def test_the_figures_say_what_is_expected_next_in_slots():
    view = DemandView(spending=spending((0.0, "a", 3.6, 10.0)), shown=shown(), slots=3, about=ABOUT)
    found = figures(view)
    assert found["Spent"] == "$0.0100"
    assert found["Attempts with a price"] == "1 of 1"
    assert found["Slots that take work"] == "3"
    middle = float(found["Slots expected"].partition(" ")[0])
    assert 1.0 <= middle <= 2.0
    nothing = DemandView(spending=spending(), shown=shown(bins=3), slots=0, about=ABOUT)
    assert figures(nothing)["Slots expected"] == "-"
    assert figures(nothing)["Spent"] == "-"


def test_the_chart_of_demand_goes_on_beyond_the_newest_bin():
    found = demanded(shown(), ALL, 3)
    came, low, band, middle = found["series"]
    assert len(came["data"]) == 40
    assert came["data"][0]["value"][1] == pytest.approx(0.5)
    assert middle["data"][-1]["value"][0] > came["data"][-1]["value"][0] + 60_000
    for (_, lowest), (_, more), point in zip(low["data"], band["data"], middle["data"], strict=True):
        assert lowest <= point["value"][1] <= lowest + more + 1e-9
    assert came["markLine"]["data"] == [{"yAxis": 3}]
    assert "markLine" not in demanded(shown(), "fit", 3)["series"][0]
    json.dumps(found, allow_nan=False)


def test_families_without_a_forecast_are_drawn_without_one():
    plain = DemandShown(demand=shown().demand, expected={}, now_s=0.0)
    for family in (ALL, "fit"):
        assert [one["name"] for one in demanded(plain, family, 0)["series"]] == ["asked for"]
    assert shown_families(plain) == {ALL: "All"}
    assert shown_families(shown()) == {ALL: "All", "fit": "fit"}


def test_the_quality_of_the_forecast_is_a_share_of_bins_that_were_forecast():
    one = shown()
    said = quality(one.expected[ALL], 60.0)
    assert f"of {one.expected[ALL].judged} bins fell inside" in said
    assert "2 min before" in said
    assert "about 12 bins" in quality(None, 60.0)
    assert math.isfinite(one.expected[ALL].inside)


@pytest.mark.parametrize(
    ("change", "told_as"),
    [(3, "acquire 3 slots like those of t4"), (1, "acquire 1 slot like"), (-2, "release 2 slots"), (0, "nothing")],
)
def test_what_scaling_would_do_is_said_with_why(change, told_as):
    advice = Advice(
        like="t4",
        slots=4,
        target=4 + change,
        change=change,
        reason="forecast at 98.0%",
        price_usd_per_h=0.25 if change else None,
        lead_s=120.0,
        level=0.98,
        ahead=3,
        bin_s=60.0,
    )
    found = advice_facts(advice)
    assert found["It would"].startswith(told_as)
    assert found["because"] == "forecast at 98.0%"
    assert found["price"] == ("$0.25 an hour each" if change else "-")
    assert "3 min (3 bins)" in found["looks ahead"]


def test_scaling_that_runs_is_told_with_its_decisions_newest_first():
    found = scaling_facts(told())
    assert found["template"] == "t4 (dry run: nothing is bought)"
    assert found["machines"] == "1 there, 2 on their way, 3 wanted"
    assert found["spent on machines"] == "$1.50 of at most $20.00"
    assert found["refused"] == "nothing"
    bare = scaling_facts(told(dry_run=False, demand=(), most_usd=None, refused=("full",)))
    assert "too little is known" in bare["follows"]
    assert (bare["template"], bare["spent on machines"], bare["refused"]) == ("t4", "$1.50", "full")
    decisions = tuple(DecidedTold(at_s=float(n), what="acquire", which="1 x t4", reason="why") for n in range(3))
    assert [row.cells[0].at_s for row in decided_rows(told(decisions=decisions))] == [2.0, 1.0, 0.0]


def test_next_to_no_slots_are_none_and_not_a_power_of_ten():
    assert _slots((2e-271, 1.2e-261, 2e-260, 1e-250)) == "0 (0–0)"
    assert _slots((0.25, 3.0, 1234.0, 2000.0)) == "3 (0.25–1,234)"
