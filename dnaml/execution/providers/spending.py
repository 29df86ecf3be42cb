"""The cap on what machines cost: nothing is bought that could, paid for as long as it must be, go beyond it."""

import math
import threading
from dataclasses import dataclass

from dnaml.core.errors import InputError


@dataclass(slots=True, kw_only=True)
class Meter:
    """Counts what one machine costs from its order on; `least_h` is paid for in any case."""

    price_usd_per_h: float
    since_s: float
    least_h: float
    ended_s: float | None = None

    def usd(self, at_s: float) -> float:
        """Return what was spent on the machine by a time."""
        hours = ((at_s if self.ended_s is None else self.ended_s) - self.since_s) / 3600
        return self.price_usd_per_h * max(hours, self.least_h)


class Spending:
    """Adds up what machines cost and says what may still be bought under `most_usd`; any thread may ask.

    Every machine commits to `least_h` of it; the carrier gives machines back before the cap is reached. `before_usd`
    was spent by earlier engines.
    """

    def __init__(self, most_usd: float = math.inf, *, least_h: float = 1 / 60, before_usd: float = 0.0) -> None:
        if not most_usd >= 0 or not least_h >= 0:
            raise InputError(f"spending: the cap and least_h must not be negative, got {most_usd} and {least_h}")
        self.most_usd = most_usd
        self._least_h = least_h
        self._before_usd = before_usd
        self._meters: dict[str, Meter] = {}
        self._unsettled: list[Meter] = []
        self._lock = threading.Lock()

    def reserve(self, key: str, price_usd_per_h: float, at_s: float, *, hours: float = 0.0) -> bool:
        """Count an order from now on at twice its price, if it fits with all that run for its least time and `hours`.

        Every order may turn out to be billed twice; once bills were compared, `settle` counts what came of it once.
        """
        twice = 2 * price_usd_per_h
        with self._lock:
            ahead = sum(one.price_usd_per_h for one in self._meters.values() if one.ended_s is None) * hours
            spent = self._usd(at_s)
            if not spent + ahead + twice * (self._least_h + hours) <= self.most_usd:
                return False
            self._meters[key] = Meter(price_usd_per_h=twice, since_s=at_s, least_h=self._least_h)
        return True

    def begin(self, key: str, price_usd_per_h: float, at_s: float) -> None:
        """Count a machine from now on; a key that is counted already goes on as it was."""
        with self._lock:
            self._meters.setdefault(key, Meter(price_usd_per_h=price_usd_per_h, since_s=at_s, least_h=self._least_h))

    def end(self, key: str, at_s: float) -> None:
        """Stop counting a machine; a time to come sets aside what it may still cost."""
        with self._lock:
            meter = self._meters.get(key)
            if meter is not None and meter.ended_s is None:
                meter.ended_s = at_s

    def called(self, key: str, name: str) -> None:
        """Go on counting what was reserved by the name of the machine that came of it."""
        with self._lock:
            self._unsettled.append(self._meters.setdefault(name, self._meters.pop(key)))

    def settle(self) -> None:
        """Count machines that came of orders once from now on: what was billed beside them is counted by itself."""
        with self._lock:
            for meter in self._unsettled:
                meter.price_usd_per_h /= 2
            self._unsettled.clear()

    def forget(self, key: str) -> None:
        """Count an order of which nothing came no longer."""
        with self._lock:
            self._meters.pop(key, None)

    def usd(self, at_s: float) -> float:
        """Return what was spent by a time, with what machines have committed to."""
        with self._lock:
            return self._usd(at_s)

    def _usd(self, at_s: float) -> float:
        return self._before_usd + sum(meter.usd(at_s) for meter in self._meters.values())

    def reached(self, at_s: float, *, within_s: float) -> bool:
        """Say whether the cap is reached within some seconds if nothing is given back."""
        return math.isfinite(self.most_usd) and self.usd(at_s + within_s) >= self.most_usd
