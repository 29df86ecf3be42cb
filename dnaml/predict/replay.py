"""Replays of service on the training rows: hide something whole, learn from the rest, and look at the errors.

Hidden are resources and computations (asked with 0, 1, 3 and 10 of their runs given back), pairs, and single runs.
Weights of experts, how far a pair leans on its own runs, and the width of intervals all come from these errors.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dnaml.predict.calibration import Group
from dnaml.predict.design import Design
from dnaml.predict.experts import Counts, Weights, answers, fit_experts

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

GIVEN_BACK = (0, 1, 3, 10)
FEWEST_GROUPS = 4  # on a side, to hide some of it
MOST_ASKED = 3000  # rows asked per replay
HIDDEN_SHARE = 0.15  # of pairs, and of runs of pairs that ran again: as full a table as in service, nearly
CLIP = 1.5  # an error beyond a factor of 4.5 counts no more
SHARPNESS = 0.06  # an expert whose loss is this share above the best has e times less weight
BORROWED = 15.0  # errors that a group borrows from all groups of its kind


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Replayed:
    """What experts said of hidden rows. Shapes: truth [N], means and sds [N, E], own [N, 2] (runs of the pair known
    then, and their mean ln seconds; NaN where none), groups [N]."""

    names: tuple[str, ...]
    truth: FloatArray
    means: FloatArray
    sds: FloatArray
    own: FloatArray
    kernels: npt.NDArray[np.str_]
    groups: list[Group]


def folds_of(rows: int) -> int:
    """Return how many times each kind of replay is run: less for larger tables."""
    return 4 if rows < 1500 else 2 if rows < 8000 else 1


def replay(seen: Design, *, seed: int = 0) -> Replayed | None:
    """Return the errors of all replays that the table allows; None when it allows none."""
    parts: list[Replayed] = []
    for known, hidden, sides in _hidings(seen, seed):
        experts = fit_experts(seen.rows(known), seed=seed)
        rng = np.random.default_rng(seed)
        for given in GIVEN_BACK if sides is not None else (0,):
            back = _given_back(sides, hidden, given, rng) if sides is not None else np.zeros_like(hidden)
            base, new = seen.rows(known | back), seen.rows(back)
            warm = {n: e.updated(base, new) for n, e in experts.items()} if given else experts
            asked = np.flatnonzero(hidden & ~back)
            if len(asked) > MOST_ASKED:
                asked = np.sort(rng.permutation(asked)[:MOST_ASKED])
            if len(asked):
                means, sds = answers(warm, seen.rows(asked))
                queries = seen.rows(asked)
                parts.append(
                    Replayed(
                        names=tuple(experts),
                        truth=queries.target,
                        means=means,
                        sds=sds,
                        own=own_runs(base, queries),
                        kernels=queries.kernel,
                        groups=Counts.of(base).groups(queries),
                    )
                )
    return _joined(parts) if parts else None


def _hidings(seen: Design, seed: int) -> Iterator[tuple[BoolArray, BoolArray, npt.NDArray[np.str_] | None]]:
    """Yield (rows known, rows hidden, side whose entities are hidden or None) for every replay."""
    folds = folds_of(len(seen))
    rng = np.random.default_rng(seed)
    for side in (seen.resource, seen.computation):
        names = rng.permutation(np.unique(side))
        if len(names) >= FEWEST_GROUPS:
            parts = min(max(folds, 4), len(names))
            for fold in range(folds):
                hidden = np.isin(side, names[fold::parts])
                yield ~hidden, hidden, side
    pairs, inverse = np.unique(np.char.add(np.char.add(seen.computation, "\x1f"), seen.resource), return_inverse=True)
    for _ in range(folds):
        hidden = (rng.random(len(pairs)) < HIDDEN_SHARE)[inverse]
        if hidden.any() and not hidden.all():
            yield ~hidden, hidden, None
    again = np.bincount(inverse)[inverse] > 1
    hidden = again & (rng.random(len(seen)) < HIDDEN_SHARE)
    if hidden.any():
        yield ~hidden, hidden, None


def _given_back(side: npt.NDArray[np.str_], hidden: BoolArray, given: int, rng: np.random.Generator) -> BoolArray:
    """Return which hidden rows are given back: `given` of each hidden entity, drawn by chance."""
    back = np.zeros(len(hidden), dtype=np.bool_)
    for name in np.unique(side[hidden]):
        rows = np.flatnonzero(hidden & (side == name))
        back[rng.permutation(rows)[:given]] = True
    return back


def own_runs(seen: Design, asked: Design) -> FloatArray:
    """Return for each pair asked how often it ran and the mean of its ln seconds [N, 2], NaN where never."""
    sums: dict[tuple[str, str], tuple[float, float]] = {}
    for c, r, y in zip(seen.computation.tolist(), seen.resource.tolist(), seen.target.tolist(), strict=True):
        count, total = sums.get((c, r), (0.0, 0.0))
        sums[c, r] = (count + 1, total + y)
    rows = []
    for pair in zip(asked.computation.tolist(), asked.resource.tolist(), strict=True):
        count, total = sums.get(pair, (0.0, np.nan))
        rows.append((count, total / count if count else np.nan))
    return np.array(rows, dtype=np.float64).reshape(len(rows), 2)


def _joined(parts: list[Replayed]) -> Replayed:
    """Return all replays as one; an expert that was absent from a part answers there with the mean of the others."""
    names = tuple(sorted({name for part in parts for name in part.names}))
    means, sds = [], []
    for part in parts:
        fill_mean, fill_sd = part.means.mean(axis=1), 2 * part.sds.mean(axis=1)
        place = {name: index for index, name in enumerate(part.names)}
        means.append(np.stack([part.means[:, place[n]] if n in place else fill_mean for n in names], axis=1))
        sds.append(np.stack([part.sds[:, place[n]] if n in place else fill_sd for n in names], axis=1))
    return Replayed(
        names=names,
        truth=np.concatenate([part.truth for part in parts]),
        means=np.concatenate(means),
        sds=np.concatenate(sds),
        own=np.concatenate([part.own for part in parts]),
        kernels=np.concatenate([part.kernels for part in parts]),
        groups=[group for part in parts for group in part.groups],
    )


def weigh(replayed: Replayed) -> Weights:
    """Return the weights: softmax of each expert's loss in its group, the loss shrunk towards that of its kind."""
    loss = np.minimum(np.abs(replayed.means - replayed.truth[:, None]), CLIP)
    groups = np.array(replayed.groups, dtype=np.int64).reshape(-1, 2)
    overall = loss.mean(axis=0)
    shares = {(-1, -1): _softmax(overall)}
    for kind in np.unique(groups[:, 0]).tolist():
        of_kind = loss[groups[:, 0] == kind]
        kind_loss = _shrunk(of_kind, overall)
        shares[kind, -1] = _softmax(kind_loss)
        for few in np.unique(groups[groups[:, 0] == kind, 1]).tolist():
            shares[kind, few] = _softmax(_shrunk(loss[(groups == (kind, few)).all(axis=1)], kind_loss))
    return Weights(names=replayed.names, shares=shares)


def _shrunk(loss: FloatArray, towards: FloatArray) -> FloatArray:
    """Return the mean loss of each expert in a group, shrunk to the order seen in the wider group."""
    scaled = towards * (loss.mean() / towards.mean())
    shrunk: FloatArray = (loss.sum(axis=0) + BORROWED * scaled) / (len(loss) + BORROWED)
    return shrunk


def _softmax(loss: FloatArray) -> tuple[float, ...]:
    best = float(loss.min())
    weight = np.exp(-(loss - best) / (SHARPNESS * max(best, 1e-6)))
    return tuple((weight / weight.sum()).tolist())
