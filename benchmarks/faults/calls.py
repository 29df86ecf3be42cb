"""What faulty workers run: functions that are cheap to import, so that a fresh worker starts with the work itself."""

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def waits(seconds: float, number: int) -> int:
    """Wait without using a core, and return the number."""
    time.sleep(seconds)
    return number


def burns(seconds: float, number: int) -> int:
    """Use so much processor time, and return the number."""
    end_s = time.process_time() + seconds
    while time.process_time() < end_s:
        sum(range(1000))
    return number


def naps(items: list[int]) -> list[int]:
    """Wait for as long as there are items, and return them."""
    time.sleep(0.02 * len(items))
    return items


def steps(count: int, step_s: float, note: str, *, context: Any) -> int:  # Any: a Context
    """Take steps from the checkpoint on; each step taken is one line in the file `note`."""
    done = context.restore(default=0)
    while done < count and not context.should_stop():
        time.sleep(step_s)
        done += 1
        with open(note, "a") as file:
            file.write(f"{done}\n")
        context.save(done / count, done)
    return int(done)


def crunches(count: int, size: int, *, context: Any) -> float:  # Any: a Context
    """Compute on an array and offer it as state at each step, as an iterative solver does."""
    import numpy as np

    done, state = context.restore(default=(0, np.ones(size)))
    while done < count and not context.should_stop():
        state = np.sqrt(state * 1.0001 + 0.5)
        done += 1
        context.save(done / count, (done, state))
    return float(state[0])


def poisons(number: int) -> int:
    """Kill the worker as the kernel would."""
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def never_ends(note: str) -> None:
    """Ignore SIGTERM, beside two children, one in a session of its own; be done at once if `note`.brief is there."""
    if Path(f"{note}.brief").exists():
        return
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    children = [subprocess.Popen([sys.executable, "-c", code], start_new_session=away) for away in (False, True)]
    Path(note).write_text(" ".join(str(child.pid) for child in children))
    while True:
        time.sleep(60)


def fills(size_bytes: int) -> int:
    """Take memory and touch all of it."""
    held = bytearray(size_bytes)
    held[::4096] = b"x" * len(held[::4096])
    return len(held)


def forks_without_end(seconds: float) -> int:
    """Fork as often as the system lets us, for a while; return how many children there were."""
    count, end_s = 0, time.monotonic() + seconds
    while time.monotonic() < end_s:
        try:
            if os.fork() == 0:
                time.sleep(600)
                os._exit(0)
            count += 1
        except OSError:
            time.sleep(0.01)
    return count


def opens_without_end(seconds: float) -> int:
    """Open files as many as the system lets us, for a while; return how many there were."""
    held, end_s = [], time.monotonic() + seconds
    while time.monotonic() < end_s:
        try:
            held.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            time.sleep(0.01)
    for fd in held:
        os.close(fd)
    return len(held)


def holds_the_lock(count: int) -> int:
    """Use a core in C code that never lets go of the interpreter's lock."""
    return sum(itertools.repeat(1, count))
