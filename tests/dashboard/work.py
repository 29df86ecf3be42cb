"""Functions that the tests of the dashboard let clients run."""

import os
import signal
import sys
import time
from pathlib import Path

from dnaml.execution.context import Context


def double(x: int) -> int:
    """Return twice a number."""
    return 2 * x


def fail(why: str) -> None:
    """Fail with words of the caller."""
    raise ValueError(why)


def wait_for(path: str) -> str:
    """Wait until a file is there."""
    while not Path(path).exists():
        time.sleep(0.01)
    return "there"


def count(path: str, context: Context) -> int:
    """Count until a file is there, saving each step; what was counted goes on elsewhere."""
    step = context.restore(default=0)
    while not Path(path).exists() and not context.should_stop():
        step += 1
        time.sleep(0.02)
        context.save(0.5, step)
    return step


def die_once(path: str) -> str:
    """Die with its worker the first time, and return the next."""
    if not Path(path).exists():
        Path(path).touch()
        sys.stdout.write("dying\n")
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    return "second time"
