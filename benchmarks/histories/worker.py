"""A simulated worker: it begins, reports, saves, and ends, or dies, or freezes and comes back with what it had done."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState, Checkpoint, Stored, Usage
from dnaml.core.events import Event, StartAttempt

Say = Callable[["Worker", Event], None]
BEAT_S = 2.0


@dataclass(slots=True, eq=False)
class Worker:
    """One attempt as its process sees it; `life` is the number of the engine that started it."""

    command: StartAttempt
    life: int
    alive: bool = True
    frozen: bool = False
    said_end: bool = False

    @property
    def resource_id(self) -> str:
        """Return where it works."""
        return self.command.attempt.placement.resource_id


@dataclass(slots=True, kw_only=True)
class Course:
    """How one run will go: its length, and what happens to its worker after a share of it."""

    seconds: float
    dies_after: float | None = None
    freezes_after: float | None = None
    frozen_s: float = 0.0
    fails: bool = False


def drawn_course(rng: random.Random, seconds: float, dies: float, freezes: float) -> Course:
    """Draw a course."""
    course = Course(seconds=seconds * rng.choice((0.5, 1.0, 1.0, 3.0)), fails=rng.random() < 0.05)
    if rng.random() < dies:
        course.dies_after = rng.random()
    elif rng.random() < freezes:
        course.freezes_after, course.frozen_s = rng.random(), rng.uniform(3.0, 20.0)
    return course


def digest_of(command: StartAttempt, *, lies: bool) -> str:
    """Return what an honest or a lying resource says of a job: the attempt is not in it, the part is."""
    placement = command.attempt.placement
    part = f"{placement.part}/{placement.parts}"
    return f"{'wrong' if lies else 'true'}:{command.job.id}:{part}"


def end_of(worker: Worker, at_s: float, outcome: AttemptState, digest: str, order: int) -> ev.AttemptEnded:
    """Return what a worker says last; `order` makes each result's place its own."""
    attempt, done = worker.command.attempt, outcome is AttemptState.DONE
    return ev.AttemptEnded(
        at_s=at_s,
        attempt_id=attempt.id,
        epoch=attempt.epoch,
        outcome=outcome,
        usage=Usage(wall_s=1.0),
        error=None if done else outcome.value,
        result=Stored(segment=1, offset=order, size_bytes=1, digest=digest) if done else None,
    )


def seal_of(worker: Worker, at_s: float, progress: float) -> ev.CheckpointSealed:
    """Return the word of a checkpoint."""
    attempt = worker.command.attempt
    saved = Checkpoint(
        id=f"{attempt.id}@{progress:.3f}", attempt_id=attempt.id, taken_at_s=at_s, progress=progress, size_bytes=1
    )
    return ev.CheckpointSealed(at_s=at_s, attempt_id=attempt.id, epoch=attempt.epoch, checkpoint=saved)


def progress_of(worker: Worker, at_s: float, progress: float) -> ev.AttemptProgressed:
    """Return the word of how far an attempt is."""
    attempt = worker.command.attempt
    return ev.AttemptProgressed(
        at_s=at_s, attempt_id=attempt.id, epoch=attempt.epoch, progress=progress, used_s=max(progress, 1e-3)
    )
