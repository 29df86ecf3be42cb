"""A control group: a set of processes whose memory, number and CPU share the kernel limits together (Linux).

Groups are made below the group that this process is already in, so that a limit set from outside still holds. Version
1 has one tree a controller, version 2 one tree for all. Where none can be made, `make` returns None.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from dnaml.execution import orphans

PREFIX = "dnaml"
"""Begins the name of every group made here, followed by the id of the process that made it."""

_MOUNT = Path("/sys/fs/cgroup")
_PERIOD_US = 100_000  # the kernel's own default period of CPU quotas
_CLOSE_S = 5.0


class Version(Enum):
    """Is the interface that a group is driven through."""

    V1 = "cgroup v1"  # one folder a controller
    V2 = "cgroup v2"  # one folder


class Controller(Enum):
    """Is what a group can limit; the value is the kernel's name for it."""

    MEMORY = "memory"  # bytes, page cache included
    PIDS = "pids"  # processes and threads
    CPU = "cpu"  # seconds of CPU time a second


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One group, as the folders in which it can be driven: one a controller in version 1, the same in version 2."""

    version: Version
    folders: dict[Controller, Path]

    def limit(self, controller: Controller, value: float | None) -> None:
        """Set a limit: bytes, processes with threads, or seconds of CPU time a second. None lifts it."""
        folder, v2 = self.folders[controller], self.version is Version.V2
        if controller is Controller.PIDS:
            _write(folder / "pids.max", "max" if value is None else int(value))
        elif controller is Controller.CPU:
            quota_us = None if value is None else max(1000, round(value * _PERIOD_US))
            if v2:
                _write(folder / "cpu.max", f"{'max' if quota_us is None else quota_us} {_PERIOD_US}")
            else:
                _write(folder / "cpu.cfs_period_us", _PERIOD_US)
                _write(folder / "cpu.cfs_quota_us", -1 if quota_us is None else quota_us)
        elif v2:
            _write(folder / "memory.max", "max" if value is None else int(value))
            _write_if_there(folder / "memory.swap.max", "max" if value is None else 0)
            _write_if_there(folder / "memory.oom.group", 1)
        else:
            _limit_memory_v1(folder, -1 if value is None else int(value))

    def drop(self, controller: Controller) -> None:
        """Give up one controller, before anything is attached."""
        folder = self.folders.pop(controller)
        if folder not in self.folders.values():
            _rmdir(folder)

    def attach(self, pid: int) -> None:
        """Move a process in; what it forks from here on is born inside."""
        for folder in self._distinct():
            _write(folder / "cgroup.procs", pid)

    def processes(self) -> list[int]:
        """Return the ids of all processes inside."""
        found: set[int] = set()
        for folder in self._distinct():
            with contextlib.suppress(FileNotFoundError):
                found.update(int(line) for line in (folder / "cgroup.procs").read_text().split())
        return sorted(found)

    def oom_kills(self) -> int:
        """Return how many processes the kernel killed here for want of memory."""
        folder = self.folders.get(Controller.MEMORY)
        if folder is None:
            return 0
        name = "memory.events" if self.version is Version.V2 else "memory.oom_control"
        return next((value for key, value in _pairs(folder / name) if key == "oom_kill"), 0)

    def refused_forks(self) -> int:
        """Return how often the limit on processes said no."""
        folder = self.folders.get(Controller.PIDS)
        if folder is None:
            return 0
        return next((value for key, value in _pairs(folder / "pids.events") if key == "max"), 0)

    def kill(self) -> None:
        """Kill all inside. No fork gets through meanwhile where the group limits processes or is of version 2."""
        for folder in self._distinct():
            if (folder / "cgroup.kill").exists():
                _write(folder / "cgroup.kill", 1)
        if Controller.PIDS in self.folders:
            self.limit(Controller.PIDS, 0)
        orphans.kill_all(lambda: [process for process in map(orphans.find, self.processes()) if process is not None])

    def remove(self) -> None:
        """Kill all inside and give the folders back to the kernel."""
        self.kill()
        for folder in self._distinct():
            _rmdir(folder)

    def _distinct(self) -> list[Path]:
        return list(dict.fromkeys(self.folders.values()))


def make(name: str, controllers: frozenset[Controller], mount: Path = _MOUNT) -> Group | None:
    """Make a group that drives as many of `controllers` as this machine lets us; None if it lets us none."""
    label = f"{PREFIX}-{os.getpid()}-{name}"
    if (mount / "cgroup.controllers").exists():
        return _make_v2(label, controllers, mount)
    folders: dict[Controller, Path] = {}
    for controller in sorted(controllers, key=lambda c: c.value):
        home = _home(mount / controller.value, controller.value)
        if home is not None and (folder := _mkdir(home / label)) is not None:
            folders[controller] = folder
    return Group(version=Version.V1, folders=folders) if folders else None


def _make_v2(label: str, controllers: frozenset[Controller], mount: Path) -> Group | None:
    """Try our own group, then those above it: a group that holds processes cannot hold limited groups as well.

    Only our own is changed (and only the root lets us while we are in it); above, what is enabled is taken as it is.
    """
    own = home = _home(mount, "")
    while home is not None:
        for controller in controllers if home == own else ():
            _write_if_there(home / "cgroup.subtree_control", f"+{controller.value}")
        enabled = _words(home / "cgroup.subtree_control")
        usable = [controller for controller in controllers if controller.value in enabled]
        folder = _mkdir(home / label) if usable else None
        if folder is not None:
            return Group(version=Version.V2, folders=dict.fromkeys(usable, folder))
        home = home.parent if home != mount else None
    return None


def _home(mount: Path, controller: str) -> Path | None:
    """Return the folder of the group that this process is in, else the mount (a container shows only that)."""
    if not mount.is_dir():
        return None
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        if controller in names.split(","):
            own = mount / path.lstrip("/")
            return own if own.is_dir() and ".." not in own.parts else mount
    return mount


def _mkdir(folder: Path) -> Path | None:
    _sweep(folder.parent)
    try:
        folder.mkdir(exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder / "cgroup.procs", os.W_OK) else None


def _sweep(home: Path) -> None:
    """Remove the empty groups of makers that are dead: a killed engine cannot tidy up after itself."""
    for folder in home.glob(f"{PREFIX}-*-*"):
        maker = folder.name.split("-")[1]
        if maker.isdecimal() and not Path(f"/proc/{maker}").exists():
            with contextlib.suppress(OSError):
                folder.rmdir()


def _rmdir(folder: Path) -> None:
    """Remove a group; the kernel says EBUSY for a moment after the last process died."""
    deadline_s = time.monotonic() + _CLOSE_S
    while folder.exists():
        try:
            folder.rmdir()
        except OSError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.001)


def _limit_memory_v1(folder: Path, memory_bytes: int) -> None:
    """Set the limits of memory and of memory with swap; the first must never be above the second."""
    names = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
    _write_if_there(folder / names[1], memory_bytes)  # succeeds first when it is raised, below when it is lowered
    _write(folder / names[0], memory_bytes)
    _write_if_there(folder / names[1], memory_bytes)


def _pairs(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the `key number` lines of a kernel file, which may be missing."""
    for line in _text(path).splitlines():
        key, _, value = line.partition(" ")
        if value.isdecimal():
            yield key, int(value)


def _words(path: Path) -> list[str]:
    return _text(path).split()


def _text(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text()
    return ""


def _write(path: Path, value: int | str) -> None:
    path.write_text(str(value))


def _write_if_there(path: Path, value: int | str) -> None:
    """Write a file that only some kernels or parents offer."""
    with contextlib.suppress(OSError):
        path.write_text(str(value))
