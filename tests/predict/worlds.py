"""A simulated world with known truth: kernels at sizes on resources, with interactions and noise, in ln seconds."""

import math
from dataclasses import dataclass, field

import numpy as np

from dnaml.core.protocols import Run
from dnaml.core.types import Computation, Resource

SIZES = (100.0, 300.0, 1000.0)


@dataclass(frozen=True, kw_only=True)
class World:
    """`truth` [K, S, R] is ln seconds; `ran` [K, S, R] says which cells have runs."""

    resources: list[Resource]
    computations: dict[tuple[int, int], Computation]
    truth: np.ndarray
    ran: np.ndarray
    noise_sd: float
    runs: list[Run] = field(default_factory=list)

    def pairs(self, ran: bool) -> list[tuple[Computation, Resource, float]]:
        """Return computation, resource and true ln seconds of the cells that ran, or of those that did not."""
        return [
            (self.computations[k, s], self.resources[r], float(self.truth[k, s, r]))
            for k, s, r in np.argwhere(self.ran == ran).tolist()
        ]


def world(seed: int = 0, *, kernels: int = 12, resources: int = 5, never: float = 1 / 3, repeats: int = 3) -> World:
    """Return a world in which a share `never` of the cells has no run and each other cell has `repeats`."""
    rng = np.random.default_rng(seed)
    speed, loading = rng.normal(0, 0.4, resources), rng.normal(0, 0.25, (resources, 2))
    taste, level, slope = rng.normal(0, 1, (kernels, 2)), rng.normal(0, 1, kernels), rng.uniform(0.8, 2.2, kernels)
    grow = np.log(np.array(SIZES) / 300)
    truth = level[:, None, None] + slope[:, None, None] * grow[None, :, None] + speed + (taste @ loading.T)[:, None, :]
    truth = truth + rng.normal(0, 0.06, truth.shape)
    ran = rng.random(truth.shape) >= never
    pool = [
        Resource(id=f"r{r}", price_usd_per_h=0.1 * math.exp(-speed[r]), memory_bytes=2**30, spec={"cores": 1.0})
        for r in range(resources)
    ]
    named = {
        (k, s): Computation(id=f"k{k}-s{s}", kernel=f"k{k}", size={"n": SIZES[s]})
        for k in range(kernels)
        for s in range(len(SIZES))
    }
    noise_sd = 0.06
    runs = [
        Run(
            computation=named[k, s],
            resource=pool[r],
            runtime_s=math.exp(truth[k, s, r] + rng.normal(0, noise_sd)),
            at_s=float(at),
        )
        for at, (k, s, r) in enumerate(np.argwhere(ran).tolist())
        for _ in range(repeats)
    ]
    return World(resources=pool, computations=named, truth=truth, ran=ran, noise_sd=noise_sd, runs=runs)
