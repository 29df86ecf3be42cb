"""What is degraded now, told of each job: resources and computations that drifted, predictions that fell back."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from dnaml.answers.rows import OVER


class Row(Protocol):
    """Is a job as far as this goes."""

    @property
    def state(self) -> str:
        """Return the state's name."""

    @property
    def resource_id(self) -> str | None:
        """Return where it runs or ran."""

    @property
    def computation_id(self) -> str:
        """Return what it computes."""


def degraded_now(health: Mapping[str, Any], rows: Sequence[Row]) -> tuple[list[list[str]], list[str]]:  # JSON values
    """Return what is degraded now about each job, and all of it in lines for people."""
    drifted = {
        kind: {name: f"{name} has drifted: {left} more runs until it is known again" for name, left in found.items()}
        for kind, found in ((kind, health.get(kind, {})) for kind in ("resources", "computations"))
    }
    reasons = health.get("reasons", [])
    ladder = [f"predictions come from {health['rung']} ({'; '.join(reasons)})"] if reasons else []
    over = {one.value for one in OVER}
    told = [
        [
            *([drifted["resources"][row.resource_id]] if row.resource_id in drifted["resources"] else []),
            *([drifted["computations"][row.computation_id]] if row.computation_id in drifted["computations"] else []),
            *([] if row.state in over else ladder),
        ]
        for row in rows
    ]
    return told, [f"degraded: {one}" for kind in drifted.values() for one in kind.values()] + [
        f"degraded: {one}" for one in ladder
    ]
