"""The state machine: events in, commands out. It owns no clock, thread, file or hidden randomness.

Planning happens on Settled, when every event of a moment is known; starting happens whenever a slot is free and
something is planned for it. What runs is looked after on ticks: stragglers, moves, rests, interruptions.
"""

from collections.abc import Callable
from dataclasses import replace

from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState, JobState
from dnaml.core.events import Command, Event
from dnaml.core.protocols import Policy, Predictor
from dnaml.core.work import Objective
from dnaml.schedule.deadlines import Deadlines
from dnaml.schedule.dispatch import Dispatch
from dnaml.schedule.endings import Endings
from dnaml.schedule.health import Health
from dnaml.schedule.ledger import Entry, Ledger, Pace
from dnaml.schedule.moves import Moves
from dnaml.schedule.pacing import paced_s
from dnaml.schedule.planning import Planner, Similar
from dnaml.schedule.pool import Pool
from dnaml.schedule.preemption import Preemption
from dnaml.schedule.recovery import adopt, note_unknown, resume
from dnaml.schedule.settings import ControllerSettings
from dnaml.schedule.speculation import Speculation
from dnaml.schedule.spot_checks import SpotChecks


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
        self._dispatch = Dispatch(self.ledger, self.pool, self._planner, settings)
        self._endings = Endings(self._dispatch)
        self._moves = Moves(self._dispatch)
        self._speculation = Speculation(self._dispatch, self._moves)
        self._preemption = Preemption(self._dispatch)
        self._health = Health(self._dispatch, self._moves)
        self._deadlines = Deadlines(self._dispatch)
        self._checks = SpotChecks(self._dispatch, self._endings, seed)
        self._policies = {policy.name: policy}
        self._predictors = {predictor.version: predictor}
        self._handlers: dict[type[Event], Callable[..., None]] = {
            ev.ResourceUp: self._on_resource_up,
            ev.ResourceDown: self._on_resource_down,
            ev.ResourceRefreshed: self._on_refreshed,
            ev.InterruptionNotice: self._on_notice,
            ev.Submitted: self._on_submitted,
            ev.CancelRequested: self._on_cancel,
            ev.MigrateRequested: self._on_migrate,
            ev.AttemptStarted: self._on_started,
            ev.AttemptProgressed: self._on_progressed,
            ev.CheckpointSealed: self._on_sealed,
            ev.AttemptEnded: self._on_ended,
            ev.Resumed: self._on_resumed,
            ev.Configured: self._on_configured,
            ev.ModelChanged: self._on_model,
            ev.Settled: self._on_settled,
            ev.Tick: self._on_tick,
        }

    @property
    def predictor(self) -> Predictor:
        """Return the predictor that is asked at present, with all that it has learned."""
        return self._planner.predictor

    def handle(self, event: Event) -> tuple[Command, ...]:
        """Apply one event and return what to do about it."""
        self._handlers[type(event)](event)
        commands = tuple(self._dispatch.commands)
        self._dispatch.commands.clear()
        return commands

    def recover(self, event: Event) -> tuple[Command, ...]:
        """Apply a stored event without planning: what was started then is known from the event itself.

        Returns what followed from it at the time, such as the ends of jobs.
        """
        self._dispatch.recovering = True
        commands = self.handle(event)
        self._dispatch.recovering = False
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
        self._changed()

    def _changed(self) -> None:
        """Note that what waits should be planned anew, and what runs may be better off elsewhere."""
        self._planner.changed()
        self._moves.offers_changed()

    # -- the pool ----------------------------------------------------------------------------------------------------

    def _on_resource_up(self, event: ev.ResourceUp) -> None:
        self.pool.up(event.resource)
        self._moves.came(event.resource.id, event.at_s)
        self._health.came(event.resource.id, event.at_s)
        self._changed()

    def _on_resource_down(self, event: ev.ResourceDown) -> None:
        if event.resource_id in self.pool.lanes:
            self._health.went(event.resource_id, event.at_s)
        self.pool.down(event.resource_id)
        self._moves.went(event.resource_id)
        self._planner.changed()

    def _on_refreshed(self, event: ev.ResourceRefreshed) -> None:
        """Keep the state; only another price or availability makes what was planned worth another plan."""
        state = event.state
        self.pool.states[state.resource_id] = state
        lane = self.pool.lanes.get(state.resource_id)
        price = state.price_usd_per_h
        is_repriced = lane is not None and price is not None and price != lane.resource.price_usd_per_h
        if lane is not None and is_repriced:
            self.pool.up(replace(lane.resource, price_usd_per_h=price))
        if self._health.refreshed(state) or is_repriced:
            self._changed()
        if is_repriced and not self._dispatch.recovering:
            self._moves.repriced(state.resource_id, event.at_s)

    def _on_notice(self, event: ev.InterruptionNotice) -> None:
        if not self._dispatch.recovering:
            self._moves.leaving(event.resource_id, event.gone_at_s, event.reason, event.at_s)

    def _on_model(self, event: ev.ModelChanged) -> None:
        self._changed()

    # -- jobs --------------------------------------------------------------------------------------------------------

    def _on_submitted(self, event: ev.Submitted) -> None:
        entry = self.ledger.add(event.job, event.computation)
        if entry is not None:
            self._endings.sizes.fit(entry)
            self._planner.arrived(event.job)
            self._deadlines.add(entry)

    def _on_cancel(self, event: ev.CancelRequested) -> None:
        entry = self.ledger.open.get(event.job_id)
        if entry is None:
            reopenable = self._dispatch.reopenable.get(event.job_id)
            if reopenable is not None:
                reopenable.stop_asked = True
            return
        begun = any(attempt.state is not AttemptState.STARTING for attempt in entry.live.values())
        if not entry.live:
            entry.stop_asked = True
            self._dispatch.end_job(entry, JobState.CANCELLED, None, "cancelled before it started")
        elif (event.running or not begun) and not entry.stop_asked:
            entry.stop_asked = True
            self._planner.forget(entry)
            self._dispatch.stop_all(entry, "asked to stop")

    def _on_migrate(self, event: ev.MigrateRequested) -> None:
        entry = self.ledger.open.get(event.job_id)
        if entry is not None and not self._dispatch.recovering:
            self._moves.requested(entry, event.resource_id, event.at_s)

    # -- attempts ----------------------------------------------------------------------------------------------------

    def _on_started(self, event: ev.AttemptStarted) -> None:
        if self._dispatch.recovering:
            adopt(self._dispatch, event)
        entry = self._dispatch.known(event.attempt_id, event.epoch)
        if entry is not None and entry.live[event.attempt_id].state is AttemptState.STARTING:
            attempt = entry.move(event.attempt_id, AttemptState.RUNNING, started_at_s=event.at_s)
            if entry.stop_asked or (entry.over and not self._dispatch.is_check(attempt.id)):
                self._dispatch.stop_all(entry, "asked to stop")
            else:
                self._moves.handovers.began(entry, attempt, event.at_s)

    def _on_progressed(self, event: ev.AttemptProgressed) -> None:
        entry = self._dispatch.known(event.attempt_id, event.epoch)
        if entry is None or entry.over:
            return
        attempt = entry.live[event.attempt_id]
        before = entry.pace.get(attempt.id)
        if 0.0 <= event.progress <= 1.0 and (before is None or event.progress > before.progress):
            entry.pace[attempt.id] = Pace(progress=event.progress, used_s=event.used_s, at_s=event.at_s)
            self._expect(entry, attempt.id, event)
            self._moves.handovers.progressed(attempt.id)

    def _expect(self, entry: Entry, attempt_id: str, event: ev.AttemptProgressed) -> None:
        """Correct when the attempt's slot is expected to be free."""
        attempt = entry.live[attempt_id]
        left_s = paced_s(entry, attempt, event.at_s)
        if left_s is None:
            return
        if self.pool.own_clocks:
            done = event.progress - attempt.progress
            whole_s = event.used_s * (1.0 - attempt.progress) / done
        else:
            started_at_s = event.at_s if attempt.started_at_s is None else attempt.started_at_s
            whole_s = event.at_s - started_at_s + left_s
        self.pool.expect(attempt.placement.resource_id, attempt_id, whole_s)

    def _on_sealed(self, event: ev.CheckpointSealed) -> None:
        entry = self._dispatch.known(event.attempt_id, event.epoch)
        if entry is None or entry.over:
            return
        tries = entry.tries(entry.live[event.attempt_id].placement)
        if tries.checkpoint is None or event.checkpoint.progress >= tries.checkpoint.progress:
            tries.checkpoint = event.checkpoint
        if event.write_s is not None:
            self._dispatch.saving.note(entry.computation.id, event.write_s)
        self._moves.handovers.sealed(event.attempt_id)
        self._preemption.sealed(event.attempt_id)

    def _on_ended(self, event: ev.AttemptEnded) -> None:
        entry = self._dispatch.known(event.attempt_id, event.epoch)
        if entry is None:
            note_unknown(self._dispatch, event)
            return
        self._before_leaving(entry, event)
        attempt = self._dispatch.leave(entry, event.attempt_id)
        self._endings.close(entry, attempt, event)
        if not entry.over:
            self._endings.go_on(entry, attempt, event)
            self._checks.consider(entry, attempt, event)
        self._dispatch.start_what_fits(event.at_s)

    def _before_leaving(self, entry: Entry, event: ev.AttemptEnded) -> None:
        """Tell those who look after running attempts that one of them ended."""
        attempt = entry.live[event.attempt_id]
        self._moves.handovers.ended(entry, attempt)
        self._speculation.forget(attempt.id)
        self._preemption.forget(attempt.id)
        self._health.ended(entry, attempt, event)
        self._checks.ended(entry, attempt, event)
        self._dispatch.planner.exploration.ended(attempt.id, event.usage)

    def _on_resumed(self, event: ev.Resumed) -> None:
        resume(self._dispatch)
        self._moves.handovers.clear()
        self._preemption.clear()
        self._deadlines.resumed()

    # -- planning ----------------------------------------------------------------------------------------------------

    def _on_tick(self, event: ev.Tick) -> None:
        self._deadlines.tick(event.at_s)
        if self._dispatch.recovering:
            return
        self._planner.learn(event.at_s)
        if any(lane.is_overdue(event.at_s) for lane in self.pool.lanes.values()):
            self._planner.stale = True
        self._health.tick(event.at_s)
        self._moves.tick(event.at_s)
        self._speculation.tick(event.at_s)
        self._preemption.tick(event.at_s)

    def _on_settled(self, event: ev.Settled) -> None:
        if self._dispatch.recovering:
            return
        while self._planner.is_due():
            for entry, reason in self._planner.plan(event.at_s):
                self._dispatch.explain(entry, reason)
        self._planner.refill(event.at_s)
        self._dispatch.start_what_fits(event.at_s)
