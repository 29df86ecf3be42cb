"""Finds and kills every process that an attempt left behind, whatever it did to get away.

A child that calls setsid or forks twice leaves its group and its parent, but not three things: the marker variable in
its environment, the subreaper that inherits it, and the session it may still share. Killing goes through a pidfd that
is opened before the marker is checked, so that a reused process id is never hit. macOS: by process tree alone.
"""

import contextlib
import errno
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

MARKER = "DNAML_WORKER"
"""Names the environment variable that every worker, and so everything it starts, carries."""

_LINUX = sys.platform == "linux"
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_GONE = (errno.ESRCH, errno.EINVAL, errno.ENOENT)  # the last two where a group or session still has the dead one's id
_ROUNDS = 200  # a fork bomb that nothing contains is given up after this many scans


class Process(NamedTuple):
    """Says where a process hangs. A zombie has died and waits to be reaped; `started` tells it from a later one
    with the same id (clock ticks since boot on Linux, seconds since 1970 elsewhere)."""

    pid: int
    parent: int
    group: int
    session: int
    zombie: bool
    started: float

    @property
    def identity(self) -> tuple[int, float]:
        """Return what no other process ever has; parent and session change in a life."""
        return self.pid, self.started


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
    living = [process for process in processes() if not process.zombie]
    marked = {process.pid for process in living if _is_marked(process, token)}
    roots = marked | ({os.getpid()} if _is_ours(token) else set())
    return sorted((marked | _descendants(living, roots)) - {os.getpid()})


def kill_left_behind(token: str) -> int:
    """Kill whatever `left_behind` finds until nothing is found; return how many were killed.

    A worker reaps its dead children too; the engine never does here, because each of its children has an owner.
    """
    ours = _is_ours(token)
    killed = kill_all(_below_us) if ours else 0
    for _ in range(_ROUNDS):
        # The environment of a process that forks all the time takes 50 ms to read: find one of a family by it, then
        # the rest by the process table alone.
        families = (kill_trees([process]) for process in processes() if _is_marked(process, token))
        if not (now := sum(families)):
            break
        killed += now
    if ours:
        reap()
    return killed


def kill_group(group: int) -> bool:
    """Send SIGKILL to a process group; return False if it has no process."""
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of zombies
        return False
    return True


def kill_all(found: Callable[[], Sequence[Process]]) -> int:
    """Kill what `found` returns until it returns nothing; return how many were killed.

    Everything is frozen first, until nothing new turns up: what is frozen cannot fork, and still counts where the
    number of processes is limited, so that a fork bomb has nothing to grow back from.
    """
    killed: set[tuple[int, float]] = set()
    frozen: set[tuple[int, float]] = set()
    for _ in range(_ROUNDS):
        now = {process.identity: process for process in found()}
        if not now.keys() - killed:
            break
        new = now.keys() - frozen
        for identity in new:
            _signal(now[identity], signal.SIGSTOP)
        frozen |= new
        if not new:
            killed.update(process.identity for process in kill(now.values()))
    return len(killed)


def kill(some: Iterable[Process], *, wait_s: float = 2.0) -> list[Process]:
    """Kill processes and wait until they are dead, at most `wait_s` in all; return those that were alive."""
    killed = [process for process in some if _signal(process, signal.SIGKILL)]
    deadline_s = time.monotonic() + wait_s
    for process in killed:
        _await_exit(process, deadline_s)
    return killed


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
    """Kill `tree(roots)`, but never this process, until it is empty; return how many processes were killed."""
    return kill_all(lambda: [process for process in tree(roots) if process.pid != os.getpid()])


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


def _below_us() -> list[Process]:
    """Return the living descendants of this process."""
    living = [process for process in processes() if not process.zombie]
    wanted = _descendants(living, {os.getpid()})
    return [process for process in living if process.pid in wanted]


def _is_marked(process: Process, token: str) -> bool:
    return not process.zombie and process.pid != os.getpid() and _carries(process.pid, token)


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


def _signal(process: Process, number: signal.Signals) -> bool:
    """Send a signal to a process; return False if it is gone, whoever has its id by now."""
    with contextlib.suppress(ProcessLookupError):
        if not _LINUX:
            os.kill(process.pid, number)
            return True
        with _held(process) as handle:
            if handle is not None:
                signal.pidfd_send_signal(handle, number)
                return True
    return False


def _await_exit(process: Process, deadline_s: float) -> None:
    """Wait until a process is dead; one in a disk wait may die after the deadline."""
    if not _LINUX:
        return
    with _held(process) as handle:
        if handle is not None:
            poller = select.poll()
            poller.register(handle, select.POLLIN)
            poller.poll(max(0.0, deadline_s - time.monotonic()) * 1000)


@contextlib.contextmanager
def _held(process: Process) -> Iterator[int | None]:
    """Hold a process by a handle, opened before its id is checked for reuse; None if it is gone."""
    try:
        handle = os.pidfd_open(process.pid)
    except OSError as error:
        if error.errno not in _GONE:
            raise
        yield None
        return
    try:
        now = find(process.pid)
        yield handle if now is not None and now.identity == process.identity else None
    finally:
        os.close(handle)


def _prctl(option: int, value: int) -> bool:
    import ctypes

    return bool(ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) == 0)
