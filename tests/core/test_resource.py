"""Resources check themselves: what no machine can have is refused, naming the thing, the rule and the value."""

import math

import pytest

from dnaml.core.errors import InputError
from dnaml.core.resource import Resource

FULL = {
    "memory_bytes": 2**30,
    "bandwidth_bytes_per_s": 1e9,
    "price_usd_per_h": 0.0,
    "startup_s": 0.0,
    "latency_s": 0.0,
    "power_w": 0.0,
}


def test_what_nobody_measured_is_none_and_not_zero():
    resource = Resource(id="cpu0")
    assert [getattr(resource, name) for name in FULL] == [None] * len(FULL)
    assert (resource.slots, resource.domain, resource.spec) == (1, "local", {})


def test_a_full_description_is_kept():
    resource = Resource(id="gpu0", spec={"fp32_flop_per_s": 1e12}, cpu_quota_share=0.5, **FULL)
    assert {name: getattr(resource, name) for name in FULL} == FULL


@pytest.mark.parametrize("name", ["", "a\nb", "\x1b[31m"])
def test_an_id_must_be_printable(name):
    with pytest.raises(InputError, match="resource id must be printable text"):
        Resource(id=name)


@pytest.mark.parametrize("name", FULL)
@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_a_number_that_is_negative_or_not_finite_is_refused(name, value):
    with pytest.raises(InputError, match=f"gpu0: {name} must be finite and not negative, got {value}"):
        Resource(id="gpu0", **{name: value})


@pytest.mark.parametrize("name", ["memory_bytes", "bandwidth_bytes_per_s"])
def test_no_memory_and_no_bandwidth_are_refused(name):
    with pytest.raises(InputError, match=f"gpu0: {name} must be positive, got 0"):
        Resource(id="gpu0", **{name: 0})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"slots": 0}, "gpu0: slots must be at least 1, got 0"),
        ({"spec": {"tdp_w": math.nan}}, "gpu0: spec tdp_w must be finite, got nan"),
        ({"cpu_quota_share": 0.0}, "gpu0: cpu_quota_share must be positive, got 0.0"),
        ({"cpu_quota_share": math.nan}, "gpu0: cpu_quota_share must be positive, got nan"),
    ],
)
def test_other_impossible_values_are_refused(wrong, said):
    with pytest.raises(InputError, match=said):
        Resource(id="gpu0", **wrong)
