"""What users bring: computations that repeat, jobs that run one once, and what they want of it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from dnaml.core.errors import InputError
from dnaml.core.resource import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """Weights of what is minimised: any non-negative numbers, used after division by their sum.

    >>> import dnaml
    >>> dnaml.Objective(cost=3, latency=1, resilience=0).shares()
    (0.75, 0.25, 0.0, 0.0)
    """

    cost: float = 1.0
    latency: float = 1.0
    resilience: float = 1.0
    energy: float = 0.0

    def __post_init__(self) -> None:
        """Raise InputError unless the weights are finite, non-negative and not all zero."""
        weights = (self.cost, self.latency, self.resilience, self.energy)
        if not all(math.isfinite(w) for w in weights) or min(weights) < 0 or sum(weights) == 0:
            raise InputError(f"objective weights must be finite and non-negative with a positive sum, got {weights}")

    def shares(self) -> tuple[float, float, float, float]:
        """Return the weights (cost, latency, resilience, energy) divided by their sum."""
        total = self.cost + self.latency + self.resilience + self.energy
        return (self.cost / total, self.latency / total, self.resilience / total, self.energy / total)

    @classmethod
    def of(cls, wanted: "Objective | str | Mapping[str, float]") -> Self:
        """Return an objective from a preset name, a mapping of weights, or an objective itself.

        Raises InputError for an unknown preset or weight.
        """
        if isinstance(wanted, cls):
            return wanted
        if isinstance(wanted, Mapping):
            unknown = set(wanted) - {"cost", "latency", "resilience", "energy"}
            if unknown:
                raise InputError(f"objective has no weight {sorted(unknown)[0]!r}; cost, latency, resilience, energy")
            return cls(**{**dict.fromkeys(("cost", "latency", "resilience"), 0.0), **wanted})
        if isinstance(wanted, str) and wanted in PRESETS:
            return cls(**PRESETS[wanted])
        raise InputError(f"objective must be one of {', '.join(PRESETS)} or weights, got {wanted!r}")


PRESETS: Mapping[str, Mapping[str, float]] = {
    "min_cost": {"cost": 1.0, "latency": 0.0, "resilience": 0.0},
    "min_latency": {"cost": 0.0, "latency": 1.0, "resilience": 0.0},
    "balanced": {"cost": 1.0, "latency": 1.0, "resilience": 0.2},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """Limits that a placement must keep; None means no limit. Times count from submission.

    `labels` are those that the resource must have; a value after `!` is one that it must not have.

    >>> import dnaml
    >>> dnaml.Constraints(deadline_s=3600, max_cost_usd=0.5).deadline_s
    3600
    """

    deadline_s: float | None = None
    max_cost_usd: float | None = None
    kinds: tuple[Kind, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    resource_ids: tuple[str, ...] = ()
    max_price_usd_per_h: float | None = None

    def __post_init__(self) -> None:
        """Raise InputError on a limit that is not a positive number."""
        for name in ("deadline_s", "max_cost_usd", "max_price_usd_per_h"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"constraints: {name} must be positive, got {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resilience:
    """How hard to protect a job: copies, checkpoints and restarts after its own failures.

    The first result of several copies wins; with `vote` the result on which a strict majority of `replicas` agrees.
    `completion` is the wanted probability that a copy ends without losing its resource: as many run as it takes.

    >>> import dnaml
    >>> dnaml.Resilience(replicas=2, max_restarts=1).checkpoint
    True
    """

    replicas: int = 1
    checkpoint: bool = True
    checkpoint_every_s: float | None = None
    max_restarts: int = 0
    vote: bool = False
    completion: float | None = None

    def __post_init__(self) -> None:
        """Raise InputError on counts that make no sense, and on two rules for the number of copies."""
        if self.replicas < 1:
            raise InputError(f"resilience: replicas must be at least 1, got {self.replicas}")
        if self.completion is not None and not 0 < self.completion < 1:
            raise InputError(f"resilience: completion must lie between 0 and 1, got {self.completion}")
        if self.completion is not None and self.vote:
            raise InputError("resilience: completion and vote exclude each other: a vote counts its replicas")
        if self.max_restarts < 0:
            raise InputError(f"resilience: max_restarts must not be negative, got {self.max_restarts}")
        if self.checkpoint_every_s is not None and not self.checkpoint_every_s > 0:
            raise InputError(f"resilience: checkpoint_every_s must be positive, got {self.checkpoint_every_s}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Computation:
    """A repeatable computation: the same code (`kernel`) at one size; its id is the `computation_id` of run tables.

    `size` holds the size and context features of a run (`s_*` columns, without prefix), `demand` what its
    fingerprint measured or its author declared (`c_*` columns, without prefix); a missing key is unknown.

    >>> import dnaml
    >>> dnaml.Computation(id="fit-1000", kernel="fit", size={"rows": 1000}).size["rows"]
    1000
    """

    id: str
    kernel: str
    size: Mapping[str, float] = field(default_factory=dict)
    demand: Mapping[str, float] = field(default_factory=dict)
    memory_bytes: int | None = None
    input_bytes: int | None = None
    divisible: bool = False
    checkpointable: bool = False

    def __post_init__(self) -> None:
        """Raise InputError on an empty id, or on a number that is not finite or counts less than nothing."""
        if not self.id:
            raise InputError("computation id must not be empty")
        for what, numbers in (("size", self.size), ("demand", self.demand)):
            for name, value in numbers.items():
                if not math.isfinite(value):
                    raise InputError(f"{self.id}: {what} {name} must be finite, got {value}")
        for name, count in (("memory_bytes", self.memory_bytes), ("input_bytes", self.input_bytes)):
            if count is not None and count < 0:
                raise InputError(f"{self.id}: {name} must not be negative, got {count}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One request to run a computation once, of one `tenant` of a service. `units` is its smallest and largest gang.

    A divisible computation may be split into up to `max_parts` parts; None stands for as many as pay.
    """

    id: str
    computation_id: str
    submitted_at_s: float
    name: str = ""
    units: tuple[int, int] = (1, 1)
    priority: int = 0
    objective: Objective | None = None
    constraints: Constraints = Constraints()
    resilience: Resilience = Resilience()
    idempotency_key: str | None = None
    tenant: str = ""
    max_parts: int | None = 1
