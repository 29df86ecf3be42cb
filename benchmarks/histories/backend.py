"""The back end of one engine's life: its moments are the real one's (what happened, Settled, then the commands)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.histories.worker import Worker
from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState, Cause, Usage
from dnaml.core.events import Command, EndJob, Event, SealCheckpoint, StartAttempt, StopAttempt, WakeAt

if TYPE_CHECKING:
    from benchmarks.histories.world import World

LEASE_S = 6.0
GRACE_S = 5.0
TICK_S = 1.0


@dataclass(slots=True)
class Given:
    """An attempt that was given to a worker, and when it was last heard of."""

    worker: Worker
    heard_s: float
    asked: bool = False


class SimBackend:
    """Carries commands to simulated workers and their words to the loop; it dies with its engine."""

    tells_early = False

    def __init__(self, world: "World", life: int) -> None:
        self.world, self.life = world, life
        self.inbox: list[Event] = []
        self.busy: dict[str, Given] = {}
        self._outbox: list[Command] = []
        self._wakes_s: list[float] = []
        self._tick_s = world.t + TICK_S

    def post(self, event: Event) -> None:
        """Add an event to the next moment."""
        self.inbox.append(event)

    def do(self, command: Command) -> None:
        """Note a command; it is carried out once what caused it is in the journal."""
        self.world.step()
        if self.tells_early and isinstance(command, EndJob):
            self.world.told_live(self.life, command)
            return
        self._outbox.append(command)

    def events(self) -> Iterator[Event]:
        """Yield what happens on the virtual clock until the world is over."""
        while self.inbox or self._outbox or self.world.advance(self._next_tick()):
            arrived, self.inbox = self.inbox, []
            yield from arrived
            if self.world.t >= self._tick_s:
                self._tick_s = self.world.t + TICK_S
                if self.busy or arrived or self._is_woken():
                    yield ev.Tick(at_s=self.world.now_s())
                    arrived = [*arrived, ev.Tick(at_s=0.0)]
            if arrived or self._outbox:
                yield ev.Settled(at_s=self.world.now_s())
                yield from self._carry_out()

    def _next_tick(self) -> float | None:
        if self.busy:
            return self._tick_s
        if self._wakes_s:
            return max(self._tick_s, self.world.time_of(min(self._wakes_s)))
        return None

    def _is_woken(self) -> bool:
        now_s = self.world.now_s()
        left = [at_s for at_s in self._wakes_s if at_s > now_s]
        woken, self._wakes_s = len(left) < len(self._wakes_s), left
        return woken

    def _carry_out(self) -> Iterator[Event]:
        commands, self._outbox = self._outbox, []
        for command in commands:
            self.world.step()
            if isinstance(command, StartAttempt):
                yield from self._start(command)
            elif isinstance(command, StopAttempt):
                self._stop(command)
            elif isinstance(command, SealCheckpoint) and command.attempt_id in self.busy:
                self.world.ask_to_seal(self.busy[command.attempt_id].worker)
            elif isinstance(command, EndJob):
                self.world.told_live(self.life, command)
            elif isinstance(command, WakeAt):
                self._wakes_s.append(command.at_s)

    def _start(self, command: StartAttempt) -> Iterator[Event]:
        attempt, at_s = command.attempt, self.world.now_s()
        yield ev.AttemptStarted(
            at_s=at_s, attempt_id=attempt.id, epoch=attempt.epoch, job_id=attempt.job_id, placement=attempt.placement
        )
        worker = Worker(command, self.life)
        self.busy[attempt.id] = Given(worker, self.world.t)
        self.world.start(worker)
        self.world.after(LEASE_S, lambda: self._look_after(attempt.id))

    def _stop(self, command: StopAttempt) -> None:
        given = self.busy.get(command.attempt_id)
        if given is not None and not given.asked:
            given.asked = True
            self.world.ask_to_stop(given.worker)
            self.world.after(GRACE_S, lambda: self.give_up(command.attempt_id, AttemptState.STOPPED, None))

    def _look_after(self, attempt_id: str) -> None:
        """Give an attempt up that was silent for longer than its lease."""
        given = self.busy.get(attempt_id)
        if given is None:
            return
        left_s = given.heard_s + LEASE_S - self.world.t
        if left_s > 1e-6:
            self.world.after(left_s, lambda: self._look_after(attempt_id))
        else:
            self.give_up(attempt_id, AttemptState.LOST, Cause.SILENT)

    def give_up(self, attempt_id: str, outcome: AttemptState, cause: Cause | None) -> None:
        """Say that an attempt ended without its worker's word; the worker may not know."""
        given = self.busy.pop(attempt_id, None)
        if given is None or self.world.backend is not self:
            return
        self.world.kill(given.worker)
        attempt, usage = given.worker.command.attempt, Usage(wall_s=1.0)
        event = ev.AttemptEnded(
            at_s=self.world.now_s(),
            attempt_id=attempt_id,
            epoch=attempt.epoch,
            outcome=outcome,
            usage=usage,
            error="given up",
            cause=cause,
        )
        self.post(event)

    def hear(self, worker: Worker, event: Event) -> None:
        """Take a worker's word, whatever it is worth: the controller judges it."""
        given = self.busy.get(worker.command.attempt.id)
        if given is not None and given.worker is worker:
            given.heard_s = self.world.t
            if isinstance(event, ev.AttemptEnded):
                del self.busy[worker.command.attempt.id]
        self.post(event)
