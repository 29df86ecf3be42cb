"""Whether the order of the learned vectors is the order of the predictions, and what ranking in two stages loses.

The space is learnt on a catalogue of computations; the computations asked about are others, and the resources are
described and ran three things each.
"""

import sys
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd
from threadpoolctl import threadpool_limits

from benchmarks.prediction import synthetic
from benchmarks.prediction.tasks import COMPUTATION, PRICE, RESOURCE, RUNTIME
from benchmarks.report import Op, Row
from dnaml import RuntimePredictor
from dnaml.core.dna import RAW_SLOTS
from dnaml.core.prediction import LEVELS
from dnaml.dna.bank import Bank
from dnaml.dna.fidelity import order_agreement, two_stage_regret
from dnaml.dna.geometry import Weights, demand_slots, learned_angles, log_price, supply_slots
from dnaml.dna.learned import Loading, Space, learn_space, spread_out
from dnaml.dna.supply import Supply

Floats = npt.NDArray[np.float64]
WEIGHTS = {"min latency": Weights(time=1.0), "balanced": Weights(time=0.5, cost=0.5)}
_ANCHORS = 64
_PROBES = 3  # runs of each resource, on computations of the catalogue


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is learnt from and asked: runs, resources of the pool, computations of the catalogue and asked ones."""

    runs: int
    resources: int
    catalogue: int
    asked: int


FULL = Size(runs=3_000, resources=1_000, catalogue=48, asked=16)
QUICK = Size(runs=600, resources=300, catalogue=16, asked=4)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pool:
    """Predicted ln seconds by the full model, catalogue [J, N] and asked [C, N] with p10 to p90 beside; prices [N]."""

    catalogue: Floats
    asked: Floats
    quantiles: Floats  # [C, N, Q]
    price_usd_per_h: Floats


def rows(*, quick: bool) -> list[Row]:
    """Return the rows of ranking."""
    size = QUICK if quick else FULL
    with threadpool_limits(1):
        pool = predicted(size)
    space = learn_space(pool.catalogue, price_usd_per_h=pool.price_usd_per_h)
    latent = space.resources(pool.catalogue)
    loadings = [loading_of(space, latent, row) for row in pool.asked]
    agreed = {name: agreement(pool, latent, loadings, space, weights) for name, weights in WEIGHTS.items()}
    lost = {name: regret(pool, latent, loadings, space, weights) for name, weights in WEIGHTS.items()}
    what = f"{size.asked} computations x {size.resources:,} resources, all new, {_PROBES} runs each of the latter"
    return [
        Row(
            id="ranking.spearman",
            metric="order by learned cosine beside the full predictor's, within computations: Spearman",
            value=float(np.mean([values.mean() for values in agreed.values()])),
            unit="",
            op=Op.AT_LEAST,
            bar=0.95,
            note=f"{what}; " + _told({name: (v.mean(), v.min()) for name, v in agreed.items()}, "least"),
        ),
        Row(
            id="ranking.regret",
            metric="top-1 regret of ranking in two stages beside full scoring",
            value=float(np.mean([values.mean() for values in lost.values()])),
            unit="%",
            bar=1.0,
            note=f"{what}; " + _told({name: (v.mean(), v.max()) for name, v in lost.items()}, "most"),
        ),
    ]


def _told(figures: dict[str, tuple[float, float]], extreme: str) -> str:
    return ", ".join(f"{name} {mean:.3g} ({extreme} {edge:.3g})" for name, (mean, edge) in figures.items())


def predicted(size: Size) -> Pool:
    """Return the full model's answers for a pool on which little ran."""
    computations = size.catalogue + size.asked
    side = int(np.ceil(np.sqrt(size.runs * 1.6)))
    model = RuntimePredictor(seed=0).fit(synthetic.table(size.runs, resources=side, computations=side))
    cells = size.resources * computations
    pairs = synthetic.table(cells, resources=size.resources, computations=computations, seed=3)
    pairs[RESOURCE], pairs[COMPUTATION] = "new-" + pairs[RESOURCE], "new-" + pairs[COMPUTATION]
    print(f"ranking: {cells:,} predictions ...", file=sys.stderr, flush=True)
    at_c, _ = pd.factorize(pairs[COMPUTATION], sort=True)
    at_r, _ = pd.factorize(pairs[RESOURCE], sort=True)
    ran = pairs[at_c < size.catalogue].groupby(RESOURCE).sample(_PROBES, random_state=0)
    told = model.update(ran).predict_quantiles(pairs.drop(columns=RUNTIME), levels=LEVELS).to_numpy()
    quantiles = np.empty((computations, size.resources, len(LEVELS)))
    quantiles[at_c, at_r] = told
    price = np.empty(size.resources)
    price[at_r] = pairs[PRICE] * 3600
    logs = np.log(quantiles[:, :, LEVELS.index(0.5)])
    return Pool(
        catalogue=logs[: size.catalogue],
        asked=logs[size.catalogue :],
        quantiles=quantiles[size.catalogue :],
        price_usd_per_h=price,
    )


def loading_of(space: Space, latent: Floats, log_s: Floats) -> Loading:
    """Return the loading of a computation from its predictions [N], taken at a few resources far apart."""
    anchors = spread_out(latent, _ANCHORS)
    return space.computation(log_s[anchors], latent[anchors])


def agreement(pool: Pool, latent: Floats, loadings: list[Loading], space: Space, weights: Weights) -> Floats:
    """Return the rank correlation [C] of the cosine of the vectors and what the full predictor minimises."""
    prices = log_price(pool.price_usd_per_h, space.log_price_usual)
    offered = _whole(supply_slots(latent, prices, space.norm))
    wanted = _whole(demand_slots(np.array([loading.phi for loading in loadings]), weights))
    cosines = np.array([learned_angles(row, offered)[0] for row in wanted])
    return order_agreement(-cosines, _full(pool, weights))


def regret(pool: Pool, latent: Floats, loadings: list[Loading], space: Space, weights: Weights) -> Floats:
    """Return in percent how much worse the best rescored resource is than the best of all [C]."""
    ids = tuple(f"r{number}" for number in range(len(latent)))
    bank = Bank.of(Supply(ids=ids, latent=latent, price_usd_per_h=pool.price_usd_per_h), space)
    full = _full(pool, weights)
    lost = []
    for row, loading in enumerate(loadings):
        ranked = bank.match(loading, weights, rescore=partial(_known, pool.quantiles[row]))
        lost.append(two_stage_regret(ranked, full[row]))
    percent: Floats = 100 * np.expm1(np.array(lost))
    return percent


def _known(quantiles: Floats, index: npt.NDArray[np.int64]) -> Floats:
    return quantiles[index]


def _full(pool: Pool, weights: Weights) -> Floats:
    """Return what the weights minimise [C, N] by the full predictor."""
    score: Floats = (weights.time + weights.cost) * pool.asked + weights.cost * np.log(pool.price_usd_per_h)
    return score


def _whole(slots: npt.NDArray[np.float32]) -> Floats:
    """Return vectors [N, 32] with the learned half filled."""
    return np.concatenate([np.zeros((len(slots), RAW_SLOTS)), slots], axis=1)
