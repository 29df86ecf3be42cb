"""What is degraded now, told of each job: resources and computations that drifted, predictions that fell back."""

from collections.abc import Mapping
from typing import Any, Protocol

from dnaml.answers.rows import OVER

_OVER = frozenset(state.value for state in OVER)


class Row(Protocol):
    """The part of a job's row that is looked at."""

    @property
    def state(self) -> str:
        """Return the state's name."""

    @property
    def resource_id(self) -> str | None:
        """Return where it runs or ran."""

    @property
    def computation_id(self) -> str:
        """Return what it computes."""


class Degraded:
    """What an engine cannot vouch for now, by its `health.json`: of single jobs, and altogether."""

    def __init__(self, health: Mapping[str, Any]) -> None:  # JSON values
        self._resources = _drifted(health.get("resources", {}))
        self._computations = _drifted(health.get("computations", {}))
        reasons = health.get("reasons", [])
        self._predictions = [f"predictions come from {health['rung']} ({'; '.join(reasons)})"] if reasons else []

    def of(self, row: Row) -> list[str]:
        """Return what is degraded about one job; where predictions come from matters until it has ended."""
        found = [self._resources.get(row.resource_id or ""), self._computations.get(row.computation_id)]
        return [one for one in found if one is not None] + ([] if row.state in _OVER else self._predictions)

    def all(self) -> list[str]:
        """Return everything that is degraded, one line each."""
        return [*self._resources.values(), *self._computations.values(), *self._predictions]


def _drifted(runs_left: Mapping[str, int]) -> dict[str, str]:
    """Return a line for each name that drifted."""
    return {name: f"{name} has drifted: {left} more runs until it is known again" for name, left in runs_left.items()}
