"""How long a function's next start takes, from how long it idled: warm instances are kept for a while, then gone.

The window is the provider's until starts are seen; a cold start after a shorter idle time shrinks it, a warm start
after a longer one widens it. Cold and warm seconds are running means. Pure: times come from outside.
"""

from dataclasses import dataclass, replace

_WEIGHT = 0.3
_LEAST_WINDOW_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Warmth:
    """What is known of one function's starts; `warm_until` are the moments at which its free instances cool."""

    window_s: float = 300.0
    cold_s: float = 0.0
    warm_s: float = 0.0
    colds: int = 0
    warms: int = 0
    free_since_s: tuple[float, ...] = ()

    def instances(self, at_s: float) -> int:
        """Return how many free instances are still warm."""
        return sum(at_s - since_s <= self.window_s for since_s in self.free_since_s)

    def start_s(self, at_s: float, calls: int = 1) -> float:
        """Return the expected seconds before the last of so many calls made now begins its work."""
        return self.warm_s if calls <= self.instances(at_s) else max(self.cold_s, self.warm_s)

    def taken(self, at_s: float) -> "Warmth":
        """Return what is known once a call took the instance that was free most recently, if one is warm."""
        left = tuple(since_s for since_s in self.free_since_s if at_s - since_s <= self.window_s)
        return replace(self, free_since_s=left[:-1])

    def ended(self, at_s: float) -> "Warmth":
        """Return what is known once a call ended: its instance is free and warm."""
        return replace(self, free_since_s=(*self.free_since_s, at_s))

    def seen(self, start_s: float, *, cold: bool, idle_s: float | None = None) -> "Warmth":
        """Return what is known after a start; `idle_s` is how long its instance had idled, None where none had."""
        window_s = self.window_s
        if idle_s is not None and cold:
            window_s = max(_LEAST_WINDOW_S, min(window_s, idle_s))
        elif idle_s is not None:
            window_s = max(window_s, idle_s)
        if cold:
            return replace(
                self, window_s=window_s, cold_s=_mean(self.cold_s, start_s, self.colds), colds=self.colds + 1
            )
        return replace(self, window_s=window_s, warm_s=_mean(self.warm_s, start_s, self.warms), warms=self.warms + 1)

    def burst_s(self, at_s: float, calls: int, run_s: float, slots: int) -> float:
        """Return the predicted seconds until `calls` calls made at once have ended, at most `slots` at a time."""
        if calls <= 0:
            return 0.0
        width = min(calls, slots)
        rounds = -(-calls // slots)
        return self.start_s(at_s, width) + rounds * run_s + (rounds - 1) * self.warm_s


def _mean(old: float, new: float, count: int) -> float:
    return new if count == 0 else old + max(_WEIGHT, 1 / (count + 1)) * (new - old)
