"""A backend that touches nothing: a heap of events whose runtimes come from a function.

It honours the same commands as the live ones: progress is sealed as checkpoints, a resource that goes down loses its
attempts, and every moment ends with Settled. Simulated runs are marked by their backend, never mixed with real ones.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count

from dnaml.core.attempt import AttemptState, Cause, Checkpoint, Stored, Usage
from dnaml.core.events import (
    AttemptEnded,
    AttemptProgressed,
    AttemptStarted,
    CheckpointSealed,
    Command,
    Event,
    ResourceDown,
    SealCheckpoint,
    Settled,
    StartAttempt,
    StopAttempt,
    Tick,
    WakeAt,
)

Runtime = Callable[[StartAttempt], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """How an attempt ends instead of with a result, after this share of its runtime; refused if it never `began`."""

    outcome: AttemptState = AttemptState.FAILED
    error: str = "as simulated"
    cause: Cause | None = None
    after_share: float = 1.0
    peak_memory_bytes: int | None = None
    began: bool = True


@dataclass(slots=True)
class _Running:
    command: StartAttempt
    started_at_s: float
    runtime_s: float
    progress: float
    began: bool = False


class SimulatedBackend:
    """Advances time from event to event. `runtime_s` gives the full runtime of an attempt on its resource in seconds.

    A part takes its share of it. `failures` maps an attempt id to the error with which it ends (at its full runtime),
    `fate` says in general what an attempt comes to (None: its result, from `result`); `startup_s` is charged before
    each start; `tick_every_s` adds a Tick at that period while an attempt is in flight, `progress_every_s` words of
    progress; a checkpoint takes `write_s`.
    """

    def __init__(
        self,
        runtime_s: Runtime,
        arrivals: Iterable[Event] = (),
        *,
        failures: Mapping[str, str] | None = None,
        fate: Callable[[StartAttempt], Fate | None] = lambda start: None,
        result: Callable[[StartAttempt], Stored | None] = lambda start: None,
        startup_s: float = 0.0,
        tick_every_s: float | None = None,
        progress_every_s: float | None = None,
        write_s: float | None = None,
    ) -> None:
        self._runtime_s = runtime_s
        self._failures = {} if failures is None else failures
        self._fate, self._result = fate, result
        self._startup_s, self._write_s = startup_s, write_s
        self._tick_every_s, self._progress_every_s = tick_every_s, progress_every_s
        self._order = count()
        self._heap: list[tuple[float, int, Event]] = []
        self._running: dict[str, _Running] = {}
        self.now_s = 0.0
        for event in arrivals:
            self.post(event)

    def post(self, event: Event) -> None:
        """Add an event; one that lies in the past happens now."""
        heapq.heappush(self._heap, (event.at_s, next(self._order), event))

    def do(self, command: Command) -> None:
        """Carry out a command at the present moment."""
        if isinstance(command, StartAttempt):
            self._start(command)
        elif isinstance(command, StopAttempt):
            self._stop(command)
        elif isinstance(command, SealCheckpoint):
            self._seal_now(command)
        elif isinstance(command, WakeAt):
            self.post(Tick(at_s=command.at_s))

    def events(self) -> Iterator[Event]:
        """Yield events in time order; every moment ends with Settled; ends when nothing is left."""
        ticked_s = float("-inf")
        while self._heap:
            next_s = self._heap[0][0]
            if self._tick_every_s is not None and self._running:
                next_s = min(next_s, ticked_s + self._tick_every_s)
            self.now_s = max(self.now_s, next_s)
            if self._tick_every_s is not None and self._running and self.now_s - ticked_s >= self._tick_every_s:
                ticked_s = self.now_s
                yield Tick(at_s=self.now_s)
            while self._heap and self._heap[0][0] <= self.now_s:
                event = heapq.heappop(self._heap)[2]
                if self._is_due(event):
                    yield event
                    if isinstance(event, ResourceDown):
                        self._lose(event)
            yield Settled(at_s=self.now_s)

    # -- starting ----------------------------------------------------------------------------------------------------

    def _start(self, command: StartAttempt) -> None:
        attempt = command.attempt
        fate = self._fate(command)
        if attempt.id in self._failures:
            fate = Fate(error=self._failures[attempt.id])
        if fate is not None and not fate.began:
            self._end_at(self.now_s, command, fate.outcome, 0.0, fate.error, began=False, cause=fate.cause)
            return
        progress = command.checkpoint.progress if command.checkpoint else 0.0
        start_s = self.now_s + self._startup_s
        runtime_s = self._runtime_s(command) * attempt.placement.share
        self._running[attempt.id] = _Running(command, start_s, runtime_s, progress)
        self.post(
            AttemptStarted(
                at_s=start_s,
                attempt_id=attempt.id,
                epoch=attempt.epoch,
                job_id=attempt.job_id,
                placement=attempt.placement,
            )
        )
        remaining_s = runtime_s * (1 - progress)
        self._tell_progress(command, start_s, remaining_s, progress)
        self._plan_end(command, start_s, remaining_s, fate)

    def _tell_progress(self, command: StartAttempt, start_s: float, remaining_s: float, progress: float) -> None:
        """Post the checkpoints and the words of progress of an attempt that runs undisturbed."""
        attempt, runtime_s = command.attempt, remaining_s / (1 - progress) if progress < 1 else remaining_s
        every_s = attempt.placement.checkpoint_every_s
        if every_s is not None:
            for step in range(1, int(remaining_s / every_s) + 1):
                self._seal(command, start_s + step * every_s, progress + step * every_s / runtime_s)
        if self._progress_every_s is not None:
            for step in range(1, int(remaining_s / self._progress_every_s) + 1):
                used_s = step * self._progress_every_s
                self.post(
                    AttemptProgressed(
                        at_s=start_s + used_s,
                        attempt_id=attempt.id,
                        epoch=attempt.epoch,
                        progress=min(1.0, progress + used_s / runtime_s),
                        used_s=used_s,
                    )
                )

    def _plan_end(self, command: StartAttempt, start_s: float, remaining_s: float, fate: Fate | None) -> None:
        limit_s = command.kill_after_s
        if limit_s is not None and limit_s < remaining_s * (fate.after_share if fate is not None else 1.0):
            fate = Fate(error=f"it used {limit_s:g} s", cause=Cause.OVERRAN, after_share=limit_s / remaining_s)
        if fate is None:
            self._end_at(start_s + remaining_s, command, AttemptState.DONE, remaining_s, None)
            return
        used_s, peak = remaining_s * fate.after_share, fate.peak_memory_bytes
        self._end_at(start_s + used_s, command, fate.outcome, used_s, fate.error, cause=fate.cause, peak=peak)

    def _seal(self, command: StartAttempt, at_s: float, progress: float) -> None:
        if progress >= 1.0:
            return
        attempt = command.attempt
        checkpoint = Checkpoint(
            id=f"{attempt.id}@{progress:.6f}",
            attempt_id=attempt.id,
            taken_at_s=at_s,
            progress=progress,
            size_bytes=0,
        )
        self.post(
            CheckpointSealed(
                at_s=at_s,
                attempt_id=attempt.id,
                epoch=attempt.epoch,
                checkpoint=checkpoint,
                write_s=self._write_s,
            )
        )

    def _end_at(
        self,
        at_s: float,
        command: StartAttempt,
        outcome: AttemptState,
        wall_s: float,
        error: str | None,
        *,
        began: bool = True,
        cause: Cause | None = None,
        peak: int | None = None,
    ) -> None:
        attempt = command.attempt
        self.post(
            AttemptEnded(
                at_s=at_s,
                attempt_id=attempt.id,
                epoch=attempt.epoch,
                outcome=outcome,
                usage=Usage(wall_s=wall_s, peak_memory_bytes=peak),
                error=error,
                result=self._result(command) if outcome is AttemptState.DONE else None,
                began=began,
                cause=cause,
            )
        )

    # -- what becomes of it --------------------------------------------------------------------------------------------

    def _is_due(self, event: Event) -> bool:
        """Drop what an attempt would have done after it was stopped or lost."""
        if isinstance(event, AttemptEnded):
            if event.outcome in (AttemptState.STOPPED, AttemptState.LOST, AttemptState.CANCELLED):
                self._running.pop(event.attempt_id, None)
                return True
            return self._running.pop(event.attempt_id, None) is not None
        if isinstance(event, AttemptStarted | CheckpointSealed | AttemptProgressed):
            running = self._running.get(event.attempt_id)
            if running is None:
                return False
            running.began = True
        return True

    def _seal_now(self, command: SealCheckpoint) -> None:
        running = self._running.get(command.attempt_id)
        if running is not None:
            done_s = max(0.0, self.now_s - running.started_at_s)
            progress = running.progress + done_s / running.runtime_s
            self._seal(running.command, self.now_s + (self._write_s or 0.0), progress)

    def _stop(self, command: StopAttempt) -> None:
        running = self._running.pop(command.attempt_id, None)
        if running is not None:
            self._cut(running, AttemptState.STOPPED if running.began else AttemptState.CANCELLED, command.reason)

    def _lose(self, event: ResourceDown) -> None:
        for attempt_id, running in list(self._running.items()):
            if running.command.attempt.placement.resource_id == event.resource_id:
                del self._running[attempt_id]
                self._cut(running, AttemptState.LOST, event.reason, Cause.INTERRUPTED)

    def _cut(self, running: _Running, outcome: AttemptState, reason: str, cause: Cause | None = None) -> None:
        elapsed_s = max(0.0, self.now_s - running.started_at_s)
        self._end_at(self.now_s, running.command, outcome, elapsed_s, reason, began=running.began, cause=cause)
