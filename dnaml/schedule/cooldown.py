"""Resources that come and go: each time one goes down again soon, it takes no new work for twice as long.

The first time is free: machines restart. After a quiet time it is forgotten.
"""

from dataclasses import dataclass

from dnaml.schedule.settings import ControllerSettings

_MANY_JOBS = 3
_ONE_EVENT_S = 1.0


@dataclass(slots=True)
class _Record:
    strikes: int = 0
    struck_at_s: float = float("-inf")
    closed_until_s: float = float("-inf")
    lost_jobs: tuple[str, ...] = ()
    lost_at_s: float = float("-inf")


class Cooldowns:
    """Keeps count of how each resource behaved, and until when it rests."""

    def __init__(self, settings: ControllerSettings) -> None:
        self._settings = settings
        self._records: dict[str, _Record] = {}

    def went_down(self, resource_id: str, at_s: float) -> None:
        """Note that a resource went down."""
        record, settings = self._records.setdefault(resource_id, _Record()), self._settings
        if at_s - max(record.struck_at_s, record.closed_until_s) > settings.quiet_s:
            record.strikes = 0
        record.strikes += 1
        record.struck_at_s = at_s
        if record.strikes > 1:
            rest_s = min(settings.most_cooldown_s, settings.cooldown_s * 2.0 ** (record.strikes - 2))
            record.closed_until_s = at_s + rest_s

    def lost(self, resource_id: str, job_id: str, at_s: float) -> bool:
        """Note that a resource lost an attempt; three jobs one after the other count as going down twice.

        Say whether it rests from now on. What is lost at nearly the same time is lost once.
        """
        record = self._records.setdefault(resource_id, _Record())
        if job_id in record.lost_jobs or at_s - record.lost_at_s < _ONE_EVENT_S:
            return False
        record.lost_jobs, record.lost_at_s = (*record.lost_jobs, job_id), at_s
        if len(record.lost_jobs) < _MANY_JOBS:
            return False
        record.lost_jobs = ()
        record.strikes = max(record.strikes, 1)
        record.struck_at_s = at_s
        self.went_down(resource_id, at_s)
        return True

    def went_well(self, resource_id: str) -> None:
        """Note that an attempt ended by its own doing: what was lost before was not lost in a row."""
        record = self._records.get(resource_id)
        if record is not None:
            record.lost_jobs = ()

    def closed_until_s(self, resource_id: str) -> float:
        """Return until when a resource takes no new work, in the past if it does."""
        record = self._records.get(resource_id)
        return record.closed_until_s if record is not None else float("-inf")
