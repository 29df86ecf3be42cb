"""How fast a bank of resource vectors is searched and rescored, and how much memory it takes."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.prediction import synthetic
from benchmarks.prediction.tasks import COMPUTATION, RESOURCE, RUNTIME
from dnaml import RuntimePredictor
from dnaml.dna.bank import SHORTLIST, Bank
from dnaml.dna.geometry import DIRECTIONS, Weights, supply_slots
from dnaml.dna.learned import Loading, Space, learn_space
from dnaml.dna.supply import Supply
from dnaml.predict.prepared import Asked, Pool

Floats = npt.NDArray[np.float64]
BALANCED = Weights(time=0.5, cost=0.5, tail=0.1)
_CATALOGUE = 64
_MIB = 1e6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stocked:
    """A bank with its space, loadings of a few computations, and the rows that describe its resources to a model."""

    bank: Bank
    space: Space
    loadings: list[Loading]
    described: pd.DataFrame


def stocked(resources: int, *, computations: int = 8, covariances: bool = True, seed: int = 0) -> Stocked:
    """Return a bank of made-up resources with whole covariances: their values change nothing in how fast it is."""
    chance = np.random.default_rng(seed)
    phi, u = chance.normal(size=(_CATALOGUE, 6)), chance.normal(size=(resources, 6))
    price = np.exp(chance.normal(0, 0.5, resources))
    space = learn_space(phi @ u[: min(resources, 2_000)].T, price_usd_per_h=price[:2_000])
    latent = np.zeros((resources, DIRECTIONS))
    latent[:, :6] = u
    pairs = synthetic.table(resources, resources=resources, computations=1, seed=4)
    supply = Supply(
        ids=tuple(pairs[RESOURCE]),
        latent=latent,
        spread=_packed_covariances(resources, chance) if covariances else None,
        price_usd_per_h=price,
    )
    loadings = [space.catalogue(row % _CATALOGUE) for row in range(computations)]
    described = pairs.drop(columns=RUNTIME).assign(**{COMPUTATION: "asked"})
    return Stocked(bank=Bank.of(supply, space), space=space, loadings=loadings, described=described)


def _packed_covariances(count: int, chance: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return upper triangles [N, 105] of positive definite matrices."""
    upper = np.triu_indices(DIRECTIONS)
    one = chance.normal(size=(DIRECTIONS, DIRECTIONS))
    packed = (one @ one.T / DIRECTIONS + np.eye(DIRECTIONS))[upper]
    found: npt.NDArray[np.float32] = (packed * chance.uniform(0.01, 0.1, (count, 1))).astype(np.float32)
    return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """A bank whose resources a model knows by their descriptions, and one computation of those it learned from."""

    stock: Stocked
    pool: Pool
    asked: Asked


def prepared(model: RuntimePredictor, stock: Stocked, computation: pd.DataFrame) -> Prepared:
    """Return all that can be worked out before a question: resources never seen, one computation that is known."""
    resources = stock.described.assign(**{RESOURCE: "new-" + stock.described[RESOURCE].astype(str)})
    kept = [name for name in resources if str(name).startswith("r_")]
    if model.learned is None:
        raise LookupError("nothing was learned")
    pool = Pool.of(model.learned, resources[[RESOURCE, *kept]])
    return Prepared(stock=stock, pool=pool, asked=pool.asked(computation))


def ranked(ready: Prepared) -> int:
    """Rank every resource for one computation with exact quantiles for the best; return how many have some."""

    def rescore(index: npt.NDArray[np.int64]) -> Floats:
        return ready.pool.quantiles(ready.asked, index)

    return len(ready.stock.bank.match(ready.stock.loadings[0], BALANCED, rescore=rescore, k=SHORTLIST).ids)


def shortlisted(stock: Stocked) -> int:
    """Find the shortlist for one computation; return its length."""
    return len(stock.bank.shortlist(stock.loadings[0], BALANCED, k=SHORTLIST))


def memory_mb(resources: int) -> tuple[float, float]:
    """Return megabytes of a bank with whole covariances, and of the 32 float32 slots of each resource beside it."""
    stock = stocked(resources)
    slots = supply_slots(np.zeros((1, DIRECTIONS)), np.zeros(1), stock.space.norm).nbytes * 2 * resources
    return stock.bank.nbytes / _MIB, slots / _MIB
