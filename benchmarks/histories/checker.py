"""What must hold of a history, judged from the journal and from what clients were told, without the engine's books."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks.histories.world import CORES, World, controller_for
from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState, JobState, Placement, Stored
from dnaml.core.events import EndJob, Event
from dnaml.core.resource import Resource


@dataclass(slots=True)
class _Live:
    event: ev.AttemptStarted
    counts: bool = True  # until its resource is taken away


@dataclass(slots=True)
class History:
    """A journal read by its rules alone: who lived when, which results came from attempts that lived."""

    live: dict[str, _Live] = field(default_factory=dict)
    up: dict[str, Resource] = field(default_factory=dict)
    valid: dict[tuple[str, int, int], Placement] = field(default_factory=dict)
    """results of live attempts: (job, segment, offset) -> where it ran"""
    wrongs: list[str] = field(default_factory=list)

    def take(self, event: Event) -> None:
        """Take the next event of the journal."""
        if isinstance(event, ev.Resumed):
            self.live.clear()
            self.up.clear()
        elif isinstance(event, ev.ResourceUp):
            self.up[event.resource.id] = event.resource
        elif isinstance(event, ev.ResourceDown):
            self.up.pop(event.resource_id, None)
            for held in self.live.values():
                held.counts = held.counts and held.event.placement.resource_id != event.resource_id
        elif isinstance(event, ev.AttemptStarted):
            self._started(event)
        elif isinstance(event, ev.AttemptEnded):
            self._ended(event)

    def _started(self, event: ev.AttemptStarted) -> None:
        if event.attempt_id in self.live:
            self.wrongs.append(f"{event.attempt_id} was started twice")
        self.live[event.attempt_id] = _Live(event)
        place = event.placement.resource_id
        if place in self.up:
            if self._used(place) > self.up[place].slots:
                self.wrongs.append(f"capacity exceeded on {place} by {event.attempt_id}")
            here = [name for name, resource in self.up.items() if resource.domain == "here"]
            if self.up[place].domain == "here" and sum(self._used(name) for name in here) > CORES:
                self.wrongs.append(f"more than {CORES} cores are used by {event.attempt_id}")

    def _used(self, place: str) -> int:
        held = (each.event.placement for each in self.live.values() if each.counts)
        return sum(placement.units for placement in held if placement.resource_id == place)

    def _ended(self, event: ev.AttemptEnded) -> None:
        held = self.live.get(event.attempt_id)
        if held is None or held.event.epoch != event.epoch:
            return
        del self.live[event.attempt_id]
        if event.outcome is AttemptState.DONE and event.result is not None:
            self.valid[held.event.job_id, event.result.segment, event.result.offset] = held.event.placement


def violations(world: World) -> list[str]:
    """Return everything that does not hold of a world after its end, in words."""
    history, ends = History(), {}  # type: tuple[History, dict[str, list[EndJob]]]
    controller = controller_for(world.script)
    for event in world.journal.replay():
        history.take(event)
        for command in controller.recover(event):
            if isinstance(command, EndJob):
                ends.setdefault(command.job_id, []).append(command)
    told: dict[str, EndJob] = {}
    found = [*history.wrongs, *_agree(world, told)]
    found += [f"{name} was lost" for name in world.accepted if name not in told]
    for name, end in told.items():
        found += _judge(world, history, end)
        stored = ends.get(name, [])
        if sum(succeeded(each) for each in stored) > 1:
            found.append(f"{name} was committed twice")
        if not stored or stored[-1] != end:
            found.append(f"{name}: told {_say(end)}, the journal says {_say(stored[-1]) if stored else 'nothing'}")
    return found


def _agree(world: World, told: dict[str, EndJob]) -> Iterator[str]:
    """Yield where clients heard two different ends, or one end twice from one engine; fill in what they heard."""
    heard: set[tuple[int, str]] = set()
    for each in world.told:
        name = each.end.job_id
        if each.live and (each.life, name) in heard:
            yield f"{name} was told twice by one engine"
        heard.add((each.life, name))
        if name not in world.accepted:
            yield f"{name} ended and was never accepted"
        elif told.setdefault(name, each.end) != each.end:
            yield f"{name}: told {_say(told[name])} and then {_say(each.end)}"


def _judge(world: World, history: History, end: EndJob) -> Iterator[str]:
    """Yield what is wrong with one end: results come from attempts that lived, votes are true, parts are in order."""
    job = world.accepted[end.job_id].job if end.job_id in world.accepted else None
    results: tuple[Stored, ...] = end.parts or ((end.result,) if end.result is not None else ())
    if end.state is JobState.CANCELLED and results and end.result is not None:
        yield f"{end.job_id} was cancelled and has a result"
    if not succeeded(end):
        return
    if not results:
        yield f"{end.job_id} succeeded without a result"
    places = [history.valid.get((end.job_id, each.segment, each.offset)) for each in results]
    if None in places:
        yield f"stale commit: {end.job_id} has a result of an attempt that did not live"
    elif end.parts and [place.part for place in places if place is not None] != list(range(len(end.parts))):
        yield f"{end.job_id}: its parts are not in order"
    if job is not None and job.resilience.vote and not results[0].digest.startswith("true:"):
        yield f"{end.job_id}: a wrong result won its vote"


def succeeded(end: EndJob) -> bool:
    """Say whether a job ended with a result."""
    return end.state is JobState.SUCCEEDED


def _say(end: EndJob) -> str:
    digests = [each.digest for each in end.parts or ((end.result,) if end.result else ())]
    return f"{end.state.value} by {end.attempt_id} {digests} {end.error or ''}"
