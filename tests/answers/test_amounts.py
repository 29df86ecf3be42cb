"""Amounts as people read them: few digits, a unit, a dash for what is unknown."""

import doctest

import pytest

from dnaml.answers import amounts


def test_the_examples_of_the_module_hold():
    assert doctest.testmod(amounts).failed == 0


@pytest.mark.parametrize(
    ("value_s", "text"),
    [
        (0, "0 s"),
        (4e-8, "40 ns"),
        (4.2e-5, "42 µs"),
        (0.25, "250 ms"),
        (1.794, "1.79 s"),
        (119.9, "120 s"),
        (3599, "60 min"),
        (90_000, "25 h"),
        (float("nan"), "-"),
        (float("inf"), "-"),
    ],
)
def test_a_duration_has_the_unit_that_fits_it(value_s, text):
    assert amounts.seconds(value_s) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0 B"), (1023, "1023 B"), (2**20, "1 MiB"), (2**60, "1024 PiB"), (None, "-")]
)
def test_a_size_counts_in_binary_units(value, text):
    assert amounts.size(value) == text


def test_money_keeps_three_digits_however_little_it_is():
    assert [amounts.usd(value) for value in (0, 3.2e-7, 0.0989, 1234.567, float("nan"))] == [
        "$0",
        "$0.00000032",
        "$0.0989",
        "$1234.57",
        "-",
    ]


def test_what_is_unknown_is_a_dash():
    assert [amounts.rate(None, "B/s"), amounts.share(None), amounts.moment(None)] == ["-", "-", "-"]


def test_a_rate_counts_in_decimal_units():
    assert amounts.rate(1.5e12, "FLOP/s") == "1.5 TFLOP/s"


def test_a_moment_is_local_time():
    assert len(amounts.moment(1_700_000_000)) == len("2023-11-14 22:13:20")
