"""What a journal says of a fault afterwards, counted without the engine's own books: losses, doubles, stale commits.

Only events and the rule of the commit are read; which attempts lived when is kept here, apart from the controller.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState, Cause, JobState
from dnaml.core.events import EndJob, Event
from dnaml.core.work import Objective
from dnaml.datasets.journal import SqlJournal
from dnaml.datasets.state import StateFolder
from dnaml.predict.placing import LivePredictor
from dnaml.schedule.controller import Controller
from dnaml.schedule.policies.fifo import FifoPolicy


@dataclass(slots=True)
class Witness:
    """What was seen: per job its commits, per resource how many attempts it held at most, and the events themselves."""

    accepted: set[str] = field(default_factory=set)
    over: dict[str, list[JobState]] = field(default_factory=dict)
    stale: int = 0
    most_at_once: dict[str, int] = field(default_factory=dict)
    started: list[ev.AttemptStarted] = field(default_factory=list)
    ended: list[ev.AttemptEnded] = field(default_factory=list)
    sealed: list[ev.CheckpointSealed] = field(default_factory=list)

    @property
    def doubled(self) -> int:
        """Return how many results were committed beyond the first of their job."""
        results = (states.count(JobState.SUCCEEDED) for states in self.over.values())
        return sum(max(0, count - 1) for count in results)

    def lost(self, job_ids: Collection[str] = ()) -> int:
        """Return how many accepted jobs (and of those named, how many were never accepted) have no end."""
        return len((self.accepted | set(job_ids)) - self.over.keys())

    def overbooked(self, slots: int) -> int:
        """Return how many resources held more attempts at once than they have slots; for long work only."""
        return sum(most > slots for most in self.most_at_once.values())

    def lost_attempts(self, cause: Cause | None = None) -> list[ev.AttemptEnded]:
        """Return the attempts that were lost after they began, of one cause if it is named."""
        lost = [event for event in self.ended if event.outcome is AttemptState.LOST and event.began]
        return [event for event in lost if cause is None or event.cause is cause]

    def attempts_of(self, job_id: str) -> list[ev.AttemptStarted]:
        """Return the attempts of a job in order."""
        return [event for event in self.started if event.job_id == job_id]


def witness(folder: Path) -> Witness:
    """Read the journal of a state folder from its first event to its last."""
    seen, live = Witness(), {}  # type: tuple[Witness, dict[str, tuple[int, str]]]
    controller = Controller(FifoPolicy(), LivePredictor(), Objective())
    for event in events_of(folder):
        _note(seen, live, event)
        before = dict(live)
        if isinstance(event, ev.AttemptEnded):
            live.pop(event.attempt_id, None)
        elif isinstance(event, ev.Resumed):
            live.clear()
        for command in controller.recover(event):
            if isinstance(command, EndJob):
                _note_end(seen, before, event, command)
    return seen


def _note(seen: Witness, live: dict[str, tuple[int, str]], event: Event) -> None:
    if isinstance(event, ev.Submitted):
        seen.accepted.add(event.job.id)
    elif isinstance(event, ev.AttemptStarted):
        seen.started.append(event)
        where = event.placement.resource_id
        live[event.attempt_id] = (event.epoch, where)
        held = sum(other == where for _, other in live.values())
        seen.most_at_once[where] = max(seen.most_at_once.get(where, 0), held)
    elif isinstance(event, ev.AttemptEnded):
        seen.ended.append(event)
    elif isinstance(event, ev.CheckpointSealed):
        seen.sealed.append(event)


def _note_end(seen: Witness, live: dict[str, tuple[int, str]], event: Event, command: EndJob) -> None:
    """Note a job's end; a result whose attempt did not live under its epoch at that moment is a stale commit."""
    seen.over.setdefault(command.job_id, []).append(command.state)
    if command.state is JobState.SUCCEEDED and isinstance(event, ev.AttemptEnded):
        seen.stale += live.get(event.attempt_id, (None, ""))[0] != event.epoch


def events_of(folder: Path) -> Iterator[Event]:
    """Yield the stored events of a state folder."""
    journal = SqlJournal(StateFolder(folder).journal, read_only=True)
    try:
        yield from journal.replay()
    finally:
        journal.close()
