"""The job file's document, key by key, as its author wrote it; `schema.json` describes exactly these classes.

Values are checked here and kept as written; `dnaml.jobfile.file` turns them into the core's values.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from dnaml.core.errors import InputError
from dnaml.core.work import Objective
from dnaml.jobfile.sizes import parse_accelerator, parse_count, parse_duration, parse_memory


class Recovery(Enum):
    """Is SkyPilot's name for where a lost job goes on; dnaml always goes on where the scheduler then decides."""

    FAILOVER = "FAILOVER"  # SkyPilot: same place first, then others
    EAGER_NEXT_REGION = "EAGER_NEXT_REGION"  # SkyPilot: another region at once


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceWishes:
    """What a resource must have to be a candidate; what is not said allows everything."""

    cpus: int | float | str | None = None
    memory: int | float | str | None = None
    accelerators: str | dict[str, int] | list[str] | None = None
    infra: str | None = None
    use_spot: bool | None = None
    labels: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise InputError on a size that cannot be read."""
        if self.cpus is not None:
            parse_count(self.cpus, what="resources.cpus")
        if self.memory is not None:
            parse_memory(self.memory, what="resources.memory")
        self.accelerator_choices()
        if self.infra is not None and not self.infra.strip("/ "):
            raise InputError(f"resources.infra: must be 'local', 'aws' or 'aws/us-east-1', got {self.infra!r}")

    def accelerator_choices(self) -> tuple[tuple[str, int], ...]:
        """Return the (name, count) pairs of which any one will do."""
        wanted = self.accelerators
        if wanted is None:
            return ()
        if isinstance(wanted, Mapping):
            written = [f"{name}:{count}" for name, count in wanted.items()]
        else:
            written = [wanted] if isinstance(wanted, str) else list(wanted)
        return tuple(parse_accelerator(one, what="resources.accelerators") for one in written)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits in time and money, counted from submission."""

    deadline: int | float | str | None = None
    max_cost: float | None = None
    max_hourly_cost: float | None = None

    def __post_init__(self) -> None:
        """Raise InputError on a limit that is not positive."""
        if self.deadline is not None:
            parse_duration(self.deadline, what="constraints.deadline")
        for name in ("max_cost", "max_hourly_cost"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise InputError(f"constraints.{name}: must be a positive number of US dollars, got {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointWish:
    """How often the work should save its progress; without an interval the scheduler chooses."""

    interval: int | float | str | None = None

    def __post_init__(self) -> None:
        """Raise InputError on an interval that cannot be read."""
        if self.interval is not None:
            parse_duration(self.interval, what="resilience.checkpoint.interval")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryWish:
    """SkyPilot's long form of `job_recovery`; the count is used where `max_restarts` is not given."""

    strategy: Recovery = Recovery.FAILOVER
    max_restarts_on_errors: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """How hard to protect the job: copies, checkpoints, restarts after its own failures."""

    replicas: int = 1
    checkpoint: bool | CheckpointWish = True
    max_restarts: int | None = None
    job_recovery: Recovery | RecoveryWish | None = None
    completion: float | None = None

    def __post_init__(self) -> None:
        """Raise InputError on counts that make no sense."""
        if self.replicas < 1:
            raise InputError(f"resilience.replicas: must be at least 1, got {self.replicas}")
        if self.completion is not None and not 0 < self.completion < 1:
            raise InputError(f"resilience.completion: must lie between 0 and 1, got {self.completion}")
        if self.restarts < 0:
            raise InputError(f"resilience.max_restarts: must not be negative, got {self.restarts}")

    @property
    def restarts(self) -> int:
        """Return how often the job may start again after its own failure."""
        if self.max_restarts is not None:
            return self.max_restarts
        return self.job_recovery.max_restarts_on_errors if isinstance(self.job_recovery, RecoveryWish) else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitWish:
    """Into how many parts at most the job may be cut."""

    max_parts: int = 1

    def __post_init__(self) -> None:
        """Raise InputError on a count below one."""
        if self.max_parts < 1:
            raise InputError(f"split.max_parts: must be at least 1, got {self.max_parts}")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDocument:
    """The whole document: either `run` (a command) or `computation` (a function) says what to do.

    A null in `envs` or `secrets` means: take it from the environment of whoever submits.
    """

    name: str | None = None
    run: str | list[str] | None = None
    computation: str | None = None
    args: list[Any] | dict[str, Any] = field(default_factory=list)  # JSON values, whatever the function takes
    workdir: str | None = None
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    envs: dict[str, str | None] = field(default_factory=dict)
    secrets: dict[str, str | None] = field(default_factory=dict, repr=False)
    resources: ResourceWishes = field(default_factory=ResourceWishes)
    objective: str | dict[str, float] = "balanced"
    constraints: Limits = field(default_factory=Limits)
    resilience: Protection = field(default_factory=Protection)
    split: SplitWish = field(default_factory=SplitWish)

    def __post_init__(self) -> None:
        """Raise InputError unless exactly one of `run` and `computation` is there and each name is usable."""
        if (self.run is None) == (self.computation is None):
            raise InputError("run: exactly one of run and computation must be given")
        if self.run is not None and self.args:
            raise InputError("args: belong to a computation; write them into run")
        if self.computation is not None:
            check_function_name(self.computation)
        if self.name is not None and not (self.name.strip() and self.name.isprintable()):
            raise InputError(f"name: must be printable text, got {self.name!r}")
        for section, names in (("envs", self.envs), ("secrets", self.secrets)):
            for name in names:
                if not name or "=" in name or "\0" in name:
                    raise InputError(f"{section}: {name!r} cannot be the name of an environment variable")
        try:
            Objective.of(self.objective)
        except InputError as error:
            raise InputError(f"objective: {error}") from None


def check_function_name(written: str) -> tuple[str, str]:
    """Return (module, function) of `module:function`; raise InputError for anything else."""
    module, colon, function = written.partition(":")
    parts = [*module.split("."), *function.split(".")]
    if not colon or not all(part.isidentifier() for part in parts):
        raise InputError(f"computation: must be module:function, got {written!r}")
    return module, function


SECTIONS: Mapping[str, type] = {
    "": JobDocument,
    "resources": ResourceWishes,
    "constraints": Limits,
    "resilience": Protection,
    "resilience.checkpoint": CheckpointWish,
    "resilience.job_recovery": RecoveryWish,
    "split": SplitWish,
}
