"""The controller's picture of the resources: which are up, what runs on each, and when each is free again."""

from collections.abc import Mapping, Sized
from dataclasses import dataclass, field

import numpy as np

from dnaml.core.plan import FloatArray
from dnaml.core.resource import Resource, ResourceState, Site

_MOST_AHEAD = 31
_AHEAD_S = 0.004  # as much predicted work as a round trip to a worker may cost
_FEW_AHEAD, _FEW_AHEAD_S = 3, 0.04  # so many wait at their worker if they take no longer: results may be read together
_OVERDUE_FACTOR, _OVERDUE_S = 2.0, 0.5


def _ahead(predicted_s: float) -> int:
    """Return how many attempts of this length a worker is given beyond the one it runs."""
    least = min(_FEW_AHEAD, int(_FEW_AHEAD_S / max(predicted_s, 1e-6)))
    return max(least, min(_MOST_AHEAD, int(_AHEAD_S / max(predicted_s, 1e-6))))


def _remaining_s(elapsed_s: float, predicted_s: float) -> float:
    return predicted_s - elapsed_s if elapsed_s <= predicted_s else elapsed_s


@dataclass(slots=True)
class Lane:
    """One resource that takes work, and the attempts on it: attempt id -> (started at, predicted seconds).

    `ahead` attempts more than it has slots may be handed over, so that very short ones need not wait for each other's
    round trip. `used` slots are taken, by a gang (in `gangs`) as many as it has units. While `closed` says why, nothing
    new starts.
    """

    resource: Resource
    ahead: int = 0
    running: dict[str, tuple[float, float]] = field(default_factory=dict)
    used: int = 0
    gangs: dict[str, int] = field(default_factory=dict)
    closed: str = ""
    clock_s: float = 0.0
    started: int = 0
    lost: int = 0
    ended: int = 0
    number: int = 0

    @property
    def may_take(self) -> bool:
        """Say whether one more attempt may be handed over, as far as the lane itself goes."""
        return not self.closed and self.used < self.resource.slots + self.ahead

    def free_in_s(self, at_s: float) -> float:
        """Return the predicted seconds until a slot is free: 0 when one is.

        What has run longer than predicted is expected to take as long again as it already took.
        """
        if self.used < self.resource.slots:
            return 0.0
        return min(_remaining_s(at_s - start_s, length_s) for start_s, length_s in self.running.values())

    @property
    def starts_in_s(self) -> float:
        """Return what a start on it takes by itself: where resources are rented by the call, a cold one mostly."""
        resource = self.resource
        return resource.startup_s or 0.0 if resource.site is Site.SERVERLESS else 0.0

    def is_overdue(self, at_s: float) -> bool:
        """Say whether every slot is held by an attempt that should have ended long ago."""
        held = list(self.running.values())[: self.resource.slots]
        return len(held) == self.resource.slots and all(
            at_s - start_s > _OVERDUE_FACTOR * length_s + _OVERDUE_S for start_s, length_s in held
        )

    def own_free_in_s(self) -> float:
        """Return where the lane's own clock will stand when what runs on it has ended as predicted."""
        return self.clock_s + sum(length_s for _, length_s in self.running.values()) / self.resource.slots


class Pool:
    """Keeps the lanes in order of arrival and counts what runs in each domain.

    `cores` limits how many attempts run at once in one domain (resources of one machine share its cores). `known` are
    the descriptions of all resources that ever came. With `own_clocks` a lane's time is the sum of the runtimes on it.
    """

    def __init__(self, cores: dict[str, int], *, own_clocks: bool = False) -> None:
        self.own_clocks = own_clocks
        self.lanes: dict[str, Lane] = {}
        self.known: dict[str, Resource] = {}
        self.states: dict[str, ResourceState] = {}
        self._cores = cores
        self._busy: dict[str, int] = {}
        self._started = self._arrived = 0
        self._roomy: dict[str, Lane] = {}
        self._resources: tuple[Resource, ...] | None = None
        self._offered: list[Lane] | None = None

    def up(self, resource: Resource) -> None:
        """Add a resource or replace its description; what runs on it stays."""
        self.known[resource.id] = resource
        lane = self.lanes.get(resource.id)
        if lane is None:
            self._arrived += 1
            lane = self.lanes[resource.id] = Lane(resource, number=self._arrived)
        else:
            self._count(lane, -1)
            lane.resource = resource
            self._count(lane, +1)
        self._look_at(lane)
        self._resources = self._offered = None

    def down(self, resource_id: str) -> None:
        """Forget a resource; the attempts on it report their own end and no longer count."""
        lane = self.lanes.pop(resource_id, None)
        if lane is not None:
            self._count(lane, -1)
            self._roomy.pop(resource_id, None)
        self._resources = self._offered = None

    def close(self, resource_id: str, reason: str) -> None:
        """Let nothing new start on a resource that is up, for a reason; "" opens it again."""
        lane = self.lanes[resource_id]
        lane.closed = reason
        self._look_at(lane)
        self._offered = None

    def _look_at(self, lane: Lane) -> None:
        """Keep in mind whether a lane may take more: looking through all of a thousand lanes takes long."""
        if lane.may_take:
            self._roomy[lane.resource.id] = lane
        else:
            self._roomy.pop(lane.resource.id, None)

    def _count(self, lane: Lane, sign: int) -> None:
        """Add what is in a lane's slots to what is busy in its domain, or take it away."""
        domain = lane.resource.domain
        self._busy[domain] = self._busy.get(domain, 0) + sign * min(lane.used, lane.resource.slots)

    @property
    def resources(self) -> tuple[Resource, ...]:
        """Return the resources that are up, in order of arrival."""
        if self._resources is None:
            self._resources = tuple(lane.resource for lane in self.lanes.values())
        return self._resources

    @property
    def offered(self) -> list[Lane]:
        """Return the lanes that take new work, in order of arrival."""
        if self._offered is None:
            self._offered = [lane for lane in self.lanes.values() if not lane.closed]
        return self._offered

    def has_room(self, lane: Lane, units: int = 1) -> bool:
        """Say whether one more attempt may start on a lane now; a gang needs all its units at once."""
        resource = lane.resource
        if lane.closed:
            return False
        if lane.used + units > resource.slots:
            return units == 1 and lane.used < resource.slots + lane.ahead
        cores = self._cores.get(resource.domain)
        return cores is None or self._busy.get(resource.domain, 0) + units <= max(cores, units)

    def has_idle(self) -> bool:
        """Say whether something may start on a lane on which nothing runs."""
        return any(not lane.running and self.has_room(lane) for lane in self._roomy.values())

    def with_room(self, wanted: Mapping[str, Sized] | None = None) -> list[Lane]:
        """Return the lanes on which one more attempt may start, those first whose turn it is.

        Only those for which something is `wanted`, if that is given.
        """
        roomy = self._roomy if wanted is None else [name for name in self._roomy.keys() & wanted.keys() if wanted[name]]
        lanes = [lane for name in roomy if self.has_room(lane := self._roomy[name])]
        lanes.sort(key=lambda lane: (self.turn(lane), lane.number))
        return lanes

    def free_cores(self) -> dict[str, int]:
        """Return how many more attempts each domain with a limit has cores for, one at least."""
        return {domain: max(1, cores - self._busy.get(domain, 0)) for domain, cores in self._cores.items()}

    def start(self, resource_id: str, attempt_id: str, at_s: float, predicted_s: float, units: int = 1) -> None:
        """Note that an attempt takes a slot, or a gang its slots."""
        lane = self.lanes.get(resource_id)
        if lane is None:
            return
        self._take(lane, units)
        if units > 1:
            lane.gangs[attempt_id] = units
        lane.running[attempt_id] = (at_s, predicted_s)
        lane.ahead = lane.resource.slots * _ahead(predicted_s)
        self._started += 1
        lane.started = self._started
        self._look_at(lane)

    def _take(self, lane: Lane, units: int) -> None:
        """Take so many slots of a lane, or give them back; those beyond its slots keep no core busy."""
        slots = lane.resource.slots
        before = min(lane.used, slots)
        lane.used += units
        busy = self._busy.get(lane.resource.domain, 0)
        self._busy[lane.resource.domain] = busy + min(lane.used, slots) - before

    def expect(self, resource_id: str, attempt_id: str, whole_s: float) -> None:
        """Correct how long an attempt is predicted to run in all."""
        lane = self.lanes.get(resource_id)
        if lane is not None and attempt_id in lane.running:
            lane.running[attempt_id] = (lane.running[attempt_id][0], whole_s)

    def distrust(self, resource_id: str, wrong: int = 1) -> None:
        """Count results that were wrong as errors of a resource; a negative number takes them back."""
        lane = self.lanes.get(resource_id)
        if lane is not None:
            lane.lost = max(0, lane.lost + wrong)

    def end(self, resource_id: str, attempt_id: str, *, lost: bool, runtime_s: float = 0.0) -> None:
        """Note that an attempt gave its slot back; `lost` counts against the resource's error rate."""
        lane = self.lanes.get(resource_id)
        if lane is not None and lane.running.pop(attempt_id, None) is not None:
            self._take(lane, -lane.gangs.pop(attempt_id, 1))
            lane.clock_s += runtime_s / lane.resource.slots
            lane.ended += 1
            lane.lost += lost
            self._look_at(lane)

    def hold_back(self, resource_id: str) -> None:
        """Hand nothing ahead to a resource before the next start there: an attempt came back that never began."""
        lane = self.lanes.get(resource_id)
        if lane is not None:
            lane.ahead = 0
            self._look_at(lane)

    def reset_clocks(self) -> None:
        """Set all lanes' own clocks to the same time: nothing runs."""
        for lane in self.lanes.values():
            lane.clock_s = 0.0

    def turn(self, lane: Lane) -> float:
        """Return by what lanes take turns where they share cores: least first."""
        return lane.clock_s if self.own_clocks else float(lane.started)

    def error_rate(self, resource_id: str) -> float | None:
        """Return the share of ended attempts that the resource lost or got wrong, or None before the first."""
        lane = self.lanes.get(resource_id)
        return min(1.0, lane.lost / lane.ended) if lane is not None and lane.ended else None

    def free_in_s(self, at_s: float) -> FloatArray:
        """Return for every resource [R] that takes new work the predicted seconds until something can begin there."""
        if self.own_clocks:
            clocks_s = np.array([lane.own_free_in_s() for lane in self.offered])
            behind_s: FloatArray = clocks_s - clocks_s.min(initial=np.inf)
            return behind_s
        return np.array([lane.free_in_s(at_s) + lane.starts_in_s for lane in self.offered])
