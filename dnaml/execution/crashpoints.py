"""Named places where a test may kill the process, so that every step of a durable protocol is seen to be survivable.

`DNAML_TEST=1 DNAML_CRASH_AT=checkpoint_renamed:2` kills the process by SIGKILL when it passes that place the second
time. Without both variables, which are read once when this module is imported, `reach` does nothing. With
`DNAML_CRASH_ONCE=FILE` one process in all is killed: the one that made the file.
"""

import os
import signal
from collections.abc import Mapping
from enum import Enum

from dnaml.core.errors import InputError


class CrashPoint(Enum):
    """Is a step of a durable protocol after which a crash must lose nothing; a sweep tries every member."""

    CHECKPOINT_BEGUN = "checkpoint_begun"  # the temporary file exists and is empty
    CHECKPOINT_BODY_WRITTEN = "checkpoint_body_written"  # the state is written, the manifest is not
    CHECKPOINT_WRITTEN = "checkpoint_written"  # everything is written, nothing is synced
    CHECKPOINT_SYNCED = "checkpoint_synced"  # the file is on the disk under its temporary name
    CHECKPOINT_RENAMED = "checkpoint_renamed"  # it has its name, the folder is not synced
    CHECKPOINT_SEALED = "checkpoint_sealed"  # durable, nobody was told
    CHECKPOINT_PRUNED = "checkpoint_pruned"  # generations that are too old are gone
    ATTEMPT_RECEIVED = "attempt_received"  # the worker has an attempt, the user's code has not begun
    RESULT_MADE = "result_made"  # the user's code has returned, nothing was sent
    RESULT_SENT = "result_sent"  # a result, or word of a checkpoint, has left the worker
    EVENT_APPENDED = "event_appended"  # the journal has an event, the controller has not seen it
    COMMANDS_DECIDED = "commands_decided"  # the controller has decided, nothing was carried out
    COMMAND_DONE = "command_done"  # a command was carried out, the next was not
    PAYLOAD_STORED = "payload_stored"  # an accepted job's bytes are stored, its caller was not told
    MOMENT_COMMITTED = "moment_committed"  # the journal has committed a moment, nothing of it was carried out
    INDEX_WRITTEN = "index_written"  # the way back is renewed
    RESULT_STORED = "result_stored"  # the result's bytes are stored, no event says so
    RETENTION_NOTED = "retention_noted"  # it is known what may be freed, nothing is
    SEGMENT_WRITTEN = "segment_written"  # a segment without what is freed is on the disk under a temporary name
    SEGMENT_REPLACED = "segment_replaced"  # it has taken the place of the old one, others have not


def reach(point: CrashPoint) -> None:
    """Kill this process if a test asked for it at this pass of `point`; do nothing otherwise."""
    if _ARMED is not None:
        _ARMED.passed(point)


class _Armed:
    """Counts the passes of one point down to the fatal one."""

    def __init__(self, point: CrashPoint, passes: int, once: str | None) -> None:
        self.point = point
        self.left = passes
        self.once = once

    def passed(self, point: CrashPoint) -> None:
        """Count one pass of `point` and kill the process at the last."""
        if point is self.point:
            self.left -= 1
            if self.left == 0 and self._is_first():
                os.kill(os.getpid(), signal.SIGKILL)

    def _is_first(self) -> bool:
        if self.once is None:
            return True
        try:
            os.close(os.open(self.once, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True


def _armed(environment: Mapping[str, str]) -> _Armed | None:
    """Read which point is armed; None outside tests."""
    wanted = environment.get("DNAML_CRASH_AT")
    if not wanted or environment.get("DNAML_TEST") != "1":
        return None
    name, _, passes = wanted.partition(":")
    if name not in {point.value for point in CrashPoint} or not (passes or "1").isdecimal() or passes == "0":
        known = ", ".join(point.value for point in CrashPoint)
        raise InputError(f"DNAML_CRASH_AT: must be point:n with n >= 1 and point one of {known}, got {wanted!r}")
    return _Armed(CrashPoint(name), int(passes or "1"), environment.get("DNAML_CRASH_ONCE"))


_ARMED = _armed(os.environ)
