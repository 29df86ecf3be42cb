"""What a worker tells of an error: the user's own frames, and nothing of what called them."""

import signal
import threading
from pathlib import Path

from dnaml.execution import messages, pickling
from dnaml.execution.argv import Command, run_argv
from dnaml.execution.running import Runner
from tests import work


def told(folder: Path, call: object, *args: object) -> str:
    """Run a call as an attempt that fails, and return the traceback that its user gets."""
    function, digest = pickling.dumps_function(call)  # type: ignore[arg-type]  # a callable
    payload = messages.Payload(b"", function, digest, pickling.dumps_arguments(args, {}), b"{}", False)
    begin = messages.Begin("a.1", 1, "a", "c", messages.encode(payload), None, None)
    before = signal.getsignal(signal.SIGTERM)  # a runner takes it
    try:
        ended = Runner(folder, "token", lambda sealed: None, lambda: None).run(begin)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended.state == "failed"
    return messages.decode_outcome(ended.outcome).traceback


def test_the_traceback_of_a_function_begins_in_the_function(tmp_path: Path) -> None:
    lines = told(tmp_path, work.raises, "no luck").splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert "tests/work.py" in lines[1]
    assert lines[-1] == "ValueError: no luck"


def test_a_command_that_fails_has_no_traceback_of_ours(tmp_path: Path) -> None:
    command = Command(("false",), str(tmp_path))
    assert told(tmp_path, run_argv, command) == "dnaml.execution.argv.CommandFailed: false ended with exit code 1\n"


def test_a_result_that_cannot_travel_is_told_in_one_line(tmp_path: Path) -> None:
    text = told(tmp_path, threading.Lock)
    assert text.count("\n") == 1
    assert "lock cannot be pickled" in text
