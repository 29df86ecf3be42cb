"""The world around the engines of one seed: clock, network, workers, resources, clients, and the lives in turn."""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import count

from benchmarks.histories.backend import SimBackend
from benchmarks.histories.journal import Crash, FaultyDisk, MemoryJournal, Store
from benchmarks.histories.script import HEAL_S, LIAR, Script, script_of
from benchmarks.histories.stated import LATENCY, StatedPredictor
from benchmarks.histories.worker import BEAT_S, Course, Worker, digest_of, drawn_course, end_of, progress_of, seal_of
from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState, Cause
from dnaml.core.events import EndJob, Event
from dnaml.core.resource import Resource, ResourceState
from dnaml.core.work import Computation, Job
from dnaml.engine import run
from dnaml.schedule.controller import Controller
from dnaml.schedule.matching import MatchingPolicy
from dnaml.schedule.policies.fifo import FifoPolicy
from dnaml.schedule.settings import ControllerSettings

END_S = 4_000.0  # whoever has not ended by then is lost
CORES = 3
START_S = 1_000_000.0


@dataclass(frozen=True, slots=True)
class Told:
    """What a client heard of its job, and from which engine."""

    life: int
    live: bool
    end: EndJob


def controller_for(script: Script) -> Controller:
    """Return the real controller with short rests and every kind of move switched on."""
    settings = ControllerSettings(
        window_jobs=script.window_jobs, wide_resources=script.wide_resources, cores={"here": CORES},
        learn_every_s=5.0, seal_ticks=2, spot_check_share=0.2, spot_check_first=2,
        speculation_share=1.0, speculation_least_s=0.5, cooldown_s=3.0, overrun_known_runs=1,
    )  # fmt: skip
    policy = FifoPolicy() if script.fifo else MatchingPolicy()
    return Controller(policy, StatedPredictor(seconds=script.seconds, spread=1.5), LATENCY, settings)


class World:
    """Goes through one script; `journal`, `told` and `accepted` are what remains of it."""

    make_controller = staticmethod(controller_for)
    make_backend = SimBackend

    def __init__(self, script: Script, journal: Store | None = None) -> None:
        self.script, self.t, self._offset_s = script, 0.0, START_S
        self.rng = random.Random(script.seed + 1)
        self.journal = journal if journal is not None else MemoryJournal()
        self.disk = FaultyDisk(self.journal, self.rng, script.disk)
        self.accepted: dict[str, ev.Submitted] = {}
        self.told: list[Told] = []
        self.up: dict[str, Resource] = {}
        self.workers: list[Worker] = []
        self.lives = 0
        self.backend: SimBackend
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._results = count()
        self._crash_in: int | None = None
        self._healed = False
        self._known: set[str] = set()  # attempts whose beginning is stored: only their words may come after a crash
        self._schedule()

    # -- the clock -----------------------------------------------------------------------------------------------------

    def now_s(self) -> float:
        """Return the engine's time."""
        return self.t + self._offset_s

    def time_of(self, at_s: float) -> float:
        """Return the virtual moment of an engine's time."""
        return at_s - self._offset_s

    def at(self, t: float, action: Callable[[], None]) -> None:
        """Let something happen at a moment."""
        heapq.heappush(self._heap, (t, next(self._order), action))

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Let something happen later."""
        self.at(self.t + seconds, action)

    def advance(self, tick_s: float | None) -> bool:
        """Go to the next moment, at the latest to the tick; False when everybody knows how it ended."""
        if self._healed and {told.end.job_id for told in self.told} >= self.accepted.keys() and not self._heap:
            return False
        next_s = self._heap[0][0] if self._heap else None
        if next_s is None or (tick_s is not None and tick_s < next_s):
            next_s = tick_s
        if next_s is None or next_s > END_S:
            return False
        self.t = max(self.t, next_s)
        while self._heap and self._heap[0][0] <= self.t:
            heapq.heappop(self._heap)[2]()
        return True

    def step(self) -> None:
        """Let the engine die here if it is time."""
        if self._crash_in is not None:
            self._crash_in -= 1
            if self._crash_in < 0:
                self._crash_in = None
                raise Crash("killed")

    # -- the script ----------------------------------------------------------------------------------------------------

    def _schedule(self) -> None:
        script = self.script
        self.up = {resource.id: resource for resource in script.resources}
        for at_s, job, computation in script.jobs:
            self.at(at_s, partial(self._submit, job, computation))
        for at_s, name, running in script.cancels:
            self.at(at_s, partial(self._cancel, name, running=running))
        for at_s, name in script.migrations:
            self.at(at_s, partial(self._migrate, name))
        for at_s, place, down_s in script.flaps:
            self.at(at_s, partial(self._flap, place, down_s))
        for at_s, place in script.notices:
            self.at(at_s, partial(self._notice, place))
        for at_s, place, usd in script.prices:
            self.at(at_s, partial(self._reprice, place, usd))
        for at_s, steps in script.crashes:
            self.at(at_s, partial(setattr, self, "_crash_in", steps))
        self.at(HEAL_S, self._heal)

    def _submit(self, job: Job, computation: Computation) -> None:
        """Accept a job: what is accepted is stored before its event is given to the loop."""
        job = replace(job, submitted_at_s=self.now_s())
        event = ev.Submitted(at_s=self.now_s(), job=job, computation=computation)
        self.accepted[job.id] = event
        self.backend.post(event)

    def _cancel(self, name: str, *, running: bool) -> None:
        self.backend.post(ev.CancelRequested(at_s=self.now_s(), job_id=name, running=running))

    def _migrate(self, name: str) -> None:
        self.backend.post(ev.MigrateRequested(at_s=self.now_s(), job_id=name))

    def _notice(self, place: str) -> None:
        gone_s = self.now_s() + 5.0
        self.backend.post(ev.InterruptionNotice(at_s=self.now_s(), resource_id=place, gone_at_s=gone_s, reason="drawn"))
        self.after(5.0, lambda: self._flap(place, 3.0, promised=True))

    def _reprice(self, place: str, usd: float) -> None:
        state = ResourceState(resource_id=place, at_s=self.now_s(), price_usd_per_h=usd)
        self.backend.post(ev.ResourceRefreshed(at_s=self.now_s(), state=state))

    def _flap(self, place: str, down_s: float, *, promised: bool = False) -> None:
        """Take a resource away for a while; what was promised by a notice also comes after the last fault."""
        if (self._healed and not promised) or self.up.pop(place, None) is None:
            return
        self.backend.post(ev.ResourceDown(at_s=self.now_s(), resource_id=place, reason="drawn"))
        backend = self.backend
        for attempt_id, given in list(backend.busy.items()):
            if given.worker.resource_id == place:
                given.worker.alive = False
                backend.give_up(attempt_id, AttemptState.LOST, Cause.INTERRUPTED)
        self.after(down_s, lambda: self._come(place))

    def _come(self, place: str) -> None:
        resource = next(each for each in self.script.resources if each.id == place)
        if place not in self.up:
            self.up[place] = resource
            self.backend.post(ev.ResourceUp(at_s=self.now_s(), resource=resource))

    def _heal(self) -> None:
        self._healed, self._crash_in, self.disk.share = True, None, 0.0
        for resource in self.script.resources:
            self._come(resource.id)

    # -- the network and the workers -----------------------------------------------------------------------------------

    def _carry(self, action: Callable[[], None]) -> None:
        """Deliver something never, once or up to three times, each after a delay of its own."""
        if self._healed:
            self.after(0.001, action)
            return
        script, rng = self.script, self.rng
        if rng.random() < script.drop:
            return
        for _ in range(1 + (rng.randrange(1, 3) if rng.random() < script.repeat else 0)):
            self.after(rng.random() ** 3 * script.delay_s, action)

    def say(self, worker: Worker, event: Event) -> None:
        """Send a worker's word to whichever engine lives when it arrives."""

        def arrive() -> None:
            if worker.life == self.lives or worker.command.attempt.id in self._known:
                self.backend.hear(worker, replace(event, at_s=self.now_s()))

        self._carry(arrive)

    def start(self, worker: Worker) -> None:
        """Send the work to its worker."""
        self.workers.append(worker)
        seen: list[bool] = []

        def arrive() -> None:
            if worker.alive and not seen:
                seen.append(True)
                self._work(worker)

        self._carry(arrive)

    def _work(self, worker: Worker) -> None:
        script = self.script
        start = worker.command.checkpoint.progress if worker.command.checkpoint else 0.0
        dies, freezes = (0.0, 0.0) if self._healed else (script.dies, script.freezes)
        seconds = script.seconds[worker.resource_id] * worker.command.attempt.placement.share * (1.0 - start)
        course = drawn_course(self.rng, max(seconds, 0.05), dies, freezes)
        if course.dies_after is not None:
            self.after(course.dies_after * course.seconds, lambda: self._die(worker))
        if course.freezes_after is not None:
            self.after(course.freezes_after * course.seconds, lambda: setattr(worker, "frozen", True))
        self._beat(worker, course, start, self.t)

    def _beat(self, worker: Worker, course: Course, start: float, began_s: float) -> None:
        """Go on until the next word: a heartbeat, a checkpoint, or the end."""
        if not worker.alive or worker.said_end:
            return
        if worker.frozen:
            worker.frozen = False
            course.freezes_after = None
            self.after(course.frozen_s, lambda: self._beat(worker, course, start, began_s))
            return
        gone_s = self.t - began_s
        if gone_s >= course.seconds - 1e-9:
            self._finish(worker, course)
            return
        progress = start + (1.0 - start) * gone_s / course.seconds
        self.say(worker, progress_of(worker, self.now_s(), progress))
        if worker.command.computation.checkpointable and gone_s > 0:
            self.say(worker, seal_of(worker, self.now_s(), progress))
        self.after(min(BEAT_S, course.seconds - gone_s), lambda: self._beat(worker, course, start, began_s))

    def _finish(self, worker: Worker, course: Course) -> None:
        lies = self.script.lies and worker.resource_id == LIAR
        outcome = AttemptState.FAILED if course.fails and not self._healed else AttemptState.DONE
        worker.said_end = True
        self.say(worker, end_of(worker, self.now_s(), outcome, digest_of(worker.command, lies=lies),
                                next(self._results)))  # fmt: skip
        if worker.command.job.id in self.script.cancels_at_end and not self._healed:
            self.after(self.rng.choice((0.0, 0.005)), lambda: self._cancel(worker.command.job.id, running=True))

    def _die(self, worker: Worker) -> None:
        """End a worker's process; a live engine on the same side of the network sees the connection close."""
        if worker.alive and not worker.said_end:
            worker.alive = False
            self.after(0.1, lambda: self.backend.give_up(worker.command.attempt.id, AttemptState.LOST, Cause.DIED)
                       if worker.life == self.lives else None)  # fmt: skip

    def ask_to_stop(self, worker: Worker) -> None:
        """Send a worker the wish that it stop."""

        def arrive() -> None:
            if worker.alive and not worker.said_end and not worker.frozen:
                worker.said_end = True
                self.say(worker, end_of(worker, self.now_s(), AttemptState.STOPPED, "", next(self._results)))

        self._carry(arrive)

    def ask_to_seal(self, worker: Worker) -> None:
        """Send a worker the wish that it save now."""

        def arrive() -> None:
            if worker.alive and not worker.said_end and not worker.frozen:
                self.say(worker, seal_of(worker, self.now_s(), 0.5))

        self._carry(arrive)

    def kill(self, worker: Worker) -> None:
        """Send the end to a worker that was given up; where it does not arrive there is a zombie."""
        self._carry(lambda: setattr(worker, "alive", False))

    # -- clients and lives --------------------------------------------------------------------------------

    def told_live(self, life: int, end: EndJob) -> None:
        """Take the end of a job as its client hears it."""
        self.told.append(Told(life, True, end))

    def run(self) -> "World":
        """Live through every engine until all is over."""
        while True:
            self.lives += 1
            try:
                self._live()
                return self
            except Crash:
                self.journal.lose_pending()
                for worker in self.workers:
                    worker.alive = worker.alive and self.rng.random() < 0.5

    def _live(self) -> None:
        controller = self.make_controller(self.script)
        self.backend = backend = self.make_backend(self, self.lives)
        began, submitted = self._replay(controller)
        at_s = self.now_s()
        if began:
            backend.post(ev.Resumed(at_s=at_s))
        backend.post(ev.Configured(at_s=at_s, policy="", model="", objective=LATENCY))
        for job_id, event in self.accepted.items():
            if job_id not in submitted:
                backend.post(replace(event, at_s=at_s))
        for resource in self.up.values():
            backend.post(ev.ResourceUp(at_s=at_s, resource=resource))
        run(controller, backend, lambda event: self.step(), self.disk.append, lambda event: self.step())

    def _replay(self, controller: Controller) -> tuple[bool, set[str]]:
        """Take in what is stored, tell the clients of it, and go on no earlier than it ended."""
        began, submitted, ends, last_s = False, set(), {}, 0.0
        for event in self.journal.replay():
            began, last_s = True, event.at_s
            if isinstance(event, ev.Submitted):
                submitted.add(event.job.id)
            elif isinstance(event, ev.AttemptStarted):
                self._known.add(event.attempt_id)
            for command in controller.recover(event):
                if isinstance(command, EndJob):
                    ends[command.job_id] = command
        jumps = self.script.wall_jumps_s
        wall_s = self.now_s() + jumps[self.lives % len(jumps)] if self.lives > 1 else self.now_s()
        self._offset_s = max(wall_s, last_s) - self.t
        self.told += [Told(self.lives, False, end) for name, end in ends.items() if name not in controller.ledger.open]
        return began, submitted


def world_of(seed: int, journal: Store | None = None, kind: type[World] = World) -> World:
    """Return the world of a seed after its end."""
    return kind(script_of(seed), journal).run()
