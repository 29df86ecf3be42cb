"""A fingerprint comes from what is declared, from history, or from a pilot; the unknown is masked."""

import logging
from pathlib import Path
from typing import Any

import pytest

from dnaml.core.errors import InputError
from dnaml.core.protocols import Run
from dnaml.core.types import Resource
from dnaml.execution.fingerprint import computation_of, fingerprint, measured
from dnaml.execution.fingerprint.measure import DEMANDS, Source
from dnaml.execution.fingerprint.pilot import Outcome
from tests.execution.fingerprint import pilots


def test_without_a_pilot_nothing_runs_and_only_what_is_declared_is_known(tmp_path: Path) -> None:
    note = tmp_path / "note"
    found = measured(pilots.notes_its_folders, (str(note),), pilot=False, declared={"flop": 1e9})
    assert (found.source, found.outcome) == (Source.NOTHING, Outcome.NOT_RUN)
    assert found.computation.demand == {"flop": 1e9}
    assert set(found.masked) == set(DEMANDS) - {"flop"}
    assert not note.exists()


def test_what_ran_before_needs_no_pilot() -> None:
    computation = computation_of(pilots.doubles, (1000,))
    run = Run(
        computation=computation, resource=Resource(id="a"), runtime_s=2.0, at_s=1.0,
        telemetry={"cpu_user_s": 1.0, "cpu_system_s": 0.5, "read_bytes": 7.0},
    )  # fmt: skip
    found = measured(pilots.doubles, (1000,), history=[run], declared={"read_bytes": 9})
    assert (found.source, found.outcome) == (Source.HISTORY, Outcome.NOT_RUN)
    assert found.computation.demand == {"cpu_share": 0.75, "read_bytes": 9.0}
    assert found.computation.id == computation.id


def test_a_computation_in_plain_python_is_measured() -> None:
    found = measured(pilots.doubles, (1_000_000,), budget_s=4.0, history=[])
    demand = found.computation.demand
    assert (found.source, found.outcome) == (Source.PILOT, Outcome.RETURNED)
    assert demand["cpu_share"] > 0.8
    assert demand["parallelism"] < 1.4
    assert (demand["fp64_share"], demand["low_precision_share"]) == (0.0, 0.0)
    assert demand["peak_memory_bytes"] > demand["working_set_bytes"] * 0.2 > 0
    assert "flop" in found.masked
    assert found.computation.size == {"n": 1_000_000}


def test_a_computation_that_waits_uses_little_of_a_core() -> None:
    demand = fingerprint(pilots.sleeps, 0.2, budget_s=2.0).demand
    assert demand["cpu_share"] < 0.3
    assert "fp64_share" not in demand


def test_the_precision_of_arrays_is_seen() -> None:
    demand = fingerprint(pilots.multiplies, 500, rounds=20, budget_s=5.0).demand
    assert demand["fp64_share"] > 0.9
    assert demand["parallelism"] >= 0.9


def test_torch_tells_its_operations_exactly() -> None:
    pytest.importorskip("torch")
    found = measured(pilots.learns, (256, 50), budget_s=25.0)
    assert found.computation.demand["flop"] == 50 * 2 * 256**3
    assert found.computation.demand["low_precision_flop"] == found.computation.demand["flop"]
    assert found.computation.demand["low_precision_share"] > 0.9


def test_bytes_read_and_written_and_checkpoints_are_measured() -> None:
    demand = fingerprint(pilots.writes, 20).demand
    assert demand["written_bytes"] == pytest.approx(20e6, rel=0.01)
    assert demand["read_bytes"] == pytest.approx(20e6, rel=0.01)
    assert fingerprint(pilots.saves, 3).demand["checkpoint_bytes"] > 10_000


@pytest.mark.serial
def test_random_reads_are_told_from_work_in_the_cache() -> None:
    jumps = measured(pilots.gathers, (16_000_000, 40), budget_s=6.0).computation.demand
    stays = measured(pilots.doubles, (3_000_000,), budget_s=6.0).computation.demand
    if "random_share_confidence" not in jumps:
        pytest.skip("this kernel does not count the pages that a process touches")
    assert stays.get("random_share", 0.0) < 0.3
    assert jumps["random_share_confidence"] < 0.6 or jumps["random_share"] > 0.4


def test_a_long_function_is_cut_off_and_tells_its_shares() -> None:
    found = measured(pilots.hangs, budget_s=1.5)
    assert found.outcome is Outcome.CUT_OFF
    assert found.wall_s < 30
    assert found.computation.demand["cpu_share"] > 0.4  # a busy machine gives it less than all of a core
    assert "peak_memory_bytes" in found.masked
    assert any("MiB of memory" in note for note in found.notes)


def test_a_pilot_that_fails_is_told_and_the_computation_is_still_named(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        computation = fingerprint(pilots.raises)
    assert computation == computation_of(pilots.raises)
    assert "ValueError: no good" in caplog.text
    found = measured(pilots.doubles, ((i for i in ()),))
    assert found.outcome is Outcome.NOT_STARTED
    assert "cannot be pickled" in found.message
    assert measured(pilots.CannotLoad()).outcome is Outcome.NOT_STARTED


def test_what_is_left_behind_is_noted(tmp_path: Path) -> None:
    found = measured(pilots.leaves_a_child, (str(tmp_path / "note"),), budget_s=1.0)
    assert any("processes behind, which were killed" in note for note in found.notes)


def test_a_smaller_size_is_measured_and_amounts_are_extrapolated() -> None:
    found = measured(pilots.writes, (80,), scale=0.5, budget_s=6.0)
    assert found.notes == ("measured at a smaller size", "amounts extrapolated from two smaller sizes")
    assert found.computation.demand["written_bytes"] == pytest.approx(80e6, rel=0.01)
    assert found.computation.size == {"megabytes": 80}


def test_a_smaller_size_that_fails_or_never_ends_gives_no_amounts() -> None:
    failing: Any = {"scale": lambda args, kwargs: ((args[0] - 30,), kwargs), "budget_s": 6.0}
    found = measured(pilots.writes, (50,), **failing)  # the second step asks for -10 megabytes
    assert found.notes == ("measured at a smaller size",)
    assert "written_bytes" in found.masked
    hung = measured(pilots.sleeps, (1000,), scale=0.5, budget_s=1.0)
    assert hung.outcome is Outcome.CUT_OFF


@pytest.mark.parametrize("budget_s", [0.0, -1.0, float("nan"), float("inf")])
def test_a_budget_must_be_positive(budget_s: float) -> None:
    with pytest.raises(InputError, match="budget_s must be positive"):
        fingerprint(pilots.doubles, 1, budget_s=budget_s)
