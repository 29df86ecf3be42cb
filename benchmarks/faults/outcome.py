"""What one fault's injection showed: how soon it was noticed, what was redone, what was lost or done twice."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np

from benchmarks.report import Op, keeps


class Tier(Enum):
    """Says how often a fault is injected."""

    QUICK = "quick"  # each change: minutes in all
    SOAK = "soak"  # before a release: the counts of the catalogue


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One figure with the value it must keep; `value` None says that it could not be measured."""

    name: str
    value: float | None
    unit: str
    op: Op = Op.AT_MOST
    bar: float | None = None
    peer: str | None = None
    peer_value: float | None = None

    @property
    def holds(self) -> bool:
        """Tell whether the figure was measured and keeps its bar."""
        return keeps(self.value, self.op, self.bar)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One fault injected `runs` times with one seed; the sequences hold one figure a run, in seconds.

    `skipped` says why it could not run here; such an outcome never passes.
    """

    id: str
    seed: int
    runs: int
    what: str
    detect_s: tuple[float, ...] = ()
    recover_s: tuple[float, ...] = ()
    redone_s: tuple[float, ...] = ()
    lost: int = 0
    duplicated: int = 0
    figures: tuple[Bar, ...] = ()
    skipped: str = ""
    extra: Mapping[str, float] = field(default_factory=dict)

    @property
    def passes(self) -> bool:
        """Tell whether nothing was lost or doubled and every figure keeps its bar."""
        sound = self.lost == 0 and self.duplicated == 0
        return not self.skipped and sound and all(figure.holds for figure in self.figures)

    def as_json(self) -> dict[str, Any]:
        """Return the one line of a fault as an object."""
        return {
            "id": self.id,
            "what": self.what,
            "seed": self.seed,
            "runs": self.runs,
            "detect_s": _spread(self.detect_s),
            "recover_s": _spread(self.recover_s),
            "redone_s": _spread(self.redone_s),
            "lost": self.lost,
            "duplicated": self.duplicated,
            "figures": {figure.name: _finite(figure.value) for figure in self.figures},
            **({"skipped": self.skipped} if self.skipped else {}),
            **self.extra,
            "verdict": "skipped" if self.skipped else ("pass" if self.passes else "fail"),
        }

    def line(self) -> str:
        """Return the one line of a fault as JSON."""
        return json.dumps(self.as_json(), allow_nan=False)


def percentile(values: tuple[float, ...], share: float) -> float | None:
    """Return the value below which `share` of the runs lie; None without a run."""
    return float(np.quantile(values, share)) if values else None


def _finite(value: float | None) -> float | None:
    """Return a figure that JSON can hold: what never came is None."""
    return value if value is not None and math.isfinite(value) else None


def _spread(values: tuple[float, ...]) -> dict[str, float] | None:
    if not values:
        return None
    known = [value for value in values if math.isfinite(value)] or [math.nan]
    spread = {"p50": float(np.median(known)), "p99": float(np.quantile(known, 0.99)), "max": max(known)}
    return {name: value for name, value in spread.items() if math.isfinite(value)}
