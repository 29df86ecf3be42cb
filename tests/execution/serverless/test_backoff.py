"""When a call is repeated, and when it is not."""

import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from dnaml.execution.serverless.backoff import Again, Attempts, Refused, retry_after_s
from dnaml.execution.serverless.functions import Retrying


def fails() -> None:
    raise Again("busy", throttled=True)


def test_retry_after_is_read_in_both_forms():
    later = datetime.now(UTC) + timedelta(seconds=30)
    assert retry_after_s(" 7 ") == 7.0
    assert 25.0 < retry_after_s(format_datetime(later, usegmt=True)) <= 30.0
    assert [retry_after_s(value) for value in (None, "", "soon", "-3")] == [0.0] * 4


def test_retries_are_counted_and_bounded():
    attempts = Attempts(Retrying(most=2, base_s=0.001), threading.Event(), None)
    with pytest.raises(Refused, match=r"busy \(3 calls\)"):
        attempts.make(fails)
    assert (attempts.calls, attempts.throttled) == (3, 3)


def test_nothing_is_repeated_once_nobody_waits_or_the_time_is_over():
    stopped = threading.Event()
    with pytest.raises(Refused, match="time allowed is over"):
        Attempts(Retrying(), stopped, time.monotonic()).make(fails)
    stopped.set()
    with pytest.raises(Refused, match="nobody waits"):
        Attempts(Retrying(), stopped, None).make(fails)
