"""When running work moves: because a user says so, because its resource is about to go, or because it surely pays."""

import numpy as np

from dnaml.core.attempt import Attempt, AttemptState
from dnaml.core.plan import FloatArray
from dnaml.schedule.dispatch import Dispatch
from dnaml.schedule.handover import Handovers
from dnaml.schedule.ledger import Entry
from dnaml.schedule.migration import Side, Verdict, judge
from dnaml.schedule.outlook import Outlook
from dnaml.schedule.pacing import left_s, scaled_s
from dnaml.schedule.saving import saves

_MOST_JUDGED = 16  # moves weighed at one tick
_LEAST_LEFT_S = 2.0  # work that ends sooner is not moved for a better offer
_OUTLIVED_S = 60.0  # so long after it should be gone a resource is still here: its notice was not meant


class Moves:
    """Decides about moves; `handovers` carries them out."""

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch, self._planner = dispatch, dispatch.planner
        self.handovers = Handovers(dispatch)
        self._leaving: dict[str, float] = {}
        self._offers: list[str] = []
        self._changed = False

    # -- asked for ---------------------------------------------------------------------------------------------------

    def requested(self, entry: Entry, resource_id: str | None, at_s: float) -> None:
        """Move every attempt of a job, to a stated resource or to the best other one."""
        running = [
            a for a in entry.live.values() if a.state is AttemptState.RUNNING and a.id not in self.handovers.open
        ]
        if not running or entry.stop_asked:
            self._dispatch.explain(entry, "it cannot move: nothing of it is running")
            return
        outlook = self._planner.outlook(entry, at_s)
        for attempt in running:
            here = attempt.placement.resource_id
            refusal = outlook.refusal(resource_id) if resource_id is not None else ""
            target = resource_id or outlook.best(self._taken(entry))
            if target is None:
                refusal = "no other resource may take it"
            elif target == here:
                refusal = f"it runs on {here} already"
            if target is None or refusal:
                self._dispatch.explain(entry, f"it cannot move: {refusal}")
            else:
                self.handovers.begin(entry, attempt, target, outlook)

    def leaving(self, resource_id: str, gone_at_s: float, reason: str, at_s: float) -> None:
        """Move from a resource that will be taken away what would not end in time; nothing new starts there."""
        lane = self._dispatch.pool.lanes.get(resource_id)
        if lane is None:
            return
        self._leaving[resource_id] = gone_at_s
        self._dispatch.wake_at(gone_at_s + _OUTLIVED_S)
        self._dispatch.pool.close(resource_id, f"{resource_id} will be gone soon: {reason}")
        self._planner.changed()
        for attempt_id in list(lane.running):
            entry = self._dispatch.ledger.attempts[attempt_id]
            if not entry.over and not entry.stop_asked:
                self._flee(entry, entry.live[attempt_id], gone_at_s, at_s)

    def _flee(self, entry: Entry, attempt: Attempt, gone_at_s: float, at_s: float) -> None:
        outlook = self._planner.outlook(entry, at_s)
        here = attempt.placement.resource_id
        left = left_s(entry, attempt, outlook, at_s)
        if float(np.quantile(left, 0.9)) < gone_at_s - at_s:
            return
        domain = outlook.problem.resources[outlook.columns[here]].domain
        target = outlook.best(self._taken(entry), (domain,))
        if target is not None:
            self.handovers.begin(entry, attempt, target, outlook)

    def is_leaving(self, resource_id: str) -> bool:
        """Say whether a resource is about to be taken away."""
        return resource_id in self._leaving

    def outlived(self, at_s: float) -> list[str]:
        """Return the resources that are still here long after they should have been gone, and forget their notices."""
        still = [name for name, gone_at_s in self._leaving.items() if at_s >= gone_at_s + _OUTLIVED_S]
        for name in still:
            del self._leaving[name]
        return still

    def came(self, resource_id: str, at_s: float) -> None:
        """Note that a resource came: a notice that it outlived is over."""
        if self._leaving.get(resource_id, at_s) <= at_s:
            self._leaving.pop(resource_id, None)

    def went(self, resource_id: str) -> None:
        """Note that a resource is gone, as its notice said."""
        self._leaving.pop(resource_id, None)

    def _taken(self, entry: Entry) -> set[str]:
        """Return where the job runs already or has voted, and where something moves to."""
        taken = {each.placement.resource_id for each in entry.live.values()} | {v.resource_id for v in entry.votes}
        return taken | {move.target for move in self.handovers.open.values()} | self._dispatch.errands.awaited()

    # -- because it pays ---------------------------------------------------------------------------------------------

    def offers_changed(self) -> None:
        """Note that a resource came, changed its price or its speed: what runs may be better off elsewhere."""
        self._changed = True

    def repriced(self, resource_id: str, at_s: float) -> None:
        """Weigh at once whether what runs at another price stays, before what waits takes the places it could go to."""
        for attempt_id in list(self._dispatch.pool.lanes[resource_id].running)[:_MOST_JUDGED]:
            entry = self._dispatch.ledger.attempts[attempt_id]
            self.consider(entry, entry.live[attempt_id], at_s)

    def tick(self, at_s: float) -> None:
        """Go on with what moves, and weigh some moves to what is offered now."""
        self.handovers.tick()
        if self._changed and not self._offers:
            self._changed, self._offers = False, list(self._dispatch.ledger.attempts)
        for _ in range(min(_MOST_JUDGED, len(self._offers))):
            attempt_id = self._offers.pop(0)
            entry = self._dispatch.ledger.attempts.get(attempt_id)
            if entry is not None:
                self.consider(entry, entry.live[attempt_id], at_s)

    def consider(self, entry: Entry, attempt: Attempt, at_s: float) -> bool:
        """Move an attempt if that pays surely enough; say whether it moves."""
        if entry.over or entry.stop_asked or not saves(entry) or attempt.state is not AttemptState.RUNNING:
            return False
        outlook = self._planner.outlook(entry, at_s)
        if attempt.placement.resource_id not in outlook.columns:
            return False
        target = outlook.best(self._taken(entry))
        if target is None or attempt.id in self.handovers.open:
            return False
        stay = left_s(entry, attempt, outlook, at_s)
        if float(stay.mean()) < _LEAST_LEFT_S or not self._pays(entry, attempt, target, stay, outlook, at_s):
            return False
        return self.handovers.begin(entry, attempt, target, outlook)

    def _pays(
        self, entry: Entry, attempt: Attempt, target: str, stay: FloatArray, outlook: Outlook, at_s: float
    ) -> bool:
        here, write_s = attempt.placement.resource_id, self._dispatch.saving.write_s(entry.computation.id)
        left = _left_share(entry, attempt)
        return (
            Verdict.MOVE
            is judge(
                Side(
                    remaining_s=stay,
                    price_usd_per_s=outlook.price_usd_per_s(here),
                    hazards=outlook.hazards(here, write_s),
                ),
                Side(
                    remaining_s=scaled_s(outlook, target, attempt.placement.share * left),
                    overhead_s=2 * write_s + outlook.wait_s(target),
                    price_usd_per_s=outlook.price_usd_per_s(target),
                    hazards=outlook.hazards(target, write_s),
                ),
                usd_per_s=outlook.usd_per_s(),
                since_last_s=at_s - entry.moved_at_s,
                rule=self._dispatch.settings.migration,
            ).verdict
        )


def _left_share(entry: Entry, attempt: Attempt) -> float:
    """Return how much of its work an attempt that seals now has still to do."""
    pace = entry.pace.get(attempt.id)
    return 1.0 - (pace.progress if pace is not None else attempt.progress)
