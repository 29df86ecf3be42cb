"""The meter: CPU, blocked time, memory, faults and bytes of one attempt alone, measured on real work."""

import mmap
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dnaml.execution.messages import Metered
from dnaml.execution.metering import Meter

MIB = 2**20
linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux tells what is measured here, others do not")


def metered(work, **source: str) -> Metered:
    meter = Meter(**source)
    meter.start()
    work()
    return meter.stop()


def burn(cpu_s: float) -> None:
    end_s = time.thread_time() + cpu_s
    while time.thread_time() < end_s:
        sum(range(1000))


def test_work_on_a_core_is_cpu_time_and_not_blocked_time():
    used = metered(lambda: burn(0.2))
    assert 0.2 <= used.cpu_s <= 0.3
    assert used.wall_s >= used.cpu_s - 0.02
    assert used.blocked_s <= 0.1 * used.wall_s + 0.05


@linux
@pytest.mark.serial
def test_waiting_for_a_core_is_neither_cpu_nor_blocked_time():
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        used = metered(lambda: burn(0.3))
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
    assert used.wall_s > 1.5 * used.cpu_s
    assert used.blocked_s <= 0.25 * (used.wall_s - used.cpu_s)


def test_being_blocked_is_blocked_time():
    done = threading.Event()
    used = metered(lambda: done.wait(0.2))
    assert 0.15 <= used.blocked_s <= used.wall_s
    assert used.cpu_s < 0.1


def test_children_count_while_they_run_and_their_cpu_is_not_blocked_time():
    script = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    used = metered(lambda: subprocess.run([sys.executable, "-c", script], check=True))
    assert used.cpu_s >= 0.3
    assert used.extra["cpu_user_s"] + used.extra["cpu_system_s"] == pytest.approx(used.cpu_s, abs=0.02)
    if used.wall_s < 1.2 * used.cpu_s:  # else the child waited for a core too, which only it could tell
        assert used.blocked_s < 0.3


@linux
def test_peak_memory_is_that_of_the_attempt_and_not_of_one_before_it():
    meter = Meter()
    meter.start()
    large = bytearray(64 * MIB)
    with_large = meter.stop().peak_memory_bytes
    del large
    meter.start()
    small = bytearray(8 * MIB)
    with_small = meter.stop().peak_memory_bytes
    del small
    assert with_large - with_small >= 48 * MIB


@linux
def test_peak_memory_is_not_that_of_the_process_which_started_this_one():
    script = (
        "from dnaml.execution.metering import Meter; meter = Meter(); meter.start();"
        "print(meter.stop().peak_memory_bytes)"
    )
    large = bytearray(300 * MIB)
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert len(large) == 300 * MIB
    assert int(told.stdout) < 200 * MIB


def test_a_child_that_needs_more_memory_than_any_before_it_counts():
    script = (
        "import subprocess, sys; from dnaml.execution.metering import Meter; meter = Meter(); told = []\n"
        "for mib in (100, 50):\n"
        "    meter.start()\n"
        "    subprocess.run([sys.executable, '-c', f'x = bytearray({mib} * 2**20)'], check=True)\n"
        "    told.append(meter.stop().peak_memory_bytes)\n"
        "print(*told)"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    first, second = map(int, told.stdout.split())
    assert 100 * MIB <= first <= 200 * MIB
    assert second < 100 * MIB  # a smaller child is not told apart from the largest so far, and not taken for it


@linux
def test_bytes_and_faults_are_counted(tmp_path: Path):
    def work() -> None:
        (tmp_path / "file").write_bytes(b"x" * MIB)
        (tmp_path / "file").read_bytes()
        with mmap.mmap(-1, 16 * MIB) as pages:  # of 4 kB: with huge ones a handful of faults would do
            pages.madvise(mmap.MADV_NOHUGEPAGE)
            pages[:] = bytes(16 * MIB)

    used = metered(work)
    assert MIB <= used.extra["written_bytes"] <= 1.1 * MIB
    assert MIB <= used.extra["read_bytes"] <= 1.1 * MIB
    assert used.extra["minor_faults"] >= 1000
    assert all(value >= 0 for value in used.extra.values())


def test_blocking_gives_the_core_up_on_purpose():
    def work() -> None:
        for _ in range(20):
            threading.Event().wait(0.001)

    assert metered(work).extra["voluntary_switches"] >= 20


def test_a_system_without_these_files_is_measured_by_what_it_has(tmp_path):
    used = metered(lambda: burn(0.05), proc=str(tmp_path))
    assert used.cpu_s >= 0.05
    assert used.peak_memory_bytes > MIB
    assert "read_bytes" not in used.extra
