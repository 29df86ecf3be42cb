"""The knobs of the priced family, and the settings it starts from for each objective."""

from dataclasses import dataclass, replace

import numpy as np

from dnaml.core.errors import InputError
from dnaml.core.work import Objective
from dnaml.schedule.rounds.round import FloatArray

_HOUR_S = 3600.0
_FLOW_S = 167.0 * _HOUR_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Knobs:
    """What the priced family turns: key K(j, k) = left_s (theta + price[pool] units^gang); small keys go first.

    `prices` [M] are relative to the dearest pool. `fill`: a job takes a configuration only if it costs at most so many
    times its cheapest. A job is urgent while its slack is below `urgent_share` x what is left + `urgent_s`; every job
    has a soft deadline `flow_s` after its arrival (inf: none). `money` None orders by keys alone; a number matches
    single-unit jobs to (unit, place) at place x left hours + money x dollars.
    """

    theta: float = 0.3
    prices: tuple[float, ...] = ()
    gang: float = 1.0
    fill: float = 2.0
    urgent_share: float = 0.087
    urgent_s: float = 0.0
    flow_s: float = np.inf
    money: float | None = None

    def __post_init__(self) -> None:
        """Raise InputError on a knob out of its range."""
        if min(self.theta, *self.prices, 0.0) < 0 or self.fill < 1:
            raise InputError(f"theta and prices must not be negative and fill at least 1, got {self}")

    def with_prices(self, price_usd_per_h: FloatArray, exponent: float) -> "Knobs":
        """Return the knobs with pool prices that follow the money prices, flattened by an exponent below 1."""
        known = price_usd_per_h[price_usd_per_h > 0]
        top = float(known.max()) if len(known) else 1.0
        relative = np.where(price_usd_per_h > 0, price_usd_per_h / top, 1.0) ** exponent
        return replace(self, prices=tuple(float(value) for value in relative))


def preset(objective: Objective, price_usd_per_h: FloatArray) -> Knobs:
    """Return where the family starts for an objective: dear pools are avoided the more the larger its cost share."""
    cost, latency, _, _ = objective.shares()
    thrift = cost / max(cost + latency, 1e-9)
    start = Knobs(
        theta=0.15 + 0.44 * thrift,
        gang=1.1 - 0.3 * thrift,
        fill=1.2 + 22.0 * (1.0 - thrift) ** 2,
        urgent_share=0.02,
        urgent_s=4.3 * _HOUR_S,
        flow_s=_FLOW_S,
        money=0.35 + 0.05 * thrift / max(1.0 - thrift, 0.01),
    )
    return start.with_prices(price_usd_per_h, 0.3 + 2.0 * thrift**2)


def for_arrivals(objective: Objective, price_usd_per_h: FloatArray) -> Knobs:
    """Return the preset for jobs that trickle in, for which nothing is searched.

    The soft deadline of every job cuts the tail at the expense of the mean: it moves out as latency counts for more
    than cost, and is gone where the mean completion time is all that counts.
    """
    cost, latency, _, _ = objective.shares()
    tail = max(1.0, (cost + latency) / (2.0 * cost)) if cost else np.inf
    return replace(preset(objective, price_usd_per_h), flow_s=_FLOW_S * tail)


def drawn(rng: np.random.Generator, pools: int, price_usd_per_h: FloatArray) -> Knobs:
    """Return knobs drawn at large, to start a search."""
    start = Knobs(
        theta=float(rng.choice([0.0, 0.15, 0.3, 1.0, 3.0])),
        gang=float(rng.uniform(0.5, 1.3)),
        fill=float(rng.choice([1.001, 1.05, 1.1, 1.2, 1.4, 2.0, 9.0])),
        urgent_share=float(rng.choice([0.0, 0.01, 0.03, 0.087, 0.15, 0.25])),
    )
    order = np.argsort(-price_usd_per_h, kind="stable")
    prices = np.ones(pools)
    prices[order] = np.concatenate([[1.0], np.sort(rng.uniform(0.02, 1.0, pools - 1))[::-1]])
    return replace(start, prices=tuple(float(value) for value in prices))


def turned(knobs: Knobs, rng: np.random.Generator) -> Knobs:
    """Return knobs a small step away."""
    prices = np.array(knobs.prices) * np.exp(rng.normal(0, 0.15, len(knobs.prices)))
    prices = prices / prices.max()
    theta = knobs.theta * np.exp(rng.normal(0, 0.3)) + (0.1 if rng.random() < 0.1 else 0.0)
    return replace(
        knobs,
        prices=tuple(float(value) for value in prices),
        theta=float(theta),
        gang=float(knobs.gang + rng.normal(0, 0.08)),
        fill=float(max(1.0001, 1 + (knobs.fill - 1) * np.exp(rng.normal(0, 0.4)))),
        urgent_share=float(max(0.0, knobs.urgent_share + rng.normal(0, 0.03) * (rng.random() < 0.5))),
    )
