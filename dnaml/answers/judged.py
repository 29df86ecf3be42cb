"""What was said of an attempt beside what the clock then said."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dnaml.core.attempt import AttemptState

if TYPE_CHECKING:
    from dnaml.core.plan import Decision
    from dnaml.history import AttemptView, History, JobView

LEVELS = (0.1, 0.5, 0.9)
"""the levels of runtime that a decision keeps"""

_SHORTEST_S = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One attempt that ran from its beginning to its end; `said_s` are the quantiles at LEVELS, `path` who said it."""

    at_s: float
    resource_id: str
    kernel: str
    path: str
    said_s: tuple[float, float, float]
    runtime_s: float

    @property
    def below(self) -> tuple[bool, ...]:
        """Return for each of LEVELS whether the run stayed below what was said of it."""
        return tuple(self.runtime_s <= one for one in self.said_s)

    @property
    def inside(self) -> bool:
        """Say whether the run fell between the outer levels."""
        return self.said_s[0] <= self.runtime_s <= self.said_s[2]

    @property
    def log_ratio(self) -> float:
        """Return ln of measured over predicted median."""
        return math.log(max(self.runtime_s, _SHORTEST_S) / max(self.said_s[1], _SHORTEST_S))


def judged(decision: "Decision", kernel: str, resource_id: str, runtime_s: float, at_s: float) -> Judged | None:
    """Return a run beside its decision; None where the decision says nothing of the resource it ran on."""
    if resource_id not in decision.resource_ids:
        return None
    at = decision.resource_ids.index(resource_id)
    return Judged(
        at_s=at_s,
        resource_id=resource_id,
        kernel=kernel,
        path=decision.path,
        said_s=(decision.runtime_p10_s[at], decision.runtime_p50_s[at], decision.runtime_p90_s[at]),
        runtime_s=runtime_s,
    )


def judged_attempts(history: "History", decisions: "Iterator[Decision] | None" = None) -> Iterator[Judged]:
    """Yield what decisions said of the attempts that then ended well, in the order of the decisions."""
    for decision in history.decisions() if decisions is None else decisions:
        view = history.jobs.get(decision.job_id)
        attempt = None if view is None else attempt_of(decision, view)
        if view is None or attempt is None:
            continue
        took_s = measured_s(decision, view)
        found = judged(decision, view.computation.kernel, decision.chosen, took_s, attempt.ended_at_s or decision.at_s)
        if found is not None and not math.isnan(took_s):
            yield found


def attempt_of(decision: "Decision", view: "JobView") -> "AttemptView | None":
    """Return the attempt that a decision led to."""
    return next((one for one in view.attempts if one.id == decision.attempt_id), None)


def measured_s(decision: "Decision", view: "JobView") -> float:
    """Return the runtime of the attempt that a decision led to; NaN unless it ran from its beginning to its end."""
    attempt = attempt_of(decision, view)
    return _runtime_s(attempt) if attempt is not None and not _resumed(attempt, view.attempts) else math.nan


def _runtime_s(attempt: "AttemptView") -> float:
    if attempt.state is not AttemptState.DONE or attempt.usage is None:
        return math.nan
    return attempt.usage.runtime_s


def _resumed(attempt: "AttemptView", attempts: "Sequence[AttemptView]") -> bool:
    earlier = attempts[: attempts.index(attempt)]
    return any(one.checkpoints for one in earlier)
