"""`RuntimePredictor`: the public estimator of runtimes, scikit-learn style.

The learned model answers (`paired`, path "learned/..."); a table too small to hold anything out is answered by a blend
of simple experts ("blend/..."), and where nothing ever ran by the bound or the specs ("dna-match").
"""

import os
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
import numpy.typing as npt

from dnaml.core.errors import CorruptError, InputError
from dnaml.core.prediction import LEVELS
from dnaml.core.types import Computation, ComputationDNA, Objective, Resource, ResourceDNA
from dnaml.datasets.screening import sound_rows
from dnaml.datasets.table import IDS, RunTable, load_runs
from dnaml.dna.geometry import Weights
from dnaml.predict import (
    baselines,
    bilinear,
    calibration,
    design,
    experts,
    hazard,
    history,
    placing,
    pooled,
    trees,
    unmeasured,
)
from dnaml.predict.design import Encoder
from dnaml.predict.drawn import ENERGY, energies, energy_usd, with_drawn
from dnaml.predict.experts import Counts, Kind
from dnaml.predict.fitted import tell
from dnaml.predict.kept import Kept
from dnaml.predict.mixed import Mixed
from dnaml.predict.model import Model, Noise, fit_model
from dnaml.predict.outcomes import LONGEST_S, SHORTEST_S, at_level
from dnaml.predict.paired.asking import candidates
from dnaml.predict.paired.atlas import Atlas
from dnaml.predict.paired.grid import Entity
from dnaml.predict.paired.interpretable import Described
from dnaml.predict.paired.learned import Learned
from dnaml.predict.paired.parts import PARTS
from dnaml.predict.power import Power
from dnaml.predict.probing import Goal, best_first
from dnaml.predict.weights import by_name, load_model, save_model

if TYPE_CHECKING:
    import pandas as pd

FloatArray = npt.NDArray[np.float64]

PATH_MATCH = "dna-match"
REFIT_GROWTH = 2.0  # rows over those of the last fit
LARGEST_RELEARNT = 1_000  # rows up to which they are kept as they came and `update` learns anew
LARGEST_REFIT = 5_000  # rows of the blend of simple experts; beyond, only `fit` fits again


@dataclass(frozen=True, kw_only=True, eq=False)
class _State:
    """What a fitted predictor is made of; `prices` are USD per second by resource id.

    While it is young, `kept` holds its rows as they came, the first `fitted_rows` of them known to the last fit.
    """

    seed: int
    kept: Kept | None = None
    fitted_rows: int = 0
    learned: Learned | None = None
    mixed: Mixed | None = None
    model: Model | None = None
    power: Power = field(default_factory=Power)
    prices: dict[str, float] = field(default_factory=dict)
    described: dict[str, Described] = field(default_factory=dict)
    set_aside: dict[str, int] = field(default_factory=dict)

    @cached_property
    def atlas(self) -> Atlas:
        """Return the vectors of what the learned model knows; worked out when first asked for."""
        if self.learned is None:
            raise InputError("DNA needs a learned model: fit on at least three resources or computations")
        return Atlas.of(self.learned, self.described, self.prices, self.mixed.of_known if self.mixed else None)

    @cached_property
    def counts(self) -> Counts | None:
        return Counts.of(self.model.seen) if self.model is not None else None


_CLASSES = by_name(
    _State,
    Kept,
    *PARTS,
    Mixed,
    Model,
    Noise,
    design.Design,
    design.Encoder,
    design.Column,
    calibration.Calibration,
    experts.Weights,
    experts.Pooled,
    baselines.Means,
    baselines.Boosting,
    baselines.Neighbours,
    bilinear.Bilinear,
    bilinear.Side,
    bilinear.Regression,
    trees.Trees,
    placing.LivePredictor,
    history.History,
    history.KernelRuns,
    pooled.Prior,
    hazard.Hazard,
    Power,
)


class RuntimePredictor:
    """Predicts runtimes with their uncertainty for any pair of computation and resource, known or not.

    >>> import dnaml, pandas as pd
    >>> runs = pd.DataFrame({"resource_id": ["a", "b"], "computation_id": ["f", "f"], "runtime_s": [1.0, 2.0]})
    >>> list(dnaml.RuntimePredictor(seed=0).fit(runs).predict(runs).columns)
    ['runtime_s', 'runtime_s_p10', 'runtime_s_p90', 'path']
    """

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed
        self._state: _State | None = None

    def fit(self, runs: "RunTable | pd.DataFrame") -> Self:
        """Learn from a run table and return self; rows that cannot be true are set aside (see `set_aside`).

        Failed and censored runs teach nothing about runtime. With no usable run the predictor answers by its fallback.
        """
        from threadpoolctl import threadpool_limits

        table, began_s = load_runs(runs), time.perf_counter()
        with threadpool_limits(1):  # small fits: threads that wait for a busy core spin longer than they work
            self._state = _fitted(table, seed=self.seed)
        tell(self, table, time.perf_counter() - began_s)
        return self

    def update(self, probes: "RunTable | pd.DataFrame") -> "RuntimePredictor":
        """Return a NEW predictor that knows these runs too; this one stays as it is.

        Closed form, milliseconds; `fit` learns anew. A small table, up to a thousand rows, is fitted again whenever it
        has doubled: a predictor that began with a few runs becomes the learned model.
        """
        state, table = self._fitted(), load_runs(probes)
        other = RuntimePredictor(seed=self.seed)
        other._state = _updated(state, table)
        return other

    def predict(self, pairs: "pd.DataFrame") -> "pd.DataFrame":
        """Return `runtime_s` (median), `runtime_s_p10`, `runtime_s_p90`, `cost_usd` where a price is known, and `path`;
        `energy_j` with its p10 and p90 where runs told what they drew.

        Aligned with `pairs.index`; each row's answer depends on that row alone.
        """
        import pandas as pd

        log_values, paths = self._log_quantiles(pairs)
        values = np.exp(log_values)
        found: dict[str, Any] = {  # columns of floats, and one of text
            "runtime_s": values[:, LEVELS.index(0.5)],
            "runtime_s_p10": values[:, LEVELS.index(0.1)],
            "runtime_s_p90": values[:, LEVELS.index(0.9)],
        }
        found.update(energies(self._fitted().power, pairs, values))
        price = self._prices(pairs)
        if np.isfinite(price).any():
            found["cost_usd"] = values[:, LEVELS.index(0.5)] * price
            if ENERGY in found:
                found["cost_usd"] = found["cost_usd"] + energy_usd(found[ENERGY], pairs)
        return pd.DataFrame({**found, "path": paths}, index=pairs.index)

    def predict_quantiles(self, pairs: "pd.DataFrame", levels: Sequence[float] = (0.1, 0.5, 0.9)) -> "pd.DataFrame":
        """Return one column of runtimes per level in (0, 1), named by it, rising from left to right as levels rise."""
        import pandas as pd

        if not levels or not all(0 < level < 1 for level in levels):
            raise InputError(f"levels must be inside (0, 1), got {tuple(levels)}")
        log_values, _ = self._log_quantiles(pairs)
        rising = sorted(levels)
        found = np.maximum.accumulate([np.exp(at_level(log_values, level)) for level in rising])
        by_level = dict(zip(rising, found, strict=True))
        return pd.DataFrame({level: by_level[level] for level in levels}, index=pairs.index)

    def save(self, folder: str | os.PathLike[str], *, compact: bool = False) -> None:
        """Write the predictor as a model folder: JSON, arrays, digests; never a pickle.

        A compact folder has half the size and answers alike to about seven digits.
        """
        save_model(folder, self._fitted(), compact=compact)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> "RuntimePredictor":
        """Return the predictor of a model folder, or of a registered one named `models:/NAME/ALIAS-or-version`.

        Raises CorruptError for a folder that was changed or has another schema.
        """
        if str(folder).startswith("models:/"):
            from dnaml.tracking import model_folder

            folder = model_folder(str(folder))
        state = load_model(folder, _CLASSES)
        if not isinstance(state, _State):
            raise CorruptError(f"{folder}: must hold a RuntimePredictor, got {type(state).__name__}")
        predictor = cls(seed=state.seed)
        predictor._state = state
        return predictor

    def next_probe(self, pairs: "pd.DataFrame", goal: str = "learn") -> Hashable:
        """Return the index label of the pair to run next.

        "learn" asks for the pair that teaches most per second about all of these, "cheapest" and "fastest" for the
        one by which the best resource is found soonest. Raises InputError for another goal or without a pair.
        """
        if goal not in {g.value for g in Goal}:
            raise InputError(f"goal must be one of {[g.value for g in Goal]}, got {goal!r}")
        if len(pairs) == 0:
            raise InputError("next_probe: needs at least one pair, got none")
        state = self._fitted()
        found, best = candidates(state.learned, pairs, self._prices(pairs), state.prices, Goal(goal))
        place = best_first(found, goal=Goal(goal), best=best)
        return cast("Hashable", pairs.index[0 if place is None else place])

    def resource_dna(self, resource_id: str) -> ResourceDNA:
        """Return the Resource DNA [32] of a resource that the predictor knows; raise InputError for another."""
        return self._fitted().atlas.resource_dna(resource_id)

    def computation_dna(self, computation_id: str, objective: Objective | str = "min_latency") -> ComputationDNA:
        """Return the Computation DNA [32] of a known computation, asked about under an objective.

        Its cosine with `resource_dna` orders resources by predicted time and cost as the objective weighs them.
        """
        return self._fitted().atlas.computation_dna(computation_id, Weights.of(Objective.of(objective)))

    @property
    def resources(self) -> tuple[str, ...]:
        """Return the resources that `resource_dna` knows: none without a learned model."""
        state = self._fitted()
        return state.atlas.resources if state.learned is not None else ()

    @property
    def set_aside(self) -> dict[str, int]:
        """Return how many rows were not used, by reason."""
        return dict(self._fitted().set_aside)

    @property
    def weights(self) -> dict[str, dict[str, float]]:
        """Return what each expert is worth per kind of query, as replays on the training rows showed."""
        state = self._fitted()
        if state.learned is not None:
            return state.learned.weights
        return state.model.weights.by_kind() if state.model is not None else {}

    @property
    def version(self) -> str:
        """Name the state by the rows it learned from."""
        state = self._fitted()
        rows = state.learned.runs if state.learned else len(state.model.seen) if state.model else 0
        return f"runtime-3-seed{self.seed}+{rows}"

    def pair_quantiles(self, computations: Sequence[Computation], resources: Sequence[Resource]) -> FloatArray:
        """Return runtime quantiles [C, R, Q] at LEVELS for core values."""
        asked = self.asked_by(resources)
        shape = (len(computations), len(resources), len(LEVELS))
        return np.array([asked(computation) for computation in computations], dtype=np.float64).reshape(shape)

    def asked_by(self, resources: Sequence[Resource]) -> Callable[[Computation], FloatArray]:
        """Return what answers quantiles [R, Q] at LEVELS for a computation on these resources, prepared once.

        It is what `LivePredictor(model=...)` asks; ten thousand new resources take a tenth of a second.
        """
        from dnaml.predict.prepared import asked_by

        return asked_by(self, resources)

    @property
    def learned(self) -> Learned | None:
        """Return the learned model, None where the rows were too few for one."""
        return self._fitted().learned

    @property
    def mixed(self) -> Mixed | None:
        """Return what is mixed with the learned model where computations are kernels at sizes."""
        return self._fitted().mixed

    def _fitted(self) -> _State:
        if self._state is None:
            raise InputError("RuntimePredictor must be fitted before it is used: call fit(runs) first")
        return self._state

    def _log_quantiles(self, pairs: "pd.DataFrame") -> tuple[FloatArray, list[str]]:
        state = self._fitted()
        missing = [name for name in IDS if name not in pairs.columns]
        if missing:
            raise InputError(f"pairs: column {missing[0]!r} is required, got {list(pairs.columns)[:8]}")
        pairs = pairs.drop(columns="runtime_s", errors="ignore")
        if state.learned is not None and len(pairs):
            log_values, paths = state.learned.log_quantiles(pairs)
            if state.mixed is not None:
                log_values, paths = state.mixed.log_quantiles(pairs, log_values), [f"{path}+kernels" for path in paths]
        elif state.model is None or state.counts is None:
            log_values, paths = unmeasured.log_quantiles(pairs), [PATH_MATCH] * len(pairs)
        else:
            log_values, groups = state.model.log_quantiles(state.model.encoder.design(pairs), state.counts)
            paths = [f"blend/{Kind(kind).name.lower()}" for kind, _ in groups]
        return np.clip(log_values, np.log(SHORTEST_S), np.log(LONGEST_S)), paths

    def _prices(self, pairs: "pd.DataFrame") -> FloatArray:
        """Return USD per second [N]: the pair's own where it says one, else the resource's last known, else NaN."""
        import pandas as pd

        known = pairs["resource_id"].astype(str).map(self._fitted().prices).astype(float)
        if "price_usd_per_s" in pairs:
            known = pd.to_numeric(pairs["price_usd_per_s"], errors="coerce").astype(float).fillna(known)
        price = np.asarray(known.to_numpy(dtype=float), dtype=np.float64)
        return np.where((price >= 0) & np.isfinite(price), price, np.nan)


def _fitted(table: RunTable, *, seed: int) -> _State:
    frame, reasons = _usable(table)
    state = _State(seed=seed, prices=_known_prices(frame), power=with_drawn(Power(), frame), set_aside=reasons)
    return _learnt(frame, state)


def _learnt(frame: "pd.DataFrame", before: _State) -> _State:
    """Return a state that is fitted to rows and takes from the one before what is no part of a fit."""
    if len(frame) == 0:
        return before
    seed, kept = before.seed, Kept.of(frame) if len(frame) <= LARGEST_RELEARNT else None
    state = replace(before, learned=None, mixed=None, model=None, described={}, kept=kept, fitted_rows=len(frame))
    learned = Learned.fit(frame, seed=seed)
    if learned is not None:
        described = {entity.value: Described.of(frame, entity) for entity in Entity}
        return replace(state, learned=learned, mixed=Mixed.fit(frame, learned, seed=seed), described=described)
    encoder = Encoder.of(frame)
    return replace(state, model=fit_model(encoder, encoder.design(frame).ordered(), seed=seed))


def _updated(state: _State, table: RunTable) -> _State:
    frame, reasons = _usable(table)
    reasons = {name: state.set_aside.get(name, 0) + reasons.get(name, 0) for name in {*state.set_aside, *reasons}}
    state = replace(state, prices={**state.prices, **_known_prices(frame)}, set_aside=reasons)
    if len(frame) == 0:
        return state
    state = replace(state, power=with_drawn(state.power, frame))
    if state.learned is None and state.model is None:
        return _learnt(frame, state)
    kept = None
    if state.kept is not None and state.kept.rows + len(frame) <= LARGEST_RELEARNT:
        kept = state.kept.joined(frame)
        if kept.rows >= REFIT_GROWTH * state.fitted_rows:
            return _learnt(_sorted(kept.frame()), state)
    state = replace(state, kept=kept)
    if state.learned is not None:
        described = {e.value: state.described[e.value].updated(frame, e) for e in Entity}
        mixed = None if state.mixed is None else state.mixed.updated(frame)
        return replace(state, learned=state.learned.updated(frame), mixed=mixed, described=described)
    assert state.model is not None, "a fitted state has a model of some kind"
    new = state.model.encoder.design(frame).ordered()
    rows = len(state.model.seen) + len(new)
    if REFIT_GROWTH * state.model.fitted_rows <= rows <= LARGEST_REFIT:
        model = fit_model(state.model.encoder, state.model.seen.joined(new).ordered(), seed=state.seed)
    else:
        model = state.model.updated(new)
    return replace(state, model=model)


def _usable(table: RunTable) -> tuple["pd.DataFrame", dict[str, int]]:
    """Return the rows that tell a runtime, in an order of their own, and the count of the others by reason."""
    frame, reasons = sound_rows(table)
    return _sorted(frame), reasons


def _sorted(frame: "pd.DataFrame") -> "pd.DataFrame":
    names = (frame[name].to_numpy(dtype=object).astype(str) for name in ("computation_id", "resource_id"))
    order = np.lexsort((frame["runtime_s"].to_numpy(dtype=np.float64), *names))
    return frame.iloc[order].reset_index(drop=True)


def _known_prices(frame: "pd.DataFrame") -> dict[str, float]:
    if "price_usd_per_s" not in frame:
        return {}
    names, prices = frame["resource_id"].tolist(), frame["price_usd_per_s"].to_numpy(dtype=float)
    known = np.flatnonzero(~np.isnan(prices))
    return {str(names[place]): float(prices[place]) for place in known[np.argsort(prices[known], kind="stable")]}
