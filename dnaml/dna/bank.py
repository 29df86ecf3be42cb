"""The bank: the learned half of up to 100,000 resources in memory, searched whole for each computation.

Two stages: one matrix-vector product over all resources gives a shortlist by the plane ln T = offset + phi . u, then
the caller's exact model rescores those few. Nothing here is approximate but the plane: no index, no sampling.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from dnaml.core.errors import InputError
from dnaml.core.prediction import LEVELS
from dnaml.dna.geometry import Weights, one_version
from dnaml.dna.learned import Loading, Space
from dnaml.dna.supply import Columns, Supply, row_variances, variances

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Rescore = Callable[[IntArray], FloatArray]
"""places [K] -> quantiles of seconds [K, Q] at LEVELS"""

SHORTLIST = 256
LARGEST_OVERLAY = 256
"""changed rows that are kept beside the others before all are copied into one"""
LONGEST_LOG_S = 50.0
_MEDIAN, _P10, _P90 = (LEVELS.index(level) for level in (0.5, 0.1, 0.9))
_P10_TO_P90_SD = 2.5631031310892007
_SLACK = 1e-9  # of the rounding of a matrix product, in units of ln
_TAIL_SLACK = 1e-4  # of the same in float32, in standard deviations


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ranked:
    """Rescored resources, best first. Shapes: index, score, cost_usd [K], runtime_s [K, Q] at LEVELS.

    `score` is what the weights minimise; `cost_usd` is of the median and NaN where the price is unknown.
    """

    ids: tuple[str, ...]
    index: IntArray
    score: FloatArray
    runtime_s: FloatArray
    cost_usd: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bank:
    """Resources of one space. `touched` [K] are places, rising, whose rows are those of `changed`, not of `base`."""

    ids: tuple[str, ...]
    version: str
    log_price_usual: float
    base: Columns
    touched: IntArray
    changed: Columns

    @classmethod
    def of(cls, supply: Supply, space: Space) -> Self:
        """Return the bank of a pool, empty ones too; raise InputError naming the first resource at fault."""
        base = Columns.of(supply, space.log_price_usual)
        none = np.empty(0, dtype=np.int64)
        return cls(
            ids=supply.ids,
            version=space.version,
            log_price_usual=space.log_price_usual,
            base=base,
            touched=none,
            changed=base.rows(none),
        )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def nbytes(self) -> int:
        """Return the memory of all arrays in bytes."""
        return self.base.nbytes + self.changed.nbytes + self.touched.nbytes

    def updated(self, index: int, row: Supply) -> Self:
        """Return a bank in which one resource is described anew; the other rows are shared, not copied.

        Every 256 changed rows all is copied once.
        """
        if not 0 <= index < len(self):
            raise InputError(f"bank: index must be in [0, {len(self)}), got {index}")
        if row.ids != (self.ids[index],):
            raise InputError(f"bank: row {index} must be that of {self.ids[index]!r} alone, got {row.ids[:3]}")
        new = Columns.of(row, self.log_price_usual)
        if new.spread.shape[1] != self.base.spread.shape[1]:
            raise InputError(
                f"{self.ids[index]}: spread must hold {self.base.spread.shape[1]} numbers as in the others, "
                f"got {new.spread.shape[1]}"
            )
        kept = self.touched != index
        touched = np.append(self.touched[kept], index)
        order = np.argsort(touched)
        bank = replace(
            self, touched=touched[order], changed=self.changed.rows(np.flatnonzero(kept)).joined(new).rows(order)
        )
        return bank if len(touched) <= LARGEST_OVERLAY else bank._merged()

    def log_runtimes(self, loading: Loading) -> FloatArray:
        """Return ln seconds [N] by the plane."""
        log_s: FloatArray = self._scores((loading,), Weights(time=1.0))[0]
        return log_s

    def scores(self, loadings: Sequence[Loading], weights: Weights) -> FloatArray:
        """Return what the weights minimise [C, N] by the plane, feasible or not; 1,000 x 1,000 in one product."""
        return self._scores(loadings, weights)

    def shortlist(
        self, loading: Loading, weights: Weights, *, k: int = SHORTLIST, allowed: BoolArray | None = None
    ) -> IntArray:
        """Return places [K] of the k best resources that are feasible (and `allowed` [N]), best first.

        Equal scores go by place. Few or none when few or none are feasible.
        """
        if k < 1:
            raise InputError(f"shortlist: k must be at least 1, got {k}")
        scores = self._scores((loading,), weights)[0]
        places = self._allowed(allowed)
        if len(places) < len(scores):
            scores = scores[places]
        if k < len(scores):
            # Products over many rows round a row by where it stands. A little more than k is kept, and these few are
            # summed again row by row: equal resources get equal bits and their order is that of their places.
            last = float(np.partition(scores, k - 1)[k - 1])
            slack = _SLACK * (1.0 + abs(last) + abs(loading.log_offset_s)) + _TAIL_SLACK * weights.tail
            places = places[scores <= last + slack]
        exact = _row_scores(self._rows(places), loading, weights)
        best: IntArray = places[np.argsort(exact, kind="stable")[:k]]
        return best

    def match(
        self,
        loading: Loading,
        weights: Weights,
        *,
        rescore: Rescore,
        k: int = SHORTLIST,
        allowed: BoolArray | None = None,
    ) -> Ranked:
        """Return the k of the shortlist ranked by exact quantiles: `rescore` gives seconds [K, Q] of the places [K].

        Median, spread (p10 to p90) and price are put into the same weights that made the shortlist. Raises InputError,
        naming the resource, for quantiles that are not positive, finite and rising.
        """
        index = self.shortlist(loading, weights, k=k, allowed=allowed)
        runtime_s = np.asarray(rescore(index), dtype=np.float64) if len(index) else np.empty((0, len(LEVELS)))
        self._check_quantiles(index, runtime_s)
        rows = self._rows(index)
        log_s = np.log(runtime_s)
        sd = (log_s[:, _P90] - log_s[:, _P10]) / _P10_TO_P90_SD
        score = _weighed(rows, log_s[:, _MEDIAN], sd, weights)
        order = np.lexsort((index, score))
        index, runtime_s = index[order], runtime_s[order]
        return Ranked(
            ids=tuple(map(self.ids.__getitem__, index.tolist())),
            index=index,
            score=score[order],
            runtime_s=runtime_s,
            cost_usd=rows.price_usd_per_h[order] * runtime_s[:, _MEDIAN] / 3600.0,
        )

    def _scores(self, loadings: Sequence[Loading], weights: Weights) -> FloatArray:
        """Return scores [C, N] by matrix products over all rows."""
        one_version({self.version, *(loading.version for loading in loadings)})
        found = _table(self.base, loadings, weights)
        if len(self.touched):
            found[:, self.touched] = _table(self.changed, loadings, weights)
        return found

    def _rows(self, index: IntArray) -> Columns:
        """Return the rows at some places as they are now."""
        rows = self.base.rows(index)
        if not len(self.touched):
            return rows
        at = np.minimum(np.searchsorted(self.touched, index), len(self.touched) - 1)
        new = np.flatnonzero(self.touched[at] == index)
        return rows.with_rows(new, self.changed.rows(at[new]))

    def _merged(self) -> Self:
        none = np.empty(0, dtype=np.int64)
        base = self.base.with_rows(self.touched, self.changed)
        return replace(self, base=base, touched=none, changed=base.rows(none))

    def _allowed(self, allowed: BoolArray | None) -> IntArray:
        """Return the places that may be chosen."""
        feasible = self.base.feasible
        if len(self.touched):
            feasible = feasible.copy()
            feasible[self.touched] = self.changed.feasible
        if allowed is not None:
            if np.shape(allowed) != (len(self),):
                raise InputError(f"shortlist: allowed must be [{len(self)}], got {list(np.shape(allowed))}")
            feasible = feasible & np.asarray(allowed, dtype=np.bool_)
        return np.flatnonzero(feasible)

    def _check_quantiles(self, index: IntArray, runtime_s: FloatArray) -> None:
        if runtime_s.shape != (len(index), len(LEVELS)):
            raise InputError(f"rescore: must give [{len(index)}, {len(LEVELS)}], got {list(runtime_s.shape)}")
        good = np.isfinite(runtime_s).all(axis=1) & (runtime_s > 0).all(axis=1)
        good &= (runtime_s[:, 1:] >= runtime_s[:, :-1]).all(axis=1)
        if not good.all():
            wrong = int(np.argmin(good))
            raise InputError(
                f"{self.ids[int(index[wrong])]}: quantiles of seconds must be positive, finite and rising, "
                f"got {runtime_s[wrong].tolist()}"
            )


def _table(columns: Columns, loadings: Sequence[Loading], weights: Weights) -> FloatArray:
    phi = np.array([loading.phi for loading in loadings], dtype=np.float64)  # [C, 14]
    offset = np.array([loading.log_offset_s for loading in loadings])
    log_s = (columns.latent @ phi[0])[None, :] if len(phi) == 1 else phi @ columns.latent.T  # [C, N]
    log_s += offset[:, None]
    sd = np.sqrt(variances(columns.spread, phi)) if weights.tail > 0 else None
    return _weighed(columns, log_s, sd, weights)


def _row_scores(columns: Columns, loading: Loading, weights: Weights) -> FloatArray:
    """Return scores [N], each row summed by itself."""
    log_s = (columns.latent * loading.phi).sum(axis=1) + loading.log_offset_s
    sd = np.sqrt(row_variances(columns.spread, loading.phi)) if weights.tail > 0 else None
    return _weighed(columns, log_s, sd, weights)


def _weighed(columns: Columns, log_s: FloatArray, sd: FloatArray | None, weights: Weights) -> FloatArray:
    """Return w ln T + w_cost ln price + w_tail sd + w_loss hazard T for ln seconds [N] or [C, N]."""
    score = (weights.time + weights.cost) * log_s
    if weights.cost > 0:
        score += weights.cost * columns.log_price
    if weights.tail > 0 and sd is not None:
        score += weights.tail * sd
    if weights.loss > 0:
        hours = np.exp(np.minimum(log_s, LONGEST_LOG_S)) / 3600.0
        score += weights.loss * columns.hazard_per_h * hours
    return score
