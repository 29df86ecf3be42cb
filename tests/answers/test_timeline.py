"""Timelines hold exact sums in few bins, whatever the order and the span of what comes."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnaml.answers.timeline import Timeline
from dnaml.core.errors import InputError

AMOUNTS = st.lists(st.tuples(st.floats(0, 1e7), st.sampled_from("abc"), st.integers(1, 1000)), min_size=1, max_size=60)


@given(amounts=AMOUNTS)
def test_sums_are_exact_and_bins_few_whatever_comes_in_whatever_order(amounts):
    line: Timeline[str] = Timeline(width_s=0.5, most=16)
    for at_s, name, amount in amounts:
        line.add(at_s, name, float(amount))
    bins = line.bins()
    assert len(bins) <= 16
    assert math.log2(line.width_s / 0.5).is_integer()
    wanted = {name: float(sum(amount for _, one, amount in amounts if one == name)) for _, name, _ in amounts}
    assert line.totals() == wanted
    assert sum(sum(one.amounts.values()) for one in bins) == sum(wanted.values())
    for at_s, name, amount in amounts:
        (held,) = [one for one in bins if one.at_s <= at_s < one.at_s + line.width_s]
        assert held.amounts[name] >= amount


def test_bins_without_anything_are_there_and_go_on_until_a_moment():
    line: Timeline[str] = Timeline(width_s=10.0, most=10)
    line.add(5.0, "a")
    line.add(25.0, "a", 2.0)
    assert [(one.at_s, dict(one.amounts)) for one in line.bins()] == [(0.0, {"a": 1.0}), (10.0, {}), (20.0, {"a": 2.0})]
    assert len(line.bins(until_s=59.0)) == 6
    assert len(line.bins(until_s=1e9)) == 10
    assert Timeline().bins(5.0) == []


def test_a_bin_keeps_its_largest_names_and_adds_up_the_rest():
    line: Timeline[str] = Timeline(names=2, rest="rest")
    for number in range(10):
        line.add(0.0, f"n{number}", float(number))
    (only,) = line.bins()
    assert dict(only.amounts) == {"n9": 9.0, "n8": 8.0, "rest": 28.0}
    assert sum(line.totals().values()) == 45.0


@pytest.mark.parametrize(("at_s", "amount"), [(math.nan, 1.0), (math.inf, 1.0), (0.0, math.nan)])
def test_what_is_no_number_is_refused(at_s, amount):
    with pytest.raises(InputError, match="must be finite"):
        Timeline().add(at_s, "a", amount)
    with pytest.raises(InputError, match="2 bins"):
        Timeline(most=1)


def test_several_names_are_counted_at_once():
    line: Timeline[str] = Timeline()
    line.count(3.0, ["a", "b"])
    line.count(3.5, ["a"])
    assert line.totals() == {"a": 2.0, "b": 1.0}
    with pytest.raises(InputError, match="must be finite"):
        line.count(math.inf, ["a"])
