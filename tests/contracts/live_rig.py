"""The local backend on the bench: real worker processes, which run the functions below."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dnaml.core.attempt import Stored
from dnaml.core.events import EndJob, Explain, StartAttempt
from dnaml.core.protocols import Backend
from dnaml.core.work import Job
from dnaml.execution import messages
from dnaml.execution.context import Context
from dnaml.execution.local import LocalBackend
from dnaml.execution.pickling import dumps_arguments, dumps_function
from dnaml.execution.settings import LocalSettings
from tests.contracts.rigs import Work

_DEFAULTS = LocalSettings()
STEPS = 40
STEP_S = 0.01


def quick() -> int:
    return 42


def steps(*, context: Context) -> int:
    done = context.restore(default=0)
    while done < STEPS and not context.should_stop():
        time.sleep(STEP_S)
        done += 1
        context.save(done / STEPS, done)
    return done


def endless(*, context: Context) -> None:
    while not context.should_stop():
        time.sleep(STEP_S)


def failing() -> None:
    raise ValueError("no luck")


_FUNCTIONS = {Work.QUICK: quick, Work.STEPS: steps, Work.ENDLESS: endless, Work.FAILING: failing}


class LiveRig:
    """The local backend, with a listener that keeps outcomes in memory."""

    def __init__(self, folder: Path, settings: LocalSettings = _DEFAULTS) -> None:
        self._payloads: dict[str, bytes] = {}
        self.outcomes: list[bytes] = []
        for name in ("checkpoints", "logs"):
            (folder / name).mkdir()
        base_s = time.time() - time.monotonic()
        self._local = LocalBackend(
            folder / "checkpoints", folder / "logs", self, lambda: base_s + time.monotonic(), settings
        )
        self.backend: Backend = self._local

    def bring(self, job: Job, work: Work) -> None:
        self.bring_call(job.id, _FUNCTIONS[work], wants_context=work in (Work.STEPS, Work.ENDLESS))

    def bring_call(self, job_id: str, call: Callable[..., Any], *args: Any, wants_context: bool = False) -> None:
        """Make any call the work of a job."""
        function, digest = dumps_function(call)
        payload = messages.Payload(b"", function, digest, dumps_arguments(args, {}), b"{}", wants_context)
        self._payloads[job_id] = messages.encode(payload)

    @property
    def pids(self) -> dict[str, int]:
        """Return the process of each running attempt."""
        return {attempt_id: pid for attempt_id, (_, pid) in self._local.pids().items()}

    def lose(self, resource_id: str) -> None:
        """Kill the processes of a resource, as the kernel does when memory runs out."""
        for where, pid in self._local.pids().values():
            if where == resource_id:
                os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        self._local.close()

    # -- the listener ------------------------------------------------------------------------------------------------

    def payload(self, job_id: str) -> bytes:
        return self._payloads[job_id]

    def store(self, outcome: bytes, digest: str) -> Stored:
        self.outcomes.append(outcome)
        return Stored(segment=0, offset=len(self.outcomes), size_bytes=len(outcome), digest=digest)

    def starting(self, command: StartAttempt) -> bool:
        return True

    def look_around(self) -> None:
        """Look for nothing: there are no other processes."""

    def ended(self, command: EndJob) -> None:
        """Take no notice: scenarios look at events."""

    def explained(self, command: Explain) -> None:
        """Take no notice: scenarios look at events."""
