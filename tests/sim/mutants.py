"""Engines with one mistake each, for the proof that the checker notices."""

from dataclasses import replace

from benchmarks.histories.backend import SimBackend
from benchmarks.histories.script import Script
from benchmarks.histories.world import World, controller_for
from dnaml.core import events as ev
from dnaml.core.events import Command, EndJob, Event
from dnaml.schedule.controller import Controller


class _Wrapped:
    """A controller that does as the real one, but for `handle`."""

    def __init__(self, script: Script) -> None:
        self._real: Controller = controller_for(script)
        self.ledger, self.recover = self._real.ledger, self._real.recover

    def handle(self, event: Event) -> tuple[Command, ...]:
        return self._real.handle(event)


class NoEpochs(_Wrapped):
    """Takes a late word for that of whichever attempt of the job runs now."""

    def handle(self, event: Event) -> tuple[Command, ...]:
        if isinstance(event, ev.AttemptEnded) and event.attempt_id not in self.ledger.attempts:
            entry = self.ledger.open.get(event.attempt_id.rpartition(".")[0])
            for attempt in list(entry.live.values())[:1] if entry is not None else ():
                event = replace(event, attempt_id=attempt.id, epoch=attempt.epoch)
        return self._real.handle(event)


class CommitsTwice(_Wrapped):
    """Ends a job once more when its last word is heard again."""

    def handle(self, event: Event) -> tuple[Command, ...]:
        commands = self._real.handle(event)
        return (*commands, *(each for each in commands if isinstance(each, EndJob) and each.result is not None))


class Forgets(_Wrapped):
    """Ends no job that failed."""

    def handle(self, event: Event) -> tuple[Command, ...]:
        commands = self._real.handle(event)
        return tuple(each for each in commands if not (isinstance(each, EndJob) and each.error))


class Overbooks(_Wrapped):
    """Takes each resource for one slot larger."""

    def handle(self, event: Event) -> tuple[Command, ...]:
        if isinstance(event, ev.ResourceUp):
            event = replace(event, resource=replace(event.resource, slots=event.resource.slots + 1))
        return self._real.handle(event)


class CancelsWhatIsDone(_Wrapped):
    """Tells a client that asked to cancel what it wants to hear, whatever the journal says."""

    def handle(self, event: Event) -> tuple[Command, ...]:
        ended = self._real.handle(event)
        if isinstance(event, ev.CancelRequested) and event.job_id in self.ledger.open:
            from dnaml.core.attempt import JobState

            told = EndJob(job_id=event.job_id, state=JobState.CANCELLED, attempt_id=None, error="asked", result=None)
            return (*ended, told)
        return ended


class TellsEarly(SimBackend):
    """Tells clients before the journal has committed what they are told."""

    tells_early = True


def _world_with(controller: type[_Wrapped]) -> type[World]:
    return type(f"World{controller.__name__}", (World,), {"make_controller": staticmethod(controller)})


MUTANTS: dict[str, type[World]] = {
    kind.__name__: _world_with(kind) for kind in (NoEpochs, CommitsTwice, Forgets, Overbooks, CancelsWhatIsDone)
} | {"TellsEarly": type("WorldTellsEarly", (World,), {"make_backend": TellsEarly})}
