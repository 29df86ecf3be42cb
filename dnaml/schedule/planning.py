"""When to plan and what for: the window of jobs a plan is made for, and what the predictor has to learn before it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from dnaml.core.plan import FloatArray, Problem
from dnaml.core.protocols import Policy, Predictor, Run
from dnaml.core.resource import Resource
from dnaml.core.work import Computation, Job, Objective
from dnaml.schedule.agenda import Agenda
from dnaml.schedule.copies import with_copies
from dnaml.schedule.exploration import Exploration
from dnaml.schedule.feasible import feasibility
from dnaml.schedule.ledger import Entry, Ledger
from dnaml.schedule.outlook import Outlook
from dnaml.schedule.parts import divided, is_split
from dnaml.schedule.pool import Pool
from dnaml.schedule.settings import ControllerSettings as ControllerSettings

_NEWS_SHARE = 20
_VOTES_LEFT = "no resource that has not voted yet may take a further copy now"
_MOST_PAIRS = 250_000  # of jobs and resources in one plan
_PAIRS_OF_AN_END = 1000  # of them, that one end among many resources is worth planning for: about a millisecond
_WORTH_A_PLAN_S = 0.02  # planned work that may be shared anew with an idle resource; a plan costs about a millisecond
Similar = Callable[[Sequence[Computation], Sequence[Resource]], FloatArray]


class Planner:
    """Asks the policy for plans over a bounded window of jobs, so that a long queue costs no more than a short one.

    `stale` says that something changed which a new plan should know when it is worth its cost; `ended` counts attempts
    since the last plan. Where there are more resources than jobs in the window, a plan costs more than one end is
    worth: the resource that comes free takes the waiting job that gains most by it, and a plan follows some ends later.
    """

    def __init__(
        self,
        policy: Policy,
        predictor: Predictor,
        objective: Objective,
        ledger: Ledger,
        pool: Pool,
        settings: ControllerSettings,
        seed: int,
        similar: Similar | None = None,
    ) -> None:
        self._similar = similar
        self.policy, self.predictor, self.objective = policy, predictor, objective
        self.agenda = Agenda()
        self.stale = True
        self.ended = 0
        self._unplanned = 0
        self._freed: list[str] = []
        self._ledger, self._pool = ledger, pool
        self._settings, self._seed = settings, seed
        self._least_priority, self._urgent = 0, False
        self.exploration = Exploration(settings.explore_share, settings.explore_lost)
        self._runs: list[Run] = []
        self._learned = 0
        self._learned_at_s = float("-inf")

    def arrived(self, job: Job) -> None:
        """Note a new job: a plan is due if the window has room for it or it comes before others."""
        if len(self.agenda.window) < self._most:
            self.stale = True
            self._unplanned += 1
        elif job.priority > self._least_priority:
            self._urgent = True

    def changed(self) -> None:
        """Note that resources or predictions changed: a plan is due, also for the jobs that no resource could take."""
        for entry in self.agenda.parked.values():
            self._ledger.wait(entry)
        self.agenda.parked = {}
        self._urgent = True

    def again(self, entry: Entry) -> None:
        """Plan for a job once more: its attempts ended without a result."""
        if entry.job.id not in self.agenda.window:
            self.agenda.forget(entry.job.id)
            self._ledger.wait(entry)
        self.stale = True
        self._unplanned += 1

    def reconsider(self, entry: Entry) -> None:
        """Drop what is planned for a waiting job: it may not go there any more."""
        if self.agenda.window.get(entry.job.id) is entry:
            self.agenda.forget(entry.job.id)
            self._ledger.wait(entry)
            self.stale = True
            self._unplanned += 1

    def placed(self, entry: Entry) -> None:
        """Note that an attempt of a job starts: once all its copies do, or no more were placed, others are planned."""
        if entry.wanted <= 0:
            self.agenda.forget(entry.job.id)
        elif not self.agenda.has_more(entry.job.id):
            self.agenda.park(entry.job.id)

    def forget(self, entry: Entry) -> None:
        """Plan no further attempt of a job."""
        self.agenda.forget(entry.job.id)
        self._ledger.leave_line(entry)

    def freed(self, resource_id: str) -> None:
        """Note that an attempt ended on a resource."""
        self.ended += 1
        self._freed.append(resource_id)

    def refill(self, at_s: float) -> None:
        """Give each resource that came free and has nothing planned the planned job that gains most by going there."""
        freed, self._freed = self._freed, []
        if not self._is_wide:
            return
        for resource_id in freed:
            lane = self._pool.lanes.get(resource_id)
            if lane is not None and not lane.running and self._pool.has_room(lane):
                self.agenda.draw(resource_id, at_s)

    @property
    def _is_wide(self) -> bool:
        return len(self._pool.offered) > self._settings.wide_resources and not self._pool.own_clocks

    @property
    def _most(self) -> int:
        """Return how many jobs a plan is made for: what waits behind them does not keep any resource idle."""
        count, most = len(self._pool.offered), self._settings.window_jobs
        return max(most, min(count, _MOST_PAIRS // count)) if self._is_wide else most

    def note(self, run: Run) -> None:
        """Keep a run for the next time of learning."""
        self._runs.append(run)

    def switch(self, predictor: Predictor) -> None:
        """Go on with another predictor; runs that wait to be learnt were the old one's."""
        self.predictor = predictor
        self._runs = []

    def learn(self, at_s: float) -> None:
        """Give the predictor the runs since the last time, at most every `learn_every_s`.

        A twentieth of what it knows already may wait five times as long: learning makes it forget kept answers.
        """
        patience = 1.0 if _NEWS_SHARE * len(self._runs) >= self._learned else 5.0
        if self._runs and at_s - self._learned_at_s >= patience * self._settings.learn_every_s:
            self._learned += len(self._runs)
            self.predictor = self.predictor.updated(self._runs)
            self._runs = []
            self._learned_at_s = at_s
            self.stale = self.stale or bool(self.agenda.window or self.agenda.parked)

    def is_due(self) -> bool:
        """Say whether a new plan could change something worth its cost."""
        window, most = len(self.agenda.window), self._most
        if not window and not len(self._ledger) and not self.agenda.parked:
            return False
        if self._urgent or (len(self._ledger) and window < max(1, most // 4)):
            return True
        if self._is_wide:
            return self._is_due_among_many(window)
        news = self.ended >= max(8, window // 8)
        if self.stale and (window < most or news):
            return True
        if not news and not (self.ended and self.agenda.work_s() >= _WORTH_A_PLAN_S):
            return False
        return self._pool.has_idle()

    def _is_due_among_many(self, window: int) -> bool:
        """Say the same where a plan costs as much as many ends and arrivals: enough of either, or idle resources."""
        if self._unplanned and (self._unplanned >= window // 8 or self._pool.has_idle()):
            return True
        worth = self.ended * _PAIRS_OF_AN_END >= max(1, window * len(self._pool.offered))
        return worth and (self.stale or self._pool.has_idle())

    def plan(self, at_s: float) -> Iterator[tuple[Entry, str]]:
        """Renew the agenda; yield each job that waits because it cannot be placed, with the reason."""
        self.learn(at_s)
        if not self._ledger.attempts:
            self._pool.reset_clocks()
        self._fill_window()
        entries = list(self.agenda.window.values())
        self.stale, self._urgent, self.ended, self._unplanned, self._freed = False, False, 0, 0, []
        if not self._pool.offered:
            reason = self._why_none()
            yield from ((entry, reason) for entry in entries)
            return
        problem = self._problem(entries, at_s)
        plan = self.policy.plan(problem)
        if self._settings.splits and any(is_split(entry) for entry in entries):
            plan = divided(plan, problem, entries, self._pool)
        self.agenda.renew(plan, problem, self.policy.name)
        for job_id, reason in plan.unplaced.items():
            entry = self.agenda.park(job_id)
            if not entry.live:
                yield entry, _VOTES_LEFT if entry.votes else reason

    def _why_none(self) -> str:
        """Return why nothing can be placed anywhere."""
        closed = [lane.closed for lane in self._pool.lanes.values()]
        return "; ".join(["no resource is available; it waits until one is", *closed])

    def outlook(self, entry: Entry, at_s: float) -> Outlook:
        """Return one job over all resources that are up, whether it runs, waits or is over."""
        lanes = list(self._pool.lanes.values())
        resources = self._pool.resources
        prediction = self.predictor.predict([entry.computation], resources)
        open_to = [not lane.closed and lane.resource.id not in entry.too_small for lane in lanes]
        problem = Problem(
            at_s=at_s,
            jobs=(entry.job,),
            computations=(entry.computation,),
            resources=resources,
            free_in_s=np.array([lane.free_in_s(at_s) for lane in lanes]),
            prediction=replace(prediction, feasible=prediction.feasible & np.array([open_to], dtype=bool)),
            objective=self.objective,
            seed=self._seed,
        )
        return Outlook.of(problem)

    def _fill_window(self) -> None:
        window, most = self.agenda.window, self._most
        first = self._ledger.first_priority()
        if first is not None and len(window) >= most and first > min(e.job.priority for e in window.values()):
            for entry in self.agenda.clear():
                self._ledger.wait(entry)
        for entry in self._ledger.take(most - len(self.agenda.window)):
            self.agenda.window[entry.job.id] = entry
        self.agenda.unpark(most - len(self.agenda.window))
        self._least_priority = min((entry.job.priority for entry in self.agenda.window.values()), default=0)

    def _problem(self, entries: list[Entry], at_s: float) -> Problem:
        distinct: dict[str, int] = {}
        rows = np.array([distinct.setdefault(entry.computation.id, len(distinct)) for entry in entries])
        firsts = {entry.computation.id: entry.computation for entry in reversed(entries)}
        resources = tuple(lane.resource for lane in self._pool.offered)
        similar = self._similar if getattr(self.policy, "wants_similarity", False) else None
        computations = [firsts[computation_id] for computation_id in distinct]
        prediction = self.predictor.predict(computations, resources)
        problem = Problem(
            at_s=at_s,
            jobs=tuple(entry.job if not (entry.live or entry.votes) else _fewer_copies(entry) for entry in entries),
            computations=tuple(entry.computation for entry in entries),
            resources=resources,
            free_in_s=self._pool.free_in_s(at_s),
            prediction=prediction.rows(rows),
            objective=self.objective,
            similarity=None if similar is None else similar(computations, resources)[rows],
            running=tuple(attempt for entry in self._ledger.attempts.values() for attempt in entry.live.values()),
            seed=self._seed,
            explores=len(entries) == 1 and _is_fresh(entries[0]) and self.exploration.wants(entries[0].job),
        )
        return with_copies(_spare(problem, entries), entries)


def _is_fresh(entry: Entry) -> bool:
    """Return whether a job has lost nothing yet, and runs in one piece."""
    return entry.epoch == 0 and not entry.computation.divisible


def _spare(problem: Problem, entries: list[Entry]) -> Problem:
    """Rule out for each job the resources its copies run or voted on, those too small for it, and those that lost it.

    The last only as long as it may use others.
    """
    if not any(entry.live or entry.lost_on or entry.votes or entry.too_small for entry in entries):
        return problem
    ids = [resource.id for resource in problem.resources]
    ruled_out = [_ruled_out(entry) for entry in entries]
    out = np.array([[resource_id in each for resource_id in ids] for each in ruled_out])
    lost = np.array([[resource_id in entry.lost_on for resource_id in ids] for entry in entries])
    allowed = feasibility(problem).matrix & ~out
    others = (allowed & ~lost).any(axis=1, keepdims=True)
    feasible = problem.prediction.feasible & ~out & ~(lost & others)
    return replace(problem, prediction=replace(problem.prediction, feasible=feasible))


def _ruled_out(entry: Entry) -> set[str]:
    """Return the resources that a job may not use: a split job's parts may share one, copies may not."""
    voted = {vote.resource_id for vote in entry.votes}
    running = set() if entry.parts else {attempt.placement.resource_id for attempt in entry.live.values()}
    return voted | running | entry.too_small


def _fewer_copies(entry: Entry) -> Job:
    """Return the job as still to be placed: the copies that already run or voted are not planned again."""
    wanted = entry.job.resilience
    if entry.parts or wanted.replicas == entry.wanted:
        return entry.job
    return replace(entry.job, resilience=replace(wanted, replicas=max(1, entry.wanted)))
