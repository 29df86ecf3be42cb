"""Copies of stragglers: an attempt that has left its predicted interval races one copy elsewhere, if that pays.

Work that can be saved moves instead. The first result wins; what copies add to the work in all is bounded, and a copy
takes no place that waiting jobs could have.
"""

from dataclasses import replace

from dnaml.core.attempt import Attempt, AttemptState
from dnaml.schedule.dispatch import Dispatch
from dnaml.schedule.errands import Errand, Purpose
from dnaml.schedule.ledger import Entry
from dnaml.schedule.moves import Moves
from dnaml.schedule.outlook import Outlook
from dnaml.schedule.pacing import elapsed_s, left_s, paced_s, scaled_s
from dnaml.schedule.replication import speculate

_SLACK = 1.2  # times the predicted 90 % quantile that an attempt may take before it is looked at
_MOST_JUDGED = 8  # at one tick


class Speculation:
    """Watches the running attempts once a tick; `added_s` is the work that copies were expected to add so far."""

    def __init__(self, dispatch: Dispatch, moves: Moves) -> None:
        self._dispatch, self._moves = dispatch, moves
        self._look_again_s: dict[str, float] = {}
        self.added_s = 0.0

    def tick(self, at_s: float) -> None:
        """Look at every attempt that takes longer than it should, each seldomer the longer it does."""
        judged = 0
        for attempt_id, entry in list(self._dispatch.ledger.attempts.items()):
            attempt = entry.live[attempt_id]
            if judged < _MOST_JUDGED and self._straggles(entry, attempt, at_s):
                judged += 1
                self._look_again_s[attempt_id] = at_s + max(1.0, elapsed_s(attempt, at_s) / 4)
                if not self._moves.consider(entry, attempt, at_s):
                    self._copy(entry, attempt, at_s)

    def forget(self, attempt_id: str) -> None:
        """Watch an attempt no longer."""
        self._look_again_s.pop(attempt_id, None)

    def _straggles(self, entry: Entry, attempt: Attempt, at_s: float) -> bool:
        high_s = self._dispatch.high_s.get(attempt.id)
        if high_s is None or attempt.state is not AttemptState.RUNNING or entry.over or entry.stop_asked:
            return False
        if at_s < self._look_again_s.get(attempt.id, at_s) or attempt.id in self._moves.handovers.open:
            return False
        run_s = elapsed_s(attempt, at_s)
        paced = paced_s(entry, attempt, at_s)
        return run_s + (paced or 0.0) > _SLACK * high_s and run_s >= self._dispatch.settings.speculation_least_s

    def _copy(self, entry: Entry, attempt: Attempt, at_s: float) -> None:
        """Start one copy of a straggler where nobody waits and a saving is expected, within the bound."""
        alike = [other for other in entry.live.values() if other.placement.part == attempt.placement.part]
        waiting = len(self._dispatch.ledger) or self._dispatch.planner.agenda.window
        if len(alike) > 1 or max(entry.job.resilience.replicas, entry.copies) > 1 or waiting:
            return
        outlook = self._dispatch.planner.outlook(entry, at_s)
        here = attempt.placement.resource_id
        running_on = {a.placement.resource_id for a in entry.live.values()}
        target = outlook.best(running_on | self._dispatch.errands.awaited())
        if target is None or here not in outlook.columns or not self._is_idle(target):
            return
        added_s = self._worth(entry, attempt, target, outlook, at_s)
        if added_s is not None:
            self.added_s += added_s
            placement = replace(attempt.placement, resource_id=target, replica=1, checkpoint_every_s=None)
            self._dispatch.errands.add(
                Errand(entry=entry, placement=placement, purpose=Purpose.COPY, source=attempt.id, outlook=outlook)
            )

    def _worth(self, entry: Entry, attempt: Attempt, target: str, outlook: Outlook, at_s: float) -> float | None:
        """Return how much work a copy is expected to add, None where it is not worth it.

        With a copy two run until the first ends; without it one runs to its end.
        """
        here, settings = attempt.placement.resource_id, self._dispatch.settings
        left = left_s(entry, attempt, outlook, at_s)
        checkpoint = entry.tries(attempt.placement).checkpoint
        share = attempt.placement.share * (1.0 - (checkpoint.progress if checkpoint is not None else 0.0))
        found = speculate(
            left,
            outlook.wait_s(target) + scaled_s(outlook, target, share),
            usd_per_s=outlook.usd_per_s(),
            price_usd_per_s=outlook.price_usd_per_s(here),
            copy_price_usd_per_s=outlook.price_usd_per_s(target),
        )
        if not found.start or float(left.mean()) < settings.speculation_least_s:
            return None
        added_s = max(0.0, float(left.mean()) - 2 * found.saved_s)
        known_s = self._dispatch.worked_s + self._dispatch.running_s(at_s)
        return added_s if self.added_s + added_s <= settings.speculation_share * known_s else None

    def _is_idle(self, resource_id: str) -> bool:
        lane = self._dispatch.pool.lanes[resource_id]
        return lane.used < lane.resource.slots and self._dispatch.pool.has_room(lane)
