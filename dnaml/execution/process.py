"""One worker process as the engine sees it: started, spoken to, found dead, killed with everything below it.

It is started without a resource (a spare) and taken into service for one: its limits are set then.
"""

import contextlib
import logging
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from dnaml.core.attempt import Cause
from dnaml.core.resource import Resource
from dnaml.execution import messages, orphans
from dnaml.execution.deaths import Death, death_by, killed, never_came_up, out_of_memory
from dnaml.execution.limits import Containment, Kind
from dnaml.execution.vitals import Vitals

_log = logging.getLogger(__name__)
_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_NEARLY_FULL_SHARE = 0.9
_KEPT_BYTES = 1 << 20  # of a payload, for a spare worker to prepare by
_DIES_WITHIN_S = 2.0
_READ_BYTES = 1 << 16  # a larger buffer is mapped and unmapped by the system each time
_EACH_S = 0.0001  # least that an attempt takes


@dataclass(slots=True)
class Given:
    """An attempt that a worker was given: since when it is the one that runs, and how far it said it is.

    `expected_s` is its predicted runtime, 0 where that is of no use.
    """

    attempt_id: str
    epoch: int
    payload: bytes
    kill_after_s: float | None = None
    expected_s: float = 0.0
    began_s: float | None = None
    progress: float = 0.0
    used_s: float = 0.0
    expired_s: float | None = None
    lineage: str = ""


class WorkerProcess:
    """A process in its own session. `fileno`s to watch: `data`, `control` and, on Linux, `pidfd`."""

    def __init__(
        self, checkpoints: Path, logs: Path, *, environment: Mapping[str, str], beat_every_s: float = 1.0
    ) -> None:
        name = f"{os.getpid()}-{secrets.token_hex(6)}"
        self.resource: Resource | None = None
        self.environment = dict(environment)
        self.token = orphans.token_below(name)
        self.log = f"spare-{name}.log"
        self.killed_because, self.killed_cause = "", None  # type: tuple[str, Cause | None]
        self.attempts: dict[str, Given] = {}
        self.warmed: set[str] = set()
        self.last_words: list[messages.FromWorker] = []
        self.stopping_since_s: float | None = None
        self.doomed = self.spoke = self.stalled = False
        self.heard_at_s = self.started_s = time.monotonic()
        self.suspected: Vitals | None = None
        self.oom_kills = 0
        self.last_s = 0.0
        self.most_rss_bytes = 0
        self._name, self._logs = name, logs
        self._unsent: list[bytes] = []
        self._leaving = memoryview(b"")
        self._reader, self._control_reader = messages.FrameReader(), messages.FrameReader()
        self._containment: Containment | None = None
        self.data, far_data = socket.socketpair()
        self.control, far_control = socket.socketpair()
        with far_data, far_control, open(logs / self.log, "ab") as log:
            try:
                self._child = self._started(checkpoints, beat_every_s, (far_data.fileno(), far_control.fileno()), log)
            except OSError:
                for channel in (self.data, self.control):
                    channel.close()
                (logs / self.log).unlink()
                raise
            self._log_fd = os.dup(log.fileno())
        self.pid = self._child.pid
        self.pidfd = os.pidfd_open(self.pid) if hasattr(os, "pidfd_open") else None
        self.data.setblocking(False)
        self.control.setblocking(False)

    def _started(
        self, checkpoints: Path, beat_every_s: float, fds: tuple[int, int], log: BinaryIO
    ) -> subprocess.Popen[bytes]:
        arguments = (*(str(fd) for fd in fds), str(checkpoints), str(os.getpid()), str(beat_every_s))
        return subprocess.Popen(
            [sys.executable, "-m", "dnaml.execution.worker", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=fds,
            start_new_session=True,
            env=self._variables(),
        )

    def _variables(self) -> dict[str, str]:
        return {
            **os.environ,
            **dict.fromkeys(_ONE_THREAD, "1"),
            "DNAML_PART": "0",
            "DNAML_PARTS": "1",
            **self.environment,
            "DNAML_WORKER": self.token,
            "DNAML_PATH": os.pathsep.join(entry for entry in sys.path if entry) + os.pathsep + os.getcwd(),
        }

    def take_in(self, resource: Resource, *, pids: int | None, open_files: int | None) -> None:
        """Take the process into service for a resource, within its limits; raise OSError if it is gone."""
        memory_bytes, share = resource.memory_bytes, resource.cpu_quota_share
        if self._containment is None or memory_bytes is not None or share is not None:
            self._contain(
                f"dnaml-{self._name}",
                pids=pids,
                open_files=open_files,
                memory_bytes=memory_bytes,
                cpu_quota_share=share,
            )
        self.resource = resource
        log = f"{resource.id.replace('/', '_')}-{self._name}.log"
        (self._logs / self.log).rename(self._logs / log)
        self.log = log

    def hold(self, *, pids: int | None, open_files: int | None) -> None:
        """Put a spare within the limits that every resource has, before it is needed: the kernel takes 20 ms for it."""
        if self._containment is None:
            self._contain(f"dnaml-{self._name}-spare", pids=pids, open_files=open_files)

    def _contain(
        self,
        name: str,
        *,
        pids: int | None,
        open_files: int | None,
        memory_bytes: int | None = None,
        cpu_quota_share: float | None = None,
    ) -> None:
        before, fresh = (
            self._containment,
            Containment.open(
                name, memory_bytes=memory_bytes, pids=pids, cpu_quota_share=cpu_quota_share, open_files=open_files
            ),
        )
        try:
            fresh.attach(self.pid)
        except BaseException:
            fresh.close()
            raise
        self._containment = fresh
        if before is not None:
            before.let_go()

    def log_bytes(self) -> int:
        """Return how much the worker has written to its log so far."""
        return os.fstat(self._log_fd).st_size

    # -- speaking ------------------------------------------------------------------------------------------------------

    def give(self, message: messages.Begin, kill_after_s: float | None = None, expected_s: float = 0.0) -> None:
        """Add an attempt to what the worker is sent at the next `flush`."""
        kept = message.payload if len(message.payload) <= _KEPT_BYTES else b""
        given = Given(message.attempt_id, message.epoch, kept, kill_after_s, expected_s, lineage=message.lineage)
        if not self.attempts:
            given.began_s = time.monotonic()
        self.attempts[message.attempt_id] = given
        self._unsent.append(messages.framed(messages.encode(message)))

    def flush(self) -> None:
        """Send of what was given as much as the worker takes now; it is `stalled` where more is left.

        Waiting for room would wait for a worker that itself waits until its result is read.
        """
        try:
            while self._leaving or self._unsent:
                if not self._leaving:
                    self._leaving, self._unsent = memoryview(b"".join(self._unsent)), []
                self._leaving = self._leaving[self.data.send(self._leaving) :]
        except BlockingIOError:
            pass
        except OSError:  # it is gone, as the loop notices
            self._leaving, self._unsent = memoryview(b""), []
        self.stalled = bool(self._leaving)

    def warm(self, payload: messages.Payload) -> None:
        """Add to what an idle worker is sent the function of a payload, to be imported; once is enough."""
        if payload.function_digest not in self.warmed:
            self.warmed.add(payload.function_digest)
            message = messages.Warm(payload.function, payload.function_digest)
            self._unsent.append(messages.framed(messages.encode(message)))

    def free_in_s(self, now_s: float) -> float:
        """Return in how many seconds what the worker holds should have ended.

        What has run longer than predicted is expected to take as long again as it already took.
        """
        left_s = 0.0
        for given in self.attempts.values():
            elapsed_s = 0.0 if given.began_s is None else now_s - given.began_s
            left_s += _EACH_S + (elapsed_s if elapsed_s > given.expected_s else given.expected_s - elapsed_s)
        return left_s

    @property
    def in_line_s(self) -> float:
        """Return how long what stands behind the running attempt takes, each as long as the last that ended."""
        return (len(self.attempts) - 1) * self.last_s

    def give_back(self, after_s: float, now_s: float) -> bool:
        """Ask for what stands behind an attempt that has run for so long; say whether anything stands in line."""
        running = self.running
        if running is None or len(self.attempts) == 1 or self.doomed:
            return False
        if self.spoke and running.began_s is not None and now_s - running.began_s >= after_s:
            for attempt_id in list(self.attempts)[1:]:  # asked again until it is answered: a full channel drops it
                self.tell(messages.GiveBack(attempt_id))
        return True

    def ask_to_stop(self, attempt_id: str) -> None:
        """Tell the worker to end an attempt at its next step, or not to begin it."""
        running = self.running
        if running is not None and running.attempt_id == attempt_id and self.stopping_since_s is None:
            self.stopping_since_s = time.monotonic()
        self.tell(messages.Stop(attempt_id))

    def tell(self, message: messages.Stop | messages.GiveBack | messages.Seal | messages.Expire) -> None:
        """Ask something of the attempt that runs; a worker that is dying is noticed by the loop."""
        with contextlib.suppress(OSError):
            self.control.send(messages.framed(messages.encode(message)))

    # -- hearing -------------------------------------------------------------------------------------------------------

    @property
    def running(self) -> Given | None:
        """Return the attempt that runs, in front of those that wait for it."""
        return next(iter(self.attempts.values()), None)

    def read(self) -> Iterator[messages.FromWorker]:
        """Yield what the worker said since the last call; raises EOFError when it is gone."""
        try:
            data = self.data.recv(_READ_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            raise EOFError
        self._heard()
        for frame in self._reader.feed(data):
            yield messages.decode_from_worker(frame)

    def hear(self) -> list[messages.Beat]:
        """Take in heartbeats and return those that tell of an attempt which this worker still holds."""
        beats = []
        with contextlib.suppress(OSError):  # nothing more to read, or it is dying
            while data := self.control.recv(4096):
                self._heard()
                for frame in self._control_reader.feed(data):
                    beat = messages.decode_from_worker(frame)
                    if isinstance(beat, messages.Beat) and beat.attempt_id in self.attempts:
                        beats.append(beat)
        return beats

    def _heard(self) -> None:
        self.heard_at_s, self.suspected = time.monotonic(), None
        if not self.spoke:
            self.spoke = True
            if self.running is not None:
                self.running.began_s = self.heard_at_s  # until now it came up

    def finished(self, attempt_id: str) -> Given | None:
        """Note that an attempt is over, and return what was known of it; the next one runs from now on."""
        running = self.running
        if running is None or running.attempt_id == attempt_id:
            self.stopping_since_s = None
        given = self.attempts.pop(attempt_id, None)
        running = self.running
        if running is not None and running.began_s is None:
            running.began_s = time.monotonic()
        return given

    def ran_out_of_memory(self) -> bool:
        """Say whether the kernel killed anything of this worker for want of memory since the last time it was asked."""
        before, self.oom_kills = self.oom_kills, self._containment.oom_kills() if self._containment else 0
        return self.oom_kills > before

    def broken_limit(self) -> tuple[str, Cause | None] | None:
        """Say which limit the process tree breaks, where no control group holds it; None if all is well."""
        held = self._containment
        if held is None or held.kind is not Kind.WATCH:
            return None
        pids = held.processes()
        rss_bytes = sum(_rss_bytes(pid) for pid in pids)
        self.most_rss_bytes = max(self.most_rss_bytes, rss_bytes)
        told = held.exceeded(rss_bytes, len(pids))
        if told is None:
            return None
        over = held.memory_bytes is not None and rss_bytes > held.memory_bytes
        return told, Cause.OUT_OF_MEMORY if over else None

    # -- the end -------------------------------------------------------------------------------------------------------

    def kill(self, because: str = "", cause: Cause | None = None) -> None:
        """Kill the process, its group, and whatever left its group; what `because` says is why its attempt ends."""
        self.doomed = True
        if not self.killed_because:
            self.killed_because, self.killed_cause = because, cause
        orphans.kill_group(self.pid)
        if self._containment is not None:
            with contextlib.suppress(OSError):  # a group that is gone holds nobody
                self._containment.kill()

    def bury(self, *, sweeps: bool = True) -> Death:
        """Reap a dead process and everything it left; return what it died of. What it said last is in `last_words`.

        Without `sweeps`, the caller looks later for what left the process's group and control group.
        One that is killed but stuck in the kernel is left to the system: nobody listens to it any more.
        """
        self.kill()
        code = self._wait()
        self.hear()
        self.last_words = self._drain()
        if sweeps:
            orphans.kill_left_behind(self.token)
        oom = self.ran_out_of_memory()
        if self._containment is not None:
            try:
                self._containment.close()
            except OSError as error:  # on a starved machine the dead leave their group late; a later start sweeps it
                _log.warning("the control group of process %d stays: %s", self.pid, error)
        for channel in (self.data, self.control):
            channel.close()
        for fd in (self.pidfd, self._log_fd):
            if fd is not None:
                os.close(fd)
        if self.resource is None:
            (self._logs / self.log).unlink(missing_ok=True)
        return self._death(code, oom)

    def _wait(self) -> int | None:
        """Return the exit code of the killed process; None for one that does not die, as in a disk wait."""
        if self.pidfd is not None:
            poller = select.poll()
            poller.register(self.pidfd, select.POLLIN)
            if not poller.poll(_DIES_WITHIN_S * 1000):
                return None
        return self._child.wait()

    def _death(self, code: int | None, oom: bool) -> Death:
        limit = self.resource.memory_bytes if self.resource else None
        filled = limit is not None and self.most_rss_bytes > _NEARLY_FULL_SHARE * limit and code == -signal.SIGKILL
        if self.killed_because:
            return killed(self.killed_because, self.killed_cause)
        if oom or filled:
            return out_of_memory(self.resource.id if self.resource else "the machine")
        return death_by(code) if self.spoke else never_came_up(code)

    def _drain(self) -> "list[messages.FromWorker]":
        """Return what the worker managed to say before it died."""
        said: list[messages.FromWorker] = []
        try:
            while True:
                before = len(said)
                said.extend(self.read())
                if len(said) == before:
                    break
        except (EOFError, msgspec.DecodeError):
            pass
        return said


def _rss_bytes(pid: int) -> int:
    """Return the resident memory of a process, 0 when it is gone."""
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
