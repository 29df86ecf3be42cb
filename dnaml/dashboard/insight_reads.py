"""What the pages about learning are told: drift, demand, and the registry of models, as plain values."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dnaml.answers.demanded import DemandNow
from dnaml.answers.scaling_advice import Advice, Expected
from dnaml.predict.drift import Subject
from dnaml.predict.guarded import Health
from dnaml.scaling.told import ScalingTold
from dnaml.tracking import Described


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedNow:
    """One resource or computation that is watched: its sum of innovations, when it last ran, when it last alarmed.

    `anchors_left` runs are asked of it before its predictions are trusted again; `alarm_s` is -inf before any alarm.
    """

    subject: Subject
    id: str
    statistic: float
    last_s: float
    alarm_s: float = -math.inf
    anchors_left: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftNow:
    """What is watched, those that drifted first; `bound` is where a sum raises an alarm."""

    watched: Sequence[WatchedNow]
    health: Health
    predictor: str
    bound: float
    now_s: float
    pool_is_stale: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DemandShown:
    """Demand by family, what is expected of "all" and of the largest families, and what scaling does or would do."""

    demand: DemandNow
    expected: Mapping[str, Expected]
    now_s: float
    advice: Advice | None = None
    scaling: ScalingTold | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryNow:
    """The registered versions, newest first, the last training, and the predictor that answers now, by which rung."""

    versions: Sequence[Described] = field(default_factory=tuple)
    training: Mapping[str, Any] | None = None  # JSON values, as the REST route tells them
    predictor: str = ""
    rung: str = ""
    now_s: float = 0.0
