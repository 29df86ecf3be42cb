"""The reactive rule, fleets that follow what is wanted, and spending the rule's budget by forecasts."""

import numpy as np
import pytest

from dnaml.core.errors import InputError
from dnaml.schedule.scaling_rule import Fleet, Pacing, PacingSettings, Reactive, newsvendor_level

LEVELS = (0.5, 0.9, 0.99)


def test_the_reactive_rule_keeps_machines_at_their_share():
    rule = Reactive(share=0.5)
    assert rule.wanted(10.0) == 20
    assert rule.wanted(10.4) == 20  # a change within the tolerance
    assert rule.wanted(0.0) == 1


def test_ordered_machines_come_after_the_lead_and_released_ones_go_at_once():
    fleet = Fleet(3, machines=2)
    assert [fleet.follow(5) for _ in range(4)] == [2, 2, 5, 5]
    assert fleet.follow(1) == 1


def test_what_is_on_its_way_is_not_ordered_again():
    fleet = Fleet(2)
    assert [fleet.follow(4), fleet.follow(4), fleet.follow(4)] == [1, 4, 4]


def test_a_fleet_with_a_window_releases_what_none_of_its_bins_wanted():
    fleet = Fleet(1, window=3, machines=4)
    assert [fleet.follow(want) for want in (4, 2, 1, 1, 1)] == [4, 4, 4, 2, 1]


def test_without_a_forecast_the_reactive_rule_answers():
    pacing = Pacing(PacingSettings(lead=1, reactive_share=0.5), LEVELS)
    assert pacing.wanted(4.0, None, 1) == 8


def test_a_dear_quantile_is_followed_only_while_the_budget_allows():
    """Demand is 1 in nine bins of ten and 10 in the tenth: the 99 % quantile is affordable now and then at most."""
    rng = np.random.default_rng(3)
    pacing = Pacing(PacingSettings(lead=1, reactive_share=0.7), LEVELS)
    fleet, levels, spent = Fleet(1), [], 0
    quantiles = np.array([1.0, 2.0, 30.0])
    for _ in range(400):
        demand = 10.0 if rng.random() < 0.1 else 1.0
        spent += fleet.follow(pacing.wanted(demand, quantiles, fleet.machines))
        levels.append(pacing.level)
    assert 0.9 <= np.median(levels[100:]) < 0.99
    assert abs(pacing.behind) < 0.05 * spent


def test_between_two_quantiles_as_much_is_wanted_as_is_affordable():
    pacing = Pacing(PacingSettings(lead=1, budget_share=1.0, reactive_share=1.0, reactive_window=1), LEVELS)
    fleet, had = Fleet(1), []
    for number in range(600):
        fleet.follow(pacing.wanted(10.0 if number % 2 else 14.0, np.array([8.0, 16.0, 40.0]), fleet.machines))
        had.append(fleet.machines)
    assert np.mean(had[300:]) == pytest.approx(12.0, abs=0.5)
    assert 0.5 < pacing.level < 0.9


def test_what_is_only_watched_is_not_spent_and_yet_known():
    """The fleet that only watched knows what the quantiles cost from its first bin on."""
    watched = Pacing(PacingSettings(lead=1), LEVELS)
    for _ in range(50):
        watched.wanted(7.0, np.array([7.0, 8.0, 100.0]), None)
    assert watched.behind == 0.0
    assert 0.9 <= watched.level < 0.99


def test_what_was_overspent_is_made_up_for():
    """The fleet has ten machines at first, more than the rule ever wanted: the least quantile is followed for long."""
    pacing = Pacing(PacingSettings(lead=1), LEVELS)
    levels = []
    for number in range(60):
        pacing.wanted(1.0, np.array([1.0, 2.0, 3.0]), 10 if number < 20 else 1)
        levels.append(pacing.level)
    assert pacing.behind < 0
    assert set(levels[10:]) == {0.5}


def test_an_affordable_quantile_is_the_highest_one():
    pacing = Pacing(PacingSettings(lead=2), LEVELS)
    fleet = Fleet(2)
    for _ in range(30):
        fleet.follow(pacing.wanted(7.0, np.array([7.0, 7.5, 8.0]), fleet.machines))
    assert pacing.level == 0.99
    assert fleet.machines == 8


def test_who_can_afford_it_keeps_machines_for_every_forecast_on_its_way():
    pacing = Pacing(PacingSettings(lead=3), LEVELS)
    wanted = [pacing.wanted(90.0, np.full(3, high), 12) for high in (3.0, 9.0, 3.0, 3.0, 3.0)]
    assert wanted == [3, 9, 9, 9, 3]
    poor = Pacing(PacingSettings(lead=3), LEVELS)
    assert [poor.wanted(1.0, np.full(3, high), 12) for high in (3.0, 9.0, 3.0, 3.0)] == [3, 9, 3, 3]


def test_with_no_least_machine_the_rules_go_down_to_none():
    assert Reactive(least=0).wanted(0.0) == 0
    assert Reactive(least=0).wanted(0.1) == 1
    pacing = Pacing(PacingSettings(lead=1, least_machines=0), LEVELS, machines=0)
    assert pacing.wanted(0.0, np.array([0.0, 0.01, 0.04]), 0) == 0
    assert Pacing(PacingSettings(lead=1), LEVELS).wanted(0.0, np.array([0.0, 0.01, 0.04]), 1) == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Reactive(share=0.0), "share of a machine"),
        (lambda: PacingSettings(lead=0), "lead must be"),
        (lambda: PacingSettings(lead=1, budget_share=0.0), "budget_share"),
        (lambda: Pacing(PacingSettings(lead=1, most_level=0.4), LEVELS), "no level"),
        (lambda: newsvendor_level(0.0, 0.0), "newsvendor"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_the_newsvendor_weighs_short_against_idle():
    assert newsvendor_level(9.0, 1.0) == pytest.approx(0.9)
