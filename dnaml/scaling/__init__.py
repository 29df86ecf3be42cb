"""Scaling beside an engine: what arrives is forecast, and machines come before they are needed and go after.

`Scaling` says what may be had and spent; `scaled` puts it beside an engine's watcher. Nothing is loaded until then.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from dnaml.scaling.plan import Scaling, read_scaling

if TYPE_CHECKING:
    from dnaml.engine import Watcher
    from dnaml.scaling.driver import Driver

__all__ = ["Scaling", "plan_of", "read_scaling", "scaled"]


def plan_of(scaling: "Scaling | str | Path | None") -> Scaling | None:
    """Return what was asked for: the plan itself, or that of a TOML file."""
    return scaling if scaling is None or isinstance(scaling, Scaling) else read_scaling(Path(scaling))


def scaled(watcher: "Watcher", plan: Scaling | None) -> "Driver | None":
    """Return the watcher that scales beside the given one, to be begun once its engine is open; None without a plan."""
    if plan is None:
        return None
    from dnaml.scaling.driver import Driver

    return Driver(watcher, plan)
