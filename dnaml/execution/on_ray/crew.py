"""The workers of one node under one lease: a local back end that is given orders and tells what came of them.

When the lease ends the crew is dismissed: its processes are killed and nothing of it is told any more.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec

from dnaml.core import events as ev
from dnaml.core.attempt import Attempt, JobState, Stored
from dnaml.core.errors import DnamlError
from dnaml.core.events import Command, EndJob, Event, Explain, SealCheckpoint, StartAttempt, StopAttempt
from dnaml.core.plan import Decision
from dnaml.core.resource import Resource
from dnaml.core.work import Computation, Job
from dnaml.execution.checkpoints import CheckpointStore
from dnaml.execution.local import LocalBackend
from dnaml.execution.on_ray import wire
from dnaml.execution.on_ray.carrying import Receiver, open_checkpoint
from dnaml.execution.on_ray.priority import lower

LOG_BYTES = 1 << 20
"""most of one attempt's output that travels"""

_PATIENCE_S = 0.004  # as much work as is handed ahead to a worker
_BRIEF_S = 0.0005


class Tell(Protocol):
    """Takes what the engine must hear; it may wait a moment for more of it."""

    def __call__(self, message: msgspec.Struct, patience_s: float = 0.0) -> None:
        """Queue a message that leaves within the patience."""
        ...


Upload = Callable[[str, BinaryIO, msgspec.Struct], None]


class Crew:
    """Runs attempts on this node, as nice as said; `tell` and `upload` take what the engine must hear, in order."""

    def __init__(
        self,
        session: str,
        folder: Path,
        plan: wire.Plan,
        resources: Sequence[Resource],
        tell: Tell,
        upload: Upload,
        niceness: int,
    ) -> None:
        self.session = session
        self.used = False
        self.conversation = wire.Conversation()
        self._tell, self._upload, self._niceness = tell, upload, niceness
        self._lowered: set[int] = set()
        self._carries = plan.checkpoints is None
        self._checkpoints = Path(plan.checkpoints) if plan.checkpoints else folder / "checkpoints"
        self._logs = folder / "logs"
        for each in (self._checkpoints, self._logs):
            each.mkdir(parents=True, exist_ok=True)
        self._receiver = Receiver(CheckpointStore(self._checkpoints))
        self._payloads: dict[str, list[bytes]] = {}
        self._outcomes: dict[int, bytes] = {}
        self._stored = 0
        self._log_of: dict[str, str] = {}
        self._orders: deque[Command] = deque()
        self._dismissed = False
        self.backend = LocalBackend(self._checkpoints, self._logs, self, time.time, plan.local)
        self.offer(*resources)
        self._thread = threading.Thread(target=self._run, name="dnaml-crew", daemon=True)
        self._thread.start()

    # -- in: from the agent's thread ---------------------------------------------------------------------------------

    def offer(self, *resources: Resource) -> None:
        """Describe resources of this node to the workers' side: environment, memory, processor quota."""
        self.backend.post(*(ev.ResourceUp(at_s=time.time(), resource=resource) for resource in resources))

    def take(self, message: wire.ToAgent) -> None:
        """Carry out what the engine asks."""
        if isinstance(message, wire.Start):
            self.used = True
            self._payloads.setdefault(message.placement.job_id, []).append(message.payload)
            self._orders.append(_command(message))
        elif isinstance(message, wire.Stop):
            self._orders.append(StopAttempt(attempt_id=message.attempt_id, epoch=message.epoch, reason=message.reason))
        elif isinstance(message, wire.Seal):
            self._orders.append(SealCheckpoint(attempt_id=message.attempt_id, epoch=message.epoch))
        elif isinstance(message, wire.Forget):
            self._orders.append(
                EndJob(job_id=message.job_id, state=JobState.SUCCEEDED, attempt_id=None, error=None, result=None)
            )
        elif isinstance(message, wire.Chunk):
            self._receive(message)
        elif isinstance(message, wire.Offer):
            self.offer(message.resource)

    def get_going(self) -> None:
        """Wake the loop for what was taken since."""
        if self._orders:
            self.backend.post(ev.Tick(at_s=time.time()))

    def dismiss(self) -> None:
        """Kill every process and fall silent; returns when they are gone."""
        self._dismissed = True
        self.backend.close()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _receive(self, chunk: wire.Chunk) -> None:
        """Add a piece of a checkpoint; one without data says that it is whole."""
        with contextlib.suppress(DnamlError, OSError):  # the attempt then restores an older one, or starts afresh
            if chunk.data:
                self._receiver.take(chunk)
            else:
                self._receiver.finish(chunk.checkpoint_id)

    # -- out: from the loop's thread ---------------------------------------------------------------------------------

    def _run(self) -> None:
        for event in self.backend.events():
            while self._orders:
                self.backend.do(self._orders.popleft())
            if not self._dismissed:
                self._report(event)

    def _report(self, event: Event) -> None:
        if isinstance(event, ev.AttemptStarted):
            self._log_of[event.attempt_id] = event.log or ""
            if event.pid is not None and event.pid not in self._lowered:
                self._lowered.add(event.pid)
                lower(event.pid, self._niceness)
            begun = wire.Begun(event.attempt_id, event.epoch, event.pid or 0, event.log or "", event.log_start)
            self._tell(begun, _PATIENCE_S if len(self._payloads) > 1 else 0.0)
        elif isinstance(event, ev.AttemptProgressed):
            self._tell(wire.Progressed(event))
        elif isinstance(event, ev.CheckpointSealed):
            self._keep(event)
        elif isinstance(event, ev.AttemptEnded):
            self._over(event)

    def _keep(self, event: ev.CheckpointSealed) -> None:
        if not self._carries:
            self._tell(wire.Kept(event))
            return
        with contextlib.suppress(OSError):  # it was pruned already: a newer one follows
            file = open_checkpoint(self._checkpoints, event.checkpoint.id)
            self._upload(event.checkpoint.id, file, wire.Kept(event))

    def _over(self, event: ev.AttemptEnded) -> None:
        payloads = self._payloads.get(event.attempt_id.rpartition(".")[0], [])
        if payloads:
            payloads.pop()
        if not payloads:
            self._payloads.pop(event.attempt_id.rpartition(".")[0], None)
        outcome = self._outcomes.pop(event.result.offset, b"") if event.result is not None else b""
        brief = bool(self._payloads) and event.usage.wall_s < _BRIEF_S
        self._tell(
            wire.Over(
                event.attempt_id,
                event.epoch,
                event.outcome,
                event.usage,
                event.error,
                event.log,
                event.began,
                event.cause,
                event.result.digest if event.result is not None else "",
                outcome,
                self._log(self._log_of.pop(event.attempt_id, ""), event.log),
            ),
            _PATIENCE_S if brief else 0.0,
        )

    def _log(self, name: str, span: tuple[int, int] | None) -> bytes:
        """Return what an attempt wrote, from its first byte on."""
        if not name or span is None or span[1] <= span[0]:
            return b""
        try:
            with (self._logs / name).open("rb") as file:
                file.seek(span[0])
                return file.read(min(span[1] - span[0], LOG_BYTES))
        except OSError:
            return b""

    # -- the listener of the local back end --------------------------------------------------------------------------

    def payload(self, job_id: str) -> bytes:
        """Return the payload that came with the start of a job's attempt."""
        return self._payloads[job_id][-1]

    def store(self, outcome: bytes, digest: str) -> Stored:
        """Keep an outcome until its end is told, a moment later."""
        self._stored += 1
        self._outcomes[self._stored] = outcome
        return Stored(segment=0, offset=self._stored, size_bytes=len(outcome), digest=digest)

    def starting(self, command: StartAttempt) -> bool:
        """Start everything: the engine has asked already."""
        return True

    def look_around(self) -> None:
        """Look for nothing: only the engine gives orders here."""

    def ended(self, command: EndJob) -> None:
        """Tell nobody: the engine knows."""

    def explained(self, command: Explain) -> None:
        """Tell nobody: nothing waits here."""


def _command(message: wire.Start) -> StartAttempt:
    """Return the command for the local back end; what only the engine needs to know of the job is left out."""
    return StartAttempt(
        attempt=Attempt(
            id=message.attempt_id,
            epoch=message.epoch,
            job_id=message.placement.job_id,
            computation_id=message.computation_id,
            placement=message.placement,
        ),
        job=_JOB,
        computation=_SAVING if message.checkpointable else _PLAIN,
        checkpoint=message.checkpoint,
        decision=_DECISION,
        kill_after_s=message.kill_after_s,
    )


_PLAIN = Computation(id="elsewhere", kernel="elsewhere")
_SAVING = Computation(id="elsewhere", kernel="elsewhere", checkpointable=True)
_JOB = Job(id="elsewhere", computation_id="elsewhere", submitted_at_s=0.0)
_DECISION = Decision(
    job_id="elsewhere",
    attempt_id="",
    at_s=0.0,
    policy="",
    path="",
    chosen="",
    resource_ids=(),
    runtime_p10_s=(),
    runtime_p50_s=(),
    runtime_p90_s=(),
    wait_s=(),
    cost_usd=(),
    risk=(),
    score=(),
    reasons=(),
)
"""what every command here holds of what was decided elsewhere: nobody reads it"""
