"""How well estimators predict what they never saw: whole resources, kernels or pairs held back, fold after fold.

A new resource (or computation) is also asked after some of its runs were given as probes: chosen at random, the same
for every estimator, and never among the runs that are judged.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from dnaml.core.errors import InputError
from dnaml.core.prediction import LEVELS
from dnaml.datasets.table import Hold, RunTable, feature_columns, groups
from dnaml.predict import metrics

if TYPE_CHECKING:
    import pandas as pd

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
TextArray = npt.NDArray[np.str_]

LATER_SHARE = 0.2
_MEASURED = ("runtime_s", "cost_usd", "energy_j", "failed", "censored", "at_s")


class Held(Enum):
    """Is what a fold keeps from training as a whole."""

    RESOURCE = "resource"  # every run on some resources
    FAMILY = "family"  # every run of some kernels, at any size
    COMPUTATION = "computation"  # every run of some computations; other sizes of the kernel may be known
    CELL = "cell"  # every run of some computations on some resources; both are known from other pairs
    BOTH = "both"  # some resources and some kernels: judged where both are new
    LATER = "later"  # the newest fifth of the runs


class Estimator(Protocol):
    """Answers quantiles of runtimes, and takes further runs."""

    def update(self, probes: RunTable) -> "Estimator":
        """Return a new estimator that knows these runs too."""
        ...

    def predict_quantiles(self, pairs: "pd.DataFrame", levels: Sequence[float]) -> "pd.DataFrame":
        """Return one column of seconds per level."""
        ...


Fit = Callable[[RunTable], Estimator]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is held back, how many probes of each new thing are then given, and in how many folds."""

    held: tuple[Held, ...] = (Held.RESOURCE, Held.FAMILY, Held.CELL)
    probes: tuple[int, ...] = (0, 1, 3, 10)
    folds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise InputError on a plan that judges nothing."""
        if self.folds < 2 or not self.held or not self.probes or min(self.probes) < 0:
            raise InputError(f"a plan needs 2 folds, something held and probes from 0, got {self}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answers:
    """What one estimator said of the runs of one fold. Shapes: truth_s [N], values_s [N, Q] at LEVELS, names [N]."""

    estimator: str
    held: Held | None
    probes: int
    truth_s: FloatArray
    values_s: FloatArray
    computation: TextArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How the answers of one estimator met the clock, over all folds; NaN where the runs do not tell.

    Errors, `inside` (of p10 to p90) and `regret` (of the resource predicted best) in percent; `width` is ln(p90 / p10).
    """

    held: str
    probes: int
    estimator: str
    runs: int
    mape_pct: float
    mdape_pct: float
    inside_pct: float
    width: float
    spearman: float
    regret_pct: float


def answers(table: RunTable, fits: Mapping[str, Fit], plan: Plan) -> Iterator[Answers]:
    """Fit every estimator on every fold and yield its answers as they come; see `folds_of` for what cannot be held."""
    for held in plan.held:
        for fold, (train, test) in enumerate(folds_of(table, held, plan)):
            given, asked = _parted(test, held, plan, seed=plan.seed + fold)
            for name, fit in fits.items():
                fitted = fit(train)
                for probes in plan.probes if _entity(held) else (0,):
                    known = given.rows(given.frame["_rank"].to_numpy() < probes)
                    one = fitted.update(_plain(known)) if len(known) else fitted
                    yield replace(answered(one, _plain(asked), name), held=held, probes=probes)


def folds_of(table: RunTable, held: Held, plan: Plan) -> Iterator[tuple[RunTable, RunTable]]:
    """Yield (train, test) of each fold; raise InputError when the table has less than two of what is to be held.

    Runs that failed or were cut short are in no test.
    """
    told = ~(table.frame["failed"] | table.frame["censored"]).to_numpy(dtype=bool)
    if held is Held.LATER:
        yield _later(table, told)
        return
    sides = [Held.RESOURCE, Held.FAMILY] if held is Held.BOTH else [held]
    numbers = [_fold_numbers(_names(table.frame, side), plan, what=side.value) for side in sides]
    for fold in range(max(int(number.max()) for number in numbers) + 1):
        inside = np.all([number == fold for number in numbers], axis=0)
        outside = np.all([number != fold for number in numbers], axis=0)
        if (inside & told).any() and outside.any():
            yield table.rows(outside), table.rows(inside & told)


def answered(model: Estimator, asked: RunTable, name: str = "dnaml") -> Answers:
    """Return what a fitted estimator says of runs, without being shown what was measured in them."""
    frame = asked.frame
    pairs = frame.drop(columns=[*feature_columns(frame, "t_"), *(c for c in _MEASURED if c in frame)])
    values = model.predict_quantiles(pairs, levels=LEVELS).to_numpy(dtype=float)
    return Answers(
        estimator=name,
        held=None,
        probes=0,
        truth_s=frame["runtime_s"].to_numpy(dtype=float),
        values_s=np.asarray(values, dtype=np.float64),
        computation=frame["computation_id"].to_numpy(dtype=str),
    )


def scores(made: Iterable[Answers]) -> list[Score]:
    """Return the score of every estimator under everything held, its folds taken together."""
    by: dict[tuple[str, int, str], list[Answers]] = {}
    for one in made:
        by.setdefault((one.held.value if one.held else "none", one.probes, one.estimator), []).append(one)
    return [score(parts, held=held, probes=probes) for (held, probes, _), parts in by.items()]


def score(parts: Sequence[Answers], *, held: str, probes: int = 0) -> Score:
    """Return the score of one estimator over the folds that it answered; resources are ranked within their fold."""
    truth, values = pooled(parts)
    low, middle, high = (values[:, LEVELS.index(level)] for level in (0.1, 0.5, 0.9))
    within = np.concatenate([np.char.add(one.computation, f"\x1f{number}") for number, one in enumerate(parts)])
    return Score(
        held=held,
        probes=probes,
        estimator=parts[0].estimator,
        runs=len(truth),
        mape_pct=metrics.mape(truth, middle),
        mdape_pct=metrics.mdape(truth, middle),
        inside_pct=metrics.coverage(truth, low, high),
        width=metrics.log_width(low, high),
        spearman=metrics.spearman(truth, middle),
        regret_pct=metrics.top1_regret(truth, middle, within),
    )


def averaged(found: Iterable[Score]) -> list[Score]:
    """Return the mean of the figures of each (held, probes, estimator), with its runs counted together."""
    by: dict[tuple[str, int, str], list[Score]] = {}
    for one in found:
        by.setdefault((one.held, one.probes, one.estimator), []).append(one)
    return [
        Score(
            held=held,
            probes=probes,
            estimator=estimator,
            runs=sum(one.runs for one in parts),
            mape_pct=float(np.mean([one.mape_pct for one in parts])),
            mdape_pct=float(np.mean([one.mdape_pct for one in parts])),
            inside_pct=float(np.mean([one.inside_pct for one in parts])),
            width=float(np.mean([one.width for one in parts])),
            spearman=float(np.mean([one.spearman for one in parts])),
            regret_pct=float(np.mean([one.regret_pct for one in parts])),
        )
        for (held, probes, estimator), parts in by.items()
    ]


def pooled(parts: Sequence[Answers]) -> tuple[FloatArray, FloatArray]:
    """Return truth [N] and quantiles [N, Q] of several answers as one."""
    return np.concatenate([one.truth_s for one in parts]), np.concatenate([one.values_s for one in parts])


def met(truth_s: FloatArray, values_s: FloatArray) -> list[tuple[float, float]]:
    """Return for each level the share of runs that it stated and that it met."""
    return [(level, float(np.mean(truth_s <= values_s[:, place]))) for place, level in enumerate(LEVELS)]


# -- folds and probes --------------------------------------------------------------------------------------------------


def _names(frame: "pd.DataFrame", side: Held) -> TextArray:
    if side is Held.FAMILY:
        names = frame["c_kernel"] if "c_kernel" in frame else frame["computation_id"]
        return names.astype(str).to_numpy(dtype=str)
    return groups(frame, Hold(side.value)).to_numpy(dtype=str)


def _fold_numbers(names: TextArray, plan: Plan, *, what: str) -> IntArray:
    """Return the number of the fold [N] in which each row is judged: whole names, drawn by the plan's seed."""
    distinct, inverse = np.unique(names, return_inverse=True)
    if len(distinct) < 2:
        raise InputError(f"holding back by {what} needs two of them, got {len(distinct)}")
    number = np.random.default_rng(plan.seed).permutation(len(distinct)) % min(plan.folds, len(distinct))
    return np.asarray(number[inverse], dtype=np.int64)


def _later(table: RunTable, told: npt.NDArray[np.bool_]) -> tuple[RunTable, RunTable]:
    if "at_s" not in table.frame or table.frame["at_s"].nunique() < 2:
        raise InputError("holding back the newest runs needs the column at_s with two moments in it")
    at_s = table.frame["at_s"].to_numpy(dtype=float)
    newer = at_s > np.nanquantile(at_s, 1 - LATER_SHARE)
    return table.rows(~newer), table.rows(newer & told)


def _entity(held: Held) -> str | None:
    """Return the column of what is new in a fold, of which probes can be given."""
    if held in (Held.RESOURCE, Held.BOTH):
        return "resource_id"
    return "computation_id" if held in (Held.FAMILY, Held.COMPUTATION) else None


def _parted(test: RunTable, held: Held, plan: Plan, *, seed: int) -> tuple[RunTable, RunTable]:
    """Return (rows that may be given as probes, with their rank; rows that are judged), half of them at least."""
    entity = _entity(held)
    if entity is None:
        return RunTable(frame=test.frame.iloc[:0].assign(_rank=0), set_aside=test.set_aside), test
    order = np.random.default_rng(seed).permutation(len(test))
    shuffled = test.frame.iloc[order]
    rank = shuffled.groupby(entity).cumcount().to_numpy()
    of = shuffled.groupby(entity)[entity].transform("size").to_numpy()
    probe = rank < np.minimum(max(plan.probes), of // 2)
    rows = RunTable(frame=shuffled.assign(_rank=rank).reset_index(drop=True), set_aside=test.set_aside)
    return rows.rows(probe), rows.rows(~probe)


def _plain(table: RunTable) -> RunTable:
    return RunTable(frame=table.frame.drop(columns="_rank", errors="ignore"), set_aside=table.set_aside)
