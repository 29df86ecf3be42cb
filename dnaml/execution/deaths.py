"""What a worker process died of, and whether that was the doing of the work in it."""

import signal
from dataclasses import dataclass

from dnaml.core.attempt import Cause

_FROM_OUTSIDE = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGHUP})
_OWN_CAUSES = (Cause.OUT_OF_MEMORY, Cause.OVERRAN)


@dataclass(frozen=True, slots=True)
class Death:
    """Says what a worker died of: whether it was the work's own doing, the class of it, and in words."""

    own_doing: bool
    cause: Cause | None
    told: str


def death_by(code: int | None) -> Death:
    """Say what an exit code means; a worker killed from outside is not the work's own doing."""
    if code is None:
        return Death(False, Cause.SILENT, "its process was killed and did not die")
    if code >= 0:
        return Death(True, None, f"its process exited with code {code}")
    number = signal.Signals(-code)
    ours = number not in _FROM_OUTSIDE
    return Death(ours, None if ours else Cause.DIED, f"its process was killed by {number.name}")


def killed(because: str, cause: Cause | None) -> Death:
    """Return the death of a worker that its engine killed."""
    return Death(cause in (None, *_OWN_CAUSES), cause, because)


def out_of_memory(where: str) -> Death:
    """Return the death of a worker that the kernel killed for want of memory."""
    return Death(True, Cause.OUT_OF_MEMORY, f"it needed more memory than {where} allows and was killed")


def never_came_up(code: int | None) -> Death:
    """Return the death of a worker before it said anything: it had no work yet."""
    return Death(False, Cause.DIED, f"its process never came up: {death_by(code).told}")
