"""What stands between an engine and its predictor: `Guarded` falls back, notices drift, widens, and says what it does.

Each answer comes from a `Ladder`: the predictor, the newest of its states that answered soundly, a match by specs, a
static table. Ended runs are compared with what had been said of them; what has drifted is answered with more
uncertainty, corrected where the predictor can be, and named in `health`.
"""

import math
import statistics
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, cast, runtime_checkable

import numpy as np
import numpy.typing as npt

from dnaml.core.prediction import LEVELS, Prediction, Quantiles
from dnaml.core.protocols import Predictor, Run
from dnaml.core.types import Computation, Objective, Resource
from dnaml.predict.drift import ANCHORS, WIDEN, DriftWatch, Innovation, Subject
from dnaml.predict.ladder import CALL_S, Ladder, Rung
from dnaml.predict.outcomes import LONGEST_S, SHORTEST_S, costs_usd, shortlisted
from dnaml.predict.placing import LivePredictor

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MODEL, LAST_GOOD, MATCH = "model", "last good", "dna-match"
P10, P50, P90 = (LEVELS.index(level) for level in (0.1, 0.5, 0.9))
SD_OF_80 = 2 * 1.2815516  # sds between p10 and p90
LEAST_SD = 0.05  # of ln seconds: what a busy machine does to a run is no drift
UNSURE_SD = 1.0  # what is said with more doubt than this, or with none at all, cannot be found wrong
SHORTEST_JUDGED_S = 0.01  # a shorter run takes what the machinery around it takes
NEWEST = 5  # errors of a resource, whose median is what has changed
MOST_JUDGED = 8  # pairs of one resource, per update
MOST_SAID = 500_000  # pairs of which is kept what was said


@runtime_checkable
class Movable(Protocol):
    """Is a predictor that can take in at once that resources are no longer what they were."""

    def moved(self, log_slower: Mapping[str, float]) -> Predictor:
        """Return the predictor for resources that are slower than they were by so many ln seconds."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What is degraded: resources and computations that drifted, with the runs still asked of each, and by what rung
    the newest answer was given, with the reasons why not by a higher one."""

    resources: Mapping[str, int] = field(default_factory=dict)
    computations: Mapping[str, int] = field(default_factory=dict)
    rung: str = MODEL
    reasons: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        """Say whether nothing is degraded."""
        return not (self.resources or self.computations or self.reasons)


class _Said:
    """Keeps what was said of pairs, newest last, up to a bound: p10, p50 and p90 of each answer [C, R, 3]."""

    def __init__(self) -> None:
        self._answers: deque[tuple[FloatArray, dict[str, int], list[str]]] = deque()
        self._newest: dict[str, tuple[FloatArray, dict[str, int], int]] = {}
        self._columns: tuple[tuple[int, ...], dict[str, int], Sequence[Resource]] = ((), {}, ())
        self._last: Prediction | None = None
        self._pairs = 0

    def add(self, answer: Prediction, computations: Sequence[Computation], resources: Sequence[Resource]) -> None:
        if answer is self._last:
            return
        self._last = answer
        key = tuple(map(id, resources))
        if key != self._columns[0]:  # holding the resources keeps their identities
            self._columns = (key, {one.id: place for place, one in enumerate(resources)}, tuple(resources))
        columns = self._columns[1]
        values = answer.runtime_s.values[:, :, (P10, P50, P90)]
        ids = [one.id for one in computations]
        self._answers.append((values, columns, ids))
        self._newest.update({name: (values, columns, row) for row, name in enumerate(ids)})
        self._pairs += values.shape[0] * values.shape[1]
        while self._pairs > MOST_SAID and len(self._answers) > 1:
            oldest, _, names = self._answers.popleft()
            self._pairs -= oldest.shape[0] * oldest.shape[1]
            for name in names:
                if name in self._newest and self._newest[name][0] is oldest:
                    del self._newest[name]

    def of(self, run: Run) -> tuple[float, float] | None:
        """Return median and sd of ln seconds last said of a run's pair, None where nothing was."""
        found = self._newest.get(run.computation.id)
        column = None if found is None else found[1].get(run.resource.id)
        if found is None or column is None:
            return None
        low, middle, high = found[0][found[2], column].tolist()
        return math.log(middle), (math.log(high) - math.log(low)) / SD_OF_80


@dataclass(frozen=True, kw_only=True, eq=False)
class Guarded:
    """A predictor that always answers; a value, as any predictor: `updated` returns another.

    Judged for drift are runs of pairs that it was asked about; `errors` holds the newest of each resource, in ln
    seconds. When a whole pool drifts under a model that cannot be moved, lower rungs answer until as many pairs ran as
    are `asked` for. `report` hears of each change in `health`.
    """

    ladder: Ladder
    watch: DriftWatch = field(default_factory=DriftWatch)
    errors: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    asked: int = 0
    report: Callable[[Health], None] | None = None
    _said: _Said = field(default_factory=_Said, repr=False)
    _told: list[Health] = field(default_factory=lambda: [Health()], repr=False)

    @classmethod
    def of(
        cls, predictor: Predictor, *, call_s: float = CALL_S, report: Callable[[Health], None] | None = None
    ) -> "Guarded":
        """Return a predictor with its guard; one that has one already keeps it. No clock counts if `call_s` is inf."""
        if isinstance(predictor, Guarded):
            return replace(predictor, report=report)
        rungs = (
            Rung(name=MODEL, predictor=predictor),
            Rung(name=LAST_GOOD, predictor=None, taught=False),
            Rung(name=MATCH, predictor=LivePredictor(), learned=False, taught=False),
        )
        return cls(ladder=Ladder(rungs=rungs, call_s=call_s), report=report)

    @property
    def version(self) -> str:
        """Name the guarded predictor, as it does itself."""
        top = self.ladder.rungs[0].predictor
        return top.version if top is not None else self.ladder.version

    @property
    def health(self) -> Health:
        """Return what is degraded now."""
        choice = self.ladder.choice
        return Health(
            resources={name: kept.anchors_left for name, kept in self.watch.resources.items() if kept.anchors_left},
            computations={
                name: kept.anchors_left for name, kept in self.watch.computations.items() if kept.anchors_left
            },
            rung=choice.rung,
            reasons=tuple(f"{one.rung}: {one.reason.value}" for one in choice.skipped),
        )

    def predict(self, computations: Sequence[Computation], resources: Sequence[Resource]) -> Prediction:
        """Return the first sound answer of the ladder, wider where something drifted."""
        before = self.ladder.choice
        answer = self.ladder.predict(computations, resources)
        self._said.add(answer, computations, resources)
        if self.ladder.choice.skipped != before.skipped:
            self._tell()
        return self._widened(answer, computations, resources)

    def updated(self, runs: Sequence[Run]) -> "Guarded":
        """Return a guard that knows these runs too, and has judged what was said of them."""
        if not runs:
            return self
        watch, ladder = self.watch, self._with_last_good()
        judged = list(self._innovations(runs))
        if judged:
            watch = watch.updated(judged)
        errors = _with_newest(self.errors, judged)
        drifted = {alarm.id for alarm in watch.alarms if judged and alarm.subject is Subject.RESOURCE}
        if drifted:
            ladder = _moved(ladder, {name: statistics.median(errors[name]) for name in sorted(drifted)})
        asked = max(self.asked - len(judged), 0)
        if judged and any(alarm.subject is Subject.POOL for alarm in watch.alarms) and not _is_movable(ladder):
            asked = ANCHORS * sum(kept.anchors_left > 0 for kept in watch.resources.values())
        if ladder.drifted and not asked:
            watch = watch.refitted()
        ladder = ladder.with_drift(asked > 0).updated(runs)
        later = replace(self, watch=watch, ladder=ladder, errors=errors, asked=asked)
        if judged:
            later._tell()
        return later

    def shortlist(
        self, computation: Computation, resources: Sequence[Resource], objective: Objective, k: int
    ) -> IntArray:
        """Return the indices [<= k] of the resources worth a full prediction, best first."""
        return shortlisted(self.predict([computation], resources), objective, k)

    def _tell(self) -> None:
        """Report the health where it changed."""
        health = self.health
        if health != self._told[-1]:
            self._told[-1] = health
            if self.report is not None:
                self.report(health)

    def _with_last_good(self) -> Ladder:
        """Return the ladder whose second rung is the model as it is now, if the model gave the newest answer."""
        ladder = self.ladder
        if ladder.choice.rung != MODEL:
            return ladder
        rungs = tuple(
            replace(rung, predictor=ladder.rungs[0].predictor) if rung.name == LAST_GOOD else rung
            for rung in ladder.rungs
        )
        return replace(ladder, rungs=rungs)

    def _innovations(self, runs: Sequence[Run]) -> Iterator[Innovation]:
        """Yield one innovation for each pair that ran: the mean over its runs, as they share what was said of them."""
        errors: dict[tuple[str, str], tuple[list[float], float, float]] = {}
        judged: dict[str, int] = {}
        for run in reversed(runs):
            if run.failed or run.censored or not SHORTEST_JUDGED_S <= run.runtime_s < LONGEST_S:
                continue
            pair = (run.resource.id, run.computation.id)
            if pair not in errors:
                if judged.get(run.resource.id, 0) >= MOST_JUDGED:
                    continue
                said = self._said.of(run)
                if said is None or not 0 < said[1] <= UNSURE_SD:
                    continue
                judged[run.resource.id] = judged.get(run.resource.id, 0) + 1
                errors[pair] = ([], max(said[1], LEAST_SD), said[0])
            found, _, middle = errors[pair]
            found.append(math.log(run.runtime_s) - middle)
        at_s = runs[-1].at_s
        for (resource_id, computation_id), (found, sd, _) in reversed(errors.items()):
            yield Innovation(
                resource_id=resource_id,
                computation_id=computation_id,
                at_s=at_s,
                log_error=sum(found) / len(found),
                sd=sd,
            )

    def _widened(
        self, answer: Prediction, computations: Sequence[Computation], resources: Sequence[Resource]
    ) -> Prediction:
        """Return the answer with the spread of what drifted widened about its median: its variance times WIDEN."""
        if not any(
            kept.anchors_left for one in (self.watch.resources, self.watch.computations) for kept in one.values()
        ):
            return answer
        stale = np.array([[self.watch.is_stale(resource_id=one.id) for one in resources]], dtype=np.bool_)
        stale = stale | np.array([[self.watch.is_stale(computation_id=one.id)] for one in computations], dtype=np.bool_)
        if not stale.any():
            return answer
        log_s = np.log(answer.runtime_s.values)
        middle = log_s[..., P50, None]
        wide = np.exp(np.clip(middle + math.sqrt(WIDEN) * (log_s - middle), math.log(SHORTEST_S), math.log(LONGEST_S)))
        values = np.where(stale[..., None], wide, answer.runtime_s.values)
        costs = np.where(stale[..., None], costs_usd(wide, resources, computations), answer.cost_usd.values)
        return replace(
            answer,
            runtime_s=Quantiles(levels=answer.runtime_s.levels, values=values),
            cost_usd=Quantiles(levels=answer.cost_usd.levels, values=costs),
            path=f"{answer.path} (drift: wider)",
        )


def _with_newest(
    errors: Mapping[str, tuple[float, ...]], judged: Sequence[Innovation]
) -> Mapping[str, tuple[float, ...]]:
    """Return the newest errors of each resource: by how much it has changed when an alarm says that it has."""
    if not judged:
        return errors
    newest = dict(errors)
    for one in judged:
        newest[one.resource_id] = (*newest.get(one.resource_id, ()), one.log_error)[-NEWEST:]
    return newest


def _is_movable(ladder: Ladder) -> bool:
    return isinstance(cast("object", ladder.rungs[0].predictor), Movable)


def _moved(ladder: Ladder, log_slower: Mapping[str, float]) -> Ladder:
    """Return the ladder whose model knows by how much these resources have changed, where it can take that in."""
    top, predictor = ladder.rungs[0], cast("object", ladder.rungs[0].predictor)
    if not isinstance(predictor, Movable):
        return ladder
    return replace(ladder, rungs=(replace(top, predictor=predictor.moved(log_slower)), *ladder.rungs[1:]))
