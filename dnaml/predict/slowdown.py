"""What time does to what is known: posteriors that fade, runs that are not believed in full, slow-down that passes.

    fade:    z <- m + rho (z - m),  S <- rho^2 S + (1 - rho^2) P,  rho = exp(-dt / tau)
    believe: noise variance x (v / 3 sd)^2 where the innovation |v| exceeds 3 sd
    slow:    ln slow = level + sum_i effect_i driver_i, a Kalman filter; it multiplies time and is no part of a DNA

P is the prior covariance. Shapes: vectors [K], covariances [K, K]. Numpy only.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from dnaml.core.errors import InputError
from dnaml.core.types import Resource, Site
from dnaml.predict.hazard import is_spot

FloatArray = npt.NDArray[np.float64]

DAY_S = 86_400.0
BELIEVED_SD = 3.0
LEVEL_SD, LEVEL_TAU_S = 0.2, 3_600.0  # how far slow-down wanders when nothing drives it, and for how long
EFFECT_SD, EFFECT_TAU_S = 0.3, 90 * DAY_S  # of one unit of a driver: effects may change, slowly
SLOWEST_LOG, FASTEST_LOG = math.log(30.0), -math.log(3.0)


def memory_s(resource: Resource) -> float:
    """Return tau: how long what was measured stays true; hours where others share the machine.

    >>> memory_s(Resource(id="r")) / 86400
    14.0
    """
    shared = resource.site is Site.SERVERLESS or is_spot(resource)
    return DAY_S / 4 if shared else 14 * DAY_S


def faded(
    mean: FloatArray, covariance: FloatArray, prior: FloatArray, prior_covariance: FloatArray, share: float
) -> tuple[FloatArray, FloatArray]:
    """Return mean [K] and covariance [K, K] after some time: what is left of them is rho, the rest is the prior's."""
    moved: FloatArray = prior + share * (mean - prior)
    wider: FloatArray = share**2 * covariance + (1 - share**2) * prior_covariance
    return moved, wider


def kept_share(elapsed_s: float, tau_s: float) -> float:
    """Return rho = exp(-dt / tau) in (0, 1]; time that runs backwards counts as none."""
    if not tau_s > 0:
        raise InputError(f"tau_s must be positive, got {tau_s}")
    return math.exp(-min(max(elapsed_s, 0.0) / tau_s, 700.0))


def believed_noise(innovation: FloatArray, sd: FloatArray, noise: FloatArray) -> FloatArray:
    """Return the noise variances [N] to learn with: inflated where an innovation exceeds BELIEVED_SD times its sd."""
    ratio = np.abs(innovation) / (BELIEVED_SD * np.maximum(sd, 1e-12))
    inflated: FloatArray = noise * np.maximum(ratio, 1.0) ** 2
    return inflated


def believed_update(
    mean: FloatArray, covariance: FloatArray, loadings: FloatArray, residual: float, noise: float
) -> tuple[FloatArray, FloatArray]:
    """Return the posterior [K], [K, K] after one run `residual = loadings . z + noise`, robustly; a rank-one update."""
    column = covariance @ loadings
    known = float(loadings @ column)
    innovation = residual - float(loadings @ mean)
    plain = np.array([innovation]), np.array([math.sqrt(max(known + noise, 0.0))]), np.array([noise])
    variance = known + float(believed_noise(*plain)[0])
    if variance <= 0:
        return mean, covariance
    gain = column / variance
    return mean + gain * innovation, covariance - np.outer(gain, column)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SlowDown:
    """How much slower than usual one resource runs now. Shapes: mean [1 + D], covariance [1 + D, 1 + D].

    The first entry is the level, the others the effects of the `drivers` (load, heat above normal, ... each about 1
    when high). The level goes back to zero within hours, effects within months.
    """

    drivers: tuple[str, ...] = ()
    mean: FloatArray = field(default_factory=lambda: np.zeros(1))
    covariance: FloatArray = field(default_factory=lambda: np.diag([LEVEL_SD**2]))
    at_s: float | None = None

    @classmethod
    def of(cls, *drivers: str) -> "SlowDown":
        """Return the filter before any run."""
        sds = np.array([LEVEL_SD, *(EFFECT_SD for _ in drivers)])
        return cls(drivers=drivers, mean=np.zeros(1 + len(drivers)), covariance=np.diag(sds**2))

    def log_slow(self, at_s: float, drivers: Mapping[str, float]) -> tuple[float, float]:
        """Return mean and variance of the ln slow-down at a moment; a driver that is not known counts as normal (0)."""
        now, loadings = self._at(at_s), self._loadings(drivers)
        mean = min(max(float(loadings @ now.mean), FASTEST_LOG), SLOWEST_LOG)
        return mean, max(float(loadings @ now.covariance @ loadings), 0.0)

    def updated(self, at_s: float, drivers: Mapping[str, float], log_error: float, noise: float) -> "SlowDown":
        """Return the filter after one run: `log_error` is ln seconds less what was predicted without slow-down."""
        if not (math.isfinite(log_error) and math.isfinite(noise) and noise > 0):
            raise InputError(f"slow-down: log_error and noise must be finite, noise positive, got {log_error}, {noise}")
        now = self._at(at_s)
        mean, covariance = believed_update(now.mean, now.covariance, self._loadings(drivers), log_error, noise)
        return replace(now, mean=mean, covariance=covariance)

    def _loadings(self, drivers: Mapping[str, float]) -> FloatArray:
        values = np.array([drivers.get(name, 0.0) for name in self.drivers], dtype=np.float64)
        return np.concatenate([[1.0], np.clip(np.nan_to_num(values, nan=0.0), -10.0, 10.0)])

    def _at(self, at_s: float) -> "SlowDown":
        """Return the state at a moment; one before the last counts as the last."""
        elapsed_s = 0.0 if self.at_s is None else max(at_s - self.at_s, 0.0)
        count = len(self.drivers)
        keep = np.array([kept_share(elapsed_s, LEVEL_TAU_S), *[kept_share(elapsed_s, EFFECT_TAU_S)] * count])
        prior = np.array([LEVEL_SD**2, *[EFFECT_SD**2] * count])
        return replace(
            self,
            mean=self.mean * keep,
            covariance=self.covariance * np.outer(keep, keep) + np.diag((1 - keep**2) * prior),
            at_s=at_s if self.at_s is None else max(at_s, self.at_s),
        )
