"""The tasks that executors are timed on: importable by name, so that no executor is charged for carrying their code."""

import time


def noop(number: int) -> int:
    """Return the argument."""
    return number


def sleep_10ms(number: int) -> int:
    """Wait for 10 ms without using a core."""
    time.sleep(0.01)
    return number


def burn_10ms(number: int) -> int:
    """Use 10 ms of processor time."""
    end_s = time.thread_time() + 0.01
    while time.thread_time() < end_s:
        sum(range(1000))  # some 10 us between two looks at the clock, each of which is a system call
    return number


def crunch(number: int) -> int:
    """Do a fixed amount of arithmetic, about 50 ms of processor time, and return the argument."""
    for _ in range(40):
        sum(range(100_000))
    return number
