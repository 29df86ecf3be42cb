"""A small adversarial world around a controller: whatever a backend, users and resources might report, in any order.

Each step is three drawn numbers: what happens, to whom, and how. After every event the world checks what must hold.
"""

from collections import Counter
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState, JobState
from dnaml.core.events import Command, EndJob, Event, StartAttempt, StopAttempt
from dnaml.core.resource import Resource
from dnaml.core.work import Computation, Constraints
from dnaml.schedule.controller import Controller
from dnaml.schedule.matching import MatchingPolicy
from dnaml.schedule.planning import ControllerSettings
from tests.schedule.doubles import LATENCY, NO_LIMITS, StatedPredictor, ended, job, sealed, started

CORES = 3
RESOURCES = ("r0", "r1", "r2", "r3")
OUTCOMES = (AttemptState.DONE, AttemptState.FAILED, AttemptState.LOST, AttemptState.STOPPED)
STEPS = st.lists(st.tuples(st.integers(0, 13), st.integers(0, 7), st.integers(0, 7)), max_size=60)


def new_controller(window_jobs: int) -> Controller:
    settings = ControllerSettings(window_jobs=window_jobs, cores={"here": CORES}, learn_every_s=2.0)
    return Controller(MatchingPolicy(), StatedPredictor(seconds={"r0": 2.0, "r1": 3.0}), LATENCY, settings)


@dataclass(slots=True)
class Sent:
    """An attempt that the controller started, as the backend sees it."""

    command: StartAttempt
    began: bool = False


class World:
    """Plays the part of backend and users; `events` is the journal of what was told."""

    def __init__(self, window_jobs: int) -> None:
        self.controller = new_controller(window_jobs)
        self.at_s = 0.0
        self.events: list[Event] = []
        self.answers: list[tuple[Command, ...]] = []
        self.sent: dict[str, Sent] = {}
        self.over: list[StartAttempt] = []
        self.up: dict[str, Resource] = {}
        self.on: dict[str, set[str]] = {}
        self.accepted: list[str] = []
        self.ends: dict[str, EndJob] = {}

    def tell(self, event: Event) -> None:
        self.events.append(event)
        commands = self.controller.handle(event)
        self.answers.append(commands)
        for command in commands:
            self._obey(command)
        self._check_capacity()

    def settle(self) -> None:
        self.tell(ev.Settled(at_s=self.at_s))

    def _obey(self, command: Command) -> None:
        if isinstance(command, StartAttempt):
            attempt = command.attempt
            assert attempt.job_id not in self.ends, "a job that is over was started"
            assert attempt.placement.resource_id in self.up, "an attempt was sent to a resource that is gone"
            assert attempt.id not in self.sent
            self.sent[attempt.id] = Sent(command)
            self.on[attempt.placement.resource_id].add(attempt.id)
            copies = [each for each in self.sent.values() if each.command.job.id == attempt.job_id]
            assert len(copies) <= command.job.resilience.replicas, "more copies than were asked for"
        elif isinstance(command, StopAttempt):
            assert command.attempt_id in self.sent, "an attempt that is over was asked to stop"
        elif isinstance(command, EndJob):
            assert command.job_id in self.accepted
            assert command.job_id not in self.ends, "a job ended twice"
            assert (command.state is JobState.SUCCEEDED) == (command.result is not None)
            self.ends[command.job_id] = command

    def _check_capacity(self) -> None:
        for name, resource in self.up.items():
            assert len(self.on[name]) <= resource.slots, f"{name} runs {self.on[name]}"
        here = sum(len(self.on[name]) for name, resource in self.up.items() if resource.domain == "here")
        assert here <= CORES

    # -- one step ----------------------------------------------------------------------------------------------------

    def step(self, what: int, who: int, how: int) -> None:
        """Let one thing happen."""
        if what <= 2:
            self._submit(who, how)
        elif what == 3:
            self._resource_up(RESOURCES[who % 4], how)
        elif what == 4:
            self._resource_down(RESOURCES[who % 4])
        elif what == 5:
            self._cancel(who, running=how % 2 == 1)
        elif what == 6:
            self.at_s += how / 2
            self.tell(ev.Tick(at_s=self.at_s))
        elif what == 7:
            self._echo(who, how)
        elif what == 8:
            self.settle()
        else:
            self._attempt(what, who, how)

    def _submit(self, who: int, how: int) -> None:
        name = f"j{len(self.accepted)}"
        self.accepted.append(name)
        limits = Constraints(resource_ids=(RESOURCES[how % 4],)) if who == 7 else NO_LIMITS
        kernel = "train" if how % 2 else "sort"
        made = job(
            name,
            at_s=self.at_s,
            kernel=kernel,
            priority=who % 3,
            constraints=limits,
            replicas=1 + (how % 3 == 0),
            max_restarts=how % 4,
        )
        what = Computation(id=kernel, kernel=kernel, checkpointable=how % 2 == 1)
        self.tell(ev.Submitted(at_s=self.at_s, job=made, computation=what))

    def _resource_up(self, name: str, how: int) -> None:
        slots = max(1 + how % 3, len(self.on.get(name, ())))
        domain = self.up[name].domain if name in self.up else ("here" if how < 5 else "there")
        self.up[name] = Resource(id=name, slots=slots, domain=domain)
        self.on.setdefault(name, set())
        self.tell(ev.ResourceUp(at_s=self.at_s, resource=self.up[name]))

    def _resource_down(self, name: str) -> None:
        self.up.pop(name, None)
        self.on.pop(name, None)
        self.tell(ev.ResourceDown(at_s=self.at_s, resource_id=name, reason="gone"))

    def _cancel(self, who: int, *, running: bool) -> None:
        if self.accepted:
            name = self.accepted[-1 - who % len(self.accepted)]
            self.tell(ev.CancelRequested(at_s=self.at_s, job_id=name, running=running))

    def _attempt(self, what: int, who: int, how: int) -> None:
        if not self.sent:
            return
        sent = list(self.sent.values())[who % len(self.sent)]
        if not sent.began:
            if what == 13 and how < 3:
                self._end(sent, AttemptState.LOST if how else AttemptState.CANCELLED, began=False)
                return
            sent.began = True
            self.tell(started(sent.command, self.at_s))
        elif what == 9:
            self.tell(sealed(sent.command, self.at_s, how / 8))
        elif what >= 10:
            self._end(sent, OUTCOMES[how % 4] if what < 12 else AttemptState.DONE)

    def _end(self, sent: Sent, outcome: AttemptState, *, began: bool = True) -> None:
        attempt = sent.command.attempt
        del self.sent[attempt.id]
        self.over.append(sent.command)
        self.on.get(attempt.placement.resource_id, set()).discard(attempt.id)
        self.tell(ended(sent.command, self.at_s, outcome, "as drawn", began=began))

    def _echo(self, who: int, how: int) -> None:
        """Deliver once more, or under another epoch, what an attempt that is over had to say."""
        if not self.over:
            return
        command = self.over[-1 - who % len(self.over)]
        event = (
            started(command, self.at_s),
            sealed(command, self.at_s, 0.99),
            ended(command, self.at_s, AttemptState.DONE),
            ended(command, self.at_s, AttemptState.FAILED, "late"),
        )[how % 4]
        self.tell(event if how < 4 else replace(event, epoch=event.epoch + 1))

    # -- to the end --------------------------------------------------------------------------------------------------

    def run_out(self) -> None:
        """Offer every resource and let every attempt succeed until nothing is left to do."""
        for name in RESOURCES:
            if name not in self.up:
                self._resource_up(name, 0)
        self.settle()
        for _ in range(40 * (1 + len(self.accepted))):
            if not self.sent:
                break
            self.at_s += 1.0
            sent = next(iter(self.sent.values()))
            if not sent.began:
                sent.began = True
                self.tell(started(sent.command, self.at_s))
            self._end(sent, AttemptState.DONE)
            self.settle()

    def begin_all(self) -> None:
        """Let every attempt that was sent report that it began."""
        for sent in self.sent.values():
            if not sent.began:
                sent.began = True
                self.tell(started(sent.command, self.at_s))

    def commits(self) -> Counter[str]:
        """Count the results handed out for each job."""
        said = (command for commands in self.answers for command in commands)
        return Counter(c.job_id for c in said if isinstance(c, EndJob) and c.result is not None)


def world_after(steps: list[tuple[int, int, int]], window_jobs: int = 64, *, out: bool = False) -> World:
    """Return a world in which the steps happened, run out to its end if `out`."""
    world = World(window_jobs)
    for step in steps:
        world.step(*step)
    if out:
        world.run_out()
    return world
