"""The controller's hands: they start, stop and end, and keep jobs, resources and commands in step with each other.

Everything that decides goes through here; nothing here decides.
"""

from collections.abc import Callable

from dnaml.core.attempt import Attempt, AttemptState, JobState, Placement, Stored
from dnaml.core.events import AttemptEnded, Command, EndJob, Explain, SealCheckpoint, StartAttempt, StopAttempt, WakeAt
from dnaml.core.plan import Decision
from dnaml.schedule.agenda import Forecast
from dnaml.schedule.errands import Errand, Errands, Purpose
from dnaml.schedule.ledger import Entry, Ledger
from dnaml.schedule.planning import Planner
from dnaml.schedule.pool import Lane, Pool
from dnaml.schedule.saving import Saving
from dnaml.schedule.settings import ControllerSettings
from dnaml.schedule.time_limits import TimeLimits

_LEAST_REST_S = 0.05  # however little of its work is left, an attempt has to start and to restore


class Dispatch:
    """Carries out what was decided; `commands` are what an event led to so far.

    `purposes` says of attempts beside the plan what they are for, `high_s` of each attempt how long it should take at
    most, and `worked_s` is the runtime of all that ended.
    """

    def __init__(self, ledger: Ledger, pool: Pool, planner: Planner, settings: ControllerSettings) -> None:
        self.ledger, self.pool, self.planner, self.settings = ledger, pool, planner, settings
        self.saving, self.limits = Saving(settings), TimeLimits(settings)
        self.errands = Errands()
        self.commands: list[Command] = []
        self.recovering = False
        self.reopenable: dict[str, Entry] = {}
        self.purposes: dict[str, Purpose] = {}
        self.high_s: dict[str, float] = {}
        self.worked_s = 0.0

    def known(self, attempt_id: str, epoch: int) -> Entry | None:
        """Return the job of a live attempt; None for one that is unknown, over, or of another epoch."""
        entry = self.ledger.attempts.get(attempt_id)
        if entry is None or entry.live[attempt_id].epoch != epoch:
            return None
        return entry

    def is_check(self, attempt_id: str) -> bool:
        """Say whether an attempt repeats a job that is over."""
        return self.purposes.get(attempt_id) is Purpose.CHECK

    # -- starting ----------------------------------------------------------------------------------------------------

    def start_what_fits(self, at_s: float) -> None:
        """Start whatever has room: errands first, then what is planned."""
        if self.recovering:
            return
        for lane in self.pool.with_room(None if self.errands else self.planner.agenda.queues):
            if self.errands:
                self._run_errands(lane, at_s)
            held = self.errands.held(lane.resource.id)
            while self.pool.has_room(lane, 1 + held):
                placement = self.planner.agenda.next(lane.resource.id)
                if placement is None:
                    break
                if placement.units > 1 and not self.pool.has_room(lane, placement.units + held):
                    self.planner.agenda.give_back(placement)
                    break
                self._start_planned(placement, at_s)

    def _run_errands(self, lane: Lane, at_s: float) -> None:
        while self.pool.has_room(lane):
            errand = self.errands.next(lane.resource.id)
            if errand is None:
                return
            if not self.pool.has_room(lane, errand.placement.units):
                self.errands.add(errand)
                return
            self._start_beside(errand, at_s)

    def _start_planned(self, placement: Placement, at_s: float) -> None:
        agenda = self.planner.agenda
        entry = agenda.window[placement.job_id]
        self._start(
            entry, placement, at_s, agenda.forecast(placement), lambda name: agenda.decision(placement, name, at_s)
        )
        self.planner.placed(entry)

    def _start_beside(self, errand: Errand, at_s: float) -> None:
        where, policy = errand.placement.resource_id, f"{self.planner.policy.name}/{errand.purpose.value}"
        entry, outlook = errand.entry, errand.outlook
        attempt = self._start(
            entry, errand.placement, at_s, outlook.forecast(where), lambda name: outlook.decision(name, where, policy)
        )
        self.purposes[attempt.id] = errand.purpose

    def _start(
        self, entry: Entry, placement: Placement, at_s: float, forecast: Forecast, decide: Callable[[str], Decision]
    ) -> Attempt:
        epoch, tries = entry.epoch + 1, entry.tries(placement)
        every_s = None if entry.over else self.saving.every_s(entry, forecast.hazard_per_h)
        checkpoint = None if entry.over else tries.checkpoint
        progress = checkpoint.progress if checkpoint is not None else 0.0
        left = placement.share * (1.0 - progress)
        attempt = Attempt(
            id=attempt_id_of(entry, epoch),
            epoch=epoch,
            job_id=entry.job.id,
            computation_id=entry.computation.id,
            placement=_saving_every(placement, every_s),
            state=AttemptState.STARTING,
            progress=progress,
        )
        least_s = min(forecast.expected_s, _LEAST_REST_S)
        self.enter(entry, attempt, at_s, max(least_s, forecast.expected_s * left))
        self.high_s[attempt.id] = forecast.high_s * left
        decision = decide(attempt.id)
        self.planner.exploration.started(decision)
        self.commands.append(
            StartAttempt(
                attempt=attempt,
                job=entry.job,
                computation=entry.computation,
                checkpoint=checkpoint,
                decision=decision,
                kill_after_s=self.limits.kill_after_s(entry, tries, forecast.high_s * left, at_s),
            )
        )
        return attempt

    def enter(self, entry: Entry, attempt: Attempt, at_s: float, predicted_s: float) -> None:
        """Note a new attempt with its job and its resource."""
        entry.epoch = max(entry.epoch, attempt.epoch)
        entry.live[attempt.id] = attempt
        self.ledger.attempts[attempt.id] = entry
        self.pool.start(attempt.placement.resource_id, attempt.id, at_s, predicted_s, attempt.placement.units)

    # -- ending ------------------------------------------------------------------------------------------------------

    def leave(self, entry: Entry, attempt_id: str) -> Attempt:
        """Take a live attempt out of the books; its slot is given back by `Pool.end`."""
        del self.ledger.attempts[attempt_id]
        if entry.pace:
            entry.pace.pop(attempt_id, None)
        if self.purposes:
            self.purposes.pop(attempt_id, None)
        self.high_s.pop(attempt_id, None)
        return entry.live.pop(attempt_id)

    def running_s(self, at_s: float) -> float:
        """Return for how long everything that runs now has run."""
        live = (entry.live[attempt_id] for attempt_id, entry in self.ledger.attempts.items())
        return sum(at_s - attempt.started_at_s for attempt in live if attempt.started_at_s is not None)

    def stop(self, entry: Entry, attempt_id: str, reason: str) -> None:
        """Ask an attempt to end, unless it was asked before."""
        attempt = entry.live[attempt_id]
        if attempt.state is AttemptState.RUNNING:
            entry.move(attempt_id, AttemptState.STOPPING)
        if attempt.state is not AttemptState.STOPPING:
            self.commands.append(StopAttempt(attempt_id=attempt_id, epoch=attempt.epoch, reason=reason))

    def stop_all(self, entry: Entry, reason: str) -> None:
        """Ask every attempt of a job to end."""
        for attempt_id in list(entry.live):
            self.stop(entry, attempt_id, reason)

    def seal(self, attempt: Attempt) -> None:
        """Ask an attempt for a checkpoint at its next save."""
        self.commands.append(SealCheckpoint(attempt_id=attempt.id, epoch=attempt.epoch))

    def end_job(
        self,
        entry: Entry,
        state: JobState,
        ended: AttemptEnded | None,
        error: str | None,
        *,
        result: Stored | None = None,
        parts: tuple[Stored, ...] = (),
    ) -> None:
        """End a job, once."""
        self.planner.forget(entry)
        self.ledger.end(entry)
        if self.recovering and state is not JobState.SUCCEEDED:
            self.reopenable[entry.job.id] = entry
        attempt_id = ended.attempt_id if ended else None
        self.commands.append(
            EndJob(job_id=entry.job.id, state=state, attempt_id=attempt_id, error=error, result=result, parts=parts)
        )

    # -- telling -----------------------------------------------------------------------------------------------------

    def explain(self, entry: Entry, reason: str) -> None:
        """Tell why a job waits or stays where it is, unless it was the last thing told."""
        if entry.told != reason:
            entry.told = reason
            self.commands.append(Explain(job_id=entry.job.id, reason=reason))

    def wake_at(self, at_s: float) -> None:
        """Ask for a tick at that time, though nothing runs."""
        self.commands.append(WakeAt(at_s=at_s))


def attempt_id_of(entry: Entry, epoch: int) -> str:
    """Return the id of a job's attempt of an epoch."""
    return f"{entry.job.id}.{epoch}"


def _saving_every(placement: Placement, every_s: float | None) -> Placement:
    """Return the placement with this checkpoint interval."""
    if placement.checkpoint_every_s == every_s:
        return placement
    return Placement(
        job_id=placement.job_id,
        resource_id=placement.resource_id,
        units=placement.units,
        share=placement.share,
        replica=placement.replica,
        checkpoint_every_s=every_s,
        part=placement.part,
        parts=placement.parts,
        start=placement.start,
    )
