"""When a call is repeated: jittered exponential waits, on top of what the server asks for with Retry-After."""

import random
import threading
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import TypeVar

from dnaml.execution.serverless.functions import Retrying

T = TypeVar("T")


class Refused(Exception):
    """Says that a call will not succeed, however often it is made."""


class Again(Exception):
    """Says that a call may succeed later, and when the server wants to be asked again."""

    def __init__(self, message: str, *, after_s: float = 0.0, throttled: bool = False) -> None:
        super().__init__(message)
        self.after_s, self.throttled = after_s, throttled


class Attempts:
    """Makes one call as often as its rule allows; counts the calls and the times it was throttled."""

    def __init__(self, retrying: Retrying, stopped: threading.Event, deadline_s: float | None) -> None:
        self._retrying, self._stopped, self._deadline_s = retrying, stopped, deadline_s
        self.calls = self.throttled = 0

    def make(self, call: Callable[[], T]) -> T:
        """Return what the call returns; raises Refused when it cannot succeed or the retries are used up."""
        while True:
            self.calls += 1
            try:
                return call()
            except Again as error:
                self.throttled += error.throttled
                self._wait(error)

    def _wait(self, error: Again) -> None:
        rule = self._retrying
        if self._stopped.is_set():
            raise Refused("nobody waits for it any more")
        if self.calls > rule.most:
            raise Refused(f"{error} ({self.calls} calls)")
        if error.after_s > rule.most_wait_s:
            raise Refused(f"{error}; it asks for {error.after_s:g} s and at most {rule.most_wait_s:g} s are waited")
        jitter_s = random.uniform(0.0, min(rule.most_wait_s, rule.base_s * 2 ** (self.calls - 1)))
        wait_s = error.after_s + jitter_s
        if self._deadline_s is not None and time.monotonic() + wait_s >= self._deadline_s:
            raise Refused(f"{error}; the time allowed is over ({self.calls} calls)")
        self._stopped.wait(wait_s)


def retry_after_s(value: str | None) -> float:
    """Return the seconds that a Retry-After header asks for, in either of its forms; 0 where it cannot be read."""
    if not value:
        return 0.0
    text = value.strip()
    if text.isdecimal():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return 0.0
