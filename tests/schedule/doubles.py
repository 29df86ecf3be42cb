"""What the tests of the controller share: a predictor of stated runtimes, and a desk that tells events and keeps notes.

The policy is the real one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from benchmarks.histories.stated import LATENCY, StatedPredictor
from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState, Checkpoint, JobState, Stored, Usage
from dnaml.core.events import Command, EndJob, Event, Explain, SealCheckpoint, StartAttempt, StopAttempt
from dnaml.core.resource import Resource
from dnaml.core.work import Computation, Constraints, Job, Objective, Resilience
from dnaml.schedule.controller import Controller
from dnaml.schedule.matching import MatchingPolicy
from dnaml.schedule.planning import ControllerSettings

NO_LIMITS = Constraints()


class Desk:
    """Tells a controller events at moments that the test chooses, and keeps every command that came back."""

    def __init__(
        self,
        *,
        seconds: Mapping[str, float] | None = None,
        objective: Objective = LATENCY,
        predictor: StatedPredictor | None = None,
        seed: int = 0,
        **settings: object,
    ) -> None:
        settings.setdefault("explore_share", 0.0)  # tests that explore say so
        self.predictor = predictor or StatedPredictor(seconds=seconds or {})
        self.controller = Controller(
            MatchingPolicy(),
            self.predictor,
            objective,
            ControllerSettings(**settings),  # type: ignore[arg-type]  # the test names real settings
            seed,
        )
        self.at_s = 0.0
        self.said: list[Command] = []

    def tell(self, *events: Event) -> list[Command]:
        """Tell events, then Settled; return what came back."""
        said = [command for event in events for command in self.controller.handle(event)]
        said += self.controller.handle(ev.Settled(at_s=self.at_s))
        self.said += said
        return said

    def after(self, seconds: float) -> "Desk":
        """Let time go by."""
        self.at_s += seconds
        return self

    # -- events as they come from a backend --------------------------------------------------------------------------

    def up(self, *resources: str | Resource, slots: int = 1, domain: str = "local") -> list[Command]:
        made = [r if isinstance(r, Resource) else Resource(id=r, slots=slots, domain=domain) for r in resources]
        return self.tell(*(ev.ResourceUp(at_s=self.at_s, resource=resource) for resource in made))

    def down(self, resource_id: str) -> list[Command]:
        return self.tell(ev.ResourceDown(at_s=self.at_s, resource_id=resource_id, reason="gone"))

    def submit(self, *jobs: str | Job, computation: Computation | None = None, **wanted: object) -> list[Command]:
        kernel = computation.id if computation else "sort"
        made = [j if isinstance(j, Job) else job(j, at_s=self.at_s, kernel=kernel, **wanted) for j in jobs]
        return self.tell(*(self.submitted(each, computation) for each in made))

    def submitted(self, each: Job, computation: Computation | None = None) -> ev.Submitted:
        what = computation or Computation(id=each.computation_id, kernel=each.computation_id)
        return ev.Submitted(at_s=self.at_s, job=each, computation=what)

    def cancel(self, job_id: str, *, running: bool = False) -> list[Command]:
        return self.tell(ev.CancelRequested(at_s=self.at_s, job_id=job_id, running=running))

    def began(self, *starts: StartAttempt) -> list[Command]:
        return self.tell(*(started(start, self.at_s) for start in starts))

    def sealed(self, start: StartAttempt, progress: float, write_s: float | None = None) -> list[Command]:
        return self.tell(replace(sealed(start, self.at_s, progress), write_s=write_s))

    def progressed(self, start: StartAttempt, progress: float, used_s: float = 1.0) -> list[Command]:
        return self.tell(progressed(start, self.at_s, progress, used_s))

    def tick(self, seconds: float = 0.0) -> list[Command]:
        self.at_s += seconds
        return self.tell(ev.Tick(at_s=self.at_s))

    def migrate(self, job_id: str, resource_id: str | None = None) -> list[Command]:
        return self.tell(ev.MigrateRequested(at_s=self.at_s, job_id=job_id, resource_id=resource_id))

    def notice(self, resource_id: str, in_s: float) -> list[Command]:
        gone_at_s = self.at_s + in_s
        return self.tell(
            ev.InterruptionNotice(at_s=self.at_s, resource_id=resource_id, gone_at_s=gone_at_s, reason="spot")
        )

    def down_with(self, resource_id: str, *starts: StartAttempt) -> list[Command]:
        """Take a resource down under what runs on it."""
        gone = ev.ResourceDown(at_s=self.at_s, resource_id=resource_id, reason="gone")
        return self.tell(gone, *(ended(start, self.at_s, AttemptState.LOST, "gone") for start in starts))

    def ended(self, start: StartAttempt, outcome: AttemptState, error: str | None = None) -> list[Command]:
        return self.tell(ended(start, self.at_s, outcome, error))

    def done(self, *starts: StartAttempt) -> list[Command]:
        return self.tell(*(ended(start, self.at_s, AttemptState.DONE) for start in starts))


def job(
    job_id: str,
    *,
    at_s: float = 0.0,
    kernel: str = "sort",
    priority: int = 0,
    constraints: Constraints = NO_LIMITS,
    **resilience: object,
) -> Job:
    """Return a job of one kernel; further names are those of Resilience."""
    return Job(
        id=job_id,
        computation_id=kernel,
        submitted_at_s=at_s,
        priority=priority,
        constraints=constraints,
        resilience=Resilience(**resilience),  # type: ignore[arg-type]  # the test names real fields
    )


def started(start: StartAttempt, at_s: float) -> ev.AttemptStarted:
    """Return the event that a worker began what a command asked for."""
    attempt = start.attempt
    return ev.AttemptStarted(
        at_s=at_s, attempt_id=attempt.id, epoch=attempt.epoch, job_id=attempt.job_id, placement=attempt.placement
    )


def sealed(start: StartAttempt, at_s: float, progress: float) -> ev.CheckpointSealed:
    """Return the event that an attempt's checkpoint is durable."""
    attempt = start.attempt
    checkpoint = Checkpoint(
        id=f"{attempt.id}@{progress}", attempt_id=attempt.id, taken_at_s=at_s, progress=progress, size_bytes=1
    )
    return ev.CheckpointSealed(at_s=at_s, attempt_id=attempt.id, epoch=attempt.epoch, checkpoint=checkpoint)


def ended(
    start: StartAttempt, at_s: float, outcome: AttemptState, error: str | None = None, *, began: bool = True
) -> ev.AttemptEnded:
    """Return the event that an attempt ended; a DONE one left a result."""
    done = outcome is AttemptState.DONE
    return ev.AttemptEnded(
        at_s=at_s,
        attempt_id=start.attempt.id,
        epoch=start.attempt.epoch,
        outcome=outcome,
        usage=Usage(wall_s=1.0),
        error=error,
        result=Stored(segment=1, offset=0, size_bytes=1, digest=start.attempt.id) if done else None,
        began=began,
    )


def progressed(start: StartAttempt, at_s: float, progress: float, used_s: float = 1.0) -> ev.AttemptProgressed:
    """Return the event that says how far an attempt is."""
    attempt = start.attempt
    return ev.AttemptProgressed(at_s=at_s, attempt_id=attempt.id, epoch=attempt.epoch, progress=progress, used_s=used_s)


def starts(said: Iterable[Command]) -> list[StartAttempt]:
    """Return the commands that start something."""
    return [command for command in said if isinstance(command, StartAttempt)]


def where(said: Iterable[Command]) -> list[tuple[str, str]]:
    """Return (attempt, resource) of everything that is started."""
    return [(command.attempt.id, command.attempt.placement.resource_id) for command in starts(said)]


def stops(said: Iterable[Command]) -> list[str]:
    """Return the attempts that are asked to stop."""
    return [command.attempt_id for command in said if isinstance(command, StopAttempt)]


def seals(said: Iterable[Command]) -> list[str]:
    """Return the attempts that are asked for a checkpoint."""
    return [command.attempt_id for command in said if isinstance(command, SealCheckpoint)]


def ends(said: Iterable[Command]) -> list[tuple[str, JobState]]:
    """Return how jobs end."""
    return [(command.job_id, command.state) for command in said if isinstance(command, EndJob)]


def reasons(said: Iterable[Command]) -> list[tuple[str, str]]:
    """Return why jobs wait."""
    return [(command.job_id, command.reason) for command in said if isinstance(command, Explain)]
