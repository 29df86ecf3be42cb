"""The two CSV layouts: what each field becomes, and what is refused with its place."""

import csv
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnaml.core.errors import InputError
from dnaml.datasets.price_rows import COLUMNS, GIB, MIB, Price, parse_file, to_row

OWN = {
    "provider": "aws", "region": "us-east-1", "instance_type": "g5.xlarge", "vcpus": "4", "memory_gib": "16.0",
    "cpu_manufacturer": "amd", "cpu_clock_mhz": "3300", "arch": "amd64", "accelerator": "a10g",
    "accelerator_count": "1", "accelerator_mem_mib": "22888", "network_mbps": "2500", "ondemand_usd_h": "1.006",
    "spot_usd_h": "", "price_date": "2026-07-20", "source": "somebody@1",
}  # fmt: skip
GPU_INFO = "\"{'Gpus': [{'Name': 'T4', 'Count': 1.0, 'MemoryInfo': {'SizeInMiB': 16384}}]}\""
SKY_HEADER = (
    "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Price,SpotPrice,"
    "Region,AvailabilityZone,Arch\n"
)


def write(folder: Path, *rows: dict[str, str], name: str = "table.csv") -> Path:
    file = folder / name
    file.write_text("\n".join([",".join(COLUMNS), *(",".join(row[c] for c in COLUMNS) for row in rows)]) + "\n")
    return file


def only(file: Path, **options: object) -> Price:
    (price,) = parse_file(file, **options).prices.values()
    return price


def test_a_row_becomes_a_price_in_base_units(tmp_path):
    assert only(write(tmp_path, OWN)) == Price(
        provider="aws",
        region="us-east-1",
        instance_type="g5.xlarge",
        on_demand_usd_per_h=1.006,
        price_date=date(2026, 7, 20),
        source="somebody@1",
        vcpus=4,
        memory_bytes=16 * GIB,
        cpu_manufacturer="amd",
        clock_hz=3.3e9,
        architecture="amd64",
        accelerator="a10g",
        accelerator_count=1,
        accelerator_memory_bytes=22888 * MIB,
        network_bytes_per_s=312.5e6,
    )


def test_blank_and_zero_sizes_are_unknown_but_a_zero_price_is_a_price(tmp_path):
    row = OWN | {"vcpus": "", "memory_gib": "0.0", "cpu_clock_mhz": "0", "network_mbps": "", "ondemand_usd_h": "0"}
    price = only(write(tmp_path, row))
    assert (price.vcpus, price.memory_bytes, price.clock_hz, price.network_bytes_per_s) == (None, None, None, None)
    assert price.on_demand_usd_per_h == 0


@pytest.mark.parametrize("column", ["ondemand_usd_h", "spot_usd_h", "vcpus", "memory_gib", "network_mbps"])
@pytest.mark.parametrize("value", ["-0.5", "nan", "inf", "cheap"])
def test_a_number_that_cannot_be_is_refused_with_line_column_and_value(tmp_path, column, value):
    file = write(tmp_path, OWN, OWN | {"instance_type": "bad", column: value})
    with pytest.raises(InputError) as caught:
        parse_file(file)
    assert str(caught.value) == (
        f"{file}, line 3, column {column}: must be a finite number, not negative, got {value!r}"
    )


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("price_date", "July", "must be a date like 2026-07-20, got 'July'"),
        ("provider", "", "must be printable text, got ''"),
        ("instance_type", "a\x07b", "must be printable text"),
        ("source", " ", "must be printable text, got ''"),
    ],
)
def test_a_text_that_cannot_be_is_refused_with_line_and_column(tmp_path, column, value, rule):
    with pytest.raises(InputError, match=rf"line 2, column {column}: {rule}"):
        parse_file(write(tmp_path, OWN | {column: value}))


def test_an_instance_type_stands_once_in_a_table(tmp_path):
    with pytest.raises(InputError, match=r"line 3: .* must stand once in the table, got aws/us-east-1/g5.xlarge again"):
        parse_file(write(tmp_path, OWN, OWN))


def test_a_row_without_any_price_is_counted_and_left_out(tmp_path):
    parsed = parse_file(write(tmp_path, OWN, OWN | {"instance_type": "x", "ondemand_usd_h": ""}))
    assert (parsed.rows, parsed.without_price, len(parsed.prices)) == (2, 1, 1)


@pytest.mark.parametrize("line", ["aws,us-east-1", "a," * 20 + "a"])
def test_a_row_with_the_wrong_number_of_fields_is_refused(tmp_path, line):
    file = write(tmp_path, OWN)
    file.write_text(file.read_text() + line + "\n")
    with pytest.raises(InputError, match="line 3: a row must have the 16 fields of the header"):
        parse_file(file)


def test_a_file_of_another_layout_is_refused_naming_both_known_ones(tmp_path):
    file = tmp_path / "other.csv"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"ondemand_usd_h.*\(dnaml\) or .*InstanceType.*\(SkyPilot\), got a, b"):
        parse_file(file)
    file.write_text("")
    with pytest.raises(InputError, match="got none"):
        parse_file(file)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00binary\x00", b'a,"b\n'])
def test_a_file_that_is_no_csv_text_is_refused(tmp_path, content):
    file = tmp_path / "noise.csv"
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"noise\.csv: a price table must be CSV in UTF-8"):
        parse_file(file)


def test_a_missing_file_is_refused_naming_it(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.csv: a price table must be a readable file, got No such file"):
        parse_file(tmp_path / "nothing.csv")


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path):
    file = write(tmp_path, OWN)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert only(file).provider == "aws"


def test_zones_of_a_skypilot_region_become_the_lowest_price(tmp_path):
    file = tmp_path / "aws.csv"
    file.write_text(
        SKY_HEADER
        + f"g4dn.xlarge,T4,1.0,4.0,16.0,{GPU_INFO},0.526,,us-east-1,use1-az1,x86_64\n"
        + f"g4dn.xlarge,T4,1.0,4.0,16.0,{GPU_INFO},0.526,0.20,us-east-1,use1-az2,x86_64\n"
        + f"g4dn.xlarge,T4,1.0,4.0,16.0,{GPU_INFO},0.526,0.18,us-east-1,use1-az3,x86_64\n"
        + f"g4dn.xlarge,T4,1.0,4.0,16.0,{GPU_INFO},0.600,0.30,eu-west-1,euw1-az1,x86_64\n"
    )
    parsed = parse_file(file)
    assert parsed.rows == 4
    assert set(parsed.prices) == {"aws/us-east-1/g4dn.xlarge", "aws/eu-west-1/g4dn.xlarge"}
    price = parsed.prices["aws/us-east-1/g4dn.xlarge"]
    assert (price.on_demand_usd_per_h, price.spot_usd_per_h) == (0.526, 0.18)
    assert price.accelerator_memory_bytes == 16384 * MIB
    assert (price.architecture, price.price_date) == ("x86_64", None)


def test_a_skypilot_accelerator_sold_apart_is_named_after_itself(tmp_path):
    file = tmp_path / "vms.csv"
    file.write_text(SKY_HEADER + ",A100,2.0,,,,5.86,,us-central1,us-central1-a,\n")
    assert only(file, provider="gcp").id == "gcp/us-central1/accelerator:A100:2"


def test_a_skypilot_row_with_neither_type_nor_accelerator_is_refused(tmp_path):
    file = tmp_path / "gcp.csv"
    file.write_text(SKY_HEADER + ",,,,,,5.86,,us-central1,us-central1-a,\n")
    with pytest.raises(InputError, match="line 2, column InstanceType"):
        parse_file(file)


@pytest.mark.parametrize(
    "info", ["", "[]", "T4 with 16 GB", "\"{'Gpus': []}\"", "\"{'Gpus': [{'MemoryInfo': None}]}\""]
)
def test_gpu_info_that_does_not_say_the_memory_leaves_it_unknown(tmp_path, info):
    file = tmp_path / "aws.csv"
    file.write_text(SKY_HEADER + f"g4dn.xlarge,T4,1.0,4.0,16.0,{info},0.526,,us-east-1,,\n")
    assert only(file).accelerator_memory_bytes is None


amounts = st.none() | st.floats(min_value=0.001, max_value=1000).map(lambda value: float(f"{value:.6g}"))


@given(on_demand=amounts, spot=amounts, vcpus=amounts, memory=st.none() | st.integers(1, 10**6))
def test_a_written_price_reads_back_equal(tmp_path_factory, on_demand, spot, vcpus, memory):
    price = Price(
        provider="p",
        region="r",
        instance_type="t, with a comma",
        on_demand_usd_per_h=on_demand if on_demand is not None else 1.0,
        spot_usd_per_h=spot,
        price_date=None,
        source="s",
        vcpus=vcpus,
        memory_bytes=None if memory is None else memory * MIB,
    )
    file = tmp_path_factory.mktemp("prices") / "t.csv"
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerow(to_row(price))
    assert only(file) == price
