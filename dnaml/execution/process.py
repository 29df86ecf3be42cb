"""One worker process as the engine sees it: started, spoken to, found dead, killed with everything below it."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import msgspec

from dnaml.core.resource import Resource
from dnaml.execution import messages, orphans
from dnaml.execution.limits import Containment, Kind

_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_OUR_OWN_DEATHS = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGHUP})


class WorkerProcess:
    """A process in its own session. `fileno`s to watch: `data`, `control` and, on Linux, `pidfd`."""

    def __init__(self, resource: Resource, checkpoints: Path, logs: Path, *, pids: int | None) -> None:
        self.resource = resource
        name = f"{os.getpid()}-{secrets.token_hex(6)}"
        self.token = orphans.token_below(name)
        self.log = f"{resource.id.replace('/', '_')}-{name}.log"
        self.killed_because = ""
        self.attempts: deque[tuple[str, int]] = deque()
        self._unsent: list[bytes] = []
        self.last_words: list[messages.FromWorker] = []
        self.stopping_since_s: float | None = None
        self.heard_at_s = time.monotonic()
        self._reader = messages.FrameReader()
        self._containment = Containment.open(
            f"dnaml-{name}",
            memory_bytes=resource.memory_bytes,
            pids=pids,
            cpu_quota_share=resource.cpu_quota_share,
        )
        self.data, far_data = socket.socketpair()
        self.control, far_control = socket.socketpair()
        with far_data, far_control, open(logs / self.log, "ab") as log:
            self._log_fd = os.dup(log.fileno())
            self._child = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "dnaml.execution.worker",
                    *(str(far.fileno()) for far in (far_data, far_control)),
                    str(checkpoints),
                    str(os.getpid()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(far_data.fileno(), far_control.fileno()),
                start_new_session=True,
                env=self._environment(),
            )
        self.pid = self._child.pid
        self._containment.attach(self.pid)
        self.pidfd = os.pidfd_open(self.pid) if hasattr(os, "pidfd_open") else None
        self.control.setblocking(False)

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            **dict.fromkeys(_ONE_THREAD, "1"),
            **self.resource.environment,
            "DNAML_WORKER": self.token,
            "DNAML_PATH": os.pathsep.join(entry for entry in sys.path if entry) + os.pathsep + os.getcwd(),
        }

    def log_bytes(self) -> int:
        """Return how much the worker has written to its log so far."""
        return os.fstat(self._log_fd).st_size

    def give(self, message: messages.Begin) -> None:
        """Add an attempt to what the worker is sent at the next `flush`."""
        self.attempts.append((message.attempt_id, message.epoch))
        self._unsent.append(messages.framed(messages.encode(message)))

    def flush(self) -> None:
        """Send what was given; a worker that is gone is noticed by the loop."""
        unsent, self._unsent = self._unsent, []
        with contextlib.suppress(OSError):
            self.data.sendall(b"".join(unsent))

    def ask_to_stop(self, attempt_id: str) -> None:
        """Tell the worker to end an attempt at its next step, or not to begin it."""
        if self.attempts and self.attempts[0][0] == attempt_id and self.stopping_since_s is None:
            self.stopping_since_s = time.monotonic()
        with contextlib.suppress(OSError):  # it is dying: its end is noticed by the loop
            self.control.send(messages.framed(messages.encode(messages.Stop(attempt_id))))

    def read(self) -> Iterator[messages.FromWorker]:
        """Yield what the worker said since the last call; raises EOFError when it is gone."""
        try:
            data = self.data.recv(1 << 20, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            raise EOFError
        self.heard_at_s = time.monotonic()
        for frame in self._reader.feed(data):
            yield messages.decode_from_worker(frame)

    def hear(self) -> None:
        """Take in heartbeats."""
        with contextlib.suppress(OSError):  # nothing more to read, or it is dying
            while self.control.recv(4096):
                self.heard_at_s = time.monotonic()

    def finished(self, attempt_id: str) -> None:
        """Note that an attempt is over."""
        self.stopping_since_s = None
        self.attempts = deque(pair for pair in self.attempts if pair[0] != attempt_id)

    def cpu_s(self) -> float | None:
        """Return CPU seconds of the process so far, where the system tells without a cost."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            return None
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def broken_limit(self) -> str | None:
        """Say which limit the process tree breaks, where no control group holds it; None if all is well."""
        if self._containment.kind is not Kind.WATCH:
            return None
        pids = self._containment.processes()
        return self._containment.exceeded(sum(_rss_bytes(pid) for pid in pids), len(pids))

    def kill(self, because: str = "") -> None:
        """Kill the process, its group, and whatever left its group; `because` makes it the work's own doing."""
        self.killed_because = self.killed_because or because
        orphans.kill_group(self.pid)
        self._containment.kill()

    def bury(self) -> tuple[bool, str]:
        """Reap a dead process and everything it left; return whether it was the work's own doing, and what happened."""
        self.kill()
        code = self._child.wait()
        rest = self._drain()
        orphans.kill_left_behind(self.token)
        oom = self._containment.oom_kills() > 0
        self._containment.close()
        for channel in (self.data, self.control):
            channel.close()
        for fd in (self.pidfd, self._log_fd):
            if fd is not None:
                os.close(fd)
        self.last_words = rest
        if self.killed_because:
            return True, self.killed_because
        if oom:
            return True, f"it needed more memory than {self.resource.id} allows and was killed"
        return _cause(code)

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


def _cause(code: int) -> tuple[bool, str]:
    """Say whether an exit code was the work's own doing, and name it."""
    if code >= 0:
        return True, f"its process exited with code {code}"
    number = signal.Signals(-code)
    return number not in _OUR_OWN_DEATHS, f"its process was killed by {number.name}"


def _rss_bytes(pid: int) -> int:
    """Return the resident memory of a process, 0 when it is gone."""
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
