"""How often each attempt saves: by what saving its computation was measured to take, and how often its resource fails.

Young's and Daly's interval once a write was timed; before that, a bounded default; what the user asked for always.
"""

from dnaml.schedule.checkpointing import Hazards, best_interval_s
from dnaml.schedule.ledger import Entry
from dnaml.schedule.settings import ControllerSettings

_NEWEST_SHARE = 0.5
OVERHEAD_SHARE = 0.03
"""of the work's time that checkpoints may take, however often its resource fails"""


class Saving:
    """Remembers for each computation how long a checkpoint takes to write."""

    def __init__(self, settings: ControllerSettings) -> None:
        self._settings = settings
        self._write_s: dict[str, float] = {}

    def note(self, computation_id: str, write_s: float) -> None:
        """Take in one measured write; the newest counts half."""
        before_s = self._write_s.get(computation_id, write_s)
        self._write_s[computation_id] = before_s + _NEWEST_SHARE * (write_s - before_s)

    def write_s(self, computation_id: str) -> float:
        """Return how long a checkpoint takes, 0 before one was measured."""
        return self._write_s.get(computation_id, 0.0)

    def every_s(self, entry: Entry, hazard_per_h: float) -> float | None:
        """Return the interval for an attempt on a resource of this hazard; None where nothing is saved."""
        wanted = entry.job.resilience
        if not saves(entry):
            return None
        if wanted.checkpoint_every_s is not None:
            return wanted.checkpoint_every_s
        write_s = self._write_s.get(entry.computation.id)
        if write_s is None:
            return self._settings.checkpoint_every_s
        rate_per_s = hazard_per_h / 3600 if hazard_per_h > 0 else 0.0
        best_s = best_interval_s(Hazards(hazard_per_s=rate_per_s, write_s=write_s))
        return max(write_s / OVERHEAD_SHARE, min(best_s, self._settings.most_checkpoint_every_s))


def saves(entry: Entry) -> bool:
    """Say whether the attempts of a job write checkpoints."""
    return entry.job.resilience.checkpoint and entry.computation.checkpointable
