"""Sequential search for the cheapest cluster of a new application: three random runs, then one chosen at a time.

The regret after n runs is how much dearer the best cluster measured so far is than the cheapest of all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.prediction.peers import Peer
from benchmarks.prediction.tasks import PRICE, RUNTIME, Task, unseen
from dnaml import RuntimePredictor

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
DRAWS = 5
_RANDOM_RUNS, _RUNS = 3, 6
REPORTED = (4, 6)
_EXPLORED = 0.3  # how often a search by a point prediction tries another cluster when none looks better


@dataclass(frozen=True, slots=True, kw_only=True)
class Regrets:
    """The regret in percent of one search after each number of runs in REPORTED."""

    by: str
    target: str
    after: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class State:
    """What a search knows: all clusters as rows, which of them ran, ln cost of those [K], and its dice."""

    rows: pd.DataFrame
    seen: Ints
    left: Ints
    log_costs: Floats
    chance: np.random.Generator


Choice = Callable[[State], int]


def searches(by: str, task: Task, choose: Choice, draws: int = DRAWS) -> list[Regrets]:
    """Return the searches over all clusters of a task's target, one for each draw of the first three runs."""
    rows = pd.concat([task.probes, task.query], ignore_index=True)
    found = []
    for draw in range(draws):
        regrets = 100 * (np.exp(search(rows, choose, draw)) - 1)
        found.append(Regrets(by=by, target=task.target, after=tuple(float(regrets[n - 1]) for n in REPORTED)))
    return found


def search(rows: pd.DataFrame, choose: Choice, draw: int) -> Floats:
    """Return ln(best cost so far / lowest cost) after each of the runs."""
    chance = np.random.default_rng(draw)
    log_costs = np.log((rows[RUNTIME] * rows[PRICE]).to_numpy(dtype=np.float64))
    seen = [int(row) for row in chance.permutation(len(rows))[:_RANDOM_RUNS]]
    while len(seen) < _RUNS:
        left = np.setdiff1d(np.arange(len(rows)), seen)
        state = State(rows=rows, seen=np.array(seen), left=left, log_costs=log_costs[seen], chance=chance)
        seen.append(int(choose(state)))
    best: Floats = np.minimum.accumulate(log_costs[seen]) - log_costs.min()
    return best


def by_chance(state: State) -> int:
    """Choose any cluster."""
    return int(state.chance.choice(state.left))


def by_model(model: RuntimePredictor) -> Choice:
    """Return the choice of the fitted predictor: what it would run next to find the cheapest."""

    def choose(state: State) -> int:
        warm = model.update(state.rows.iloc[state.seen])
        return next_probe(warm, unseen(state.rows.iloc[state.left]), goal="cheapest")

    return choose


def next_probe(model: RuntimePredictor, pairs: pd.DataFrame, *, goal: str) -> int:
    """Return the label of the pair that a predictor would run next; raise LookupError if it chooses no probes."""
    choose = getattr(model, "next_probe", None)
    if choose is None:
        raise LookupError(f"{type(model).__name__} has no next_probe in this version")
    return int(choose(pairs, goal=goal))


def by_peer(peer: Peer) -> Choice:
    """Return the choice by a point prediction: the cheapest expected, unless none is better than the best seen."""
    return partial(_cheapest_expected, peer)


def _cheapest_expected(peer: Peer, state: State) -> int:
    left = state.rows.iloc[state.left]
    expected = peer.predict(state.rows.iloc[state.seen].reset_index(drop=True), unseen(left))
    if expected is None:
        return by_chance(state)
    log_costs = np.log(expected * left[PRICE].to_numpy(dtype=np.float64))
    if log_costs.min() < state.log_costs.min() + 0.1 or state.chance.random() < 1 - _EXPLORED:
        return int(state.left[log_costs.argmin()])
    return by_chance(state)


def by_gaussian_process(state: State) -> int:
    """Choose by expected improvement under a Gaussian process over cluster features (as CherryPick, NSDI 2017)."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    x = _standard(state.rows)
    kernel = ConstantKernel(1.0) * Matern(1.0, nu=2.5) + WhiteKernel(0.01)
    process = GaussianProcessRegressor(kernel, normalize_y=True).fit(x[state.seen], state.log_costs)
    mean, sd = process.predict(x[state.left], return_std=True)
    return _most_improving(state, mean, sd)


def by_extra_trees(state: State) -> int:
    """Choose by expected improvement under extremely randomised trees (as Arrow, ICDCS 2018, without telemetry)."""
    from sklearn.ensemble import ExtraTreesRegressor

    x = _standard(state.rows)
    trees = ExtraTreesRegressor(60, random_state=0).fit(x[state.seen], state.log_costs)
    told = np.stack([tree.predict(x[state.left]) for tree in trees.estimators_])
    return _most_improving(state, told.mean(axis=0), told.std(axis=0) + 0.02)


def _most_improving(state: State, mean: Floats, sd: Floats) -> int:
    from scipy.stats import norm

    gain = state.log_costs.min() - mean
    score = gain / (sd + 1e-9)
    return int(state.left[np.argmax(gain * norm.cdf(score) + sd * norm.pdf(score))])


def _standard(rows: pd.DataFrame) -> Floats:
    x = rows[[name for name in rows if str(name).startswith("r_")]].to_numpy(dtype=np.float64)
    standard: Floats = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-9)
    return standard
