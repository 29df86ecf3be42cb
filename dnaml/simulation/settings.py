"""How a trace is replayed: the length of a round, what a restart and a checkpoint cost, and what goes wrong."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dnaml.core.errors import InputError
from dnaml.core.work import Objective
from dnaml.datasets.traces.colocation import Colocation
from dnaml.datasets.traces.trace import TraceJob

FloatArray = npt.NDArray[np.float64]
Believe = Callable[[TraceJob], FloatArray]
"""gives the runtimes [K] that a policy is told of a job; where it has none for a configuration, the policy has none"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Sets a pool's units, or its price, at a time of the trace."""

    at_s: float
    resource_id: str
    slots: int | None = None
    price_usd_per_h: float | None = None

    def __post_init__(self) -> None:
        """Raise InputError on a time, a number of units or a price that makes no sense."""
        if not 0 <= self.at_s < math.inf:
            raise InputError(f"a change of {self.resource_id}: at_s must be finite and not negative, got {self.at_s}")
        if self.slots is not None and self.slots < 0:
            raise InputError(f"a change of {self.resource_id}: slots must not be negative, got {self.slots}")
        if self.price_usd_per_h is not None and not 0 <= self.price_usd_per_h < math.inf:
            raise InputError(
                f"a change of {self.resource_id}: price_usd_per_h must be finite and not negative, "
                f"got {self.price_usd_per_h}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbances:
    """What goes wrong, drawn from the seed.

    `failures_per_h` is the rate at which each unit fails (its gang loses what was done since the last checkpoint);
    a start is a straggler with probability `straggler_share` and then takes `straggler_factor` times as long;
    `changes` are spot preemptions (fewer slots), growth and prices. `error_sd` is the standard deviation of the log
    of what a policy is told of a runtime; `learns` says that a configuration's error is gone once the job has held it.
    """

    failures_per_h: float = 0.0
    straggler_share: float = 0.0
    straggler_factor: float = 2.0
    changes: tuple[Change, ...] = ()
    error_sd: float = 0.0
    learns: bool = True

    def __post_init__(self) -> None:
        """Raise InputError on a rate, share or factor that makes no sense."""
        if not (0 <= self.failures_per_h < math.inf and 0 <= self.error_sd < math.inf):
            raise InputError(f"failures_per_h and error_sd must not be negative and must be finite, got {self}")
        if not 0 <= self.straggler_share <= 1 or not 1 <= self.straggler_factor < math.inf:
            raise InputError(
                f"straggler_share must be in [0, 1] and straggler_factor at least 1, got {self.straggler_share} "
                f"and {self.straggler_factor}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a trace is replayed.

    `round_s` None takes the trace's own rounds, 0 lets every event be answered at once. `restart_s` is charged at each
    start and change of a job that brings none of its own; `checkpoint_s` is what writing a checkpoint takes, every
    `checkpoint_every_s`. `keep` says that each job's outcome and each span on a pool are kept (else memory does not
    grow with the trace, and quantiles are right within 1 %). `colocation` are the measured pairs that may share units;
    without it every job has units of its own.
    """

    objective: Objective = Objective()
    seed: int = 0
    round_s: float | None = None
    restart_s: float = 0.0
    own_restarts: bool = True
    checkpoint_s: float = 0.0
    checkpoint_every_s: float | None = None
    disturbances: Disturbances = Disturbances()
    believe: Believe | None = None
    keep: bool = True
    colocation: Colocation | None = None

    def __post_init__(self) -> None:
        """Raise InputError on a duration that makes no sense."""
        for name in ("round_s", "restart_s", "checkpoint_s"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise InputError(f"settings: {name} must not be negative and must be finite, got {value}")
        if self.checkpoint_every_s is not None and not self.checkpoint_every_s > 0:
            raise InputError(f"settings: checkpoint_every_s must be positive, got {self.checkpoint_every_s}")

    def exact(self) -> "Settings":
        """Return the same with every runtime told as it is; failures, stragglers and changes still come unforeseen."""
        return replace(self, believe=None, disturbances=replace(self.disturbances, error_sd=0.0))

    @property
    def stretch(self) -> float:
        """Return by how much writing checkpoints prolongs every run."""
        return 1.0 if self.checkpoint_every_s is None else 1.0 + self.checkpoint_s / self.checkpoint_every_s
