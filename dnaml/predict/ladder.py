"""Which predictor answers: the model, else the last good model, else a DNA match, else a static table; and why.

`Ladder` is a predictor made of rungs. Each call asks them from the top and takes the first answer that is sound; what
was skipped, and why, is in `Prediction.path`, `choice` and `counts`. It never raises: the table below the last rung
always answers. A rung that overran its budget rests for a number of calls: one slow model is no slow scheduler.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np
import numpy.typing as npt

from dnaml.core.errors import CorruptError, InputError
from dnaml.core.prediction import LEVELS, Prediction
from dnaml.core.protocols import Predictor, Run
from dnaml.core.types import Computation, Objective, Resource
from dnaml.predict.outcomes import shortlisted
from dnaml.predict.static_table import StaticTable

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

TABLE = "table"  # the lowest rung: it is always there and always answers
IMPLAUSIBLE_FACTOR = 100.0  # between an answer and what the very same pair took
MOST_COMPARED = 4096  # pairs of one call
FIRST_REST, LONGEST_REST = 64, 4096  # calls
CALL_S = 5.0  # a decision that waits longer for a prediction had better do with less
STRIKES = 2  # overruns in a row before a rest: the first call on a new pool may be slow once


class Reason(Enum):
    """Is why a rung did not answer."""

    NO_MODEL = "no model"
    SCHEMA = "schema mismatch"
    DRIFT = "drift alarm"
    ERROR = "predictor error"
    BAD_NUMBERS = "numbers that are not finite and positive"
    NOT_RISING = "quantiles that do not rise"
    WRONG_SHAPE = "answer of another shape"
    IMPLAUSIBLE = "far from what the same pairs took"
    BUDGET = "budget overrun"
    MEASURED = "every computation was measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """One rung that did not answer, with the reason and what was seen."""

    rung: str
    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which rung answered a call, and which were skipped on the way."""

    rung: str
    skipped: tuple[Skipped, ...] = ()

    def path(self, inner: str) -> str:
        """Return what is recorded with a decision: the answering path, then each rung skipped and why.

        >>> Choice(rung="table", skipped=(Skipped(rung="model", reason=Reason.DRIFT),)).path("table")
        'table (model: drift alarm)'
        """
        if not self.skipped:
            return inner
        return f"{inner} ({'; '.join(f'{one.rung}: {one.reason.value}' for one in self.skipped)})"


@dataclass(frozen=True, kw_only=True, eq=False)
class Rung:
    """A predictor with its name; None with the reason why there is none.

    One that was `learned` from runs is skipped while a pool-wide drift alarm stands; one that was not is skipped where
    the table knows every computation. One that is not `taught` stays as it is.
    """

    name: str
    predictor: Predictor | None
    learned: bool = True
    taught: bool = True
    absent: Skipped | None = None

    @classmethod
    def loaded(cls, name: str, load: Callable[[], Predictor], *, learned: bool = True) -> "Rung":
        """Return the rung of a predictor that has to be loaded; a file that is missing or refused leaves it empty."""
        try:
            return cls(name=name, predictor=load(), learned=learned)
        except CorruptError as error:
            why = Skipped(rung=name, reason=Reason.SCHEMA, detail=str(error))
        except (InputError, OSError) as error:
            why = Skipped(rung=name, reason=Reason.NO_MODEL, detail=str(error))
        return cls(name=name, predictor=None, learned=learned, absent=why)


def closed(rung: Rung, *, drifted: bool, rests: int) -> Skipped | None:
    """Return why a rung is not even asked, None when it is: a pure function of what is known before the call."""
    if rung.predictor is None:
        return rung.absent or Skipped(rung=rung.name, reason=Reason.NO_MODEL)
    if drifted and rung.learned:
        return Skipped(rung=rung.name, reason=Reason.DRIFT)
    if rests > 0:
        return Skipped(rung=rung.name, reason=Reason.BUDGET, detail=f"rests for {rests} more calls")
    return None


def flaw(answer: Prediction, measured_log_s: FloatArray) -> Reason | None:
    """Return what is wrong with an answer, None when it can be used.

    `measured_log_s` [C, R] is the mean ln seconds that pairs are known to take, NaN where that is not known.
    """
    values, shape = np.asarray(answer.runtime_s.values), (*measured_log_s.shape, len(answer.runtime_s.levels))
    if values.shape != shape or np.shape(answer.feasible) != shape[:2] or answer.cost_usd.values.shape[:2] != shape[:2]:
        return Reason.WRONG_SHAPE
    if tuple(answer.runtime_s.levels) != LEVELS or np.shape(answer.hazard_per_h) != (shape[1],):
        return Reason.WRONG_SHAPE
    costs = np.nan_to_num(answer.cost_usd.values, nan=0.0, posinf=np.inf)
    if not (np.isfinite(values).all() and (values > 0).all() and np.isfinite(costs).all() and (costs >= 0).all()):
        return Reason.BAD_NUMBERS
    if not (np.isfinite(answer.hazard_per_h) & (answer.hazard_per_h >= 0)).all():
        return Reason.BAD_NUMBERS
    if (np.diff(values, axis=-1) < 0).any():
        return Reason.NOT_RISING
    known = np.isfinite(measured_log_s)
    if known.any():
        off = np.abs(np.log(values[..., LEVELS.index(0.5)]) - measured_log_s)[known]
        if float(off.max()) > math.log(IMPLAUSIBLE_FACTOR):
            return Reason.IMPLAUSIBLE
    return None


@dataclass(slots=True)
class _Health:
    """What later calls must know of earlier ones: rests of slow rungs, counts, the newest choice."""

    rests: dict[str, int] = field(default_factory=dict)
    next_rest: dict[str, int] = field(default_factory=dict)
    strikes: dict[str, int] = field(default_factory=dict)
    counts: dict[tuple[str, Reason], int] = field(default_factory=dict)
    sound: dict[str, tuple[Prediction, StaticTable]] = field(default_factory=dict)  # found so by this table
    choice: Choice = field(default_factory=lambda: Choice(rung=TABLE))

    def begin(self) -> None:
        self.rests = {name: left - 1 for name, left in self.rests.items() if left > 1}

    def ended(self, name: str, *, overran: bool) -> None:
        self.strikes[name] = self.strikes.get(name, 0) + 1 if overran else 0
        if self.strikes[name] >= STRIKES:
            rest = self.next_rest.get(name, FIRST_REST)
            self.rests[name], self.next_rest[name] = rest, min(2 * rest, LONGEST_REST)


@dataclass(frozen=True, kw_only=True, eq=False)
class Ladder:
    """A predictor that falls back, rung by rung; `updated` teaches every rung and leaves this one as it is.

    `clock` is what the budget of one call is measured with. `drifted` is set by whoever watches for drift.
    """

    rungs: tuple[Rung, ...] = ()
    drifted: bool = False
    call_s: float = CALL_S
    clock: Callable[[], float] = time.monotonic
    table: StaticTable = field(default_factory=StaticTable)
    _health: _Health = field(default_factory=_Health, repr=False)

    @property
    def version(self) -> str:
        """Name the highest rung that there is."""
        names = (rung.predictor.version for rung in self.rungs if rung.predictor is not None)
        return f"ladder-1/{next(names, self.table.version)}"

    @property
    def choice(self) -> Choice:
        """Return which rung answered the newest call, and why not another."""
        return self._health.choice

    @property
    def counts(self) -> Mapping[tuple[str, Reason], int]:
        """Return how often each rung was skipped for each reason."""
        return dict(self._health.counts)

    def predict(self, computations: Sequence[Computation], resources: Sequence[Resource]) -> Prediction:
        """Return the first sound answer from the top; its path says which, and why not a higher one."""
        health, skipped = self._health, list[Skipped]()
        health.begin()
        for rung in self.rungs:
            if skipped and not rung.learned and self._measured(computations, resources):
                skipped.append(Skipped(rung=rung.name, reason=Reason.MEASURED))
                continue
            found = self._asked(rung, computations, resources)
            if isinstance(found, Prediction):
                return self._chosen(rung.name, skipped, found)
            skipped.append(found)
        return self._chosen(TABLE, skipped, self.table.predict(computations, resources))

    def updated(self, runs: Sequence[Run]) -> "Ladder":
        """Return the ladder whose rungs know these runs too; one that fails to learn stays as it was."""
        rungs = tuple(self._taught(rung, runs) for rung in self.rungs)
        return replace(self, rungs=rungs, table=self.table.updated(runs))

    def shortlist(
        self, computation: Computation, resources: Sequence[Resource], objective: Objective, k: int
    ) -> IntArray:
        """Return the indices [<= k] of the resources worth a full prediction, best first, by the rung that answers."""
        return shortlisted(self.predict([computation], resources), objective, k)

    def with_drift(self, drifted: bool) -> "Ladder":
        """Return the ladder that skips learned rungs, or asks them again."""
        return replace(self, drifted=drifted)

    def _asked(
        self, rung: Rung, computations: Sequence[Computation], resources: Sequence[Resource]
    ) -> Prediction | Skipped:
        why = closed(rung, drifted=self.drifted, rests=self._health.rests.get(rung.name, 0))
        if why is not None or rung.predictor is None:
            return why or Skipped(rung=rung.name, reason=Reason.NO_MODEL)
        start = self.clock()
        try:
            answer = rung.predictor.predict(computations, resources)
            reason = self._flaw(rung.name, answer, computations, resources)
        except Exception as error:  # noqa: BLE001 - an edge: a predictor is anybody's code, and a decision must be made
            return Skipped(rung=rung.name, reason=Reason.ERROR, detail=repr(error))
        finally:
            self._health.ended(rung.name, overran=self.clock() - start > self.call_s)
        return answer if reason is None else Skipped(rung=rung.name, reason=reason)

    def _measured(self, computations: Sequence[Computation], resources: Sequence[Resource]) -> bool:
        known = np.isfinite(self.table.firm_log_s(computations, resources))
        return bool(known.any(axis=1).all())

    def _flaw(
        self, name: str, answer: Prediction, computations: Sequence[Computation], resources: Sequence[Resource]
    ) -> Reason | None:
        """Return what is wrong with an answer; one that was found sound by the same table is not looked at again."""
        before, table = self._health.sound.get(name, (None, None))
        if answer is before and table is self.table:
            return None
        reason = flaw(answer, self._firm_log_s(computations, resources))
        if reason is None:
            self._health.sound[name] = (answer, self.table)
        return reason

    def _firm_log_s(self, computations: Sequence[Computation], resources: Sequence[Resource]) -> FloatArray:
        """Return what pairs are known to take [C, R]; of a large question only the first MOST_COMPARED pairs."""
        if len(computations) * len(resources) <= MOST_COMPARED:
            return self.table.firm_log_s(computations, resources)
        found = np.full((len(computations), len(resources)), np.nan)
        rows = max(1, MOST_COMPARED // len(resources))
        found[:rows] = self.table.firm_log_s(computations[:rows], resources)
        return found

    def _taught(self, rung: Rung, runs: Sequence[Run]) -> Rung:
        if rung.predictor is None or not rung.taught:
            return rung
        try:
            return replace(rung, predictor=rung.predictor.updated(runs))
        except Exception:  # noqa: BLE001 - an edge: what cannot learn answers as before
            self._count(Skipped(rung=rung.name, reason=Reason.ERROR))
            return rung

    def _chosen(self, name: str, skipped: list[Skipped], answer: Prediction) -> Prediction:
        self._health.choice = choice = Choice(rung=name, skipped=tuple(skipped))
        for one in skipped:
            self._count(one)
        return answer if not skipped else replace(answer, path=choice.path(answer.path))

    def _count(self, one: Skipped) -> None:
        key = (one.rung, one.reason)
        self._health.counts[key] = self._health.counts.get(key, 0) + 1
