"""Starts beside the plan: where running work moves to, is copied to, or is checked; they go before what is planned."""

from collections import deque
from dataclasses import dataclass
from enum import Enum

from dnaml.core.attempt import Placement
from dnaml.schedule.ledger import Entry
from dnaml.schedule.outlook import Outlook


class Purpose(Enum):
    """Is what an attempt beside the plan is for."""

    MOVE = "move"  # goes on where the source is to leave
    COPY = "copy"  # races a straggler
    CHECK = "check"  # repeats what is over, to compare the results


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Errand:
    """One start beside the plan; without its `source` attempt, if it names one, there is no more reason for it."""

    entry: Entry
    placement: Placement
    purpose: Purpose
    source: str | None
    outlook: Outlook

    @property
    def is_wanted(self) -> bool:
        """Say whether there is still reason to start."""
        if self.source is None:
            return True
        return self.source in self.entry.live and not self.entry.stop_asked and not self.entry.over


class Errands:
    """Keeps what is to start on each resource beside the plan, first come first."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[Errand]] = {}
        self._held: dict[str, tuple[str, int]] = {}

    def __bool__(self) -> bool:
        """Say whether anything waits."""
        return bool(self._queues)

    def add(self, errand: Errand) -> None:
        """Put an errand in line at its resource; a place that was held for its source is its own now."""
        self._held.pop(errand.source or "", None)
        self._queues.setdefault(errand.placement.resource_id, deque()).append(errand)

    def hold(self, resource_id: str, source: str, units: int) -> None:
        """Keep a place at a resource free for an errand that is about to come from a source."""
        self._held[source] = (resource_id, units)

    def held(self, resource_id: str) -> int:
        """Return how many units of a resource are kept free."""
        return sum(units for where, units in self._held.values() if where == resource_id) if self._held else 0

    def next(self, resource_id: str) -> Errand | None:
        """Take the next errand of a resource for which there is still reason."""
        queue = self._queues.get(resource_id)
        if queue is None:
            return None
        while queue:
            errand = queue.popleft()
            if errand.is_wanted:
                return errand
        del self._queues[resource_id]
        return None

    def awaited(self) -> set[str]:
        """Return the resources at which something waits to start: who chooses a place for more looks elsewhere."""
        return set(self._queues)

    def drop(self, source: str) -> None:
        """Take back what was to start for a source, and what was held for it."""
        self._held.pop(source, None)
        for resource_id, queue in list(self._queues.items()):
            kept = deque(errand for errand in queue if errand.source != source)
            if kept:
                self._queues[resource_id] = kept
            else:
                del self._queues[resource_id]
