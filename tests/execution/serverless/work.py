"""What functions of the tests compute."""

import time


def double(number: float) -> float:
    return 2 * number


def fails() -> None:
    raise ValueError("no luck")


def naps(seconds: float, number: int = 0) -> int:
    time.sleep(seconds)
    return number
