"""Runs a function for a few seconds in a process of its own, and makes sure that nothing of it stays.

The process has its own session, its own working and temporary folder, a limit on memory, and dies with this one. What
it does elsewhere (files by absolute path, the network) cannot be undone.
"""

import contextlib
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from dnaml.execution import orphans, pickling
from dnaml.execution.fingerprint.reports import Order, Report, State, decode_report, encode
from dnaml.execution.limits import Containment
from dnaml.telemetry.attempt import TreeSampler

START_LIMIT_S = 30.0
_TICK_S = 0.02
_FAREWELL_S = 0.5
_MEMORY_EVERY_S = 0.1  # how often a limit that the kernel does not hold is looked after
_MEMORY_SHARE = 0.8  # of what is available when the pilot starts
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_TEMPORARY = ("TMPDIR", "TEMP", "TMP")


class Outcome(Enum):
    """Is how a pilot ended."""

    RETURNED = "returned"  # the function came to its end
    CUT_OFF = "cut off"  # it was still running when the budget was spent: no fault of its own
    RAISED = "raised"  # its code raised
    EXITED = "exited"  # its code ended the process
    KILLED = "killed"  # a signal ended the process: a crash, or more memory than there is
    NOT_STARTED = "not started"  # it could not be sent, loaded or started in time
    NOT_RUN = "not run"  # none was asked for


class Pilot:
    """One pilot process. Use as a context manager: on leaving, the process, its descendants and its folder are gone."""

    def __init__(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        memory_bytes: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Pickle the call; raise UnpicklableError if it cannot travel. Nothing runs yet."""
        self.outcome = Outcome.NOT_STARTED
        self.message = ""
        self.killed_processes = 0
        self.tree: dict[str, float] = {}
        self._call = (pickling.dumps(fn), pickling.dumps_arguments(args, kwargs))
        self._memory_bytes = memory_bytes or _available_bytes()
        self._environment = environment or {}
        self._token = orphans.token_below(f"pilot-{os.getpid()}-{secrets.token_hex(6)}")
        self._lines = bytearray()
        self._waits: dict[int, float] = {}  # process -> seconds it has waited for a core in this run

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="dnaml-pilot-"))
        try:
            self._start()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        return self

    def _start(self) -> None:
        (self._folder / "function").write_bytes(self._call[0])
        (self._folder / "arguments").write_bytes(self._call[1])
        for name in ("work", "tmp"):
            (self._folder / name).mkdir()
        containment_name = self._token.rpartition("/")[2]
        self._containment = Containment.open(f"dnaml-{containment_name}", memory_bytes=self._memory_bytes)
        self._channel, far = socket.socketpair()
        with far, open(self._folder / "log", "wb") as log:
            command = [sys.executable, "-m", "dnaml.execution.fingerprint.child"]
            self._process = subprocess.Popen(
                [*command, str(far.fileno()), str(self._folder), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(far.fileno(),),
                start_new_session=True,
                cwd=self._folder / "work",
                env=self._variables(),
            )
        self.pid = self._process.pid
        with contextlib.suppress(ProcessLookupError):  # dead already: the first order will say so
            self._containment.attach(self.pid)
        self._sampler = TreeSampler(self.pid, full_every_s=_MEMORY_EVERY_S)
        self._began = self._clocks()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kill what is left of the process and everything it started; remove its folder."""
        self._channel.close()
        if self.outcome in (Outcome.RETURNED, Outcome.RAISED):  # it waits for orders, and goes when there are none
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_FAREWELL_S)
        self._kill()
        self._sampler.close()
        self._containment.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def ready(self) -> bool:
        """Wait until the function is loaded; False, with `outcome` and `message`, if that fails."""
        report = self._await(time.monotonic() + START_LIMIT_S, None)
        if report is not None and report.state is State.BROKEN:
            self.outcome, self.message = Outcome.NOT_STARTED, f"it could not be loaded: {report.message}"
            return False
        if report is None and self.outcome is Outcome.CUT_OFF:
            self.outcome, self.message = Outcome.NOT_STARTED, f"loading it took more than {START_LIMIT_S:.0f} s"
        return report is not None

    def run(self, order: Order, *, until_s: float, tick: Callable[[], object] | None = None) -> Report | None:
        """Run once; return what was seen, of an unfinished run too, or None if nothing was.

        `outcome` and `message` say how it ended; the process is dead afterwards unless it RETURNED or RAISED.
        """
        if self._process.poll() is not None:
            return None
        self._began = self._clocks()
        self._waits = {}
        try:
            self._channel.sendall(encode(order))
        except OSError:
            pass  # it is dying: waiting for its answer says how
        return self._await(until_s, tick)

    def _await(self, until_s: float, tick: Callable[[], object] | None) -> Report | None:
        newest: Report | None = None
        while time.monotonic() < until_s:
            if select.select([self._channel], [], [], _TICK_S)[0]:
                try:
                    data = self._channel.recv(1 << 20)
                except OSError:
                    data = b""
                if not data:
                    self._died()
                    return newest
                newest = self._newest(data) or newest
                if newest is not None and newest.state is not State.RUNNING:
                    return self._finished(newest)
            elif self._over_memory():
                return newest
            elif tick is not None:
                tick()
            self._note_waits()
        self.outcome = Outcome.CUT_OFF
        self.message = "it was still running when the pilot's time was over"
        newest = self._timed(newest or Report(state=State.RUNNING))
        self._measure_tree()
        self._kill()
        return newest

    def _timed(self, report: Report) -> Report:
        """Add to a snapshot what can be read from outside: wall, processor and waiting time since the run began."""
        wall_s, delay_s, cpu_s = (now - then for now, then in zip(self._clocks(), self._began, strict=True))
        report.wall_s, report.own_s, report.cpu_s = wall_s, max(0.0, wall_s - delay_s), cpu_s
        self._leave_out_waits(report)
        return report

    def _note_waits(self) -> None:
        """Note how long each descendant has waited for a core so far; nobody keeps that once it has ended."""
        for pid in self._sampler.pids():
            if pid != self.pid:
                self._waits[pid] = max(self._waits.get(pid, 0.0), _wait_s(pid))

    def _leave_out_waits(self, report: Report) -> None:
        """Take the descendants' waits for a core out of the run's own time, which holds them as time blocked."""
        least_s = min(report.own_s, report.cpu_s / (os.cpu_count() or 1))
        report.own_s = max(least_s, report.own_s - sum(self._waits.values()))

    def _clocks(self) -> tuple[float, float, float]:
        """Return wall time, the main thread's wait for a core, and processor time of the tree, in seconds."""
        sample = self._sampler.sample(full=True)
        cpu_s = sample.get("cpu_s", sample.get("cpu_user_s", 0.0) + sample.get("cpu_system_s", 0.0))
        return time.monotonic(), _wait_s(self.pid), cpu_s

    def _newest(self, data: bytes) -> Report | None:
        self._lines += data
        *whole, rest = bytes(self._lines).split(b"\n")
        self._lines = bytearray(rest)
        newest: Report | None = None
        for line in whole:
            with contextlib.suppress(msgspec.MsgspecError):  # the user's code found our socket and wrote to it
                newest = decode_report(line)
        return newest

    def _finished(self, report: Report) -> Report:
        self._measure_tree()
        self._leave_out_waits(report)
        ends = {State.RAISED: Outcome.RAISED, State.EXITED: Outcome.EXITED}
        self.outcome = ends.get(report.state, Outcome.RETURNED)
        self.message = report.message
        return report

    def _measure_tree(self) -> None:
        self.tree = {**self.tree, **self._sampler.sample(full=True)}

    def _over_memory(self) -> bool:
        sample = self._sampler.sample()
        too_much = self._containment.exceeded(int(sample.get("memory_bytes", 0)), int(sample.get("processes", 0)))
        if too_much is None:
            return False
        self._kill()
        self.outcome, self.message = Outcome.KILLED, f"it needed more than {self._memory_bytes} bytes of memory"
        return True

    def _died(self) -> None:
        code = self._process.wait()
        if self._containment.oom_kills():
            self.outcome, self.message = Outcome.KILLED, f"it needed more than {self._memory_bytes} bytes of memory"
        elif code < 0:
            self.outcome, self.message = Outcome.KILLED, f"its process was killed by {signal.Signals(-code).name}"
        else:
            self.outcome, self.message = Outcome.EXITED, f"its process exited with code {code}"

    def _kill(self) -> None:
        orphans.kill_group(self.pid)
        self._process.wait()
        others = len(orphans.left_behind(self._token))
        self._containment.kill()
        orphans.kill_left_behind(self._token)
        self.killed_processes += others

    def _variables(self) -> dict[str, str]:
        return {
            **os.environ,
            **dict.fromkeys(_THREADS, str(os.cpu_count() or 1)),
            **self._environment,
            **dict.fromkeys(_TEMPORARY, str(self._folder / "tmp")),
            orphans.MARKER: self._token,
            "DNAML_PATH": os.pathsep.join(entry or os.getcwd() for entry in (*sys.path, "")),
        }


def _wait_s(pid: int) -> float:
    """Return how long a process's main thread has waited for a core; 0 where the system does not tell."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_bytes().split()[1]) * 1e-9
    except (OSError, ValueError, IndexError):
        return 0.0


def _available_bytes() -> int | None:
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            available = next(line for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None
    return int(int(available.split()[1]) * 1024 * _MEMORY_SHARE)
