"""The state machine: events in, commands out. It owns no clock, thread, file or hidden randomness.

Planning happens on Settled, when every event of a moment is known; starting happens whenever a slot is free and
something is planned for it.
"""

from collections.abc import Callable

from dnaml.core import events as ev
from dnaml.core.attempt import Attempt, AttemptState, JobState, Placement
from dnaml.core.events import Command, EndJob, Event, Explain, StartAttempt, StopAttempt
from dnaml.core.protocols import Policy, Predictor, Run
from dnaml.core.work import Objective
from dnaml.schedule.ledger import Entry, Ledger
from dnaml.schedule.planning import ControllerSettings, Planner, Similar
from dnaml.schedule.pool import Pool


class Controller:
    """Decides. `handle` is deterministic: the same events give the same commands."""

    def __init__(
        self,
        policy: Policy,
        predictor: Predictor,
        objective: Objective,
        settings: ControllerSettings | None = None,
        seed: int = 0,
        similar: Similar | None = None,
    ) -> None:
        settings = settings or ControllerSettings()
        self.settings = settings
        self.ledger = Ledger()
        self.pool = Pool(dict(settings.cores), own_clocks=settings.own_clocks)
        self._planner = Planner(policy, predictor, objective, self.ledger, self.pool, settings, seed, similar)
        self._policies = {policy.name: policy}
        self._predictors = {predictor.version: predictor}
        self._recovering = False
        self._reopenable: dict[str, Entry] = {}
        self._commands: list[Command] = []
        self._handlers: dict[type[Event], Callable[..., None]] = {
            ev.ResourceUp: self._on_resource_up,
            ev.ResourceDown: self._on_resource_down,
            ev.ResourceRefreshed: self._on_refreshed,
            ev.Submitted: self._on_submitted,
            ev.CancelRequested: self._on_cancel,
            ev.AttemptStarted: self._on_started,
            ev.CheckpointSealed: self._on_sealed,
            ev.AttemptEnded: self._on_ended,
            ev.Resumed: self._on_resumed,
            ev.Configured: self._on_configured,
            ev.ModelChanged: self._on_model,
            ev.Settled: self._on_settled,
            ev.Tick: self._on_tick,
        }

    def handle(self, event: Event) -> tuple[Command, ...]:
        """Apply one event and return what to do about it."""
        self._handlers[type(event)](event)
        commands = tuple(self._commands)
        self._commands.clear()
        return commands

    def recover(self, event: Event) -> tuple[Command, ...]:
        """Apply a stored event without planning: what was started then is known from the event itself.

        Returns what followed from it at the time, such as the ends of jobs.
        """
        self._recovering = True
        commands = self.handle(event)
        self._recovering = False
        return commands

    def offer(self, policy: Policy | None = None, predictor: Predictor | None = None) -> None:
        """Make a policy or predictor known, so that a later Configured event can name it."""
        if policy is not None:
            self._policies[policy.name] = policy
        if predictor is not None:
            self._predictors[predictor.version] = predictor

    def _on_configured(self, event: ev.Configured) -> None:
        """Go on under another objective, policy or predictor; names that were not offered change nothing."""
        planner = self._planner
        planner.objective = event.objective
        planner.policy = self._policies.get(event.policy, planner.policy)
        predictor = self._predictors.get(event.model, planner.predictor)
        if predictor is not planner.predictor:
            planner.switch(predictor)
        planner.changed()

    # -- the pool ----------------------------------------------------------------------------------------------------

    def _on_resource_up(self, event: ev.ResourceUp) -> None:
        self.pool.up(event.resource)
        self._planner.changed()

    def _on_resource_down(self, event: ev.ResourceDown) -> None:
        self.pool.down(event.resource_id)
        self._planner.changed()

    def _on_refreshed(self, event: ev.ResourceRefreshed) -> None:
        self.pool.states[event.state.resource_id] = event.state
        self._planner.changed()

    def _on_model(self, event: ev.ModelChanged) -> None:
        self._planner.changed()

    # -- jobs --------------------------------------------------------------------------------------------------------

    def _on_submitted(self, event: ev.Submitted) -> None:
        if self.ledger.add(event.job, event.computation) is None:
            return
        self._planner.arrived(event.job)

    def _on_cancel(self, event: ev.CancelRequested) -> None:
        entry = self.ledger.open.get(event.job_id)
        if entry is None:
            if event.job_id in self._reopenable:
                self._reopenable[event.job_id].stop_asked = True
            return
        begun = any(attempt.state is not AttemptState.STARTING for attempt in entry.live.values())
        if not entry.live:
            entry.stop_asked = True
            self._end_job(entry, JobState.CANCELLED, None, "cancelled before it started")
        elif (event.running or not begun) and not entry.stop_asked:
            entry.stop_asked = True
            self._planner.forget(entry)
            self._stop_attempts(entry, "asked to stop")

    def _end_job(self, entry: Entry, state: JobState, ended: ev.AttemptEnded | None, error: str | None) -> None:
        self._planner.forget(entry)
        self.ledger.end(entry)
        if self._recovering and state is not JobState.SUCCEEDED:
            self._reopenable[entry.job.id] = entry
        attempt_id = ended.attempt_id if ended else None
        result = ended.result if ended else None
        self._commands.append(
            EndJob(job_id=entry.job.id, state=state, attempt_id=attempt_id, error=error, result=result)
        )

    def _stop_attempts(self, entry: Entry, reason: str) -> None:
        for attempt in list(entry.live.values()):
            if attempt.state is AttemptState.RUNNING:
                entry.move(attempt.id, AttemptState.STOPPING)
            if attempt.state is not AttemptState.STOPPING:
                self._commands.append(StopAttempt(attempt_id=attempt.id, epoch=attempt.epoch, reason=reason))

    # -- attempts ----------------------------------------------------------------------------------------------------

    def _known(self, attempt_id: str, epoch: int) -> Entry | None:
        """Return the job of a live attempt; None for one that is unknown, over, or of another epoch."""
        entry = self.ledger.attempts.get(attempt_id)
        if entry is None or entry.live[attempt_id].epoch != epoch:
            return None
        return entry

    def _on_started(self, event: ev.AttemptStarted) -> None:
        if self._recovering:
            self._adopt(event)
        entry = self._known(event.attempt_id, event.epoch)
        if entry is not None and entry.live[event.attempt_id].state is AttemptState.STARTING:
            entry.move(event.attempt_id, AttemptState.RUNNING, started_at_s=event.at_s)
            if entry.stop_asked or entry.over:
                self._stop_attempts(entry, "asked to stop")

    def _adopt(self, event: ev.AttemptStarted) -> None:
        """Take over an attempt that an earlier engine started.

        Where the job seems to have ended without a result, it had not: this attempt was on its way, though no event
        told of it yet.
        """
        entry = self.ledger.open.get(event.job_id) or self._reopenable.get(event.job_id)
        if entry is None or event.epoch in entry.adopted or event.attempt_id != _attempt_id(entry, event.epoch):
            return
        if entry.over:
            self.ledger.reopen(self._reopenable.pop(event.job_id))
        entry.adopted.add(event.epoch)
        attempt = Attempt(
            id=event.attempt_id,
            epoch=event.epoch,
            job_id=event.job_id,
            computation_id=entry.computation.id,
            placement=event.placement,
            state=AttemptState.STARTING,
        )
        self.ledger.leave_line(entry)
        self._enter(entry, attempt, event.at_s, 0.0)

    def _enter(self, entry: Entry, attempt: Attempt, at_s: float, predicted_s: float) -> None:
        """Note a new attempt with its job and its resource."""
        entry.epoch = max(entry.epoch, attempt.epoch)
        entry.live[attempt.id] = attempt
        self.ledger.attempts[attempt.id] = entry
        self.pool.start(attempt.placement.resource_id, attempt.id, at_s, predicted_s)

    def _on_sealed(self, event: ev.CheckpointSealed) -> None:
        entry = self._known(event.attempt_id, event.epoch)
        if entry is None or entry.over:
            return
        if entry.checkpoint is None or event.checkpoint.progress >= entry.checkpoint.progress:
            entry.checkpoint = event.checkpoint

    def _on_ended(self, event: ev.AttemptEnded) -> None:
        entry = self._known(event.attempt_id, event.epoch)
        if entry is None:
            self._note_unknown(event)
            return
        attempt = entry.live.pop(event.attempt_id)
        del self.ledger.attempts[event.attempt_id]
        self._note_run(entry, attempt, event)
        lost = event.outcome is AttemptState.LOST and event.began
        self.pool.end(attempt.placement.resource_id, attempt.id, lost=lost, runtime_s=event.usage.runtime_s)
        self._planner.ended += 1
        if not entry.over:
            self._go_on(entry, attempt, event)
        self._start_what_fits(event.at_s)

    def _note_unknown(self, event: ev.AttemptEnded) -> None:
        """Remember, from stored events, an attempt that ended without beginning: a late word of it was refused."""
        job_id = event.attempt_id.rpartition(".")[0]
        entry = self.ledger.open.get(job_id) or self._reopenable.get(job_id)
        if self._recovering and entry is not None and event.attempt_id == _attempt_id(entry, event.epoch):
            entry.adopted.add(event.epoch)

    def _go_on(self, entry: Entry, attempt: Attempt, event: ev.AttemptEnded) -> None:
        """Decide what an ended attempt means for its job."""
        if event.outcome is AttemptState.DONE:
            self._end_job(entry, JobState.SUCCEEDED, event, None)
            self._stop_attempts(entry, "another replica has the result")
        elif entry.stop_asked:
            if not entry.live:
                self._end_job(entry, JobState.CANCELLED, event, event.error or "stopped on request")
        else:
            self._retry_or_fail(entry, attempt, event)

    def _retry_or_fail(self, entry: Entry, attempt: Attempt, event: ev.AttemptEnded) -> None:
        if event.outcome is AttemptState.FAILED:
            entry.failures += 1
        elif event.outcome is AttemptState.LOST and event.began:
            entry.losses += 1
            entry.lost_on.add(attempt.placement.resource_id)
        if entry.live:
            return
        places, settings = sorted(entry.lost_on), self.settings
        if entry.failures > entry.job.resilience.max_restarts:
            self._end_job(entry, JobState.FAILED, event, event.error)
        elif len(places) >= settings.distinct_losses or entry.losses >= settings.most_losses:
            where = f"{len(places)} different resources ({', '.join(places)})"
            self._end_job(entry, JobState.FAILED, event, f"lost {entry.losses} times on {where}: {event.error}")
        else:
            self._planner.again(entry)

    def _note_run(self, entry: Entry, attempt: Attempt, event: ev.AttemptEnded) -> None:
        """Keep what predictors learn from; an attempt that was lost with its resource is both failed and censored."""
        resource = self.pool.known.get(attempt.placement.resource_id)
        if resource is None or not event.began:
            return
        done, failed = event.outcome is AttemptState.DONE, event.outcome is AttemptState.FAILED
        resumed = entry.checkpoint is not None and entry.epoch > 1
        self._planner.note(
            Run(
                computation=entry.computation,
                resource=resource,
                runtime_s=max(event.usage.runtime_s, 1e-6),
                at_s=event.at_s,
                failed=failed or event.outcome is AttemptState.LOST,
                censored=resumed if done else not failed,
                energy_j=event.usage.energy_j,
                telemetry=event.usage.telemetry,
            )
        )

    def _on_resumed(self, event: ev.Resumed) -> None:
        """Put every job that had an attempt back in line: the old engine's workers died with it."""
        self._reopenable.clear()
        for entry in list(self.ledger.attempts.values()):
            for attempt_id, attempt in list(entry.live.items()):
                self.pool.end(attempt.placement.resource_id, attempt_id, lost=False)
                del self.ledger.attempts[attempt_id], entry.live[attempt_id]
            if not entry.over:
                if entry.stop_asked:
                    self._end_job(entry, JobState.CANCELLED, None, "stopped on request")
                else:
                    self._planner.again(entry)
        for resource in self.pool.resources:
            self.pool.down(resource.id)
        self._planner.changed()

    # -- planning ----------------------------------------------------------------------------------------------------

    def _on_tick(self, event: ev.Tick) -> None:
        if self._recovering:
            return
        self._planner.learn(event.at_s)
        for lane in self.pool.lanes.values():
            if lane.is_overdue(event.at_s):
                self._planner.stale = True
                for attempt_id in list(lane.running)[lane.resource.slots :]:
                    self._call_back(attempt_id)

    def _call_back(self, attempt_id: str) -> None:
        """Take back an attempt that was handed over ahead and stands behind one that does not end."""
        entry = self.ledger.attempts[attempt_id]
        attempt = entry.live[attempt_id]
        if attempt.state is AttemptState.RUNNING:
            entry.move(attempt_id, AttemptState.STOPPING)
            reason = "what runs before it takes longer than predicted"
            self._commands.append(StopAttempt(attempt_id=attempt_id, epoch=attempt.epoch, reason=reason))

    def _on_settled(self, event: ev.Settled) -> None:
        if self._recovering:
            return
        while self._planner.is_due():
            for entry, reason in self._planner.plan(event.at_s):
                if entry.told != reason:
                    entry.told = reason
                    self._commands.append(Explain(job_id=entry.job.id, reason=reason))
        self._start_what_fits(event.at_s)

    # -- starting ----------------------------------------------------------------------------------------------------

    def _start_what_fits(self, at_s: float) -> None:
        if self._recovering:
            return
        lanes = [lane for lane in self.pool.lanes.values() if self.pool.has_room(lane)]
        lanes.sort(key=self.pool.turn)
        for lane in lanes:
            while self.pool.has_room(lane):
                placement = self._planner.agenda.next(lane.resource.id)
                if placement is None:
                    break
                self._start(placement, at_s)

    def _start(self, placement: Placement, at_s: float) -> None:
        entry = self._planner.agenda.window[placement.job_id]
        epoch = entry.epoch + 1
        attempt = Attempt(
            id=_attempt_id(entry, epoch),
            epoch=epoch,
            job_id=entry.job.id,
            computation_id=entry.computation.id,
            placement=self._with_checkpoints(placement, entry),
            state=AttemptState.STARTING,
        )
        self._enter(entry, attempt, at_s, self._planner.agenda.predicted_s(placement))
        decision = self._planner.agenda.decision(placement, attempt.id, at_s)
        self._planner.placed(entry)
        self._commands.append(
            StartAttempt(
                attempt=attempt,
                job=entry.job,
                computation=entry.computation,
                checkpoint=entry.checkpoint,
                decision=decision,
            )
        )

    def _with_checkpoints(self, placement: Placement, entry: Entry) -> Placement:
        wanted = entry.job.resilience
        if not (wanted.checkpoint and entry.computation.checkpointable) or placement.checkpoint_every_s is not None:
            return placement
        return Placement(
            job_id=placement.job_id,
            resource_id=placement.resource_id,
            units=placement.units,
            share=placement.share,
            replica=placement.replica,
            checkpoint_every_s=wanted.checkpoint_every_s or self.settings.checkpoint_every_s,
        )


def _attempt_id(entry: Entry, epoch: int) -> str:
    return f"{entry.job.id}.{epoch}"
