"""What an ended attempt means for its job: a result, a vote, one part of many, another try, or the end of trying."""

from collections.abc import Sequence

from dnaml.core.attempt import Attempt, AttemptState, Cause, JobState, Stored
from dnaml.core.events import AttemptEnded
from dnaml.core.protocols import Run
from dnaml.schedule.dispatch import Dispatch
from dnaml.schedule.ledger import NO_PART, Entry, Part, Tries, Vote
from dnaml.schedule.sizes import Sizes, unfit_reason
from dnaml.schedule.time_limits import is_past_deadline
from dnaml.schedule.votes import disagreement, is_hopeless, vote_of, winner

OWN_DOING = (Cause.OUT_OF_MEMORY, Cause.OVERRAN)
"""causes that are not the resource's fault"""
_LEAST_S = 1e-6


class Endings:
    """Decides, for each attempt that ended, how its job goes on."""

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch
        self._ledger, self._pool, self._planner = dispatch.ledger, dispatch.pool, dispatch.planner
        self._settings = dispatch.settings
        self.sizes = Sizes()

    def close(self, entry: Entry, attempt: Attempt, event: AttemptEnded) -> None:
        """Give the slot back and keep what predictors learn from."""
        where, usage = attempt.placement.resource_id, event.usage
        lost = event.outcome is AttemptState.LOST and event.began and event.cause not in OWN_DOING
        self._pool.end(where, attempt.id, lost=lost, runtime_s=usage.runtime_s)
        if event.outcome is AttemptState.STOPPED and not event.began:
            self._pool.hold_back(where)
        self._planner.freed(where)
        self._dispatch.worked_s += usage.runtime_s
        self._note_run(entry, attempt, event)
        if event.outcome is AttemptState.DONE:
            self._dispatch.limits.succeeded(entry.computation.id)

    def go_on(self, entry: Entry, attempt: Attempt, event: AttemptEnded) -> None:
        """Decide what an ended attempt means for its job."""
        if event.outcome is AttemptState.DONE:
            self._done(entry, attempt, event)
        elif entry.job.resilience.vote and event.outcome is AttemptState.FAILED and not entry.stop_asked:
            self._count_vote(entry, attempt, event)
        elif not entry.stop_asked:
            self._try_again(entry, attempt, event)
        if not entry.over and entry.stop_asked and not entry.live:
            error = event.error or "stopped on request"
            result = event.result if event.outcome is not AttemptState.DONE else None
            self._dispatch.end_job(entry, JobState.CANCELLED, event, error, result=result)

    # -- results -----------------------------------------------------------------------------------------------------

    def _done(self, entry: Entry, attempt: Attempt, event: AttemptEnded) -> None:
        if attempt.placement.parts > 1:
            self._join(entry, attempt, event)
        elif entry.job.resilience.vote:
            self._count_vote(entry, attempt, event)
        else:
            self._dispatch.end_job(entry, JobState.SUCCEEDED, event, None, result=event.result)
            self._dispatch.stop_all(entry, "another replica has the result")

    def _join(self, entry: Entry, attempt: Attempt, event: AttemptEnded) -> None:
        """Keep the result of one part; the last one ends the job, each other one may shift those that wait."""
        part = entry.parts[attempt.placement.part]
        part.done, part.result = True, event.result
        part.resource_id, part.runtime_s = attempt.placement.resource_id, event.usage.runtime_s
        if all(each.done for each in entry.parts):
            self._dispatch.end_job(entry, JobState.SUCCEEDED, event, None, parts=_results(entry.parts))
            self._dispatch.stop_all(entry, "every part has its result")
            return
        for other in list(entry.live.values()):
            if other.placement.part == attempt.placement.part:
                self._dispatch.stop(entry, other.id, "another copy has the result of this part")
        if entry.missing_parts():
            self._planner.reconsider(entry)

    def _count_vote(self, entry: Entry, attempt: Attempt, event: AttemptEnded) -> None:
        """Take one copy's vote; a majority ends the job, and whoever said otherwise loses trust."""
        entry.votes += (vote_of(attempt, event),)
        replicas = entry.job.resilience.replicas
        best = winner(entry.votes, replicas)
        if best is not None:
            state = JobState.FAILED if best.digest is None else JobState.SUCCEEDED
            entry.failed_part = NO_PART
            self._dispatch.end_job(entry, state, event, best.error, result=best.result)
            self._dispatch.stop_all(entry, "a majority of copies agrees")
            for vote in entry.votes:
                if vote.digest != best.digest:
                    self.distrust(entry, vote, event.at_s)
        elif not entry.live and is_hopeless(entry, self._pool.known.values()):
            self._dispatch.end_job(entry, JobState.FAILED, event, disagreement(entry.votes))
        elif not entry.live and not entry.stop_asked:
            self._planner.again(entry)

    def distrust(self, entry: Entry, vote: Vote, at_s: float) -> None:
        """Hold a wrong result against its resource."""
        self._pool.distrust(vote.resource_id)
        resource = self._pool.known.get(vote.resource_id)
        if resource is not None:
            runtime_s = max(vote.runtime_s, _LEAST_S)
            run = Run(
                computation=entry.computation,
                resource=resource,
                runtime_s=runtime_s,
                at_s=at_s,
                failed=True,
                censored=True,
            )
            self._planner.note(run)

    # -- further tries -----------------------------------------------------------------------------------------------

    def _try_again(self, entry: Entry, attempt: Attempt, event: AttemptEnded) -> None:
        tries, where = entry.tries(attempt.placement), attempt.placement.resource_id
        if event.cause is Cause.OUT_OF_MEMORY:
            self._grow(entry, where, event)
        elif event.cause is Cause.OVERRAN:
            tries.losses, tries.overruns = tries.losses + 1, tries.overruns + 1
            tries.lost_on |= {where}
        elif event.outcome is AttemptState.FAILED:
            tries.failures += 1
        elif event.outcome is AttemptState.LOST and event.began:
            tries.losses += 1
            tries.lost_on |= {where}
        if any(other.placement.part == attempt.placement.part for other in entry.live.values()):
            return
        reason = self._why_no_more(entry, tries, event)
        if reason is None:
            self._planner.again(entry)
        else:
            entry.failed_part = attempt.placement.part
            self._dispatch.end_job(entry, JobState.FAILED, event, reason, result=event.result)
            self._dispatch.stop_all(entry, "another part of the job failed")

    def _why_no_more(self, entry: Entry, tries: Tries, event: AttemptEnded) -> str | None:
        """Return why a piece of work is not tried again, None where it is."""
        settings, places = self._settings, sorted(tries.lost_on)
        if event.cause is Cause.OVERRAN and is_past_deadline(entry, event.at_s):
            return f"still ran at its deadline, {entry.job.constraints.deadline_s:g} s after it was submitted"
        if event.cause is Cause.OUT_OF_MEMORY:
            return unfit_reason(entry, self._pool.known.values()) or None
        if tries.failures > entry.job.resilience.max_restarts:
            return event.error or "failed without a word"
        if len(places) >= settings.distinct_losses or tries.losses >= settings.most_losses:
            where = f"{len(places)} different resources ({', '.join(places)})"
            return f"lost {tries.losses} times on {where}: {event.error}"
        return None

    def _grow(self, entry: Entry, where: str, event: AttemptEnded) -> None:
        """Raise what a computation is thought to need, for every open job that runs it."""
        self.sizes.burst(entry.computation, where, self._pool.known.get(where), event.usage.peak_memory_bytes)
        for other in self._ledger.open.values():
            if other.computation.id == entry.computation.id:
                self.sizes.fit(other)
                self._planner.reconsider(other)

    # -- learning ----------------------------------------------------------------------------------------------------

    def _note_run(self, entry: Entry, attempt: Attempt, event: AttemptEnded) -> None:
        """Keep what predictors learn from; an attempt that was lost with its resource is both failed and censored.

        A part tells nothing about the whole, which predictors know by its computation.
        """
        resource = self._pool.known.get(attempt.placement.resource_id)
        if resource is None or not event.began:
            return
        done, failed = event.outcome is AttemptState.DONE, event.outcome is AttemptState.FAILED
        failed = (failed or event.cause is Cause.OUT_OF_MEMORY) and event.cause is not Cause.OVERRAN
        lost = event.outcome is AttemptState.LOST and event.cause not in OWN_DOING
        resumed = entry.checkpoint is not None and entry.epoch > 1
        if attempt.placement.parts > 1 and not lost:
            return
        self._planner.note(
            Run(
                computation=entry.computation,
                resource=resource,
                runtime_s=max(event.usage.runtime_s, _LEAST_S),
                at_s=event.at_s,
                failed=failed or lost,
                censored=resumed if done else not failed,
                energy_j=event.usage.energy_j,
                telemetry=event.usage.telemetry,
            )
        )


def _results(parts: Sequence[Part]) -> tuple[Stored, ...]:
    """Return the results of all parts in order; none where a back end keeps none."""
    kept = tuple(part.result for part in parts if part.result is not None)
    return kept if len(kept) == len(parts) else ()
