"""Touched pages are counted where the kernel counts them, and nothing is claimed where it does not."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dnaml.execution.fingerprint.pages import PAGE_BYTES, PageWatch

SPIN = """
import sys
held = bytearray(64 << 20)
for at in range(0, len(held), 4096):
    held[at] = 1
print("ready", flush=True)
while True:
    for at in range(0, 16 << 20, 4096):
        held[at] = 2
"""


@pytest.fixture
def spinning() -> Iterator[int]:
    """Start a process that holds 64 MiB and goes on touching 16 of them."""
    with subprocess.Popen([sys.executable, "-c", SPIN], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.kill()


@pytest.fixture
def watch(spinning: int) -> PageWatch:
    watch = PageWatch(spinning)
    if not watch.clear() or watch.touched_pages() is None:
        pytest.skip("this kernel does not count the pages that a process touches")
    return watch


def test_a_window_counts_pages_per_second_of_processor_time(watch: PageWatch) -> None:
    for _ in range(50):
        watch.window()
    assert len(watch.rates) >= 5
    assert max(watch.rates) > 1e5
    assert watch.frozen_s > 0


def test_the_working_set_is_what_is_touched_and_not_what_is_held(watch: PageWatch) -> None:
    watch.clear()
    for _ in range(200):
        watch.look()
        if (watch.most_pages or 0) * PAGE_BYTES > 15 << 20:
            break
    assert watch.most_pages is not None
    assert watch.most_pages * PAGE_BYTES < 40 << 20


def test_a_process_goes_on_after_a_window(watch: PageWatch, spinning: int) -> None:
    watch.window()
    state = Path(f"/proc/{spinning}/stat").read_text().rpartition(") ")[2][0]
    assert state == "R"


def test_a_process_that_is_gone_tells_nothing() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    watch = PageWatch(process.pid)
    assert not watch.clear()
    assert not watch.window()
    assert watch.touched_pages() is None
    watch.look()
    assert (watch.rates, watch.most_pages) == ([], None)


def test_a_process_that_is_too_large_is_left_alone(watch: PageWatch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dnaml.execution.fingerprint.pages._LARGEST_BYTES", 1)
    assert not watch.clear()
    assert not watch.window()
