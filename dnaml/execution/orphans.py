"""Finds and kills every process that an attempt left behind, whatever it did to get away.

A child that calls setsid or forks twice leaves its group and its parent, but not three things: the marker variable in
its environment, the subreaper that inherits it, and the session it may still share. Killing goes through a pidfd that
is opened before the marker is checked, so that a reused process id is never hit. macOS: by process tree alone.
"""

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

MARKER = "DNAML_WORKER"
"""Names the environment variable that every worker, and so everything it starts, carries."""

_LINUX = sys.platform == "linux"
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_ROUNDS = 200  # a fork bomb that is not contained by a cgroup is given up after this many scans


class Process(NamedTuple):
    """Says where a process hangs. A zombie has died and waits to be reaped; `started` tells it from a later one
    with the same id (clock ticks since boot on Linux, seconds since 1970 elsewhere)."""

    pid: int
    parent: int
    group: int
    session: int
    zombie: bool
    started: float


def has_children() -> bool:
    """Say whether this process has any child, alive or dead, in about a microsecond and without reaping one."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def die_with_parent(parent_pid: int) -> bool:
    """Ask the kernel to SIGKILL this process when its parent ends; exit now if the parent is already gone.

    The kernel watches the *thread* that started this process: start workers from a thread that lives as long as the
    engine. Return False where there is no such request (macOS): the worker then ends when its connection closes.
    """
    asked = _LINUX and _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os._exit(1)
    return asked


def become_subreaper() -> bool:
    """Make this process inherit the orphans among its descendants; return False where the system cannot."""
    return _LINUX and _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def token_below(name: str) -> str:
    """Return the token for a worker called `name`: below our own where we are a worker ourselves, so that nests end."""
    own = os.environ.get(MARKER)
    return f"{own}/{name}" if own else name


def left_behind(token: str) -> list[int]:
    """Return the living processes marked with `token` or a token below it (`token/...`), this process not counted.

    Where this process itself carries the token (it is the worker), its descendants count too, marked or not.
    """
    return [process.pid for process in _left_behind(token)]


def kill_left_behind(token: str) -> int:
    """Kill whatever `left_behind` finds until nothing is found; return how many were killed.

    A worker reaps its dead children too; the engine never does here, because each of its children has an owner.
    """
    killed: set[int] = set()
    for _ in range(_ROUNDS):
        found = _left_behind(token)
        if not found:
            break
        killed.update(kill(found))
        if _is_ours(token):
            reap()
    if _is_ours(token):
        reap()
    return len(killed)


def kill_group(group: int) -> bool:
    """Send SIGKILL to a process group; return False if it has no process."""
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of zombies
        return False
    return True


def kill(found: Sequence[Process], *, wait_s: float = 2.0) -> list[int]:
    """Freeze all, so that none forks meanwhile, then kill all and wait until they are dead; return who was killed."""
    handles = {process.pid: _hold(process) for process in found}
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid, handle in handles.items():
            with contextlib.suppress(ProcessLookupError):
                if _LINUX and handle is not None:
                    signal.pidfd_send_signal(handle, number)
                elif not _LINUX:
                    os.kill(pid, number)
    held = {pid: handle for pid, handle in handles.items() if handle is not None}
    _await_exits(list(held.values()), wait_s)
    for handle in held.values():
        os.close(handle)
    return list(held) if _LINUX else list(handles)


def reap() -> int:
    """Collect every dead child of this process; return how many there were."""
    count = 0
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            count += 1
    return count


def find(pid: int) -> Process | None:
    """Return a living process by its id, as a value that a later process with the same id will not equal."""
    found = None
    if not _LINUX:
        found = next((process for process in processes() if process.pid == pid), None)
    else:
        with contextlib.suppress(OSError):
            found = _parsed(pid, Path(f"/proc/{pid}/stat").read_bytes())
    return None if found is None or found.zombie else found


def tree(roots: Iterable[Process]) -> list[Process]:
    """Return the living processes among `roots`, their descendants and the members of sessions that roots lead.

    A session outlives its leader; an id that now belongs to another process than the root is left alone.
    """
    everything = list(processes())
    reused = {process.pid: process.started for process in everything}
    wanted = {root.pid for root in roots if reused.get(root.pid, root.started) == root.started}
    living = [process for process in everything if not process.zombie]
    inside = {process.pid for process in living if process.pid in wanted or process.session in wanted}
    inside |= _descendants(living, inside)
    return [process for process in living if process.pid in inside]


def kill_trees(roots: Sequence[Process]) -> int:
    """Kill `tree(roots)` until it is empty; return how many processes were killed."""
    killed: set[int] = set()
    for _ in range(_ROUNDS):
        found = tree(roots)
        if not found:
            break
        killed.update(kill(found))
    return len(killed)


def threads_of_user() -> int:
    """Return how many threads (macOS: processes) this user runs now: what RLIMIT_NPROC counts."""
    if not _LINUX:
        return len(list(processes()))
    count = 0
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with contextlib.suppress(OSError):
                folder = Path(f"/proc/{name}")
                mine = folder.stat().st_uid == os.getuid()
                count += len(os.listdir(folder / "task")) if mine else 0
    return count


def processes() -> Iterator[Process]:
    """Yield every process of this machine that this user may see."""
    if not _LINUX:
        yield from _processes_by_psutil()
        return
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with contextlib.suppress(OSError):
                yield _parsed(int(name), Path(f"/proc/{name}/stat").read_bytes())


def _parsed(pid: int, stat: bytes) -> Process:
    """Parse /proc/PID/stat; the command's name may hold spaces and brackets, so fields count from its end."""
    fields = stat[stat.rindex(b")") + 2 :].split(maxsplit=20)
    parent, group, session = (int(field) for field in fields[1:4])
    return Process(pid, parent, group, session, fields[0] in (b"Z", b"X"), float(fields[19]))


def _processes_by_psutil() -> Iterator[Process]:
    import psutil

    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            pid, dead = process.pid, process.status() == psutil.STATUS_ZOMBIE
            yield Process(pid, process.ppid(), os.getpgid(pid), os.getsid(pid), dead, process.create_time())


def _left_behind(token: str) -> list[Process]:
    living = [process for process in processes() if not process.zombie]
    marked = {process.pid for process in living if _carries(process.pid, token)}
    roots = marked | ({os.getpid()} if _is_ours(token) else set())
    wanted = (marked | _descendants(living, roots)) - {os.getpid()}
    return [process for process in living if process.pid in wanted]


def _is_ours(token: str) -> bool:
    return _below(os.environ.get(MARKER, ""), token)


def _carries(pid: int, token: str) -> bool:
    """Say whether the environment that a process was started with has the marker; unreadable counts as no."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    prefix = f"{MARKER}=".encode()
    values = (entry[len(prefix) :] for entry in environment.split(b"\0") if entry.startswith(prefix))
    return any(_below(os.fsdecode(value), token) for value in values)


def _below(value: str, token: str) -> bool:
    return value == token or value.startswith(f"{token}/")


def _descendants(living: Iterable[Process], roots: set[int]) -> set[int]:
    """Return everything below `roots`, roots left out."""
    children: dict[int, list[int]] = {}
    for process in living:
        children.setdefault(process.parent, []).append(process.pid)
    found: set[int] = set()
    queue = list(roots)
    while queue:
        new = [pid for pid in children.get(queue.pop(), ()) if pid not in found]
        found.update(new)
        queue.extend(new)
    return found - roots


def _hold(process: Process) -> int | None:
    """Open a handle on a process and check that its id was not reused since it was seen; None if it is gone."""
    if not _LINUX:
        return None
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return None
    with contextlib.suppress(OSError):
        if _parsed(process.pid, Path(f"/proc/{process.pid}/stat").read_bytes()).started == process.started:
            return handle
    os.close(handle)
    return None


def _await_exits(handles: Sequence[int], wait_s: float) -> None:
    """Wait until the processes behind pidfds are dead, at most `wait_s` in all (one in a disk wait dies later)."""
    poller = select.poll()
    for handle in handles:
        poller.register(handle, select.POLLIN)
    left, deadline_s = len(handles), time.monotonic() + wait_s
    while left and (remaining_s := deadline_s - time.monotonic()) > 0:
        for handle, _ in poller.poll(remaining_s * 1000):
            poller.unregister(handle)
            left -= 1


def _prctl(option: int, value: int) -> bool:
    import ctypes

    return bool(ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) == 0)
