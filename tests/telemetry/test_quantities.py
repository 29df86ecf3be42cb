"""Quantities with units: the key says which units may stand behind a number."""

import pytest

from dnaml.core.errors import InputError
from dnaml.telemetry.quantities import quantity, units_of


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("memory_bytes", "16GB", 16 * 2**30),
        ("memory_bytes", "16 GiB", 16 * 2**30),
        ("memory_bytes", "512Mi", 512 * 2**20),
        ("memory_bytes", "1.5t", 1.5 * 2**40),
        ("memory_bytes", "7B", 7),
        ("memory_bytes", "7", 7),
        ("bandwidth_bytes_per_s", "10Gbit/s", 1.25e9),
        ("bandwidth_bytes_per_s", "1 GB/s", 1e9),
        ("bandwidth_bytes_per_s", "1 GiB/s", 2**30),
        ("fp32_flop_per_s", "19.5 TFLOP/s", 19.5e12),
        ("fp32_flop_per_s", "19.5 TFLOPS", 19.5e12),
        ("int8_op_per_s", "200 TOPS", 2e14),
        ("random_access_per_s", "8 M/s", 8e6),
        ("clock_average_hz", "2.1 GHz", 2.1e9),
        ("latency_s", "5ms", 0.005),
        ("startup_s", "2 min", 120.0),
        ("power_w", "0.3 kW", 300.0),
        ("price_usd_per_h", "0.0001 USD/s", 0.36),
        ("slots", 3, 3.0),
        ("memory_bytes", "1e9", 1e9),
    ],
)
def test_the_ending_of_the_key_says_which_units_a_value_may_have(key, text, value):
    assert quantity(key, text, named="r: x") == pytest.approx(value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("memory_bytes", "16 GX"),
        ("memory_bytes", "16 ms"),
        ("memory_bytes", "many"),
        ("memory_bytes", None),
        ("memory_bytes", True),
        ("memory_bytes", float("inf")),
        ("memory_bytes", "1e999"),
        ("slots", "3 GB"),
    ],
)
def test_anything_else_is_refused_by_its_name(key, value):
    with pytest.raises(InputError, match=r"^gpu0: x must .*got "):
        quantity(key, value, named="gpu0: x")


def test_a_name_without_unit_needs_one_in_its_value():
    with pytest.raises(InputError, match="needs a unit"):
        quantity("latency_s", "3", named="gpu0: latency", needs_unit=True)


def test_a_key_without_unit_takes_plain_numbers():
    assert units_of("slots") == "none: a plain number"
