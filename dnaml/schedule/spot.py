"""A deadline on machines that come and go: when to use spot, when to wait for it, when to pay for on-demand.

Spot capacity is a chain over whether it is there and for how long (hazard by age: new machines and old ones go more
often than those between). On it the cheapest way to end in time is computed backwards from the deadline, exactly, so
that no run of interruptions makes the work late as long as on-demand machines can be had.
"""

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from dnaml.core.errors import InputError
from dnaml.core.plan import FloatArray

AGES_H: tuple[float, ...] = (0.0, 0.5, 2.0, 8.0)
"""where buckets of age begin, for capacity that is there and capacity that is not; the last has no end"""
UP_HAZARD_PER_H: tuple[float, ...] = (0.6, 0.25, 0.1, 0.06)
DOWN_HAZARD_PER_H: tuple[float, ...] = (1.0, 0.4, 0.15, 0.08)
PRIOR_H = 3.0
"""hours of evidence in each bucket that the hazards above count for"""
_NEVER = 1e6
FloatArray32 = npt.NDArray[np.float32]


class Mode(Enum):
    """Is what the work stands on during a tick; the value is its place in arrays."""

    NONE = 0  # nothing: it waits
    SPOT = 1  # a spot machine
    ON_DEMAND = 2  # a machine that stays


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpotModel:
    """How spot capacity comes and goes: ends seen and hours spent [2, B] (not there, there; by bucket of age).

    Old evidence counts half after `half_life_h`. `up` and `age_h` are the present state; None before the first look.
    """

    ends: FloatArray
    hours: FloatArray
    up: bool | None = None
    age_h: float = 0.0
    half_life_h: float = 240.0

    @staticmethod
    def new(half_life_h: float = 240.0) -> "SpotModel":
        """Return a model that has seen nothing."""
        empty = np.zeros((2, len(AGES_H)))
        return SpotModel(ends=empty, hours=empty, half_life_h=half_life_h)

    def seen(self, up: bool, hours: float) -> "SpotModel":
        """Return the model after capacity was there (or not) for some hours from now on."""
        if not (math.isfinite(hours) and hours > 0):
            raise InputError(f"spot: a look must last longer than 0 h, got {hours}")
        keep = 0.5 ** (hours / self.half_life_h)
        ends, spent = self.ends * keep, self.hours * keep
        age_h = self.age_h
        if self.up is not None and up != self.up:
            ends[int(self.up), _bucket(age_h)] += 1
            age_h = 0.0
        starts = np.array(AGES_H)
        stops = np.append(starts[1:], np.inf)
        spent[int(up)] += np.maximum(np.minimum(stops, age_h + hours) - np.maximum(starts, age_h), 0.0)
        return SpotModel(ends=ends, hours=spent, up=up, age_h=age_h + hours, half_life_h=self.half_life_h)

    def hazard_per_h(self) -> FloatArray:
        """Return how often each state ends, per hour [2, B]: Gamma-Poisson around the prior."""
        prior = np.array([DOWN_HAZARD_PER_H, UP_HAZARD_PER_H])
        hazard: FloatArray = (self.ends + prior * PRIOR_H) / (self.hours + PRIOR_H)
        return hazard

    def transitions(self, tick_h: float) -> FloatArray:
        """Return the chances [2B, 2B] of each state a tick later; states are (not there, there) by bucket of age."""
        buckets = len(AGES_H)
        chances = np.zeros((2 * buckets, 2 * buckets))
        hazard = self.hazard_per_h()
        for up in (0, 1):
            for bucket in range(buckets):
                row = chances[up * buckets + bucket]
                last = bucket == buckets - 1
                older = 0.0 if last else min(1.0, tick_h / (AGES_H[bucket + 1] - AGES_H[bucket]))
                end = -math.expm1(-hazard[up, bucket] * tick_h)
                row[(1 - up) * buckets] += end
                row[up * buckets + bucket + (not last)] += (1 - end) * older
                row[up * buckets + bucket] += (1 - end) * (1 - older)
        return chances

    def state(self) -> int:
        """Return the present state's place in `transitions`; not there before the first look."""
        return int(bool(self.up)) * len(AGES_H) + _bucket(self.age_h)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotTerms:
    """Prices and times of one piece of work: a start (or restart) redoes or waits for `restart_h` of work.

    `guard_ticks` are kept back before the deadline.
    """

    spot_usd_per_h: float
    on_demand_usd_per_h: float
    restart_h: float
    tick_h: float = 1 / 12
    parts: int = 5
    guard_ticks: int = 1

    def __post_init__(self) -> None:
        """Raise InputError for terms that cannot be."""
        if not self.spot_usd_per_h >= 0 or not self.on_demand_usd_per_h > 0:
            raise InputError(
                f"spot: prices must not be negative, got {self.spot_usd_per_h}, {self.on_demand_usd_per_h}"
            )
        if self.restart_h < 0 or not self.tick_h > 0 or self.parts < 1 or self.guard_ticks < 0:
            raise InputError(f"spot: restart_h, tick_h, parts and guard_ticks cannot be {self}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpotPlan:
    """What to stand on, for every time left, work left, state of spot and mode: computed once, asked each tick.

    `choice` [T, 2B, 3, W]: modes by ticks left, state of spot, present mode, and parts of a tick of work left.
    """

    terms: SpotTerms
    choice: npt.NDArray[np.int8]

    def mode(self, model: SpotModel, present: Mode, work_h: float, left_h: float) -> Mode:
        """Return what to stand on during the next tick; on-demand where the plan does not reach."""
        terms = self.terms
        ticks = math.floor(left_h / terms.tick_h + 1e-6) - terms.guard_ticks
        work = math.ceil(work_h / terms.tick_h * terms.parts - 1e-6)
        if work <= 0:
            return Mode.NONE
        if not 0 < ticks < self.choice.shape[0] or work >= self.choice.shape[3]:
            enough = ticks >= self.choice.shape[0]
            return Mode.SPOT if model.up and enough else Mode.NONE if enough else Mode.ON_DEMAND
        return Mode(int(self.choice[ticks, model.state(), present.value, work]))


def plan_spot(model: SpotModel, terms: SpotTerms, *, work_h: float, left_h: float) -> SpotPlan:
    """Return the cheapest plan that ends so much work in so much time: dynamic programming backwards from the end.

    A 70 h deadline takes about half a second. Where even on-demand comes too late, on-demand is the answer.
    """
    if not (work_h > 0 and left_h > 0 and math.isfinite(work_h + left_h)):
        raise InputError(f"spot: work and time left must be positive, got {work_h} h and {left_h} h")
    ticks = math.floor(left_h / terms.tick_h)
    restart = math.ceil(terms.restart_h / terms.tick_h * terms.parts - 1e-6)
    size = math.ceil(work_h / terms.tick_h * terms.parts) + 4 * restart + 1
    chances = model.transitions(terms.tick_h).astype(np.float32)
    buckets = len(AGES_H)
    price = np.array([0.0, terms.spot_usd_per_h, terms.on_demand_usd_per_h], dtype=np.float32) * np.float32(
        terms.tick_h
    )
    later = np.full((3, 2 * buckets, size), _NEVER, dtype=np.float32)  # [mode before, state, work left]
    later[:, :, 0] = 0.0
    choice = np.full((ticks + 1, 2 * buckets, 3, size), Mode.ON_DEMAND.value, dtype=np.int8)
    done = np.zeros((3, 2 * buckets, terms.parts), dtype=np.float32)
    never = np.full((3, 2 * buckets, restart), _NEVER, dtype=np.float32)
    for left in range(1, ticks + 1):
        ahead = chances @ later  # [3, 2B, W]
        reach = np.concatenate([done, ahead, never], axis=2)  # `parts` places further on than `ahead`
        worked = price[:, None, None] + reach[:, :, :size]
        begun = price[:, None, None] + reach[:, :, restart : restart + size]
        now = np.empty_like(later)
        for before in Mode:
            held = _with(begun, worked, before)
            held[Mode.SPOT.value, :buckets] = 2 * _NEVER  # spot is not there
            choice[left, :, before.value], now[before.value] = _cheapest(ahead[Mode.NONE.value], held)
        # a spot machine that was taken away leaves nothing behind
        now[Mode.SPOT.value, :buckets] = now[Mode.NONE.value, :buckets]
        choice[left, :buckets, Mode.SPOT.value] = choice[left, :buckets, Mode.NONE.value]
        now[:, :, 0] = 0.0
        later = np.minimum(now, _NEVER)
    return SpotPlan(terms=terms, choice=choice)


def _with(begun: FloatArray32, worked: FloatArray32, mode: Mode) -> FloatArray32:
    """Return the costs [3, 2B, W] of starting anew on each mode, but for the one that goes on."""
    held = begun.copy()
    held[mode.value] = worked[mode.value]
    return held


def _cheapest(waits: FloatArray32, held: FloatArray32) -> tuple[npt.NDArray[np.int8], FloatArray32]:
    """Return modes [2B, W] and their costs; of equals the safest: on-demand where all are late."""
    best = np.full(waits.shape, Mode.ON_DEMAND.value, dtype=np.int8)
    cost = held[Mode.ON_DEMAND.value]
    for mode, other in ((Mode.SPOT, held[Mode.SPOT.value]), (Mode.NONE, waits)):
        best[other < cost] = mode.value
        cost = np.minimum(cost, other)
    return best, cost


def uniform_progress(
    available: bool, present: Mode, *, done_h: float, work_h: float, past_h: float, deadline_h: float, restart_h: float
) -> Mode:
    """Return the mode of a simple rule: keep progress at least proportional to time (Wu et al., NSDI 2024).

    Spot is used when there is some; without it, on-demand is used while progress is behind, and kept until it is two
    restarts ahead. The caller falls back to on-demand when the time left just suffices.
    """
    ahead = done_h - work_h * past_h / deadline_h
    steady = present is Mode.ON_DEMAND and ahead < 2 * restart_h
    if available:
        return Mode.ON_DEMAND if steady else Mode.SPOT
    return Mode.ON_DEMAND if ahead < 0 or steady else Mode.NONE


def _bucket(age_h: float) -> int:
    return int(np.searchsorted(AGES_H, age_h + 1e-9, side="right")) - 1
