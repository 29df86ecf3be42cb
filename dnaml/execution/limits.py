"""Limits of one worker and everything it starts: memory, processes, CPU share and open files.

By control group where one can be made: the kernel then counts the whole tree, refuses forks and kills on memory.
Else by resource limits, which are coarse (each process for itself), plus a watch: whoever samples the tree calls
`exceeded` and kills what it names. `kind` says which, `unenforced` what nothing enforces.
"""

import contextlib
import os
import resource
import sys
from dataclasses import dataclass, field
from enum import Enum

from dnaml.core.errors import InputError
from dnaml.execution import cgroups, orphans
from dnaml.execution.cgroups import Controller, Group
from dnaml.execution.orphans import Process

_LINUX = sys.platform == "linux"
_DATA_FACTOR = 2  # RLIMIT_DATA counts what is reserved, the watch what is touched
_NPROC_HEADROOM = 512  # RLIMIT_NPROC counts every thread of the user, ours or not


class Kind(Enum):
    """Is the mechanism behind a containment."""

    CGROUP_V1 = "cgroup v1"  # the kernel counts the tree
    CGROUP_V2 = "cgroup v2"  # the kernel counts the tree
    WATCH = "rlimit and watch"  # the kernel stops single processes, the sampler counts the tree


@dataclass(slots=True, kw_only=True)
class Containment:
    """Holds one worker's process tree within its limits; a limit of None is no limit.

    `open` makes it, `attach` puts a freshly started worker in before it gets any work, `close` kills what is inside.
    Memory used before `attach` is not counted. Use it as a context manager or call `close`.
    """

    name: str
    kind: Kind
    memory_bytes: int | None = None
    pids: int | None = None
    cpu_quota_share: float | None = None
    open_files: int | None = None
    unenforced: tuple[str, ...] = ()
    _group: Group | None = field(default=None, repr=False)
    _attached: list[Process] = field(default_factory=list, repr=False)

    @classmethod
    def open(
        cls,
        name: str,
        *,
        memory_bytes: int | None = None,
        pids: int | None = None,
        cpu_quota_share: float | None = None,
        open_files: int | None = None,
    ) -> "Containment":
        """Make a containment under a name that is unique in this process; `cpu_quota_share` 1.0 is one core."""
        limits = {"memory_bytes": memory_bytes, "pids": pids, "cpu_quota_share": cpu_quota_share}
        _check(name, {**limits, "open_files": open_files})
        group = _group(name, {Controller.MEMORY: memory_bytes, Controller.PIDS: pids, Controller.CPU: cpu_quota_share})
        return cls(
            name=name,
            kind=Kind.WATCH if group is None else Kind(group.version.value),
            memory_bytes=memory_bytes,
            pids=pids,
            cpu_quota_share=cpu_quota_share,
            open_files=open_files,
            unenforced=("cpu_quota_share",) if cpu_quota_share and not _drives(group, Controller.CPU) else (),
            _group=group,
        )

    def __enter__(self) -> "Containment":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def attach(self, pid: int) -> None:
        """Put a process in; its later children are inside from birth. Raise ProcessLookupError if it has ended."""
        process = orphans.find(pid)
        if process is None:
            raise ProcessLookupError(f"{self.name}: process {pid} must be alive to be attached")
        self._attached.append(process)
        if self._group is not None:
            self._group.attach(pid)
        for limit, value in self._rlimits():
            _limit(pid, limit, value)

    def limit_self(self) -> None:
        """Set the resource limits from inside the process, before work begins: the way of systems without prlimit."""
        for limit, value in self._rlimits():
            _limit(0, limit, value)

    def oom_kills(self) -> int:
        """Return how many processes the kernel killed inside for want of memory; 0 under a watch."""
        return self._group.oom_kills() if self._group is not None else 0

    def exceeded(self, rss_bytes: int, processes: int = 0) -> str | None:
        """Say which limit a sample of the tree breaks, if it is for the watch to act on it; None if all is well."""
        memory, pids = self.memory_bytes, self.pids
        if memory is not None and rss_bytes > memory and not _drives(self._group, Controller.MEMORY):
            return f"{self.name}: memory_bytes must be at most {memory}, got {rss_bytes}"
        if pids is not None and processes > pids and not _drives(self._group, Controller.PIDS):
            return f"{self.name}: pids must be at most {pids}, got {processes}"
        return None

    def processes(self) -> list[int]:
        """Return the ids of all processes inside; under a watch, the trees and sessions of those attached."""
        if self._group is not None:
            return self._group.processes()
        return [process.pid for process in orphans.tree(self._attached)]

    def kill(self) -> None:
        """Kill every process inside; new ones may be attached later."""
        if self._group is None:
            orphans.kill_trees(self._attached)
        else:
            self._group.kill()
            if _drives(self._group, Controller.PIDS):
                self._group.limit(Controller.PIDS, self.pids)
        self._attached.clear()

    def let_go(self) -> None:
        """Give the group back once what was inside has been attached elsewhere; nothing is killed."""
        self._attached.clear()
        self.close()

    def close(self) -> None:
        """Kill every process inside and give the group back; nothing happens the second time."""
        self.kill()
        if self._group is not None:
            self._group.remove()
            self._group = None

    def _rlimits(self) -> list[tuple[int, int]]:
        """Return the limits that the kernel holds each process to.

        Address space (RLIMIT_AS) is no measure of memory: importing torch reserves gigabytes and CUDA terabytes that
        nobody touches. RLIMIT_DATA counts private writable mappings only; at twice the limit it stops, by MemoryError,
        what grows faster than the watch looks. RLIMIT_NPROC counts all of a user's threads, and root is exempt.
        """
        limits = [] if self.open_files is None else [(resource.RLIMIT_NOFILE, self.open_files)]
        if self.memory_bytes is not None and not _drives(self._group, Controller.MEMORY):
            limits.append((resource.RLIMIT_DATA, self.memory_bytes * _DATA_FACTOR))
        if self.pids is not None and not _drives(self._group, Controller.PIDS) and os.geteuid() != 0:
            limits.append((resource.RLIMIT_NPROC, orphans.threads_of_user() + self.pids + _NPROC_HEADROOM))
        return limits


def _group(name: str, limits: dict[Controller, float | None]) -> Group | None:
    """Make a control group with the limits that are given (it lists its processes even without); None if we may not.

    A limit that the kernel refuses (a CPU share above what we have ourselves) is left to the watch.
    """
    wanted = {controller: limit for controller, limit in limits.items() if limit is not None}
    group = cgroups.make(name, frozenset(wanted) | {Controller.PIDS}) if _LINUX else None
    if group is not None:
        for controller in wanted.keys() & group.folders.keys():
            try:
                group.limit(controller, wanted[controller])
            except OSError:
                group.drop(controller)
    return group if group is not None and group.folders else None


def _drives(group: Group | None, controller: Controller) -> bool:
    return group is not None and controller in group.folders


def _check(name: str, limits: dict[str, float | None]) -> None:
    if not name or not all(letter.isalnum() or letter in "-_." for letter in name) or name.startswith("."):
        raise InputError(f"containment name must be letters, digits, '-', '_' and '.', got {name!r}")
    for field_name, value in limits.items():
        if value is not None and not value > 0:
            raise InputError(f"{name}: {field_name} must be positive, got {value}")


def _limit(pid: int, limit: int, value: int) -> None:
    """Lower one soft limit, and the hard one with it, of a process (0: this one)."""
    if _LINUX:
        _, hard = resource.prlimit(pid, limit)
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.prlimit(pid, limit, (allowed, allowed))
    elif pid in (0, os.getpid()):
        _, hard = resource.getrlimit(limit)
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        with contextlib.suppress(ValueError, OSError):  # macOS refuses some limits that it lists
            resource.setrlimit(limit, (allowed, allowed))
