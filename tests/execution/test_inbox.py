"""The way into a live back end's stream: what is posted wakes the loop, and after the end it does no harm."""

import os
import selectors
import threading
import time

from dnaml.core.events import Tick
from dnaml.execution.inbox import Inbox

_LONG_S = 60.0


def test_what_is_posted_is_taken_in_order_without_waiting() -> None:
    with selectors.DefaultSelector() as selector:
        inbox = Inbox(selector)
        inbox.post(Tick(at_s=1.0), Tick(at_s=2.0))
        inbox.post(Tick(at_s=3.0))
        assert inbox.wait(time.monotonic() + _LONG_S) == []
        assert [event.at_s for event in inbox.take()] == [1.0, 2.0, 3.0]
        assert list(inbox.take()) == []
        inbox.close()


def test_a_loop_that_waits_is_woken_from_another_thread() -> None:
    with selectors.DefaultSelector() as selector:
        inbox = Inbox(selector)
        threading.Timer(0.05, inbox.post, [Tick(at_s=1.0)]).start()
        began_s = time.monotonic()
        while not (taken := list(inbox.take())):
            assert inbox.wait(time.monotonic() + _LONG_S) == []
        assert time.monotonic() - began_s < _LONG_S / 2
        assert taken == [Tick(at_s=1.0)]
        inbox.close()


def test_other_files_that_are_ready_are_returned() -> None:
    with selectors.DefaultSelector() as selector:
        inbox = Inbox(selector)
        read, write = os.pipe()
        selector.register(read, selectors.EVENT_READ, "other")
        os.write(write, b"x")
        inbox.ring()
        assert [key.data for key, _ in inbox.wait(time.monotonic() + _LONG_S)] == ["other"]
        inbox.close()
        for end in (read, write):
            os.close(end)


def test_ringing_more_often_than_the_pipe_holds_blocks_nobody() -> None:
    with selectors.DefaultSelector() as selector:
        inbox = Inbox(selector)
        for _ in range(70_000):
            inbox.ring()
        assert inbox.wait(time.monotonic() + _LONG_S) == []
        inbox.close()


def test_a_closed_inbox_writes_into_nothing_that_has_its_number_now() -> None:
    selector = selectors.DefaultSelector()
    inbox = Inbox(selector)
    selector.close()
    inbox.close()
    read, write = os.pipe()  # most likely the same numbers
    os.set_blocking(read, False)
    inbox.ring()
    inbox.post(Tick(at_s=1.0))
    try:
        os.read(read, 1)
        raise AssertionError("the inbox wrote into a pipe that is not its own")
    except BlockingIOError:
        pass
    for end in (read, write):
        os.close(end)


def test_a_rest_ends_with_what_is_posted_and_leaves_other_files_for_later() -> None:
    with selectors.DefaultSelector() as selector:
        inbox = Inbox(selector)
        read, write = os.pipe()
        os.write(write, b"!")
        selector.register(read, selectors.EVENT_READ, "other")
        threading.Timer(0.05, inbox.post, [Tick(at_s=1.0)]).start()
        inbox.rest(60.0)
        assert [key.data for key, _ in inbox.wait(time.monotonic())] == ["other"]
        assert list(inbox.take()) == [Tick(at_s=1.0)]
        inbox.post(Tick(at_s=2.0))
        inbox.rest(60.0)
        assert list(inbox.take()) == [Tick(at_s=2.0)]
        inbox.close()
        os.close(read)
        os.close(write)
