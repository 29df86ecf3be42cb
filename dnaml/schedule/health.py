"""Which resources take new work: one that flaps rests, one that is about to go or said to be unavailable is closed."""

from dnaml.core.attempt import Attempt, AttemptState
from dnaml.core.events import AttemptEnded
from dnaml.core.resource import ResourceState
from dnaml.schedule.cooldown import Cooldowns
from dnaml.schedule.dispatch import Dispatch
from dnaml.schedule.endings import OWN_DOING
from dnaml.schedule.ledger import Entry
from dnaml.schedule.moves import Moves


class Health:
    """Closes resources and opens them again."""

    def __init__(self, dispatch: Dispatch, moves: Moves) -> None:
        self._dispatch, self._moves = dispatch, moves
        self._cooldowns = Cooldowns(dispatch.settings)
        self._resting: dict[str, float] = {}
        self._away: set[str] = set()

    def came(self, resource_id: str, at_s: float) -> None:
        """Let a resource that came (back) rest if it flaps."""
        until_s = self._cooldowns.closed_until_s(resource_id)
        if until_s > at_s:
            self._rest(resource_id, until_s)
        elif self._dispatch.pool.lanes[resource_id].closed:
            self._open(resource_id)

    def went(self, resource_id: str, at_s: float) -> None:
        """Count that a resource went down."""
        self._cooldowns.went_down(resource_id, at_s)
        self._resting.pop(resource_id, None)
        self._away.discard(resource_id)

    def refreshed(self, state: ResourceState) -> bool:
        """Close a resource that is not available, or open it again when it is; say whether one of both was done."""
        resource_id = state.resource_id
        if resource_id not in self._dispatch.pool.lanes or state.available == (resource_id not in self._away):
            return False
        if not state.available:
            self._away.add(resource_id)
            self._dispatch.pool.close(resource_id, f"{resource_id} says that it is not available")
        else:
            self._away.discard(resource_id)
            if resource_id not in self._resting:
                self._open(resource_id)
        return True

    def ended(self, entry: Entry, attempt: Attempt, event: AttemptEnded) -> None:
        """Count an attempt that ended: a resource that loses one job after the other rests."""
        where = attempt.placement.resource_id
        if event.outcome in (AttemptState.DONE, AttemptState.FAILED):
            self._cooldowns.went_well(where)
        elif event.outcome is AttemptState.LOST and event.began and event.cause not in OWN_DOING:
            is_up = where in self._dispatch.pool.lanes
            if is_up and self._cooldowns.lost(where, entry.job.id, event.at_s):
                self.came(where, event.at_s)

    def tick(self, at_s: float) -> None:
        """Open what has rested, and what was to be taken away and was not."""
        for resource_id in self._moves.outlived(at_s):
            if resource_id not in self._resting:
                self._open(resource_id)
        for resource_id, until_s in list(self._resting.items()):
            if at_s >= until_s:
                del self._resting[resource_id]
                self._open(resource_id)

    def _rest(self, resource_id: str, until_s: float) -> None:
        self._resting[resource_id] = until_s
        self._dispatch.pool.close(resource_id, f"{resource_id} comes and goes, so it rests for a while")
        self._dispatch.wake_at(until_s)
        self._dispatch.planner.changed()

    def _open(self, resource_id: str) -> None:
        """Open a resource unless something else closes it; one that rested when its engine died may be gone since."""
        is_closed = resource_id in self._away or self._moves.is_leaving(resource_id)
        if resource_id in self._dispatch.pool.lanes and not is_closed:
            self._dispatch.pool.close(resource_id, "")
            self._dispatch.planner.changed()
