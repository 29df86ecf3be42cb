"""What faults of allocation share: the real controller told events, with a learned predictor and no back end."""

from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState, Stored, Usage
from dnaml.core.events import Command, EndJob, Event, StartAttempt
from dnaml.core.resource import Resource
from dnaml.core.work import Computation, Job, Objective, Resilience
from dnaml.predict.placing import LivePredictor
from dnaml.schedule.controller import Controller
from dnaml.schedule.policies.fifo import FifoPolicy
from dnaml.schedule.settings import ControllerSettings


class Told:
    """A controller, its clock, and what it asked for so far."""

    def __init__(
        self, places: int, settings: ControllerSettings | None = None, seed: int = 0, *, slots: int = 1
    ) -> None:
        settings = settings or ControllerSettings()
        self.controller = Controller(FifoPolicy(), LivePredictor(), Objective(), settings, seed)
        self.at_s = 1.0
        self.ends: dict[str, EndJob] = {}
        self.extra_ends = 0
        self.resources = tuple(Resource(id=f"r{n}", price_usd_per_h=1.0, slots=slots) for n in range(places))
        self.starts: list[StartAttempt] = []
        self.tell(*(self.up(resource) for resource in self.resources))

    def up(self, resource: Resource) -> Event:
        """Return the event that a resource came."""
        return ev.ResourceUp(at_s=self.at_s, resource=resource)

    def tell(self, *events: Event) -> list[StartAttempt]:
        """Tell events of one moment; return what is to start."""
        said: list[Command] = []
        for event in (*events, ev.Settled(at_s=self.at_s)):
            said += self.controller.handle(event)
        for command in said:
            if isinstance(command, EndJob):
                self.extra_ends += command.job_id in self.ends
                self.ends[command.job_id] = command
        started = [command for command in said if isinstance(command, StartAttempt)]
        self.starts += started
        return started

    def submit(
        self, name: str, resilience: Resilience | None = None, *, units: tuple[int, int] = (1, 1)
    ) -> list[StartAttempt]:
        """Submit a job of one computation."""
        resilience = resilience or Resilience()
        job = Job(id=name, computation_id="work", submitted_at_s=self.at_s, resilience=resilience, units=units)
        return self.tell(ev.Submitted(at_s=self.at_s, job=job, computation=Computation(id="work", kernel="work")))

    def began(self, start: StartAttempt) -> Event:
        """Return the event that an attempt began."""
        a = start.attempt
        return ev.AttemptStarted(at_s=self.at_s, attempt_id=a.id, epoch=a.epoch, job_id=a.job_id, placement=a.placement)

    def done(self, start: StartAttempt, digest: str) -> Event:
        """Return the event that an attempt left a result."""
        result = Stored(segment=1, offset=start.attempt.epoch, size_bytes=1, digest=digest)
        return self._ended(start, AttemptState.DONE, result)

    def lost(self, start: StartAttempt) -> Event:
        """Return the event that an attempt was lost with its resource."""
        return self._ended(start, AttemptState.LOST, None)

    def _ended(self, start: StartAttempt, outcome: AttemptState, result: Stored | None) -> Event:
        a, usage = start.attempt, Usage(wall_s=1.0)
        return ev.AttemptEnded(
            at_s=self.at_s, attempt_id=a.id, epoch=a.epoch, outcome=outcome, usage=usage, result=result
        )
