"""Resource files: the same fields as Resource, units as people write them, one clear line for what cannot be."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnaml.core.errors import InputError
from dnaml.core.types import Kind, Resource, Site, UnitType
from dnaml.telemetry.declared import dump_resources, read_resources, resource_from, write_resources

FPGA = """
[resources.fpga0]
kind = "fpga"
site = "on_prem"
unit_type = "fpga_fabric"
memory = "16GB"
bandwidth = "10 Gbit/s"
startup = "1.5 s"
latency = "300us"
power = "75 W"
price = 0.5
slots = 2
description = "a card"
[resources.fpga0.spec]
int8_op_per_s = "18.6 TOPS"
clock_average_hz = "300 MHz"
[resources.fpga0.labels]
rack = "b2"
"""


def written(tmp_path, text):
    path = tmp_path / "pool.toml"
    path.write_text(text)
    return path


def test_a_declared_fpga_has_the_same_fields_as_a_probed_resource(tmp_path):
    (fpga,) = read_resources(written(tmp_path, FPGA))
    assert fpga == Resource(
        id="fpga0",
        kind=Kind.FPGA,
        site=Site.ON_PREM,
        unit_type=UnitType.FPGA_FABRIC,
        domain="fpga0",
        slots=2,
        memory_bytes=16 * 2**30,
        bandwidth_bytes_per_s=1.25e9,
        startup_s=1.5,
        latency_s=300e-6,
        power_w=75.0,
        price_usd_per_h=0.5,
        spec={"int8_op_per_s": 18.6e12, "clock_average_hz": 3e8},
        labels={"rack": "b2"},
        description="a card",
    )


def test_a_missing_field_stays_unknown_and_is_never_zero(tmp_path):
    (bare,) = read_resources(written(tmp_path, "[resources.bare]\n"))
    unknown = ("memory_bytes", "price_usd_per_h", "startup_s", "latency_s", "bandwidth_bytes_per_s", "power_w")
    assert [getattr(bare, name) for name in unknown] == [None] * len(unknown)
    assert bare.spec == {}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('memory = "16 GX"', "gpu0: memory must have a unit of B, KB, MB, GB, TB, PB, got '16 GX'"),
        ("price = -1", "gpu0: price_usd_per_h must be finite and not negative, got -1.0"),
        ("price_usd_per_h = -1", "gpu0: price_usd_per_h must be finite and not negative, got -1.0"),
        ("price = nan", "gpu0: price must be finite, got nan"),
        ('memroy = "1GB"', "gpu0: unknown key 'memroy'; did you mean 'memory'?"),
        ("zzz = 1", "gpu0: unknown key 'zzz'"),
        ('kind = "fgpa"', "gpu0: kind must be one of cpu, gpu, fpga, asic, got 'fgpa'; did you mean 'fpga'?"),
        ("slots = 1.5", "gpu0: slots must be a whole number, got 1.5"),
        ("slots = true", "gpu0: slots must be a whole number, got True"),
        ("slots = 0", "gpu0: slots must be at least 1, got 0"),
        ("latency = 3", r"gpu0: latency needs a unit (ns, us, ms, s, min, h), got 3"),
        ("memory = true", r"gpu0: memory must be a number with a unit (B, KB, MB, GB, TB, PB), got True"),
        ('memory = "1GB"\nmemory_bytes = 5', "gpu0: memory_bytes repeats memory_bytes, got 5"),
        ("spec = {fp64_flop_per_s = -3}", "gpu0: spec.fp64_flop_per_s must not be negative, got -3"),
        ('spec = {clock_hz = "1 m"}', "gpu0: spec.clock_hz must have a unit of Hz, kHz, MHz, GHz, got '1 m'"),
        ("spec = 3", "gpu0: spec must be a table, got 3"),
        ("labels = {rack = 1}", "gpu0: labels.rack must be text, got 1"),
        ("environment = {A = 1}", "gpu0: environment.A must be text, got 1"),
        ("description = 4", "gpu0: description must be text, got 4"),
        ('bandwidth = "10 Mb/s"', "gpu0: bandwidth must have a unit of MB/s, GB/s, GiB/s, Mbit/s, Gbit/s"),
    ],
)
def test_what_cannot_be_is_refused_naming_file_resource_field_rule_and_value(tmp_path, line, message):
    path = written(tmp_path, f"[resources.gpu0]\n{line}\n")
    with pytest.raises(InputError) as refused:
        read_resources(path)
    assert str(refused.value).startswith(f"{path}: {message}")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[resources.a]\nx = ", "must be TOML"),
        ("[resource.a]\n", "unknown key 'resource'"),
        ("resources = 3\n", "resources must be tables"),
        ("[resources]\na = 3\n", "a: must be a table of fields, got 3"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_resources(written(tmp_path, text))


def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path):
    with pytest.raises(InputError, match=r"absent\.toml: cannot be read"):
        read_resources(tmp_path / "absent.toml")


def test_a_bare_memory_counts_gigabytes_as_skypilot_does():
    assert resource_from("a", {"memory": 16}).memory_bytes == 16 * 2**30


def test_a_remote_resource_fails_by_itself_unless_its_domain_is_said():
    assert resource_from("a", {"site": "cloud"}).domain == "a"
    assert resource_from("a", {"site": "cloud", "domain": "zone-1"}).domain == "zone-1"
    assert resource_from("a", {}).domain == "local"


texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
positive = st.none() | st.floats(1e-9, 1e15)
resources = st.builds(
    Resource,
    id=st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=8),
    kind=st.sampled_from(Kind),
    site=st.sampled_from(Site),
    unit_type=st.none() | st.sampled_from(UnitType),
    domain=texts.filter(bool),
    slots=st.integers(1, 99),
    memory_bytes=st.none() | st.integers(1, 2**50),
    price_usd_per_h=positive,
    startup_s=positive,
    power_w=positive,
    cpu_quota_share=positive,
    spec=st.dictionaries(texts, st.floats(0, 1e30), max_size=3),
    labels=st.dictionaries(texts, texts, max_size=3),
    environment=st.dictionaries(texts, texts, max_size=3),
    description=texts,
)


@given(resource=resources)
def test_what_is_dumped_reads_back_equal(tmp_path_factory, resource):
    path = tmp_path_factory.getbasetemp() / "round.toml"
    write_resources(path, [resource])
    assert read_resources(path) == (resource,)


def test_a_written_file_keeps_the_order_and_leaves_nothing_else_behind(tmp_path):
    path = tmp_path / "resources.toml"
    pool = (Resource(id="b", spec={"x_per_s": 0.1}), Resource(id="aws/us-east-1/m7i.large"))
    write_resources(path, pool)
    write_resources(path, pool)
    assert read_resources(path) == pool
    assert [entry.name for entry in tmp_path.iterdir()] == ["resources.toml"]


def test_unknown_fields_are_left_out_of_the_dump():
    text = dump_resources([Resource(id="a", price_usd_per_h=0.25)])
    assert "price_usd_per_h = 0.25" in text
    assert "memory" not in text
    assert math.isclose(resource_from("a", {"price": "0.25 $/h"}).price_usd_per_h, 0.25)
