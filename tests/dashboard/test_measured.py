"""What was measured as values: attempts, amounts with their units, and curves from counters."""

import pytest

from dnaml.core.attempt import Sample
from dnaml.dashboard.measured import CURVES, curves, facts, points, rows
from dnaml.dashboard.reads import AttemptNow
from tests.dashboard.rows import attempt_row


def sample(attempt_id, at_s, **metrics):
    return Sample(resource_id="here", attempt_id=attempt_id, at_s=at_s, metrics=metrics)


def test_an_attempt_is_told_with_times_memory_cost_and_how_it_ended():
    lost = attempt_row("a.1", "LOST", error="its process\nwas killed by SIGKILL", cost_usd=None, wall_s=None)
    row = rows([AttemptNow(row=lost, telemetry={})])[0]
    texts = [cell.text for cell in row.cells]
    assert texts == ["a.1", "here", "lost", "", "-", "3 s", "1 MiB", "-", "0", "was killed by SIGKILL"]
    assert row.cells[3].at_s == 1_000_002.0


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("cpu_s", 0.25, "250 ms"),
        ("memory_bytes", 2.0**21, "2 MiB"),
        ("disk_bytes_per_s", 2e6, "2 MB/s"),
        ("faults_per_s", 12.0, "12 /s"),
        ("busy_share", 0.125, "12.5 %"),
        ("power_w", 70.5, "70.5 W"),
        ("energy_j", 1_234.0, "1,234 J"),
        ("temperature_c", 61.0, "61 °C"),
        ("clock_hz", 2.6e9, "2.6e+09 Hz"),
        ("threads", 4.0, "4"),
    ],
)
def test_the_ending_of_a_name_says_the_unit(name, value, words):
    assert facts({name: value}) == {name: words}


def test_a_counter_is_drawn_as_its_growth_a_second_and_never_falls_below_zero():
    processor = next(one for one in CURVES if one.metric == "cpu_s")
    samples = [sample("a.1", 10.0, cpu_s=1.0), sample("a.1", 12.0, cpu_s=4.0), sample("a.1", 13.0, cpu_s=0.0)]
    assert points(processor, samples) == [(12_000, 1.5), (13_000, 0.0)]


def test_each_attempt_has_a_line_and_what_was_not_measured_no_chart():
    samples = [
        sample("a.1", 1.0, memory_bytes=2.0**20, cpu_s=0.0),
        sample("a.1", 2.0, memory_bytes=2.0**21, cpu_s=0.0),
        sample("a.2", 3.0, memory_bytes=2.0**20),
    ]
    drawn = curves(samples)
    assert set(drawn) == {"Memory"}
    series = drawn["Memory"]["series"]
    assert [one["name"] for one in series] == ["attempt 1", "attempt 2"]
    assert series[0]["data"] == [[1_000, 1.0], [2_000, 2.0]]
    assert curves([]) == {}
