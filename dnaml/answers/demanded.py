"""How much work is asked for, over time and by family of computations (their kernel), in bounded memory.

Demand counts where it was submitted: the seconds that ended attempts took, and for jobs that have not ended the usual
seconds of their family.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from dnaml.answers.timeline import Bin, Timeline

FloatArray = npt.NDArray[np.float64]
OTHERS = "(others)"
MOST_FAMILIES = 50  # of one tenant
MOST_BINS = 240
FIRST_BIN_S = 15.0
_MEMORY = 0.2  # how much the newest run of a family counts in its usual time


class _What(Enum):
    SUBMITTED = 0  # jobs
    ENDED = 1  # jobs, counted when they were submitted
    SECONDS = 2  # that their attempts took


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DemandNow:
    """Demand in bins of `width_s` from `first_s` on; each family: seconds of work [N] and jobs [N], most work first.

    The last bin is still filling.
    """

    first_s: float
    width_s: float
    seconds: Mapping[str, FloatArray]
    jobs: Mapping[str, FloatArray]

    @property
    def bins(self) -> int:
        """Return N."""
        return len(next(iter(self.seconds.values()))) if self.seconds else 0

    def total(self) -> FloatArray:
        """Return the seconds of work [N] of all families."""
        return np.sum(list(self.seconds.values()), axis=0) if self.seconds else np.zeros(0)

    def closed(self) -> FloatArray:
        """Return the seconds of work of all families in the bins that are over [N - 1]."""
        return self.total()[:-1]


class Demanded:
    """Demand of every tenant; not safe to use from several threads at once."""

    def __init__(self) -> None:
        self._time: Timeline[tuple[str, str, _What]] = Timeline(width_s=FIRST_BIN_S, most=MOST_BINS)
        self._families: dict[str, dict[str, float]] = {}  # tenant -> family -> usual seconds, 0 before any run

    def submitted(self, tenant: str, kernel: str, at_s: float) -> None:
        """Take in a job."""
        self._time.add(at_s, (tenant, self._family(tenant, kernel), _What.SUBMITTED))

    def worked(self, tenant: str, kernel: str, submitted_at_s: float, runtime_s: float) -> None:
        """Take in what an attempt of a job took."""
        family = self._family(tenant, kernel)
        self._time.add(submitted_at_s, (tenant, family, _What.SECONDS), runtime_s)
        usual = self._families[tenant][family]
        self._families[tenant][family] = usual + (_MEMORY if usual else 1.0) * (runtime_s - usual)

    def ended(self, tenant: str, kernel: str, submitted_at_s: float) -> None:
        """Take in that a job is over: it will ask for no more."""
        self._time.add(submitted_at_s, (tenant, self._family(tenant, kernel), _What.ENDED))

    def taken(self, at_s: float) -> "Taken":
        """Return a copy of all up to a moment, from which `DemandNow` is worked out; half a millisecond."""
        usual_s = {owner: dict(families) for owner, families in self._families.items()}
        return Taken(at_s=at_s, width_s=self._time.width_s, bins=self._time.bins(at_s), usual_s=usual_s)

    def now(self, at_s: float, tenant: str | None = None) -> DemandNow:
        """Return the demand up to a moment of one tenant, or of all together as one family."""
        return self.taken(at_s).now(tenant)

    def _family(self, tenant: str, kernel: str) -> str:
        known = self._families.setdefault(tenant, {})
        family = kernel if kernel in known or len(known) < MOST_FAMILIES else OTHERS
        known.setdefault(family, 0.0)
        return family


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The demand of every tenant at a moment, and the usual seconds of each tenant's families."""

    at_s: float
    width_s: float
    bins: Sequence[Bin[tuple[str, str, _What]]]
    usual_s: Mapping[str, Mapping[str, float]]

    def now(self, tenant: str | None) -> DemandNow:
        """Return the demand of one tenant, or of all together as one family."""
        count = len(self.bins)
        seconds: dict[str, FloatArray] = {}
        jobs: dict[str, FloatArray] = {}
        for place, one in enumerate(self.bins):
            for (owner, family, what), amount in one.amounts.items():
                if tenant is not None and owner != tenant:
                    continue
                name = "all" if tenant is None else family
                if name not in seconds:
                    seconds[name], jobs[name] = np.zeros(count), np.zeros(count)
                if what is _What.SECONDS:
                    seconds[name][place] += amount
                elif what is _What.SUBMITTED:
                    seconds[name][place] += self.usual_s[owner][family] * amount
                    jobs[name][place] += amount
                else:
                    seconds[name][place] -= self.usual_s[owner][family] * amount
        order = sorted(seconds, key=lambda name: (-float(seconds[name].sum()), name))
        return DemandNow(
            first_s=self.bins[0].at_s if self.bins else self.at_s,
            width_s=self.width_s,
            seconds={name: np.maximum(seconds[name], 0.0) for name in order},
            jobs={name: jobs[name] for name in order},
        )


def largest(now: DemandNow, most: int) -> Mapping[str, FloatArray]:
    """Return the families of most work [N] each, the sum of all others last."""
    names: Sequence[str] = [name for name in now.seconds if name != OTHERS][:most]
    left = [series for name, series in now.seconds.items() if name not in names]
    shown = {name: now.seconds[name] for name in names}
    return {**shown, OTHERS: np.sum(left, axis=0)} if left else shown
