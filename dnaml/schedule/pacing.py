"""How long a running attempt still needs: as predicted, given how long it has run, or as its own progress tells.

An attempt's rate is its progress by the time on the wall, so that one whose processor is taken away is seen to slow
down; one that reports no progress is judged by the time alone. Progress is told every second or so: what was told that
lately is still true, and only a longer silence counts as standing still.
"""

import numpy as np

from dnaml.core.attempt import Attempt
from dnaml.core.plan import FloatArray
from dnaml.schedule.ledger import Entry
from dnaml.schedule.outlook import Outlook
from dnaml.schedule.remaining import remaining_s, runtimes_s

_LIKELY = 32
_LEAST_PROGRESS = 0.01
_FRESH_S = 2.0  # twice the time between two words of an attempt
_PARTS = (np.arange(_LIKELY) + 0.5) / _LIKELY


def elapsed_s(attempt: Attempt, at_s: float) -> float:
    """Return for how long an attempt has run, 0 before it began."""
    return 0.0 if attempt.started_at_s is None else max(0.0, at_s - attempt.started_at_s)


def paced_s(entry: Entry, attempt: Attempt, at_s: float) -> float | None:
    """Return how long an attempt still needs at the rate of its own progress, None before it made any."""
    pace = entry.pace.get(attempt.id)
    if pace is None or pace.progress - attempt.progress < _LEAST_PROGRESS:
        return None
    fresh_s = min(_FRESH_S, max(0.0, at_s - pace.at_s))
    taken_s = max(0.0, elapsed_s(attempt, at_s) - fresh_s)
    whole_s = taken_s / (pace.progress - attempt.progress)
    return max(0.0, whole_s * (1.0 - pace.progress) - fresh_s)


def scaled_s(outlook: Outlook, resource_id: str, share: float) -> FloatArray:
    """Return equally likely times [N] that a share of the job's work takes on a resource."""
    levels, values_s = outlook.runtime_s(resource_id)
    return runtimes_s(levels, values_s * share, _PARTS)


def left_s(entry: Entry, attempt: Attempt, outlook: Outlook, at_s: float) -> FloatArray:
    """Return equally likely remaining times [N] of an attempt.

    By its own pace where it has one, with the relative spread of the prediction; else by the prediction, given that it
    has not ended yet.
    """
    levels, values_s = outlook.runtime_s(attempt.placement.resource_id)
    share = attempt.placement.share * (1.0 - attempt.progress)
    paced = paced_s(entry, attempt, at_s)
    if paced is None:
        return remaining_s(levels, values_s * share, elapsed_s(attempt, at_s), count=_LIKELY)
    likely = runtimes_s(levels, values_s, _PARTS)
    pace = entry.pace[attempt.id]
    known = (pace.progress - attempt.progress) / (1.0 - attempt.progress)
    spread = likely / likely.mean()
    narrowed: FloatArray = paced * (known + (1.0 - known) * spread)
    return narrowed
