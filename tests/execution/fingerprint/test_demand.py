"""What a pilot saw becomes demands; what it could not tell is absent."""

from typing import Any

import pytest

from dnaml.execution.fingerprint.demand import AMOUNTS, Seen, demand_of, extrapolated
from dnaml.execution.fingerprint.reports import Report, State


def report(**told: Any) -> Report:
    return Report(**{"state": State.RETURNED, "wall_s": 1.0, "own_s": 1.0, "cpu_s": 1.0, **told})


def demand(**told: Any) -> dict[str, float]:
    return demand_of(Seen(**{"narrow": report(), "ended": True, "cores": 2, **told}))


def test_cpu_share_and_parallelism_come_from_the_runs_own_clock() -> None:
    found = demand(narrow=report(cpu_s=0.25))
    assert (found["cpu_share"], found["parallelism"]) == (0.25, 0.25)
    held = demand(narrow=report(own_s=1.5), frozen_s=0.5)
    assert held["cpu_share"] == 1.0


def test_a_run_with_more_threads_tells_parallelism_and_its_share() -> None:
    found = demand(wide=report(own_s=0.6, cpu_s=1.1))
    assert found["parallelism"] == pytest.approx(1 / 0.6)
    assert found["parallel_share"] == pytest.approx(0.8)


def test_threads_that_only_spin_are_no_parallelism() -> None:
    found = demand(wide=report(own_s=1.0, cpu_s=2.0))
    assert (found["parallelism"], found["parallel_share"]) == (1.0, 0.0)
    slower = demand(wide=report(own_s=5.0, cpu_s=9.0))
    assert (slower["parallelism"], slower["parallel_share"]) == (1.0, 0.0)


def test_a_second_run_that_is_faster_for_another_reason_is_no_parallelism() -> None:
    found = demand(wide=report(own_s=0.5, cpu_s=0.5))
    assert (found["parallelism"], found["parallel_share"]) == (1.0, 0.0)


def test_a_run_of_a_few_milliseconds_tells_no_shares() -> None:
    assert "cpu_share" not in demand(narrow=report(own_s=0.001))


def test_the_mix_of_precision_is_that_of_the_samples() -> None:
    found = demand(narrow=report(samples=20, precision={"fp64": 10, "low": 5, "integer": 3, "unknown": 2}))
    assert found["fp64_share"] == pytest.approx(10 / 18)
    assert found["low_precision_share"] == pytest.approx(5 / 18)
    assert found["fp32_share"] == 0.0


@pytest.mark.parametrize(
    ("samples", "precision"), [(5, {"fp64": 5.0}), (50, {"fp64": 5.0, "unknown": 45.0}), (20, {"unknown": 20.0})]
)
def test_too_few_samples_mask_the_mix(samples: int, precision: dict[str, float]) -> None:
    assert "fp64_share" not in demand(narrow=report(samples=samples, precision=precision))


def test_a_program_without_arrays_uses_no_floating_point_precision() -> None:
    found = demand(narrow=report(samples=20, precision={"unknown": 20.0}, has_arrays=False))
    assert (found["fp64_share"], found["fp32_share"]) == (0.0, 0.0)


def test_torch_tells_operations_and_mix_if_it_takes_most_of_the_time() -> None:
    told = {"watches_torch": True, "flop": {"low": 6.0, "fp32": 2.0}, "torch_weight": {"low": 3.0, "fp32": 1.0}}
    found = demand(narrow=report(torch_s=0.8, **told))
    assert (found["flop"], found["fp32_flop"], found["low_precision_flop"]) == (8.0, 2.0, 6.0)
    assert (found["low_precision_share"], found["fp32_share"]) == (0.75, 0.25)
    assert "fp64_flop" not in found
    assert "flop" not in demand(narrow=report(torch_s=0.1, **told))


def test_a_run_that_was_cut_off_tells_shares_but_no_amounts() -> None:
    found = demand(ended=False, narrow=report(read_bytes=5.0, peak_memory_bytes=5.0, checkpoint_bytes=7.0))
    assert not AMOUNTS & found.keys()
    assert found["cpu_share"] == 1.0
    assert found["checkpoint_bytes"] == 7.0


def test_amounts_are_bytes_read_written_sent_touched_and_held() -> None:
    found = demand(
        narrow=report(read_bytes=1.0, written_bytes=2.0, peak_memory_bytes=10.0),
        working_set_bytes=4.0,
        tree={"tcp_sent_bytes": 5.0, "tcp_received_bytes": 6.0, "peak_memory_bytes": 12.0, "gpu_busy_share": 1.5},
    )
    names = ("read_bytes", "written_bytes", "transferred_bytes", "working_set_bytes", "peak_memory_bytes", "gpu_share")
    assert [found[name] for name in names] == [1.0, 2.0, 11.0, 4.0, 12.0, 1.0]


def test_what_was_not_measured_is_absent() -> None:
    found = demand(narrow=report(peak_memory_bytes=0.0))
    assert set(found) == {"cpu_share", "parallelism"}


@pytest.mark.parametrize(
    ("rate", "share", "confidence"),
    [(4e6, 1.0, 1.0), (8e6, 1.0, 1.0), (3e6, 0.625, 0.75), (0.4e6, 0.05, 0.9)],
)
def test_random_access_lies_between_its_two_bounds(rate: float, share: float, confidence: float) -> None:
    found = demand(page_rates=[rate] * 10, sequential_rate=2e6, random_rate=4e6)
    assert found["random_share"] == pytest.approx(share)
    assert found["random_share_confidence"] == pytest.approx(confidence)
    assert found["random_share"] + found["sequential_share"] <= 1.0 + 1e-9


def test_a_stream_could_also_be_few_random_reads_so_the_share_is_masked() -> None:
    found = demand(page_rates=[2e6] * 10, sequential_rate=2e6, random_rate=4e6)
    assert found["random_share_confidence"] == pytest.approx(0.5)
    assert "random_share" not in found


def test_a_program_that_stays_in_its_cache_waits_for_no_memory() -> None:
    found = demand(page_rates=[1e5] * 10)
    assert (found["random_share"], found["sequential_share"], found["random_share_confidence"]) == (0.0, 0.0, 0.9)


@pytest.mark.parametrize(
    "told",
    [
        {"page_rates": [4e6] * 4, "sequential_rate": 2e6, "random_rate": 4e6},
        {"page_rates": [4e6] * 10},
        {"page_rates": [4e6] * 10, "sequential_rate": 4e6, "random_rate": 4e6},
    ],
    ids=["few windows", "no yardstick", "yardsticks alike"],
)
def test_without_enough_to_go_by_nothing_is_said_of_random_access(told: dict[str, Any]) -> None:
    assert "random_share_confidence" not in demand(**told)


def test_amounts_go_on_by_the_ratio_of_two_steps_and_shares_stay() -> None:
    small = {"flop": 1.0, "read_bytes": 10.0, "written_bytes": 0.0, "transferred_bytes": 0.0, "cpu_share": 0.5}
    larger = {"flop": 8.0, "read_bytes": 9.0, "written_bytes": 0.0, "transferred_bytes": 5.0, "cpu_share": 0.9}
    assert extrapolated(small, larger) == {
        "flop": 64.0, "read_bytes": 9.0, "written_bytes": 0.0, "cpu_share": 0.9,
    }  # fmt: skip
    assert extrapolated({}, larger) == {"cpu_share": 0.9}
