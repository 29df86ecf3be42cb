"""What the controller asks while it plans: `LivePredictor`, numpy only, learning from every run that ends.

It answers from the first of these that applies: a trained model's answer corrected by the runs since; the kernel's own
runs pooled with those of other kernels; the pool alone; a physical bound or the specs. `Prediction.path` names the
weakest that was used in a call.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from dnaml.core.prediction import Prediction
from dnaml.core.protocols import Run
from dnaml.core.types import Computation, Objective, Resource
from dnaml.predict.bound import TRAITS, bounds_s
from dnaml.predict.carried import Carrier, located, members_of, renumbered
from dnaml.predict.cost import moved_bytes
from dnaml.predict.history import Bucket, History, KernelRuns, bucket_of
from dnaml.predict.outcomes import Hazard, lognormal_quantiles, shortlisted
from dnaml.predict.pooled import Posterior, Prior, Rows, learn
from dnaml.predict.pools import MATCH, MODEL, PATHS, POOL, RUNS, KeptAnswers, Key
from dnaml.predict.told import PairModel, Told
from dnaml.predict.unmeasured import BOUND_SD, EFFICIENCY_LOG, UNKNOWN_SD

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

LEARN_FROM = 16  # kernels
FIRST_LEARN = 12  # runs
LEARN_GROWTH = 3  # the prior is learned again at three times the runs
MOST_POOLS = 8
WIDEST_RATIO = 1.5  # by which runs may widen what a model said


@dataclass(frozen=True, kw_only=True, eq=False)
class LivePredictor:
    """Predicts for the controller: a value; `updated` returns another and leaves this one as it is.

    With a `model`, runs given to `updated` are those after its training. What is kept inside only saves time: it
    never changes an answer.
    """

    model: PairModel | None = None
    history: History = field(default_factory=History)
    hazard: Hazard = field(default_factory=Hazard)
    prior: Prior | None = None
    members: IntArray | None = None
    """codes of the resources in `prior`, rising; None for the first ones"""
    learns_at: int = FIRST_LEARN
    _kept: dict[tuple[int, ...], KeptAnswers] = field(default_factory=dict, repr=False)
    _posteriors: dict[str, Posterior] = field(default_factory=dict, repr=False)
    _carriers: list[Carrier] = field(default_factory=list, repr=False)  # none or one: of `prior`
    _said: Told = field(default_factory=Told, repr=False)  # by the model

    @property
    def version(self) -> str:
        """Name the model and how many runs were added to it."""
        return f"{self.model.version if self.model else 'live-1'}+{self.history.runs}"

    def predict(self, computations: Sequence[Computation], resources: Sequence[Resource]) -> Prediction:
        """Return quantiles [C, R, Q] of runtime and cost; equal computations are computed once and kept."""
        kept = self._answers(resources)
        index, keys = kept.index, self._keys(computations)
        if kept.depends_on_data:
            keys = [(*key, *moved_bytes(c)) for key, c in zip(keys, computations, strict=True)]
        if self.model is not None:
            new = {key: c for key, c in zip(keys, computations, strict=True) if key not in index}
            self._said.ask(self.model, list(new.values()), kept.resources)
        rows = []
        for key, computation in zip(keys, computations, strict=True):
            row = index.get(key)
            rows.append(self._add(kept, computation, key) if row is None else row)
        return kept.answer(rows)

    def spread(self, computation: Computation, resources: tuple[Resource, ...]) -> tuple[FloatArray, FloatArray, str]:
        """Return mean and sd [R] of ln T, and the path: what `predict` says without a model, in a tenth of its time
        over thousands of resources. The very same tuple is to be given again; nothing is kept of the computation."""
        kept = next((one for one in self._kept.values() if one.resources is resources), None)
        mean, sd, path = self._spread(kept or self._answers(resources), computation, bucket_of(computation.size))
        return mean, sd, PATHS[path]

    def updated(self, runs: Sequence[Run]) -> "LivePredictor":
        """Return a predictor that knows these runs too."""
        if not runs:
            return self
        expected = self._expectations(runs) if self.model is not None else None
        history, prior, members = self.history.updated(runs, expected), self.prior, self.members
        posteriors, carriers, learns_at = dict[str, Posterior](), list[Carrier](), self.learns_at
        if history.runs >= learns_at:
            kernels = history.largest(LEARN_FROM)
            members = members_of(kernels)
            prior = learn([renumbered(cells, members) for cells in kernels], start=self._start(history, members))
            learns_at = LEARN_GROWTH * history.runs
        elif prior is not None:
            touched = {run.computation.kernel for run in runs}
            posteriors = {name: kept for name, kept in self._posteriors.items() if name not in touched}
            carriers = self._carriers
        return LivePredictor(
            model=self.model,
            history=history,
            hazard=self.hazard.updated(runs),
            prior=prior,
            members=members,
            learns_at=learns_at,
            _posteriors=posteriors,
            _carriers=carriers,
            _said=self._said,
        )

    def moved(self, log_slower: Mapping[str, float]) -> "LivePredictor":
        """Return a predictor for resources that are no longer what they were: slower by so many ln seconds each.

        What ran on them is moved by as much, and each cell of it counts for one run.
        """
        kernels = {name: _moved(runs, log_slower) for name, runs in self.history.kernels.items()}
        prior = self.prior
        if prior is not None:
            shift, codes = prior.shift.copy(), self.history.codes
            place = {code: at for at, code in enumerate(self._members(prior).tolist())}
            for name, step in log_slower.items():
                if name in codes and codes[name] in place:
                    shift[place[codes[name]]] += step
            prior = replace(prior, shift=shift)
        history = replace(self.history, kernels=kernels)
        return replace(self, history=history, prior=prior, _kept={}, _posteriors={}, _carriers=[])

    def shortlist(
        self, computation: Computation, resources: Sequence[Resource], objective: Objective, k: int
    ) -> IntArray:
        """Return the indices [<= k] of the feasible resources of least weighted median time and cost, best first."""
        return shortlisted(self.predict([computation], resources), objective, k)

    def _keys(self, computations: Sequence[Computation]) -> list[Key]:
        """Return what each computation's answer depends on: its own id only where it ran or a model may know it."""
        kernels, keys = (self.history.kernels if self.model is None else {}), list[Key]()
        for c in computations:
            known = kernels.get(c.kernel)
            if known is None:
                keys.append((c.kernel, c.id, c.memory_bytes, *c.size.items(), *c.demand.items()))
            else:
                keys.append((c.kernel, c.id if c.id in known.items else None, c.memory_bytes, *c.size.items()))
        return keys

    def _answers(self, resources: Sequence[Resource]) -> KeptAnswers:
        """Return what is kept for these very resource values; holding them keeps their identities taken."""
        key = tuple(map(id, resources))
        kept = self._kept.get(key)
        if kept is None:
            if len(self._kept) >= MOST_POOLS:
                self._kept.clear()
            kept = self._kept[key] = KeptAnswers(resources, self.history, self.hazard)
        elif kept.full:
            kept.clear()
        return kept

    def _add(self, kept: KeptAnswers, computation: Computation, key: Key) -> int:
        bucket = bucket_of(computation.size)
        if self.model is not None:
            runtime_s, path = self._from_model(kept, computation, bucket), MODEL
        else:
            mean, sd, path = self._spread(kept, computation, bucket)
            runtime_s = lognormal_quantiles(mean, sd)
        return kept.add(key, runtime_s, computation, path)

    def _spread(
        self, kept: KeptAnswers, computation: Computation, bucket: Bucket
    ) -> tuple[FloatArray, FloatArray, int]:
        """Return mean and sd [R] of ln T and the place of the path, where no model is asked."""
        if computation.kernel in self.history.kernels:
            mean, sd, _ = self._posterior_at(kept, computation, bucket)
            return mean, sd, RUNS
        mean, sd = self._guess(kept, computation)
        return mean, sd, POOL if self.prior is not None else MATCH

    def _posterior_at(
        self, kept: KeptAnswers, computation: Computation, bucket: Bucket
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return mean, sd and prior sd [R] of ln T (or of what a model left of it) for a kernel that has runs."""
        name = computation.kernel
        runs = self.history.kernels[name]
        rows = kept.rows_of.get(name)
        if rows is None:
            rows = kept.rows_of[name] = self._rows(kept, name)
        item = computation.id if computation.id in runs.items else None
        return rows.at(runs.points(bucket, item, kept.codes))

    def _rows(self, kept: KeptAnswers, name: str) -> Rows:
        """Return what is known of a kernel that has runs, also on resources that never ran."""
        ran = members_of([self.history.kernels[name].arrays])
        asked, member = located(kept.codes, ran)
        others = np.flatnonzero(~member)
        codes = np.concatenate([ran, kept.codes[others]])
        prior = self._carrier().over(codes, np.concatenate([self._traits(ran), self._told(kept)[others]]), len(ran))
        asked[others] = len(ran) + np.arange(len(others))
        return self._posterior(name, ran).over(asked, prior)

    def _posterior(self, name: str, ran: IntArray) -> Posterior:
        """Return the posterior of a kernel over the resources that it ran on, by their codes [K]."""
        found = self._posteriors.get(name)
        if found is None:
            prior = self._carrier().over(ran, self._traits(ran), len(ran))
            cells = renumbered(self.history.kernels[name].arrays, ran)
            found = self._posteriors[name] = Posterior(prior=prior, cells=cells)
        return found

    def _carrier(self) -> Carrier:
        """Return what is known of the resources that have cells, as it is carried to others."""
        if not self._carriers:
            prior, members = self.prior, self._members(self.prior)
            self._carriers.append(Carrier.of(prior or self._start(self.history, members), members))
        return self._carriers[0]

    def _members(self, prior: Prior | None) -> IntArray:
        """Return the codes of the resources that a prior is over: before one was learned, those that have cells."""
        if prior is None:
            return members_of(self.history.largest(len(self.history.kernels)))
        return np.arange(len(prior.shift)) if self.members is None else self.members

    def _from_model(self, kept: KeptAnswers, computation: Computation, bucket: Bucket) -> FloatArray:
        """Return the model's quantiles [R, Q], moved and narrowed by what ran since."""
        assert self.model is not None
        values = self._said.quantiles(self.model, computation, kept.resources)
        middle = np.log(values[:, values.shape[1] // 2])
        if computation.kernel not in self.history.kernels:
            return values
        mean, sd, before = self._posterior_at(kept, computation, bucket)
        ratio = np.minimum(sd / before, WIDEST_RATIO)
        moved = middle[:, None] + mean[:, None] + (np.log(values) - middle[:, None]) * ratio[:, None]
        return np.asarray(np.exp(moved), dtype=np.float64)

    def _guess(self, kept: KeptAnswers, computation: Computation) -> tuple[FloatArray, FloatArray]:
        """Return mean and sd [R] of ln T for a kernel that never ran."""
        prior = self._carrier().prior
        if kept.shift is None:
            kept.shift = self._carrier().shift(kept.codes, self._told(kept))
        bound = bounds_s(computation.demand, [r.spec for r in kept.resources])
        known = np.isfinite(bound)
        mean = np.where(known, np.log(np.where(known, bound, 1.0)) + EFFICIENCY_LOG, prior.offset + kept.shift)
        sd: FloatArray = np.where(known, BOUND_SD, max(UNKNOWN_SD, prior.offset_sd))
        return mean, sd

    def _traits(self, codes: IntArray) -> FloatArray:
        """Return what specs tell of resources that ran [N, 1 + P]; nothing where a model has already taken it in."""
        found = np.zeros((len(codes), TRAITS))
        if self.model is None and len(codes):
            found[:] = [self.history.traits[code] for code in codes.tolist()]
        return found

    def _told(self, kept: KeptAnswers) -> FloatArray:
        """Return the same of the resources that are asked about [R, 1 + P]."""
        if self.model is not None:
            return np.zeros((len(kept.codes), TRAITS))
        if kept.traits is None:
            every = [*self.history.traits, *kept.fresh]
            kept.traits = np.array([every[code] for code in kept.codes.tolist()]).reshape(-1, TRAITS)
        return kept.traits

    def _start(self, history: History, members: IntArray) -> Prior:
        """Return the prior to begin with: resources by their specs, or small corrections of a model."""
        traits = [history.traits[code] for code in members.tolist()]
        prior = Prior.of_specs(traits if self.model is None else [(0.0,) * TRAITS for _ in traits])
        if self.model is None:
            return prior
        return replace(
            prior,
            covariance=0.2 * prior.covariance,
            offset_sd=0.15,
            slope=0.0,
            slope_sd=0.05,
            bucket_sd=0.10,
            item_sd=0.10,
            cell_sd=0.10,
        )

    def _expectations(self, runs: Sequence[Run]) -> list[float]:
        """Return ln of the model's median for each run."""
        assert self.model is not None
        return [self._said.log_median(self.model, run.computation, run.resource) for run in runs]


def _moved(runs: KernelRuns, log_slower: Mapping[str, float]) -> KernelRuns:
    """Return a kernel's cells with those of some resources moved, each as if it had run once."""
    if not any(key[2] in log_slower for key in runs.cells):
        return runs
    cells = dict(runs.cells)
    for key, (_, mean, _, number) in runs.cells.items():
        if key[2] in log_slower:
            cells[key] = (1.0, mean + log_slower[key[2]], 0.0, number)
    return KernelRuns(cells=cells, codes=runs.codes)
