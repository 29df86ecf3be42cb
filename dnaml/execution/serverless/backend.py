"""The back end with functions: attempts of serverless resources are calls, all others run in workers of this machine.

Both share one stream of events. A thread per call waits for its answer and posts it; the loop turns it into the end
of the attempt, once: an answer to a call that was stopped, lost or repeated finds no attempt and is dropped.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dnaml.core.attempt import AttemptState, Cause, Usage
from dnaml.core.events import AttemptEnded, Event, ResourceDown, ResourceUp, SealCheckpoint, StartAttempt, StopAttempt
from dnaml.core.resource import Site
from dnaml.datasets.state import StateFolder
from dnaml.execution.attempt_events import ended, started
from dnaml.execution.local import Listener, LocalBackend, NowS
from dnaml.execution.serverless.invocation import Answer, Caller, Invocation, Verdict, nothing_metered
from dnaml.execution.serverless.warmth import Warmth
from dnaml.execution.settings import LocalSettings

OpenBackend = Callable[[StateFolder, Listener, NowS], "ServerlessBackend"]
_STATES = {
    Verdict.DONE: AttemptState.DONE,
    Verdict.FAILED: AttemptState.FAILED,
    Verdict.LOST: AttemptState.LOST,
}
_NEWS_S, _NEWS_SHARE = 0.05, 0.25  # a smaller change of a start-up time is no news
_ANNOUNCE_EVERY_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ending:
    """How an attempt ended without an answer."""

    outcome: AttemptState
    error: str
    cause: Cause | None = None


class ServerlessBackend(LocalBackend):
    """Calls functions for resources at Site.SERVERLESS, and is the local back end for all others."""

    def __init__(
        self,
        checkpoints: Path,
        logs: Path,
        listener: Listener,
        now_s: NowS,
        callers: Mapping[str, Caller],
        settings: LocalSettings,
    ) -> None:
        super().__init__(checkpoints, logs, listener, now_s, settings)
        self._callers = dict(callers)
        self._calls: dict[str, Invocation] = {}
        self._warmth = {name: Warmth(window_s=caller.idle_s) for name, caller in self._callers.items()}
        self._turns: dict[str, threading.BoundedSemaphore] = {}
        self._told: deque[tuple[Invocation, Answer | _Ending]] = deque()
        self._announce_at_s = 0.0

    def warmth(self, resource_id: str) -> Warmth:
        """Return what is known of a function's starts; a snapshot, from any thread."""
        return self._warmth[resource_id]

    # -- the stream --------------------------------------------------------------------------------------------------

    def _moment(self, until_s: float) -> Iterator[Event]:
        yield from super()._moment(until_s)
        for _ in range(len(self._told)):
            call, what = self._told.popleft()
            if self._calls.get(call.attempt_id) is not call:
                continue  # the attempt is over: nobody waits for this
            if isinstance(what, _Ending):
                yield from self._on_end(call, what)
            elif not call.stopped.is_set():
                yield from self._on_answer(call, what)
        if time.monotonic() >= self._announce_at_s:
            self._announce_at_s = time.monotonic() + _ANNOUNCE_EVERY_S
            yield from self._announce()

    def _announce(self) -> Iterator[Event]:
        """Offer each function anew whose next start is expected to take another time than it says."""
        now_s = self._now_s()
        for resource_id, known in self._warmth.items():
            up = self._resources.get(resource_id)
            if up is None or not known.colds + known.warms:
                continue
            start_s, before_s = known.start_s(now_s), up.resource.startup_s or 0.0
            if abs(start_s - before_s) > max(_NEWS_S, _NEWS_SHARE * before_s):
                fresh = ResourceUp(at_s=now_s, resource=replace(up.resource, startup_s=start_s))
                self._resources[resource_id] = fresh
                yield fresh

    def _is_woken(self) -> bool:
        """Say whether a tick is due: workers being idle, calls may run."""
        return super()._is_woken() or bool(self._calls)

    def _note_resource(self, event: Event) -> None:
        super()._note_resource(event)
        if isinstance(event, ResourceUp):
            resource = event.resource
            if resource.site is Site.SERVERLESS and resource.id in self._callers:
                self._turns[resource.id] = threading.BoundedSemaphore(resource.slots)
                known = self._warmth[resource.id]
                if resource.startup_s and not known.colds:
                    self._warmth[resource.id] = replace(known, cold_s=resource.startup_s)
        elif isinstance(event, ResourceDown):
            reason = f"{event.resource_id} was taken away: {event.reason}"
            for call in [one for one in self._calls.values() if one.resource_id == event.resource_id]:
                self._end(call, AttemptState.LOST, reason, Cause.INTERRUPTED)

    def _end(self, call: Invocation, outcome: AttemptState, error: str, cause: Cause | None = None) -> None:
        """End an attempt now, whatever its function goes on doing."""
        call.cut()
        self._tell(call, _Ending(outcome=outcome, error=error, cause=cause))

    def _tell(self, call: Invocation, what: Answer | _Ending) -> None:
        """Let the loop know; from any thread."""
        self._told.append((call, what))
        self._inbox.ring()

    # -- commands ----------------------------------------------------------------------------------------------------

    def _start(self, command: StartAttempt) -> Iterator[Event]:
        resource = self._resources.get(command.attempt.placement.resource_id)
        if resource is None or resource.resource.site is not Site.SERVERLESS:
            yield from super()._start(command)
            return
        attempt = command.attempt
        if not self._listener.starting(command):
            reason = "cancelled before it started"
            yield ended(self._now_s(), attempt.id, attempt.epoch, AttemptState.CANCELLED, reason, began=False)
            return
        yield started(self._now_s(), attempt, None)
        caller = self._callers.get(resource.resource.id)
        refusal = f"no function is configured for {resource.resource.id}" if caller is None else ""
        call = self._invocation(command)
        if caller is not None:
            refusal = _over_time(caller, command) or caller.refusal(call)
        if caller is None or refusal:
            error = f"{resource.resource.id}: {refusal}"
            yield ended(self._now_s(), attempt.id, attempt.epoch, AttemptState.LOST, error)
            return
        self._calls[attempt.id] = call
        known, now_s = self._warmth[call.resource_id], self._now_s()
        call.idle_s = now_s - known.free_since_s[-1] if known.free_since_s else None
        self._warmth[call.resource_id] = known.taken(now_s)
        name = f"dnaml-call-{attempt.id}"
        threading.Thread(target=self._wait_for, args=(caller, call), name=name, daemon=True).start()

    def _invocation(self, command: StartAttempt) -> Invocation:
        attempt, placement = command.attempt, command.attempt.placement
        deadline_s = None
        if command.kill_after_s is not None:
            deadline_s = time.monotonic() + command.kill_after_s + self._warmth_of(placement.resource_id).cold_s
        return Invocation(
            attempt_id=attempt.id,
            epoch=attempt.epoch,
            job_id=attempt.job_id,
            computation_id=attempt.computation_id,
            resource_id=placement.resource_id,
            payload=self._listener.payload(attempt.job_id),
            deadline_s=deadline_s,
            part=placement.part,
            parts=placement.parts,
            start=placement.start,
            share=placement.share,
        )

    def _warmth_of(self, resource_id: str) -> Warmth:
        return self._warmth.get(resource_id, Warmth())

    def _stop(self, command: StopAttempt) -> None:
        call = self._calls.get(command.attempt_id)
        if call is None:
            super()._stop(command)
        elif not call.stopped.is_set():
            self._end(call, AttemptState.STOPPED, "stopped: its answer is no longer waited for")

    def _seal(self, command: SealCheckpoint) -> None:
        if command.attempt_id not in self._calls:
            super()._seal(command)

    # -- calls ---------------------------------------------------------------------------------------------------------

    def _wait_for(self, caller: Caller, call: Invocation) -> None:
        """Make one call, in a thread of its own, no more at once than the resource has slots."""
        with self._turns[call.resource_id]:
            try:
                answer = caller.invoke(call)
            except Exception as error:  # noqa: BLE001  # the edge to providers' libraries, which raise anything
                why = f"{call.resource_id}: {type(error).__name__}: {error}"
                answer = Answer(verdict=Verdict.LOST, metered=nothing_metered(), error=why)
        if not self._closing.is_set():
            self._tell(call, answer)

    def _on_answer(self, call: Invocation, answer: Answer) -> Iterator[Event]:
        del self._calls[call.attempt_id]
        stored = self._listener.store(answer.outcome, answer.digest) if answer.outcome else None
        metered = answer.metered
        yield AttemptEnded(
            at_s=self._now_s(),
            attempt_id=call.attempt_id,
            epoch=call.epoch,
            outcome=_STATES[answer.verdict],
            usage=Usage(
                wall_s=metered.wall_s,
                cpu_s=metered.cpu_s,
                blocked_s=metered.blocked_s,
                peak_memory_bytes=metered.peak_memory_bytes or None,
                telemetry=metered.extra,
            ),
            error=answer.error,
            result=stored,
            cause=answer.cause,
        )
        if answer.verdict is not Verdict.LOST:
            self._learn(call, metered.wall_s, metered.extra)

    def _on_end(self, call: Invocation, ending: _Ending) -> Iterator[Event]:
        del self._calls[call.attempt_id]
        yield replace(
            ended(self._now_s(), call.attempt_id, call.epoch, ending.outcome, ending.error), cause=ending.cause
        )

    def _learn(self, call: Invocation, wall_s: float, extra: Mapping[str, float]) -> None:
        """Take in how a call started; its instance is warm now."""
        known = self._warmth[call.resource_id]
        waited_s = max(0.0, extra.get("round_trip_s", wall_s) - wall_s)
        cold = extra.get("cold_start", 0.0) > 0 or extra.get("cold_start_s", 0.0) > 0
        known = known.seen(waited_s, cold=cold, idle_s=call.idle_s)
        self._warmth[call.resource_id] = known.ended(self._now_s())

    def _shut_down(self) -> None:
        for call in list(self._calls.values()):
            call.cut()
        self._calls = {}
        super()._shut_down()
        for caller in self._callers.values():
            caller.close()


def _over_time(caller: Caller, command: StartAttempt) -> str:
    """Return why an attempt is expected to outlast what the provider lets a function run; "" where it is not."""
    decision, limit_s = command.decision, caller.most_runtime_s
    if limit_s is None or decision.chosen not in decision.resource_ids:
        return ""
    least_s = decision.runtime_p10_s[decision.resource_ids.index(decision.chosen)]
    if not least_s > limit_s:
        return ""
    return f"it is predicted to run at least {least_s:.3g} s, over the function's limit of {limit_s:g} s"
