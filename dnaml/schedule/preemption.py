"""Lets a waiting job of higher priority in: a checkpointable job of lower priority saves, stops and waits its turn.

One at a time for each waiting job, each job only so often, and only for a wait that is longer than a moment.
"""

from dnaml.core.attempt import Attempt, AttemptState
from dnaml.schedule.dispatch import Dispatch
from dnaml.schedule.ledger import Entry
from dnaml.schedule.saving import saves

_LEAST_WAIT_S = 2.0  # a slot that is free sooner is waited for


class Preemption:
    """Keeps which attempts are about to make room: by attempt, the ticks since it was asked to seal."""

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch
        self._sealing: dict[str, int] = {}
        self._leaving: set[str] = set()

    def tick(self, at_s: float) -> None:
        """Ask for room where a waiting job has a higher priority than what runs; stop what had time to seal."""
        for attempt_id in list(self._sealing):
            self._sealing[attempt_id] += 1
            if self._sealing[attempt_id] >= self._dispatch.settings.seal_ticks:
                self.sealed(attempt_id)
        window = self._dispatch.planner.agenda.window
        if not self._dispatch.settings.preempts or not window:
            return
        waiting = [entry for entry in window.values() if not entry.live]
        highest = max((entry.job.priority for entry in waiting), default=None)
        if highest is None:
            return
        lower = self._lower(highest)
        pending = len(self._sealing) + len(self._leaving)
        for entry in sorted(waiting, key=lambda each: (-each.job.priority, each.order)):
            if pending > 0:
                pending -= 1  # room is on its way for the first in line
            elif lower and entry.job.priority > lower[0][0].job.priority:
                self._make_room(entry, lower, at_s)

    def _lower(self, priority: int) -> list[tuple[Entry, Attempt]]:
        """Return what may be interrupted for a job of this priority, the least urgent first."""
        most = self._dispatch.settings.most_preemptions
        found = [
            (entry, entry.live[attempt_id])
            for attempt_id, entry in self._dispatch.ledger.attempts.items()
            if entry.job.priority < priority
            and entry.preempted < most
            and saves(entry)
            and not (entry.over or entry.stop_asked)
            and entry.live[attempt_id].state is AttemptState.RUNNING
            and attempt_id not in self._sealing
        ]
        return sorted(found, key=lambda each: (each[0].job.priority, -each[0].order))

    def _make_room(self, entry: Entry, lower: list[tuple[Entry, Attempt]], at_s: float) -> None:
        """Ask the first that may be interrupted, on a resource that suits a waiting job, to save and stop."""
        outlook = self._dispatch.planner.outlook(entry, at_s)
        allowed = {
            resource_id
            for resource_id, column in outlook.columns.items()
            if outlook.terms.feasible.matrix[0, column] and outlook.terms.wait_s[0, column] > _LEAST_WAIT_S
        }
        if any(
            outlook.terms.feasible.matrix[0, column] and outlook.terms.wait_s[0, column] <= _LEAST_WAIT_S
            for column in outlook.columns.values()
        ):
            return
        for i, (victim, attempt) in enumerate(lower):
            if victim.job.priority < entry.job.priority and attempt.placement.resource_id in allowed:
                del lower[i]
                victim.preempted += 1
                self._sealing[attempt.id] = 0
                self._dispatch.seal(attempt)
                return

    def sealed(self, attempt_id: str) -> None:
        """Stop an attempt that makes room, now that its checkpoint is complete."""
        if self._sealing.pop(attempt_id, None) is not None:
            entry = self._dispatch.ledger.attempts[attempt_id]
            self._leaving.add(attempt_id)
            self._dispatch.stop(entry, attempt_id, "a job of higher priority needs its place")

    def forget(self, attempt_id: str) -> None:
        """Note that an attempt ended."""
        self._sealing.pop(attempt_id, None)
        self._leaving.discard(attempt_id)

    def clear(self) -> None:
        """Forget everything: what ran is gone."""
        self._sealing.clear()
        self._leaving.clear()
