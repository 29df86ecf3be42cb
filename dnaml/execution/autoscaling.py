"""Joins a scaler with what carries out its commands: an observer of the engine's events.

It keeps what the scaler is told of its pool (machines of its template, which are busy, what waits and for how long),
lets it decide on each Tick, and learns from ResourceUp how long ordered machines take. It holds no thread of its own.
"""

from collections import deque
from typing import Protocol

from dnaml.core.events import (
    Acquire,
    AttemptEnded,
    AttemptStarted,
    CancelRequested,
    Command,
    Event,
    ResourceDown,
    ResourceUp,
    Submitted,
    Tick,
)
from dnaml.schedule.scaling import Machine, PoolView, Scaler

LABEL = "dnaml.template"
"""the label of a resource that says after which template it was made"""


class Carries(Protocol):
    """Takes commands: a `Carrier`, or a `DryRun`."""

    @property
    def coming(self) -> int:
        """Return how many machines are ordered and not there yet."""
        ...

    def do(self, command: Command) -> None:
        """Take a command."""
        ...


class Autoscaler:
    """Call it with every event of an engine, in order; what it orders comes back as ResourceUp events."""

    def __init__(self, scaler: Scaler, carrier: Carries) -> None:
        self._scaler = scaler
        self._carrier = carrier
        self._up_at_s: dict[str, float] = {}
        self._busy: dict[str, str] = {}
        self._waiting: dict[str, float] = {}
        self._ordered_at_s: deque[float] = deque()
        self.decided: deque[Command] = deque(maxlen=256)
        """what was decided of late, newest last"""

    def __call__(self, event: Event) -> None:
        """Take in an event; on a Tick, decide."""
        self._scaler.observe(event)
        if isinstance(event, Tick):
            self._decide(event.at_s)
        elif isinstance(event, ResourceUp):
            self._came(event)
        elif isinstance(event, ResourceDown):
            self._up_at_s.pop(event.resource_id, None)
        else:
            self._follow(event)

    def view(self, at_s: float) -> PoolView:
        """Return what the scaler is told at a time."""
        busy = set(self._busy.values())
        machines = tuple(
            Machine(id=name, up_at_s=up_at_s, busy=name in busy) for name, up_at_s in sorted(self._up_at_s.items())
        )
        waited_s = max((at_s - since_s for since_s in self._waiting.values()), default=0.0)
        return PoolView(
            machines=machines,
            coming=self._carrier.coming,
            wait_s=waited_s,
            waiting_work_s=self._scaler.usual_s * len(self._waiting),
        )

    def _decide(self, at_s: float) -> None:
        while len(self._ordered_at_s) > self._carrier.coming:
            self._ordered_at_s.popleft()  # refused, or come
        for command in self._scaler.decide(at_s, self.view(at_s)):
            if isinstance(command, Acquire):
                self._ordered_at_s.extend([at_s] * command.count)
            self.decided.append(command)
            self._carrier.do(command)

    def _came(self, event: ResourceUp) -> None:
        resource = event.resource
        if resource.labels.get(LABEL) != self._scaler.template.name or resource.id in self._up_at_s:
            return
        self._up_at_s[resource.id] = event.at_s
        if self._ordered_at_s:
            self._scaler.came(event.at_s - self._ordered_at_s.popleft())

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
