"""Joins a scaler with what carries out its commands: an observer of the engine's events.

It keeps what the scaler is told of its pool (machines of its template, which are busy, what other resources can carry,
what waits and for how long), lets it decide on each Tick, and learns from ResourceUp how long ordered machines take. A
machine is given back in two steps: nothing new starts on it, then it goes once it is idle. It holds no thread.
"""

from collections import deque
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Protocol

from dnaml.core.events import (
    Acquire,
    AttemptEnded,
    AttemptStarted,
    CancelRequested,
    Command,
    Event,
    InterruptionNotice,
    Release,
    ResourceDown,
    ResourceUp,
    Submitted,
    Tick,
)
from dnaml.core.resource import Resource
from dnaml.schedule.scaling import Machine, PoolView, Scaler

LABEL = "dnaml.template"
"""the label of a resource that says after which template it was made"""
DRAIN_S = 3600.0
"""what would run for longer on a machine that is to go is moved; the rest may end there"""


class Carries(Protocol):
    """Takes commands: a `Carrier`, or a `DryRun`."""

    def expected(self, seen: Container[str]) -> int:
        """Return how many machines are ordered, or delivered and not among those that were seen."""
        ...

    def do(self, command: Command) -> None:
        """Take a command."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A command and when it was decided."""

    at_s: float
    command: Command


class Autoscaler:
    """Call it with every event of an engine, in order; what it orders comes back as ResourceUp events.

    `post` takes notices that machines will go, so that nothing starts on them any more; without it they go at once.
    """

    def __init__(self, scaler: Scaler, carrier: Carries, post: Callable[[Event], None] | None = None) -> None:
        self._scaler = scaler
        self._carrier = carrier
        self._post = post
        self._seen: set[str] = set()  # all that ever came: a node may join a while after it was delivered
        self._up_at_s: dict[str, float] = {}
        self._own: dict[str, Resource] = {}
        self._busy: dict[str, str] = {}
        self._waiting: dict[str, float] = {}
        self._leaving: dict[str, Release] = {}
        self._ordered: deque[tuple[float, float]] = deque()  # when, and until when it is expected
        self.decided: deque[Decided] = deque(maxlen=256)
        """what was decided of late, newest last"""

    def __call__(self, event: Event) -> None:
        """Take in an event; on a Tick, decide."""
        self._scaler.observe(event)
        if isinstance(event, Tick):
            self._decide(event.at_s)
        elif isinstance(event, ResourceUp):
            self._came(event)
        elif isinstance(event, ResourceDown):
            self._went(event.resource_id)
        else:
            self._follow(event)

    def over(self, job_id: str) -> None:
        """Take in that a job ended: it waits no more, even if it never started."""
        self._waiting.pop(job_id, None)

    def view(self, at_s: float) -> PoolView:
        """Return what the scaler is told at a time."""
        busy = set(self._busy.values())
        machines = tuple(
            Machine(id=name, up_at_s=up_at_s, busy=name in busy)
            for name, up_at_s in sorted(self._up_at_s.items())
            if name not in self._leaving
        )
        waited_s = max((at_s - since_s for since_s in self._waiting.values()), default=0.0)
        return PoolView(
            machines=machines,
            coming=min(self._carrier.expected(self._seen), sum(until_s >= at_s for _, until_s in self._ordered)),
            leaving=len(self._leaving),
            wait_s=waited_s,
            waiting_work_s=self._scaler.usual_s * len(self._waiting),
            own_rate=float(sum(one.slots for one in self._own.values())),
        )

    def _decide(self, at_s: float) -> None:
        self._let_go()
        while len(self._ordered) > self._carrier.expected(self._seen):
            self._ordered.popleft()  # refused, or come
        for command in self._scaler.decide(at_s, self.view(at_s)):
            self.decided.append(Decided(at_s=at_s, command=command))
            if isinstance(command, Release) and self._post is not None:
                self._leaving[command.resource_id] = command
                self._post(_notice(command, at_s))
                continue
            if isinstance(command, Acquire):
                self._ordered.extend([(at_s, command.until_s)] * command.count)
            self._carrier.do(command)

    def _let_go(self) -> None:
        """Give back the machines that were told to go a round ago or earlier and on which nothing runs."""
        busy = set(self._busy.values())
        for name in [one for one in self._leaving if one not in busy and one in self._up_at_s]:
            self._carrier.do(self._leaving[name])
            del self._up_at_s[name]

    def _came(self, event: ResourceUp) -> None:
        resource = event.resource
        if resource.labels.get(LABEL) != self._scaler.template.name:
            self._own[resource.id] = resource
            return
        self._seen.add(resource.id)
        if resource.id in self._up_at_s or resource.id in self._leaving:
            return
        self._up_at_s[resource.id] = event.at_s
        if self._ordered:
            self._scaler.came(event.at_s - self._ordered.popleft()[0])

    def _went(self, resource_id: str) -> None:
        self._up_at_s.pop(resource_id, None)
        self._leaving.pop(resource_id, None)
        self._own.pop(resource_id, None)

    def _follow(self, event: Event) -> None:
        """Keep which jobs wait since when, and which machines are busy."""
        if isinstance(event, Submitted):
            self._waiting[event.job.id] = event.at_s
        elif isinstance(event, AttemptStarted):
            self._waiting.pop(event.job_id, None)
            self._busy[event.attempt_id] = event.placement.resource_id
        elif isinstance(event, AttemptEnded):
            self._busy.pop(event.attempt_id, None)
        elif isinstance(event, CancelRequested):
            self._waiting.pop(event.job_id, None)


def _notice(command: Release, at_s: float) -> InterruptionNotice:
    return InterruptionNotice(
        at_s=at_s, resource_id=command.resource_id, gone_at_s=at_s + DRAIN_S, reason=f"scaling: {command.reason}"
    )
