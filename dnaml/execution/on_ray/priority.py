"""Keeps the agent of a node as urgent as its raylet, and the work there as nice as Ray runs it.

Ray lowers the priority of what it starts by 15. An agent that starves behind other work beats late and counts as dead.
"""

import contextlib
import os


def as_urgent_as_parent() -> int:
    """Give this thread, and those that it starts, its parent's priority if that is allowed; return its niceness before.

    Where it is not allowed nothing changes.
    """
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, os.getppid()))
    return before


def lower(pid: int, niceness: int) -> None:
    """Make a process that was just started as nice as this, unless it is nicer or gone."""
    with contextlib.suppress(OSError):
        if os.getpriority(os.PRIO_PROCESS, pid) < niceness:
            os.setpriority(os.PRIO_PROCESS, pid, niceness)
