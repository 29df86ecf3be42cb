"""The worker processes of the local back end: which serves which resource, the spare, and who must be killed when.

The loop's thread owns it. The kernel kills workers with the thread that started them, so nobody else may start one.
"""

import contextlib
import selectors
import time
from collections.abc import Iterator
from pathlib import Path

from dnaml.core.attempt import Cause
from dnaml.core.resource import Resource
from dnaml.execution import messages, vitals
from dnaml.execution.process import Given, WorkerProcess
from dnaml.execution.settings import LocalSettings

_SLACK_S = 1.0
_NEVER_S = float("inf")
_LEAST_REST_S, _MOST_REST_S = 0.001, 0.02  # nobody notices a result that comes a fiftieth of a second later
_WORTH_A_SPARE_S = 0.05  # half of what starting a worker takes


class Crew:
    """Workers by resource, watched by one selector: `(worker, "data" | "control" | "death")` is each key's data.

    `lines_due_s` is when (monotonic) to look at what stands in line at workers.
    """

    def __init__(
        self, selector: selectors.BaseSelector, checkpoints: Path, logs: Path, settings: LocalSettings
    ) -> None:
        self._selector = selector
        self._checkpoints, self._logs = checkpoints, logs
        self._settings = settings
        self._of: dict[str, list[WorkerProcess]] = {}
        self._spare: WorkerProcess | None = None
        self._checked_s = time.monotonic()
        self.lines_due_s = _NEVER_S
        self._limits = {"pids": settings.pids, "open_files": settings.open_files}

    def __iter__(self) -> Iterator[WorkerProcess]:
        """Yield every worker, the spare too."""
        for workers in self._of.values():
            yield from workers
        if self._spare is not None:
            yield self._spare

    def of(self, resource_id: str) -> list[WorkerProcess]:
        """Return the workers of one resource."""
        return self._of.get(resource_id, [])

    # -- coming and going ----------------------------------------------------------------------------------------------

    def worker(self, resource: Resource) -> WorkerProcess:
        """Return an idle worker of a resource, a new one while it has slots, else the one that is free first.

        Raises OSError when no process can be had.
        """
        workers = self._of.setdefault(resource.id, [])
        living = [worker for worker in workers if not worker.doomed]  # who was killed is buried in a moment
        idle = next((worker for worker in living if not worker.attempts), None)
        if idle is not None:
            return idle
        if len(living) >= resource.slots:
            now_s = time.monotonic()
            self.lines_due_s = min(self.lines_due_s, now_s + self._settings.give_back_after_s)
            return living[0] if len(living) == 1 else min(living, key=lambda worker: worker.free_in_s(now_s))
        worker = self._in_service(resource)
        workers.append(worker)
        return worker

    def _in_service(self, resource: Resource) -> WorkerProcess:
        """Return the spare if it fits and lives, else a worker started now."""
        limits, spare = self._limits, self._spare
        if spare is not None and not spare.doomed and spare.environment == dict(resource.environment):
            self._spare = None
            try:
                spare.take_in(resource, **limits)
                return spare
            except OSError:
                self._unwatch(spare)
                spare.bury()
        worker = self._started(resource)
        try:
            worker.take_in(resource, **limits)
        except OSError:
            self._unwatch(worker)
            worker.bury()
            raise
        return worker

    def _started(self, resource: Resource) -> WorkerProcess:
        worker = WorkerProcess(
            self._checkpoints,
            self._logs,
            environment=resource.environment,
            beat_every_s=self._settings.beat_every_s,
        )
        for watched, what in ((worker.data, "data"), (worker.control, "control"), (worker.pidfd, "death")):
            if watched is not None:
                self._selector.register(watched, selectors.EVENT_READ, (worker, what))
        return worker

    def part_with(self, worker: WorkerProcess) -> None:
        """Take a worker that died out of service."""
        self._unwatch(worker)
        if worker is self._spare:
            self._spare = None
        elif worker.resource is not None:
            self._of[worker.resource.id].remove(worker)

    def _unwatch(self, worker: WorkerProcess) -> None:
        for watched in (worker.data, worker.control, worker.pidfd):
            if watched is not None:
                self._selector.unregister(watched)

    def shut_down(self) -> None:
        """Kill and bury everyone."""
        workers = list(self)
        for worker in workers:
            worker.kill()
        for worker in workers:
            self._unwatch(worker)
            worker.bury()
        self._of, self._spare = {}, None

    # -- sending -------------------------------------------------------------------------------------------------------

    def flush(self, worker: WorkerProcess) -> None:
        """Send a worker what it takes now; the selector tells when it takes more."""
        before = worker.stalled
        worker.flush()
        if worker.stalled != before:
            room = selectors.EVENT_WRITE if worker.stalled else 0
            self._selector.modify(worker.data, selectors.EVENT_READ | room, (worker, "data"))

    def rest_s(self) -> float:
        """Return how long results may wait to be read together: half of what it takes some worker to run out of work.

        Waking for one costs more than reading several. It is 0 where a worker would have nothing to go on with.
        """
        in_line_s = [worker.in_line_s for workers in self._of.values() for worker in workers if worker.attempts]
        rest_s = min(_MOST_REST_S, min(in_line_s, default=0.0) / 2)
        return rest_s if rest_s >= _LEAST_REST_S else 0.0

    def look_at_lines(self) -> None:
        """Ask workers for what stands in line behind an attempt that takes long; others may be free for it."""
        now_s = time.monotonic()
        if now_s >= self.lines_due_s:
            after_s = self._settings.give_back_after_s
            standing = [worker.give_back(after_s, now_s) for worker in self]
            self.lines_due_s = now_s + after_s if any(standing) else _NEVER_S

    # -- the spare -----------------------------------------------------------------------------------------------------

    def prepare_spare(self) -> None:
        """Keep a spare once a worker has served a while, and let it import what runs; brief work can wait for none."""
        after_s = self._settings.spare_after_s
        if after_s is None:
            return
        now_s = time.monotonic()
        for worker in list(self):
            given, resource = worker.running, worker.resource
            if given is None or resource is None or now_s - worker.started_s < after_s:
                continue
            if given.began_s is None or now_s - given.began_s < _WORTH_A_SPARE_S:
                continue
            if self._spare is None:
                try:
                    self._spare = self._started(resource)
                except OSError:
                    return  # the system has no room for one: work goes on without it
            self._hold(self._spare)
            if given.payload and self._spare.environment == worker.environment:
                self._spare.warm(messages.decode_payload(given.payload))
                self.flush(self._spare)
                given.payload = b""

    def _hold(self, spare: WorkerProcess) -> None:
        """Set a spare's limits once it is up; one that cannot be held yet is when it is needed."""
        if spare.spoke and not spare.doomed:
            with contextlib.suppress(OSError):
                spare.hold(**self._limits)

    # -- the watch -----------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Kill what breaks a limit, what was asked to end and did not, and what is silent; note what uses too much."""
        now_s = time.monotonic()
        deaf_s = now_s - self._checked_s - self._settings.tick_every_s
        self._checked_s = now_s
        for worker in self:
            if deaf_s > _SLACK_S:
                worker.heard_at_s += deaf_s  # nobody listened: this process itself was stopped, or starved
            broken = worker.broken_limit()
            if broken is not None:
                worker.kill(*broken)
            elif worker.stopping_since_s is not None and now_s - worker.stopping_since_s > self._settings.stop_grace_s:
                worker.kill()
            elif self._is_silent(worker, now_s):
                silence_s = self._settings.dead_after_s
                worker.kill(f"its process said nothing for {silence_s:g} s and did not move", Cause.SILENT)
            else:
                self._check_use(worker, now_s)

    def due_s(self, next_tick_s: float) -> float:
        """Return when to check next: at the next tick, or when a silent worker or a grace comes to its end."""
        settings = self._settings
        due_s = next_tick_s
        for worker in self:
            due_s = min(due_s, worker.heard_at_s + settings.dead_after_s * (0.5 if worker.suspected is None else 1.0))
            given = worker.running
            if given is not None and given.expired_s is not None:
                due_s = min(due_s, given.expired_s + settings.overrun_grace_s)
        return due_s

    def _is_silent(self, worker: WorkerProcess, now_s: float) -> bool:
        """Say whether a worker is dead: no beat for long enough, and since half that time nothing of it moved."""
        half_s = self._settings.dead_after_s / 2
        silent_s = now_s - worker.heard_at_s
        if silent_s < half_s:
            return False
        before, now = worker.suspected, vitals.look(worker.pid)
        worker.suspected = now
        if silent_s < 2 * half_s:
            worker.suspected = before or now
            return False
        if now is None or now.frozen or (before is not None and not now.moved_since(before)):
            return True
        worker.heard_at_s = now_s - half_s  # alive, but mute: it is looked at again
        if before is not None and worker.running is not None:
            worker.running.used_s += (now.ran_ns - before.ran_ns) * 1e-9
        return False

    def _check_use(self, worker: WorkerProcess, now_s: float) -> None:
        """Tell an attempt that used what it may to end, and kill it after its grace."""
        given = worker.running
        if given is None or given.kill_after_s is None:
            return
        if given.expired_s is None:
            if given.used_s >= given.kill_after_s:
                given.expired_s = now_s
                worker.tell(messages.Expire(given.attempt_id))
        elif now_s - given.expired_s >= self._settings.overrun_grace_s:
            worker.kill(overran(given), Cause.OVERRAN)


def overran(given: Given) -> str:
    """Say that an attempt used more than it was allowed."""
    return f"it used {given.used_s:.1f} s and was allowed {given.kill_after_s or 0.0:.1f} s"
