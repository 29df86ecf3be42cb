"""How often a resource is lost: Gamma-Poisson rates with a prior by what it is, and age for rented spot machines.

    rate = (losses + rate_0 b) / (hours + b),   P_fail = 1 - exp(-integral of the rate over the run)

rate_0 is itself such a rate over the resources of the same family. Preemptions of spot machines come early or near a
provider's limit and seldom between (bathtub: Kadupitiya et al., HPDC 2020), so their rate is multiplied by age bucket.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dnaml.core.errors import InputError
from dnaml.core.protocols import Run
from dnaml.core.types import Resource, Site

FloatArray = npt.NDArray[np.float64]

SPOT_TIMES, SERVERLESS_TIMES = 5.0, 0.25  # as often lost as a plain machine, before any evidence
FAMILY_HOURS = 100.0  # of evidence that the first guess of a family counts for
AGE_EDGES_H: tuple[float, ...] = (0.0, 1.0, 3.0, 20.0, 24.0)  # the last bucket has no end
AGE_TIMES: tuple[float, ...] = (2.0, 1.5, 0.7, 2.0, 1.0)  # the rate by age before any evidence
AGE_LOSSES = 3.0  # that this guess counts for, in each bucket
MOST_ERROR_TIMES = 10.0


def is_spot(resource: Resource) -> bool:
    """Say whether a resource is rented as spot: it may be taken back at any time."""
    return resource.labels.get("use_spot", "false") == "true"


def family(resource: Resource) -> str:
    """Name the family that a resource shares its prior with: where it stands, what it is, whether it is spot."""
    return f"{resource.site.value}/{resource.kind.value}{'/spot' if is_spot(resource) else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hazard:
    """Estimates the rate at which each resource is lost, per hour of use.

    A run that is both failed and censored was lost with its resource; one that is only censored was stopped on
    request or went on from a checkpoint, one that is only failed ended by its own doing.
    """

    prior_losses: float = 0.02
    prior_hours: float = 1.0
    losses: Mapping[str, float] = field(default_factory=dict)
    hours: Mapping[str, float] = field(default_factory=dict)
    families: Mapping[str, str] = field(default_factory=dict)

    def updated(self, runs: Sequence[Run]) -> "Hazard":
        """Return the estimate that knows these runs too; a runtime that cannot be true adds no hours."""
        losses, hours, families = dict(self.losses), dict(self.hours), dict(self.families)
        newest: dict[str, Resource] = {}
        for run in runs:
            name = run.resource.id
            seconds = run.runtime_s if 0 < run.runtime_s < np.inf else 0.0
            hours[name] = hours.get(name, 0.0) + seconds / 3600
            newest[name] = run.resource
            if run.failed and run.censored:
                losses[name] = losses.get(name, 0.0) + 1.0
        families.update((name, family(resource)) for name, resource in newest.items())
        return Hazard(
            prior_losses=self.prior_losses,
            prior_hours=self.prior_hours,
            losses=losses,
            hours=hours,
            families=families,
        )

    def per_h(self, resource_id: str) -> float:
        """Return the expected losses per hour of use of one resource, of which only the id is known."""
        losses, hours = self.losses.get(resource_id, 0.0), self.hours.get(resource_id, 0.0)
        return (losses + self.prior_losses) / (hours + self.prior_hours)

    def rates_per_h(self, resources: Sequence[Resource], error_rates: FloatArray | None = None) -> FloatArray:
        """Return the expected losses per hour of use [R], with the prior of each resource's family.

        `error_rates` [R] in [0, 1] is the share of errors in a resource's own history (NaN: unknown): it raises the
        prior up to MOST_ERROR_TIMES.
        """
        totals = self._totals()
        errors = [math.nan] * len(resources) if error_rates is None else np.asarray(error_rates).tolist()
        unused: dict[str, float] = {}  # the rate of a family's resources on which nothing ran
        rates = []
        for resource, error in zip(resources, errors, strict=True):
            if resource.id in self.hours or error == error:
                rates.append(self._rate(resource, totals, error))
                continue
            name = family(resource)
            if name not in unused:
                unused[name] = self._rate(resource, totals, error)
            rates.append(unused[name])
        return np.array(rates, dtype=np.float64)

    def _rate(self, resource: Resource, totals: Mapping[str, tuple[float, float]], error_rate: float) -> float:
        own = (self.losses.get(resource.id, 0.0), self.hours.get(resource.id, 0.0))
        group = totals.get(family(resource), (0.0, 0.0))
        mine = self.families.get(resource.id) == family(resource)
        others = [max(whole - part * mine, 0.0) for whole, part in zip(group, own, strict=True)]
        first = self.prior_losses / self.prior_hours * _times(resource)
        prior = (others[0] + first * FAMILY_HOURS) / (others[1] + FAMILY_HOURS)
        if error_rate == error_rate:
            prior *= 1.0 + (MOST_ERROR_TIMES - 1.0) * min(max(error_rate, 0.0), 1.0)
        return (own[0] + prior * self.prior_hours) / (own[1] + self.prior_hours)

    def _totals(self) -> dict[str, tuple[float, float]]:
        """Return losses and hours of each family."""
        totals: dict[str, tuple[float, float]] = {}
        for name in sorted(self.families):
            losses, hours = totals.get(self.families[name], (0.0, 0.0))
            one = self.losses.get(name, 0.0), self.hours.get(name, 0.0)
            totals[self.families[name]] = (losses + one[0], hours + one[1])
        return totals


def _times(resource: Resource) -> float:
    if is_spot(resource):
        return SPOT_TIMES
    return SERVERLESS_TIMES if resource.site is Site.SERVERLESS else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeCurve:
    """By what the rate of spot machines is multiplied at each age: losses seen over losses expected, per bucket."""

    losses: tuple[float, ...] = (0.0,) * len(AGE_TIMES)
    expected: tuple[float, ...] = (0.0,) * len(AGE_TIMES)

    @property
    def times(self) -> tuple[float, ...]:
        """Return the multiplier of each bucket: Gamma-Poisson around AGE_TIMES."""
        pairs = zip(self.losses, self.expected, AGE_TIMES, strict=True)
        return tuple((seen + AGE_LOSSES * guess) / (wanted + AGE_LOSSES) for seen, wanted, guess in pairs)

    def updated(self, *, from_h: float, hours: float, rate_per_h: float, lost: bool) -> "AgeCurve":
        """Return the curve that knows one more stretch of use of a machine of that age and mean rate."""
        if not (np.isfinite([from_h, hours, rate_per_h]).all() and min(from_h, hours, rate_per_h) >= 0):
            raise InputError(f"age curve: must be finite and not negative, got {from_h}, {hours}, {rate_per_h}")
        spent = _overlaps(from_h, np.array([hours]))[0]
        last = int(np.searchsorted(AGE_EDGES_H, from_h + hours, side="right")) - 1
        losses = tuple(seen + (lost and place == last) for place, seen in enumerate(self.losses))
        expected = tuple(float(e + rate_per_h * h) for e, h in zip(self.expected, spent, strict=True))
        return AgeCurve(losses=losses, expected=expected)

    def exposure_h(self, from_h: float, duration_s: FloatArray) -> FloatArray:
        """Return the hours that a stretch of use counts for, weighted by age [...]: what a rate is multiplied by."""
        weighted: FloatArray = _overlaps(from_h, np.asarray(duration_s, dtype=np.float64) / 3600) @ np.array(self.times)
        return weighted


def fail_share(
    rate_per_h: FloatArray, duration_s: FloatArray, *, curve: AgeCurve | None = None, from_h: float = 0.0
) -> FloatArray:
    """Return the probability of losing the resource within a duration: `1 - exp(-integral)`, in [0, 1].

    Broadcasts; with a curve the machine is `from_h` hours old at the start.
    """
    hours = np.asarray(duration_s) / 3600 if curve is None else curve.exposure_h(from_h, duration_s)
    share: FloatArray = -np.expm1(-np.maximum(rate_per_h * hours, 0.0))
    return share


def _overlaps(from_h: float, hours: FloatArray) -> FloatArray:
    """Return the hours [..., B] that stretches starting at one age spend in each bucket."""
    starts = np.array(AGE_EDGES_H)
    ends = np.append(starts[1:], np.inf)
    overlaps: FloatArray = np.maximum(np.minimum(ends, from_h + hours[..., None]) - np.maximum(starts, from_h), 0.0)
    return overlaps
