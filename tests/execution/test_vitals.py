"""What a process's counters tell of it while it says nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from dnaml.execution.vitals import Vitals, look

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux tells what is read here, others do not")


@pytest.fixture
def burner() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    yield process
    process.kill()
    process.wait()


def looked(pid: int) -> Vitals:
    vitals = look(pid)
    assert vitals is not None
    return vitals


def until(pid: int, before: Vitals) -> Vitals:
    """Look until something moved or ten seconds have passed."""
    end_s = time.monotonic() + 10.0
    while not (now := looked(pid)).moved_since(before) and time.monotonic() < end_s:
        time.sleep(0.001)
    return now


def test_a_process_on_a_core_moves(burner: subprocess.Popen[bytes]) -> None:
    before = looked(burner.pid)
    now = until(burner.pid, before)
    assert now.moved_since(before)
    assert now.ran_ns >= before.ran_ns


def test_a_frozen_process_does_not_move_though_it_was_busy(burner: subprocess.Popen[bytes]) -> None:
    before = looked(burner.pid)
    until(burner.pid, before)
    os.kill(burner.pid, signal.SIGSTOP)
    os.waitpid(burner.pid, os.WUNTRACED)
    assert looked(burner.pid).frozen
    assert not looked(burner.pid).moved_since(before)


def test_waiting_for_a_core_is_a_sign_of_life() -> None:
    before = Vitals(frozen=False, ran_ns=5, waited_ns=5)
    assert Vitals(frozen=False, ran_ns=5, waited_ns=6).moved_since(before)
    assert not Vitals(frozen=False, ran_ns=5, waited_ns=5).moved_since(before)


def test_a_process_that_is_gone_has_none() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    assert look(process.pid) is None
