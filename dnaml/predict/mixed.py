"""Kernels at sizes: the closed-form model of them (`experts.Pooled`) mixed with the learned one, by kind of query.

The learned model knows a computation by its description and its own runs. Where computations are kernels at sizes,
runs of the same kernel at other sizes tell more: the mixture's shares and intervals come from one replay, in which
pairs, sizes, whole kernels and resources are hidden at once; shares start at stated ones and move as errors ask.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from dnaml.core.prediction import LEVELS
from dnaml.predict.calibration import Calibration, Group
from dnaml.predict.design import Design, Encoder
from dnaml.predict.experts import Counts, Kind, Pooled
from dnaml.predict.paired.grid import BoolArray, FloatArray, IntArray
from dnaml.predict.paired.layout import TextArray
from dnaml.predict.paired.learned import LEAST_SD, SPAN, Learned

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 5_000  # beyond, a second fit costs more than what kernels have in common is worth
FEWEST_ROWS = 40  # to replay anything
STRANGE = 10  # added to the kind of a query whose kernel never ran
START: Mapping[int, float] = {
    Kind.SEEN: 0.5,
    Kind.RESOURCE: 0.8,
    Kind.COMPUTATION: 0.8,
    Kind.NEW_RESOURCE: 0.5,
    Kind.NEW_COMPUTATION: 0.8,
    Kind.NEW_BOTH: 0.6,
    Kind.NEW_COMPUTATION + STRANGE: 0.2,
    Kind.NEW_BOTH + STRANGE: 0.2,
}  # the share of the kernels' model before any replay
FEW_OWNERS = (Kind.NEW_RESOURCE, Kind.NEW_BOTH)
"""kinds of which two or three hidden resources tell: their intervals are never narrower than the learned model's"""
SHARES = np.linspace(0.0, 1.0, 21)
BORROWED = 20.0  # errors by which the start counts
MOST_OF_ONE = 5.0  # errors that all of one hidden resource or computation count for: they err together
CLIP = 1.5  # an error beyond a factor of 4.5 counts no more
HIDDEN_PAIRS, HIDDEN_SIZES, HIDDEN_KERNELS, HIDDEN_RESOURCES = 0.15, 0.12, 0.10, 0.10
HIDDEN_RUNS = 0.2  # of pairs that ran again
FEWEST_KERNELS, FEWEST_RESOURCES = 6, 6  # to hide a whole one
GIVEN_BACK = (0, 1, 3)  # runs of what was hidden


@dataclass(frozen=True, kw_only=True, eq=False)
class Mixed:
    """The model of kernels at sizes beside a learned one: `shares` of it by group of query, and their intervals."""

    encoder: Encoder
    seen: Design
    pooled: Pooled
    shares: dict[Group, float] = field(default_factory=dict)
    calibration: Calibration = Calibration()

    @classmethod
    def fit(cls, frame: "pd.DataFrame", learned: Learned, *, seed: int = 0) -> "Mixed | None":
        """Return the mixture for the training rows of a learned model; None where computations are not sizes of
        kernels, or rows too many.
        """
        encoder = replace(Encoder.of(frame), resource=(), computation=())  # names, sizes and rates are all it asks
        seen = encoder.design(frame).ordered()
        pooled = Pooled.fit(seen) if len(frame) <= MOST_ROWS else None
        if pooled is None:
            return None
        start = cls(encoder=encoder, seen=seen, pooled=pooled)
        replays = list(_replays(frame, learned, encoder, seed)) if len(frame) >= FEWEST_ROWS else []
        if not replays:
            return start
        joined = Replays.of(replays)
        shares = _shares(joined)
        middle, scale = _mixture(joined.means, joined.sds, _of(shares, joined.groups))
        calibration = Calibration.of((joined.truth - middle) / scale, joined.groups)
        return replace(start, shares=shares, calibration=calibration)

    def updated(self, frame: "pd.DataFrame") -> "Mixed":
        """Return the mixture that knows these runs too."""
        new = self.encoder.design(frame).ordered()
        return replace(self, seen=self.seen.joined(new), pooled=self.pooled.updated(self.seen, new))

    def log_quantiles(self, frame: "pd.DataFrame", learned: FloatArray) -> FloatArray:
        """Return quantiles [N, L] of ln seconds at LEVELS, given those of the learned model [N, L]."""
        asked = self.encoder.design(frame)
        return self._mixed(asked, learned, self.pooled.predict(asked))

    def of_known(self, computations: TextArray, resources: TextArray, learned: FloatArray) -> FloatArray:
        """Return `log_quantiles` of pairs [N] by name, both sides as they were first described when they ran."""
        c = self.seen.rows(_first(self.seen.computation, computations))
        r = self.seen.rows(_first(self.seen.resource, resources))
        asked = replace(c, resource=r.resource, resource_x=r.resource_x, rates=r.rates, y=None)
        return self._mixed(asked, learned, self.pooled.predict(asked))

    def on(self, resources: "pd.DataFrame") -> Callable[["pd.DataFrame", FloatArray], FloatArray]:
        """Return `log_quantiles` of one computation (a row) on described resources [N], read once."""
        import pandas as pd

        sides = self.encoder.design(resources.assign(computation_id="", c_kernel=""))
        ask = self.pooled.on(sides)

        def log_quantiles(computation: pd.DataFrame, learned: FloatArray) -> FloatArray:
            row = self.encoder.design(computation.assign(resource_id=""))
            one = row.rows(np.zeros(len(sides), dtype=np.int64))
            asked = replace(one, resource=sides.resource, resource_x=sides.resource_x, rates=sides.rates)
            return self._mixed(asked, learned, ask(row))

        return log_quantiles

    @cached_property
    def _counts(self) -> Counts:
        return Counts.of(self.seen)

    @cached_property
    def _kernels(self) -> frozenset[str]:
        return frozenset(self.seen.kernel.tolist())

    def _mixed(self, asked: Design, learned: FloatArray, pooled: tuple[FloatArray, FloatArray]) -> FloatArray:
        groups = _groups(self._counts, self._kernels, asked)
        means, sds = _both(learned, pooled)
        middle, scale = _mixture(means, sds, _of(self.shares, groups))
        found = self.calibration.quantiles(middle, scale, groups)
        few = np.array([kind % STRANGE in FEW_OWNERS for kind, _ in groups], dtype=np.bool_)[:, None]
        around = middle[:, None] + learned - means[:, :1]
        wider = np.where(np.array(LEVELS) < 0.5, np.minimum(found, around), np.maximum(found, around))
        return np.where(few, wider, found)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Replays:
    """What both models said of hidden rows. Shapes: truth, weight [N]; means, sds [N, 2]; the learned model first."""

    truth: FloatArray
    weight: FloatArray
    means: FloatArray
    sds: FloatArray
    groups: list[Group]

    @classmethod
    def of(cls, parts: Sequence["Replays"]) -> "Replays":
        """Return several as one."""
        return cls(
            truth=np.concatenate([part.truth for part in parts]),
            weight=np.concatenate([part.weight for part in parts]),
            means=np.concatenate([part.means for part in parts]),
            sds=np.concatenate([part.sds for part in parts]),
            groups=[group for part in parts for group in part.groups],
        )


def _first(names: TextArray, wanted: TextArray) -> IntArray:
    """Return where each wanted name [M] stands first among names [N]; KeyError when it does not."""
    place: dict[str, int] = {}
    for at, name in enumerate(names.tolist()):
        place.setdefault(name, at)
    return np.array([place[name] for name in wanted.tolist()], dtype=np.int64)


def _replays(frame: "pd.DataFrame", whole: Learned, encoder: Encoder, seed: int) -> Iterator[Replays]:
    """Hide some of each kind at once, learn from the rest, and ask for it with a few of its runs given back.

    The learned model of the rest weighs its experts as that of all rows: to replay once more would cost a whole fit.
    """
    rows = encoder.design(frame)
    rng = np.random.default_rng(seed)
    hidden, owner = _hidden(rows, _kin(frame, rows), rng)
    known = ~hidden
    pooled = Pooled.fit(rows.rows(known))
    learned = None if pooled is None else whole.refitted(frame[known], seed=seed)
    if learned is None or pooled is None:
        return
    for given in GIVEN_BACK:
        back = _given_back(owner, given, rng)
        asked = np.flatnonzero(hidden & ~back & ((owner != "") if given else True))
        if len(asked) == 0:
            continue
        base, queries = rows.rows(known | back), rows.rows(asked)
        quantiles, _ = (learned.updated(frame[back]) if given else learned).log_quantiles(frame.iloc[asked])
        said = (pooled.updated(base, rows.rows(back)) if given else pooled).predict(queries)
        means, sds = _both(quantiles, said)
        groups = _groups(Counts.of(base), frozenset(base.kernel.tolist()), queries)
        yield Replays(truth=queries.target, weight=_weights(owner[asked]), means=means, sds=sds, groups=groups)


def _kin(frame: "pd.DataFrame", rows: Design) -> TextArray:
    """Return what is hidden with each row's resource [N]: its group, where each resource has one, else itself."""
    if "group" not in frame:
        return rows.resource
    group = np.asarray(frame["group"].astype(str).to_numpy(dtype=object), dtype=np.str_)
    one_each = len(set(zip(rows.resource.tolist(), group.tolist(), strict=True))) == len(np.unique(rows.resource))
    return group if one_each and len(np.unique(group)) > 1 else rows.resource


def _hidden(rows: Design, kin: TextArray, rng: np.random.Generator) -> tuple[BoolArray, TextArray]:
    """Return which rows are hidden [N], and the resource or computation hidden whole [N], "" for pairs and runs.

    Resources of one kin [N] are hidden together, and so are their pairs with a computation: a copy tells the rest.
    """
    pairs = np.char.add(np.char.add(rows.computation, "\x1f"), kin)
    kernel_of = dict(zip(rows.computation.tolist(), rows.kernel.tolist(), strict=True))
    kernels, machines = np.unique(rows.kernel), np.unique(kin)
    strange = _drawn(kernels, HIDDEN_KERNELS, rng) if len(kernels) >= FEWEST_KERNELS else kernels[:0]
    gone = _drawn(machines, HIDDEN_RESOURCES, rng) if len(machines) >= FEWEST_RESOURCES else machines[:0]
    sizes = [name for name in _drawn(np.unique(rows.computation), HIDDEN_SIZES, rng) if kernel_of[name] not in strange]
    of_computation = np.isin(rows.kernel, strange) | np.isin(rows.computation, sizes)
    of_resource = np.isin(kin, gone) & ~of_computation
    owner = np.where(of_computation, rows.computation, np.where(of_resource, rows.resource, ""))
    hidden = (owner != "") | np.isin(pairs, _drawn(np.unique(pairs), HIDDEN_PAIRS, rng))
    _, place, count = np.unique(np.char.add(pairs, rows.resource), return_inverse=True, return_counts=True)
    again = count[place] > 1
    if again.any():
        hidden |= again & (rng.random(len(rows)) < HIDDEN_RUNS)
    return hidden, owner


def _weights(owner: TextArray) -> FloatArray:
    """Return what each error [N] counts: one, but those of a single hidden owner together no more than MOST_OF_ONE."""
    _, place, count = np.unique(owner, return_inverse=True, return_counts=True)
    return np.where(owner == "", 1.0, np.minimum(1.0, MOST_OF_ONE / count[place]))


def _drawn(names: TextArray, share: float, rng: np.random.Generator) -> TextArray:
    return rng.permutation(names)[: max(1, round(share * len(names)))]


def _given_back(owner: TextArray, given: int, rng: np.random.Generator) -> BoolArray:
    """Return which rows [N] are given back: so many of each that is hidden whole."""
    back = np.zeros(len(owner), dtype=np.bool_)
    for name in np.unique(owner[owner != ""]):
        back[rng.permutation(np.flatnonzero(owner == name))[:given]] = True
    return back


def _groups(counts: Counts, kernels: frozenset[str], asked: Design) -> list[Group]:
    """Return (kind, bucket of runs) of each row; a kernel that never ran is a kind of its own."""
    found = zip(counts.groups(asked), asked.kernel.tolist(), strict=True)
    return [(kind if kernel in kernels else kind + STRANGE, few) for (kind, few), kernel in found]


def _both(learned: FloatArray, pooled: tuple[FloatArray, FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Return means and sds [N, 2] of ln seconds from the learned quantiles [N, L] and the other's mean and sd [N]."""
    mean, sd = pooled
    spread = np.maximum((learned[:, -2] - learned[:, 1]) / SPAN, LEAST_SD)
    return np.stack([learned[:, len(LEVELS) // 2], mean], axis=1), np.stack([spread, np.maximum(sd, LEAST_SD)], axis=1)


def _mixture(means: FloatArray, sds: FloatArray, share: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return mean and scale [N]: the scale holds both models' own and how far they disagree."""
    weights = np.stack([1.0 - share, share], axis=1)
    mean = (weights * means).sum(axis=1)
    variance = (weights * (sds**2 + (means - mean[:, None]) ** 2)).sum(axis=1)
    return mean, np.sqrt(variance)


def _of(shares: Mapping[Group, float], groups: Sequence[Group]) -> FloatArray:
    """Return the share [N] of each row's group: its own, else that of its kind, else the start's."""
    found = [shares.get(group, shares.get((group[0], -1), START.get(group[0], 0.5))) for group in groups]
    return np.array(found, dtype=np.float64)


def _shares(replays: Replays) -> dict[Group, float]:
    """Return the share of least replayed error for each kind, drawn to the start, and for each group, to its kind."""
    kinds, buckets = np.array(replays.groups, dtype=np.int64).reshape(-1, 2).T
    error = replays.truth[:, None] - replays.means
    found: dict[Group, float] = {}
    for kind in np.unique(kinds).tolist():
        found[kind, -1] = _best(error[kinds == kind], replays.weight[kinds == kind], START.get(kind, 0.5))
        for bucket in np.unique(buckets[kinds == kind]).tolist():
            own = (kinds == kind) & (buckets == bucket)
            found[kind, bucket] = _best(error[own], replays.weight[own], found[kind, -1])
    return found


def _best(error: FloatArray, weight: FloatArray, start: float) -> float:
    """Return the share of least clipped error [N, 2] by weight [N].

    Moving from the start to either end costs as much as BORROWED errors of middling size do.
    """
    mixed = np.abs(error[:, :1] * (1.0 - SHARES) + error[:, 1:] * SHARES)
    loss = weight @ np.minimum(mixed, CLIP)
    middling = float(np.median(np.abs(error)))
    return float(SHARES[int(np.argmin(loss + BORROWED * middling * (SHARES - start) ** 2))])
