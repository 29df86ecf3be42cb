"""Calls that may hang: made in a thread of their own, left alone after a time limit, cleaned up if they end later."""

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def limited(call: Callable[[], T], limit_s: float, late: Callable[[T], object] | None = None) -> T:
    """Return what a call returns, or raise what it raises; raise TimeoutError after `limit_s`.

    What a call returns after that goes to `late`.
    """
    answers: list[T] = []
    errors: list[BaseException] = []
    lock, done, given_up = threading.Lock(), threading.Event(), threading.Event()

    def run() -> None:
        try:
            answer = call()
        except BaseException as error:  # noqa: BLE001  # raised again in the caller's thread
            errors.append(error)
            done.set()
            return
        with lock:
            answers.append(answer)
            done.set()
            too_late = given_up.is_set()
        if too_late and late is not None:
            late(answer)

    threading.Thread(target=run, name="dnaml-limited-call", daemon=True).start()
    done.wait(limit_s)
    with lock:
        if not done.is_set():
            given_up.set()
    if given_up.is_set():
        raise TimeoutError(f"no answer within {limit_s:g} s")
    if errors:
        raise errors[0]
    return answers[0]
