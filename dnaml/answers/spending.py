"""What work has cost so far: over time and by resource, in bounded memory, by the rule that predictions use."""

from collections.abc import Sequence
from dataclasses import dataclass

from dnaml.answers.timeline import Bin, Timeline
from dnaml.core.resource import Resource

OTHERS = "(others)"
MOST_RESOURCES = 2_000  # told apart in the sums
MOST_A_BIN = 24  # resources told apart in one bin of time
MOST_KEPT = 1_024  # attempts whose cost is worked out together


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What one resource was used for and what that cost; of `attempts - priced` nobody knows what they cost."""

    name: str
    attempts: int
    priced: int
    usd: float
    runtime_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendingNow:
    """Everything at one moment; `bins` hold US dollars by resource, the costliest of each bin told apart."""

    usd: float
    attempts: int
    priced: int
    width_s: float
    bins: Sequence[Bin[str]]
    resources: Sequence[Spent]
    """the costliest first"""


@dataclass(slots=True)
class _Sum:
    attempts: int = 0
    priced: int = 0
    usd: float = 0.0
    runtime_s: float = 0.0


class Spending:
    """The spending of one tenant; not safe to use from several threads at once."""

    def __init__(self) -> None:
        self._time: Timeline[str] = Timeline(most=120, names=MOST_A_BIN, rest=OTHERS)
        self._resources: dict[str, _Sum] = {}
        self._kept: list[tuple[float, Resource, float]] = []

    def used(self, at_s: float, resource: Resource, runtime_s: float) -> None:
        """Take in an attempt that ended; it is paid for when it ends."""
        self._kept.append((at_s, resource, runtime_s))
        if len(self._kept) >= MOST_KEPT:
            self._count()

    def now(self) -> SpendingNow:
        """Return what was spent."""
        self._count()
        rows = [
            Spent(name=name, attempts=one.attempts, priced=one.priced, usd=one.usd, runtime_s=one.runtime_s)
            for name, one in self._resources.items()
        ]
        return SpendingNow(
            usd=sum(one.usd for one in rows),
            attempts=sum(one.attempts for one in rows),
            priced=sum(one.priced for one in rows),
            width_s=self._time.width_s,
            bins=self._time.bins(),
            resources=sorted(rows, key=lambda one: (-one.usd, -one.runtime_s, one.name)),
        )

    def _count(self) -> None:
        """Work out what the kept attempts cost, all at once: one by one it would cost more than starting them."""
        kept, self._kept = self._kept, []
        for (at_s, resource, runtime_s), usd in zip(kept, costs(kept), strict=True):
            known = resource.id in self._resources or len(self._resources) < MOST_RESOURCES
            one = self._resources.setdefault(resource.id if known else OTHERS, _Sum())
            one.attempts += 1
            one.runtime_s += runtime_s
            if usd is not None:
                one.priced += 1
                one.usd += usd
                self._time.add(at_s, resource.id, usd)


def costs(used: Sequence[tuple[float, Resource, float]]) -> list[float | None]:
    """Return what (moment, resource, seconds) cost in US dollars; None without a price."""
    import numpy as np

    from dnaml.predict.outcomes import costs_usd

    if not used:
        return []
    runtime_s = np.array([seconds for _, _, seconds in used], dtype=np.float64)
    found = costs_usd(runtime_s[None, :, None], [resource for _, resource, _ in used])[0, :, 0]
    return [
        None if resource.price_usd_per_h is None else usd
        for (_, resource, _), usd in zip(used, found.tolist(), strict=True)
    ]
