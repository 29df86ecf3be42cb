"""Benches for back ends: the same scripted scenario runs on each, with the same kinds of work behind the same commands.

A rig for another back end is one more class here: it knows how to make a backend, how work of each kind is brought to
it, and how a resource of it is really lost.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol

from dnaml.core import events as ev
from dnaml.core.attempt import Attempt, AttemptState, Checkpoint, Placement
from dnaml.core.events import Command, Event, StartAttempt
from dnaml.core.plan import Decision
from dnaml.core.protocols import Backend
from dnaml.core.resource import Resource
from dnaml.core.work import Computation, Job
from dnaml.engine import run
from dnaml.execution.simulated import SimulatedBackend


class Work(Enum):
    """Is what an attempt does."""

    QUICK = "quick"  # ends at once with a result
    STEPS = "steps"  # saves its progress on the way and ends with a result
    ENDLESS = "endless"  # goes on until it is stopped or lost
    FAILING = "failing"  # raises ValueError("no luck")


class Rig(Protocol):
    """One kind of backend on the bench."""

    backend: Backend

    def bring(self, job: Job, work: Work) -> None:
        """Make the work of a job known to the backend, before its first start."""
        ...

    def lose(self, resource_id: str) -> None:
        """Take a resource away from under what runs on it."""
        ...

    def close(self) -> None:
        """End the stream of events; called once all attempts of a scenario have ended."""
        ...


_SECONDS = {Work.QUICK: 1.0, Work.STEPS: 1.0, Work.ENDLESS: 3e7, Work.FAILING: 1.0}


class SimulatedRig:
    """The simulated backend; endless work ends after a simulated year."""

    def __init__(self, folder: Path) -> None:
        self._works: dict[str, Work] = {}
        self._failures: dict[str, str] = {}
        self.simulation = SimulatedBackend(lambda start: _SECONDS[self._works[start.job.id]], failures=self._failures)
        self.backend: Backend = self.simulation

    def bring(self, job: Job, work: Work) -> None:
        self._works[job.id] = work
        if work is Work.FAILING:
            self._failures |= {f"{job.id}.{epoch}": "ValueError: no luck" for epoch in range(1, 9)}

    def lose(self, resource_id: str) -> None:
        self.backend.post(ev.ResourceDown(at_s=self.simulation.now_s, resource_id=resource_id, reason="power was cut"))

    def close(self) -> None:
        """Do nothing: simulated time ends by itself when nothing is left."""


@dataclass(slots=True)
class Rule:
    """Says what is done the first time that an event is what a scenario waits for."""

    when: Callable[[Event], bool]
    then: Callable[[], list[Command]]
    done: bool = False


@dataclass(slots=True)
class Scenario:
    """A controller that follows a script; `play` runs it and returns every event. It ends when all attempts did."""

    rig: Rig
    log: list[Event] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    open: set[str] = field(default_factory=set)

    def once(self, when: Callable[[Event], bool], then: Callable[[], list[Command]]) -> None:
        """Do something the first time that an event fits."""
        self.rules.append(Rule(when, then))

    def handle(self, event: Event) -> tuple[Command, ...]:
        """Follow the script."""
        self.log.append(event)
        if isinstance(event, ev.AttemptEnded):
            self.open.discard(event.attempt_id)
        commands: list[Command] = []
        for rule in self.rules:
            if not rule.done and rule.when(event):
                rule.done = True
                commands += rule.then()
        self.open |= {command.attempt.id for command in commands if isinstance(command, StartAttempt)}
        if isinstance(event, ev.Settled) and not self.open and all(rule.done for rule in self.rules):
            self.rig.close()
        return tuple(commands)

    def play(self, *resources: str, slots: int = 1) -> list[Event]:
        """Offer resources, then run until the script is through and every attempt has ended."""
        for name in resources:
            self.rig.backend.post(ev.ResourceUp(at_s=0.0, resource=Resource(id=name, slots=slots)))
        run(self, self.rig.backend)  # type: ignore[arg-type]  # it handles events, which is all that is asked
        return self.log

    # -- commands ------------------------------------------------------------------------------------------------------

    def start(
        self,
        job_id: str,
        work: Work,
        on: str,
        *,
        epoch: int = 1,
        checkpoint: Checkpoint | None = None,
        every_s: float | None = None,
    ) -> StartAttempt:
        """Return the command that starts an attempt of a job."""
        job = Job(id=job_id, computation_id=work.value, submitted_at_s=0.0)
        self.rig.bring(job, work)
        placement = Placement(job_id=job_id, resource_id=on, checkpoint_every_s=every_s)
        attempt_id = f"{job_id}.{epoch}"
        return StartAttempt(
            attempt=Attempt(
                id=attempt_id,
                epoch=epoch,
                job_id=job_id,
                computation_id=work.value,
                placement=placement,
                state=AttemptState.STARTING,
            ),
            job=job,
            computation=Computation(id=work.value, kernel=work.value, checkpointable=work is Work.STEPS),
            checkpoint=checkpoint,
            decision=decision(job_id, attempt_id, on),
        )


def decision(job_id: str, attempt_id: str, on: str) -> Decision:
    """Return a decision without alternatives."""
    return Decision(
        job_id=job_id,
        attempt_id=attempt_id,
        at_s=0.0,
        policy="script",
        path="script",
        chosen=on,
        resource_ids=(on,),
        runtime_p10_s=(1.0,),
        runtime_p50_s=(1.0,),
        runtime_p90_s=(1.0,),
        wait_s=(0.0,),
        cost_usd=(0.0,),
        risk=(0.0,),
        score=(0.0,),
        reasons=("",),
    )


def settled(event: Event) -> bool:
    """Say whether a moment is complete."""
    return isinstance(event, ev.Settled)


def begins(*attempt_ids: str) -> Callable[[Event], bool]:
    """Return the test whether an event says that an attempt began, the last of those named, in whatever order."""
    missing = set(attempt_ids)

    def tests(event: Event) -> bool:
        if isinstance(event, ev.AttemptStarted):
            missing.discard(event.attempt_id)
        return not missing

    return tests


def ends(attempt_id: str) -> Callable[[Event], bool]:
    """Return the test whether an event says that an attempt ended."""
    return lambda event: isinstance(event, ev.AttemptEnded) and event.attempt_id == attempt_id
