"""Functions that the tests of the local back end run in workers: light to import, so that their time is their own."""

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def counts_slowly(steps: int, *, context: Any) -> int:  # Any: a Context, whose import would take a while
    """Save each step of 20 ms."""
    for done in range(1, steps + 1):
        time.sleep(0.02)
        context.save(done / steps, done)
    return steps


def tidies_up(folder: str) -> None:
    """Leave a sign when interrupted."""
    try:
        time.sleep(60)
    finally:
        Path(folder, "tidied").touch()


def saves_when_told(*, context: Any) -> None:  # Any: as above
    """Run until told to stop, and save then."""
    while not context.should_stop():
        time.sleep(0.01)
    context.save(0.5, "half", force=True)


def stubborn_with_child(folder: str) -> None:
    """Ignore SIGTERM, beside a child in a session of its own that would outlive it."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    Path(folder, "child").write_text(str(child.pid))
    while True:
        time.sleep(60)


def burns(seconds: float) -> float:
    """Use a core."""
    end_s = time.process_time() + seconds
    while time.process_time() < end_s:
        pass
    return seconds


def holds_the_lock(count: int) -> int:
    """Use a core in C code that never lets go of the interpreter's lock."""
    return sum(itertools.repeat(1, count))


def short_of_memory() -> None:
    """Fail as a large allocation does."""
    raise MemoryError("no more")


def which_part(items: list[int]) -> tuple[list[int], str, str]:
    """Return what a part is given."""
    return items, os.environ["DNAML_PART"], os.environ["DNAML_PARTS"]
