"""The set of experts a table is given to, and the blend of their answers by what each was worth in replays.

The weight of an expert depends on the kind of query (`Kind`) and on how many runs stand behind it: what is best for a
resource never seen is not what is best for a pair that ran before.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from dnaml.core.protocols import Run
from dnaml.core.types import Computation, Resource
from dnaml.predict.baselines import Boosting, Expert, Means, Neighbours
from dnaml.predict.bilinear import fit_bilinear
from dnaml.predict.bound import RATES
from dnaml.predict.design import Design
from dnaml.predict.placing import LivePredictor

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

RANKS = (2, 4, 8)
FEWEST_FOR_TREES = 40  # rows
MOST_POOLED_RESOURCES, MOST_POOLED_KERNELS = 64, 256


class Kind(IntEnum):
    """Is what a pair to predict is to the model."""

    SEEN = 0  # this computation ran on this resource
    RESOURCE = 1  # both known, never together; the resource has fewer runs
    COMPUTATION = 2  # both known, never together; the computation has fewer runs
    NEW_RESOURCE = 3  # nothing ran on the resource
    NEW_COMPUTATION = 4  # the computation never ran
    NEW_BOTH = 5  # neither was seen


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pooled:
    """Answers with the live model of kernels at sizes: for tables in which kernels run at several sizes."""

    live: LivePredictor
    sizes: int

    @classmethod
    def fit(cls, seen: Design) -> "Pooled | None":
        """Return the model; None when computations are not sizes of kernels or there are too many of either."""
        kernels = len(np.unique(seen.kernel))
        if kernels == len(np.unique(seen.computation)) or kernels > MOST_POOLED_KERNELS:
            return None
        if seen.size.shape[1] == 0 or len(np.unique(seen.resource)) > MOST_POOLED_RESOURCES:
            return None
        return cls(live=LivePredictor().updated(_runs(seen)), sizes=seen.size.shape[1])

    def predict(self, asked: Design) -> tuple[FloatArray, FloatArray]:
        """Return mean and sd [N] of ln seconds."""
        mean, sd = np.empty(len(asked)), np.empty(len(asked))
        _, first, of_resource = np.unique(_with_rates(asked), return_index=True, return_inverse=True)
        pool = tuple(_resources(asked.rows(first)))
        of_computation: dict[tuple[str, bytes], list[int]] = {}
        for place, (name, size) in enumerate(zip(asked.computation.tolist(), asked.size, strict=True)):
            of_computation.setdefault((name, size.tobytes()), []).append(place)
        for places in of_computation.values():
            both = self._said(_computations(asked.rows(np.array(places[:1])))[0], pool)
            mean[places], sd[places] = both[:, of_resource[places]]
        return mean, sd

    def on(self, resources: Design) -> Callable[[Design], tuple[FloatArray, FloatArray]]:
        """Return what answers mean and sd [N] of ln seconds for one computation (a row) on these resources [N]."""
        pool = tuple(_resources(resources))

        def ask(computation: Design) -> tuple[FloatArray, FloatArray]:
            mean, sd = self._said(_computations(computation)[0], pool)
            return mean, sd

        return ask

    def _said(self, computation: Computation, pool: tuple[Resource, ...]) -> FloatArray:
        """Return mean and sd [2, R] of ln seconds."""
        values = np.log(self.live.predict([computation], pool).runtime_s.values[0])
        return np.stack([values[:, 3], (values[:, 5] - values[:, 1]) / 2.5631])

    def updated(self, seen: Design, new: Design) -> "Pooled":
        """Return the model with the new runs."""
        return replace(self, live=self.live.updated(_runs(new)))


def _computations(rows: Design) -> list[Computation]:
    sizes = np.sign(rows.size) * np.expm1(np.abs(rows.size))
    return [
        Computation(id=name, kernel=kernel, size={f"{i}": v for i, v in enumerate(size) if np.isfinite(v)})
        for name, kernel, size in zip(rows.computation.tolist(), rows.kernel.tolist(), sizes.tolist(), strict=True)
    ]


def _runs(rows: Design) -> list[Run]:
    return [
        Run(computation=computation, resource=resource, runtime_s=float(np.exp(y)), at_s=0.0)
        for computation, resource, y in zip(_computations(rows), _resources(rows), rows.target, strict=True)
    ]


def _resources(rows: Design) -> list[Resource]:
    return [
        Resource(id=name, spec={key: rate for key, rate in zip(RATES, rates, strict=True) if np.isfinite(rate)})
        for name, rates in zip(rows.resource.tolist(), rows.rates.tolist(), strict=True)
    ]


def _with_rates(rows: Design) -> npt.NDArray[np.str_]:
    """Return a name [N] for each resource together with its rates, so that the same id described anew is another."""
    return np.array(
        [f"{name}\x1f{rates}" for name, rates in zip(rows.resource.tolist(), rows.rates.tolist(), strict=True)]
    )


def fit_experts(seen: Design, *, seed: int = 0) -> dict[str, Expert]:
    """Fit every expert that these rows can carry."""
    effects = fit_bilinear(seen, 0, seed=seed)
    found: dict[str, Expert | None] = {"mean": Means.fit(seen), "scaling": effects}
    smaller = min(len(effects.resources.index), len(effects.computations.index))
    for rank in RANKS:
        if 2 * rank <= smaller:
            found[f"latent-{rank}"] = fit_bilinear(seen, rank, seed=seed)
    if smaller > 2:
        found["neighbours"] = Neighbours.fit(seen, effects)
    if len(seen) >= FEWEST_FOR_TREES:
        found["boosting"] = Boosting.fit(seen, effects, seed=seed)
    found["pooled"] = Pooled.fit(seen)
    return {name: expert for name, expert in found.items() if expert is not None}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Counts:
    """How many computations each resource ran, how many resources ran each computation, and how often each pair ran."""

    resources: Mapping[str, int]
    computations: Mapping[str, int]
    pairs: Mapping[tuple[str, str], int]

    @classmethod
    def of(cls, seen: Design) -> "Counts":
        """Count these rows."""
        pairs: dict[tuple[str, str], int] = {}
        for pair in zip(seen.computation.tolist(), seen.resource.tolist(), strict=True):
            pairs[pair] = pairs.get(pair, 0) + 1
        resources, computations = dict[str, int](), dict[str, int]()
        for c, r in pairs:
            resources[r] = resources.get(r, 0) + 1
            computations[c] = computations.get(c, 0) + 1
        return cls(resources=resources, computations=computations, pairs=pairs)

    def group(self, computation: str, resource: str) -> tuple[int, int]:
        """Return (kind, bucket of how many runs) of a query."""
        pair = self.pairs.get((computation, resource), 0)
        if pair:
            return Kind.SEEN, bucket(pair)
        c, r = self.computations.get(computation, 0), self.resources.get(resource, 0)
        if not c or not r:
            kind = Kind.NEW_BOTH if c == r else Kind.NEW_COMPUTATION if not c else Kind.NEW_RESOURCE
            return kind, 0
        scarce_resource = r * len(self.resources) < c * len(self.computations)
        return (Kind.RESOURCE, bucket(r)) if scarce_resource else (Kind.COMPUTATION, bucket(c))

    def groups(self, asked: Design) -> list[tuple[int, int]]:
        """Return the group of each row."""
        return [self.group(c, r) for c, r in zip(asked.computation.tolist(), asked.resource.tolist(), strict=True)]


def bucket(runs: int) -> int:
    """Return the bucket of a count: 0, 1, 2-4, 5-9, 10-19, 20 and more."""
    return int(np.searchsorted((1, 2, 5, 10, 20), runs, side="right"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """The weight of each expert per group; (kind, -1) and (-1, -1) stand in for groups that were never replayed."""

    names: tuple[str, ...]
    shares: Mapping[tuple[int, int], tuple[float, ...]] = field(default_factory=dict)

    def by_kind(self) -> dict[str, dict[str, float]]:
        """Return the weight of each expert by the name of the kind."""
        shares = {kind: row for (kind, few), row in self.shares.items() if few == -1 and kind >= 0}
        return {Kind(kind).name.lower(): dict(zip(self.names, row, strict=True)) for kind, row in shares.items()}

    def of(self, groups: Sequence[tuple[int, int]]) -> FloatArray:
        """Return the weights [N, E] of each row's group."""
        even = tuple(1.0 / len(self.names) for _ in self.names)
        table = self.shares
        rows = [table.get(g) or table.get((g[0], -1)) or table.get((-1, -1)) or even for g in groups]
        return np.array(rows, dtype=np.float64).reshape(len(groups), len(self.names))


def answers(experts: Mapping[str, Expert], asked: Design) -> tuple[FloatArray, FloatArray]:
    """Return means and sds [N, E] of every expert."""
    both = [expert.predict(asked) for expert in experts.values()]
    return np.stack([mean for mean, _ in both], axis=1), np.stack([sd for _, sd in both], axis=1)


def blended(means: FloatArray, sds: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return mean and sd [N] of the blend: the sd holds both the experts' own and how far they disagree."""
    mean = (weights * means).sum(axis=1)
    variance = (weights * (sds**2 + (means - mean[:, None]) ** 2)).sum(axis=1)
    return mean, np.sqrt(variance)
