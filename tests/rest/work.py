"""Functions that the tests let clients run."""

import os
import sys
import time
from pathlib import Path

import dnaml
from dnaml.execution.context import Context


def double(x: int) -> int:
    """Return twice a number."""
    return 2 * x


def fail(why: str) -> None:
    """Fail with words of the caller."""
    raise ValueError(why)


def say(text: str, seconds: float = 0.0) -> str:
    """Print, wait, print again."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
    time.sleep(seconds)
    sys.stdout.write("end\n")
    return text


def wait_for(path: str) -> str:
    """Wait until a file is there."""
    while not Path(path).exists():
        time.sleep(0.01)
    return "there"


def count(steps: int, context: Context) -> int:
    """Count slowly, saving each step."""
    step = context.restore(default=0)
    while step < steps and not context.should_stop():
        step += 1
        time.sleep(0.02)
        context.save(step / steps, step)
    return step


def odd() -> object:
    """Return what has no form in JSON."""
    return os.stat_result


def touch(path: str) -> str:
    """Leave a mark."""
    Path(path).write_text("here")
    return path


def total(numbers: list[int]) -> list[int]:
    """Return twice each number."""
    return [2 * number for number in numbers]


@dnaml.computation(name="marked")
def marked(x: int) -> int:
    """Return the square of a number."""
    return x * x


class Refusal(Exception):
    """Is a type that only this module knows."""


def refuse(text: str) -> None:
    """Fail with an exception of this module's own."""
    raise Refusal(text)
