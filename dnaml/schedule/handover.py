"""Moves running work in two phases: the source keeps its place until the target has begun.

    seal at the source -> (sealed, or waited long enough, or nothing to seal) -> start at the target
                       -> the target told of progress, or lived for some ticks -> stop the source

A target that is refused or lost before that leaves the source undisturbed; whoever has the result first commits.
"""

from dataclasses import dataclass, replace

from dnaml.core.attempt import Attempt, AttemptState
from dnaml.schedule.dispatch import Dispatch
from dnaml.schedule.errands import Errand, Purpose
from dnaml.schedule.ledger import Entry
from dnaml.schedule.outlook import Outlook
from dnaml.schedule.saving import saves


@dataclass(slots=True, eq=False)
class Handover:
    """One move under way; `waited` counts the ticks since the source was asked to seal, or since the target began."""

    entry: Entry
    source: str
    target: str
    outlook: Outlook
    sealing: bool
    waited: int = 0
    begun: str = ""
    """the attempt at the target, once it began"""


class Handovers:
    """Keeps the moves under way, by their source attempt."""

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch
        self.open: dict[str, Handover] = {}

    def begin(self, entry: Entry, source: Attempt, target: str, outlook: Outlook) -> bool:
        """Start to move an attempt to a resource; False where it is moving or stopping already."""
        if source.id in self.open or source.state is not AttemptState.RUNNING:
            return False
        move = Handover(entry, source.id, target, outlook, sealing=saves(entry))
        self.open[source.id] = move
        if move.sealing:
            self._dispatch.errands.hold(target, source.id, source.placement.units)
            self._dispatch.seal(source)
        else:
            self._send(move)
        return True

    def sealed(self, attempt_id: str) -> None:
        """Go on with the move of an attempt whose checkpoint is complete."""
        move = self.open.get(attempt_id)
        if move is not None and move.sealing:
            self._send(move)

    def tick(self) -> None:
        """Go on without a fresh checkpoint where it takes too long, give up where the target is gone, and finish."""
        settings = self._dispatch.settings
        for move in list(self.open.values()):
            move.waited += 1
            if move.begun:
                if move.begun in move.entry.pace or move.waited >= settings.confirm_ticks:
                    self._finish(move)
            elif move.target not in self._dispatch.pool.lanes:
                self.drop(move.source)
            elif move.sealing and move.waited >= settings.seal_ticks:
                self._send(move)

    def _send(self, move: Handover) -> None:
        move.sealing = False
        source = move.entry.live[move.source].placement
        placement = replace(source, resource_id=move.target, checkpoint_every_s=None)
        self._dispatch.errands.add(
            Errand(
                entry=move.entry, placement=placement, purpose=Purpose.MOVE, source=move.source, outlook=move.outlook
            )
        )

    def began(self, entry: Entry, target: Attempt, at_s: float) -> None:
        """Note that the target of a move has begun: from here on it has to show that it lives."""
        move = self._move_to(entry, target)
        if move is not None:
            entry.moved_at_s = at_s
            move.begun, move.waited = target.id, 0

    def progressed(self, attempt_id: str) -> None:
        """Finish the move to an attempt that tells how far it is: it lives."""
        for move in self.open.values():
            if move.begun == attempt_id:
                self._finish(move)
                return

    def _finish(self, move: Handover) -> None:
        """Stop the source: its target lives."""
        del self.open[move.source]
        self._dispatch.stop(move.entry, move.source, f"it goes on at {move.target}")

    def ended(self, entry: Entry, attempt: Attempt) -> None:
        """Forget the move of an attempt that ended, as source or as target."""
        self.drop(attempt.id)
        move = self._move_to(entry, attempt)
        if move is not None:
            del self.open[move.source]

    def clear(self) -> None:
        """Give up every move."""
        for source in list(self.open):
            self.drop(source)

    def drop(self, source: str) -> None:
        """Give up the move of a source, as long as its target has not started."""
        if self.open.pop(source, None) is not None:
            self._dispatch.errands.drop(source)

    def _move_to(self, entry: Entry, target: Attempt) -> Handover | None:
        if not self.open or self._dispatch.purposes.get(target.id) is not Purpose.MOVE:
            return None
        placement = target.placement
        for move in self.open.values():
            sent = move.entry is entry and move.target == placement.resource_id and not move.sealing
            if sent and entry.live[move.source].placement.part == placement.part:
                return move
        return None
