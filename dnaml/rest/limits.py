"""Token buckets: how often a tenant may ask, and after how long a refused one may come back."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil

_MOST_TENANTS = 10_000


@dataclass(slots=True)
class Bucket:
    """Holds up to `burst` tokens and gains `rate_per_s`; a request takes one."""

    rate_per_s: float
    burst: float
    at_s: float
    left: float

    def take(self, now_s: float, count: float = 1.0) -> float:
        """Take tokens and return 0, or take none and return the seconds until they are there."""
        self.left = min(self.burst, self.left + (now_s - self.at_s) * self.rate_per_s)
        self.at_s = now_s
        if self.left >= count:
            self.left -= count
            return 0.0
        return (count - self.left) / self.rate_per_s


@dataclass(slots=True)
class Buckets:
    """One bucket a tenant; the one used longest ago is forgotten when there are too many."""

    rate_per_s: float
    burst: float
    clock: Callable[[], float]
    _kept: OrderedDict[str, Bucket] = field(default_factory=OrderedDict)

    def take(self, tenant: str) -> int:
        """Return 0 when a tenant may ask now, else after how many whole seconds."""
        now_s = self.clock()
        bucket = self._kept.get(tenant)
        if bucket is None:
            bucket = self._kept[tenant] = Bucket(self.rate_per_s, self.burst, now_s, self.burst)
            if len(self._kept) > _MOST_TENANTS:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(tenant)
        return ceil(bucket.take(now_s))
