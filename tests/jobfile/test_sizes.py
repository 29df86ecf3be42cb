"""Sizes and durations: every accepted spelling, and what is refused."""

import pytest

from dnaml.core.errors import InputError
from dnaml.jobfile.sizes import parse_accelerator, parse_count, parse_duration, parse_memory

GIB = 2**30


@pytest.mark.parametrize(
    ("written", "amount", "or_more"),
    [(4, 4, False), ("4", 4, False), ("4+", 4, True), (0.5, 0.5, False), ("2.5+", 2.5, True), (" 8 ", 8, False)],
)
def test_a_count_is_a_number_with_or_without_a_plus(written, amount, or_more):
    wish = parse_count(written, what="cpus")
    assert (wish.amount, wish.or_more) == (amount, or_more)


@pytest.mark.parametrize(
    ("written", "size_bytes"),
    [
        (16, 16 * GIB),
        ("16", 16 * GIB),
        ("16GB", 16 * GIB),
        ("16gb", 16 * GIB),
        ("16Gi", 16 * GIB),
        ("16GiB", 16 * GIB),
        ("512MB", 512 * 2**20),
        ("0.5", GIB // 2),
        ("2T", 2 * 2**40),
        ("64KB", 64 * 2**10),
        ("1PB", 2**50),
    ],
)
def test_memory_units_are_binary_and_gib_by_default(written, size_bytes):
    assert parse_memory(written, what="memory").amount == size_bytes


def test_memory_with_a_plus_allows_more_and_without_only_the_same():
    assert parse_memory("16GB+", what="memory").allows(32 * GIB)
    assert not parse_memory("16GB+", what="memory").allows(8 * GIB)
    assert parse_memory("16GB", what="memory").allows(16 * GIB)
    assert not parse_memory("16GB", what="memory").allows(32 * GIB)


@pytest.mark.parametrize(
    ("written", "answer"), [("A100", ("A100", 1)), ("A100:8", ("A100", 8)), ("tpu-v4:4", ("tpu-v4", 4))]
)
def test_an_accelerator_is_a_name_and_a_count(written, answer):
    assert parse_accelerator(written, what="accelerators") == answer


@pytest.mark.parametrize(
    ("written", "seconds"),
    [(90, 90), ("90", 90), ("90s", 90), ("1.5h", 5400), ("2h", 7200), ("1h30m", 5400), ("1d", 86400), ("1w", 604800)],
)
def test_a_duration_is_seconds_or_carries_its_unit(written, seconds):
    assert parse_duration(written, what="deadline") == seconds


@pytest.mark.parametrize(
    ("parse", "written"),
    [
        (parse_count, "four"),
        (parse_count, "0"),
        (parse_count, "-1"),
        (parse_count, "nan"),
        (parse_count, "4++"),
        (parse_memory, "16XB"),
        (parse_memory, "0GB"),
        (parse_memory, "1e9"),
        (parse_memory, "-4GB"),
        (parse_accelerator, "A100:"),
        (parse_accelerator, "A100:0"),
        (parse_accelerator, "8:A100"),
        (parse_duration, "soon"),
        (parse_duration, "0s"),
        (parse_duration, "-3s"),
        (parse_duration, "1h 30m"),
        (parse_duration, "inf"),
    ],
)
def test_what_cannot_be_read_names_the_thing_and_the_value(parse, written):
    with pytest.raises(InputError, match=r"^the key: ") as caught:
        parse(written, what="the key")
    assert repr(written) in str(caught.value)
