"""A small adversarial world around a controller: whatever a backend, users and resources might report, in any order.

Each step is three drawn numbers: what happens, to whom, and how. After every event the world checks what must hold.
"""

from collections import Counter
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState, Cause, JobState, Stored
from dnaml.core.events import Command, EndJob, Event, SealCheckpoint, StartAttempt, StopAttempt, WakeAt
from dnaml.core.resource import Resource, ResourceState
from dnaml.core.work import Computation, Constraints, Job, Resilience
from dnaml.schedule.controller import Controller
from dnaml.schedule.matching import MatchingPolicy
from dnaml.schedule.planning import ControllerSettings
from tests.schedule.doubles import LATENCY, NO_LIMITS, StatedPredictor, ended, progressed, sealed, started

CORES = 3
RESOURCES = ("r0", "r1", "r2", "r3")
OUTCOMES = (AttemptState.DONE, AttemptState.FAILED, AttemptState.LOST, AttemptState.STOPPED)
STEPS = st.lists(st.tuples(st.integers(0, 19), st.integers(0, 7), st.integers(0, 7)), max_size=60)


def new_controller(window_jobs: int) -> Controller:
    settings = ControllerSettings(
        window_jobs=window_jobs,
        wide_resources=2 if window_jobs == 5 else 64,
        cores={"here": CORES},
        learn_every_s=2.0,
        spot_check_share=0.3,
        speculation_share=9.0,
        speculation_least_s=0.1,
        cooldown_s=3.0,
        seal_ticks=2,
        overrun_known_runs=1,
    )
    predictor = StatedPredictor(seconds={"r0": 2.0, "r1": 3.0, "r2": 20.0}, spread=1.5)
    return Controller(MatchingPolicy(), predictor, LATENCY, settings)


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
        self.wakes_s: list[float] = []
        self.splits: dict[str, int] = {}

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
            is_check = command.decision.policy.endswith("/check")
            assert is_check == (attempt.job_id in self.ends), "a job that is over was started"
            assert attempt.placement.resource_id in self.up, "an attempt was sent to a resource that is gone"
            assert attempt.id not in self.sent
            self.sent[attempt.id] = Sent(command)
            self.on[attempt.placement.resource_id].add(attempt.id)
            self._check_copies(command)
        elif isinstance(command, WakeAt):
            self.wakes_s.append(command.at_s)
        elif isinstance(command, SealCheckpoint):
            assert self.sent[command.attempt_id].began, "an attempt was asked to save before it began"
        elif isinstance(command, StopAttempt):
            assert command.attempt_id in self.sent, "an attempt that is over was asked to stop"
        elif isinstance(command, EndJob):
            assert command.job_id in self.accepted
            assert command.job_id not in self.ends, "a job ended twice"
            assert (command.state is JobState.SUCCEEDED) == bool(command.result is not None or command.parts)
            self.ends[command.job_id] = command

    def _check_copies(self, command: StartAttempt) -> None:
        """Check that a piece of work runs no oftener than asked for: what moves or straggles may run twice."""
        job, placement = command.job, command.attempt.placement
        alike = [
            each.command
            for each in self.sent.values()
            if each.command.job.id == job.id and each.command.attempt.placement.part == placement.part
        ]
        beside = sum("/" in each.decision.policy for each in alike)
        planned = len(alike) - beside
        assert planned <= job.resilience.replicas, "more copies than were asked for"
        assert beside <= 2 * job.resilience.replicas, "work runs beside its plan more than twice"
        if job.id in self.splits:
            assert self.splits[job.id] == placement.parts, "a job was split in two ways"
        self.splits[job.id] = placement.parts

    def _check_capacity(self) -> None:
        for name, resource in self.up.items():
            used = sum(self.sent[each].command.attempt.placement.units for each in self.on[name])
            assert used <= resource.slots, f"{name} runs {self.on[name]}"
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
        elif what >= 14:
            self._live(what, who, how)
        else:
            self._attempt(what, who, how)

    def _submit(self, who: int, how: int) -> None:
        name = f"j{len(self.accepted)}"
        self.accepted.append(name)
        limits = Constraints(resource_ids=(RESOURCES[how % 4],)) if who == 7 else NO_LIMITS
        kernel = "train" if how % 2 else "sort"
        replicas = 1 + (how % 3 == 0) + (how == 6)
        made = Job(
            id=name,
            computation_id=kernel,
            submitted_at_s=self.at_s,
            priority=who % 3,
            constraints=limits,
            resilience=Resilience(replicas=replicas, max_restarts=how % 4, vote=how in (3, 6)),
            max_parts=None if who % 2 else 1,
        )
        what = Computation(id=kernel, kernel=kernel, checkpointable=how % 2 == 1, divisible=who in (1, 5))
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

    def _live(self, what: int, who: int, how: int) -> None:
        """Let something happen to what runs: notices, moves, progress, prices, and ends that were not its own."""
        name = RESOURCES[who % 4]
        if what == 14:
            leaves = ev.InterruptionNotice(at_s=self.at_s, resource_id=name, gone_at_s=self.at_s + how, reason="spot")
            self.tell(leaves)
        elif what == 15 and self.accepted:
            wanted = RESOURCES[how % 4] if how < 4 else None
            self.tell(ev.MigrateRequested(at_s=self.at_s, job_id=self.accepted[-1 - who % len(self.accepted)],
                                          resource_id=wanted))  # fmt: skip
        elif what == 16:
            state = ResourceState(resource_id=name, at_s=self.at_s, price_usd_per_h=float(how) if how else None)
            self.tell(ev.ResourceRefreshed(at_s=self.at_s, state=state))
        elif self.sent:
            sent = list(self.sent.values())[who % len(self.sent)]
            if sent.began and what == 17:
                self._end(sent, AttemptState.FAILED if how < 5 else AttemptState.LOST, cause=list(Cause)[how % 5])
            elif sent.began:
                self.at_s += 0.5
                self.tell(progressed(sent.command, self.at_s, how / 16, how / 2))
                self.tell(ev.Tick(at_s=self.at_s))

    def _end(
        self, sent: Sent, outcome: AttemptState, *, began: bool = True, cause: Cause | None = None, says: str = ""
    ) -> None:
        attempt = sent.command.attempt
        del self.sent[attempt.id]
        self.over.append(sent.command)
        self.on.get(attempt.placement.resource_id, set()).discard(attempt.id)
        event = replace(ended(sent.command, self.at_s, outcome, "as drawn", began=began), cause=cause)
        if event.result is not None:
            said = says or f"{attempt.job_id}{attempt.epoch % 3 if attempt.placement.resource_id == 'r1' else ''}"
            event = replace(event, result=Stored(segment=1, offset=0, size_bytes=1, digest=said))
        self.tell(event)

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
            progressed(command, self.at_s, 0.9),
        )[how % 5]
        self.tell(event if how < 5 else replace(event, epoch=event.epoch + 1))

    # -- to the end --------------------------------------------------------------------------------------------------

    def run_out(self) -> None:
        """Offer every resource and let every attempt succeed until nothing is left to do."""
        self.at_s += 8.0
        for name in RESOURCES:
            if name not in self.up:
                self._resource_up(name, 0)
            self.tell(ev.ResourceUp(at_s=self.at_s, resource=self.up[name]))
        self.settle()
        for _ in range(60 * (1 + len(self.accepted))):
            if not self.sent and not self._woken():
                break
            self.at_s += 1.0
            if self.sent:
                sent = next(iter(self.sent.values()))
                if not sent.began:
                    sent.began = True
                    self.tell(started(sent.command, self.at_s))
                if sent.command.attempt.id in self.sent:
                    self._end(sent, AttemptState.DONE, says="agreed")
            self.settle()
        self._give_up_what_fits_nowhere()

    def _give_up_what_fits_nowhere(self) -> None:
        """Cancel the jobs that wait for a larger resource than any here: they would wait for ever."""
        for name, entry in list(self.controller.ledger.open.items()):
            if entry.too_small and not entry.live:
                self.tell(ev.CancelRequested(at_s=self.at_s, job_id=name))

    def _woken(self) -> bool:
        """Let time go by until a tick that was asked for; False where none was."""
        if not self.wakes_s:
            return False
        self.at_s = max(self.at_s, min(self.wakes_s))
        self.wakes_s = [at_s for at_s in self.wakes_s if at_s > self.at_s]
        self.tell(ev.Tick(at_s=self.at_s))
        self.settle()
        return True

    def begin_all(self) -> None:
        """Let every attempt that was sent report that it began."""
        for sent in self.sent.values():
            if not sent.began:
                sent.began = True
                self.tell(started(sent.command, self.at_s))

    def commits(self) -> Counter[str]:
        """Count the results handed out for each job."""
        said = (command for commands in self.answers for command in commands)
        return Counter(c.job_id for c in said if isinstance(c, EndJob) and (c.result is not None or c.parts))


def world_after(steps: list[tuple[int, int, int]], window_jobs: int = 64, *, out: bool = False) -> World:
    """Return a world in which the steps happened, run out to its end if `out`."""
    world = World(window_jobs)
    for step in steps:
        world.step(*step)
    if out:
        world.run_out()
    return world
