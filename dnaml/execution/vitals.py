"""Whether a process that says nothing is alive: it burns CPU or stands in line for a core. Frozen ones are not (Linux).

Code that holds the interpreter's lock cannot beat, and on an overloaded machine nobody beats in time: both move their
counters. A stopped or traced process (state T or t) moves none, however busy it was before.
"""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

_STOPPED = (b"T", b"t")


@dataclass(frozen=True, slots=True)
class Vitals:
    """One look at a process: whether it is frozen, and nanoseconds its threads ran and waited for a core."""

    frozen: bool
    ran_ns: int
    waited_ns: int

    def moved_since(self, before: "Vitals") -> bool:
        """Say whether anything happened to the process between two looks."""
        return not self.frozen and (self.ran_ns > before.ran_ns or self.waited_ns > before.waited_ns)


def look(pid: int, proc: Path = Path("/proc")) -> Vitals | None:
    """Return the vitals of a process; None where it is gone or the system does not tell."""
    home = proc / str(pid)
    try:
        state = home.joinpath("stat").read_bytes().rpartition(b")")[2].split(maxsplit=1)[0]
        threads = os.listdir(home / "task")
    except (OSError, IndexError):
        return None
    ran_ns = waited_ns = 0
    for thread in threads:
        with contextlib.suppress(OSError, ValueError):  # it ended between the two looks
            ran, waited = home.joinpath("task", thread, "schedstat").read_bytes().split()[:2]
            ran_ns, waited_ns = ran_ns + int(ran), waited_ns + int(waited)
    return Vitals(state in _STOPPED, ran_ns, waited_ns)
