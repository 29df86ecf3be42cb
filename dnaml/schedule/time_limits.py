"""When an attempt is killed: at its user's deadline, or long after any run of a known computation should have ended."""

from dnaml.schedule.ledger import Entry, Tries
from dnaml.schedule.settings import ControllerSettings

_PATIENCE = 10.0  # each limit that was passed makes the next one so many times longer
_CLOCK_S = 1e-3


class TimeLimits:
    """Counts the results of each computation: only one that is known is held to its prediction."""

    def __init__(self, settings: ControllerSettings) -> None:
        self._settings = settings
        self._known: dict[str, int] = {}

    def succeeded(self, computation_id: str) -> None:
        """Count one result of a computation."""
        self._known[computation_id] = self._known.get(computation_id, 0) + 1

    def kill_after_s(self, entry: Entry, tries: Tries, high_s: float, at_s: float) -> float | None:
        """Return how long an attempt that starts now may run, None for ever; `high_s` is its predicted p90."""
        settings, limit_s = self._settings, None
        if self._known.get(entry.computation.id, 0) >= settings.overrun_known_runs:
            patience = _PATIENCE**tries.overruns
            limit_s = patience * max(settings.overrun_least_s, settings.overrun_factor * high_s)
        deadline_at_s = deadline_s(entry)
        if deadline_at_s is None:
            return limit_s
        left_s = max(0.0, deadline_at_s - at_s)
        return left_s if limit_s is None else min(left_s, limit_s)


def deadline_s(entry: Entry) -> float | None:
    """Return the moment of a job's deadline, None where it has none."""
    limit_s = entry.job.constraints.deadline_s
    return None if limit_s is None else entry.job.submitted_at_s + limit_s


def is_past_deadline(entry: Entry, at_s: float) -> bool:
    """Say whether a job's deadline is over."""
    deadline_at_s = deadline_s(entry)
    return deadline_at_s is not None and at_s >= deadline_at_s - _CLOCK_S
