"""What the routes answer, field by field: the OpenAPI document is made from these classes. Unknown is null."""

from typing import Any

import msgspec

from dnaml.answers.rows import AttemptRow
from dnaml.core.resource import Kind, Site, UnitType


class Predicted(msgspec.Struct, kw_only=True):
    """What had been predicted of a job on the resource it was placed on."""

    resource_id: str
    runtime_p10_s: float | None
    runtime_p50_s: float | None
    runtime_p90_s: float | None
    cost_usd: float | None
    by: str


class Raised(msgspec.Struct, kw_only=True):
    """What a job's code raised: `module.name` of its type, and its arguments where all are plain."""

    type: str
    args: list[Any] | None  # text, numbers, null


class JobAnswer(msgspec.Struct, kw_only=True):
    """One job. `result` is there once it succeeded, if it is plain data; `result_note` says why it is not."""

    # The fields of answers.rows.JobRow, from which it is made field by field (a Struct cannot inherit a dataclass),
    # then what only a service knows.
    id: str
    name: str
    computation_id: str
    state: str
    resource_id: str | None
    submitted_at_s: float
    started_at_s: float | None
    ended_at_s: float | None
    runtime_s: float | None
    cost_usd: float | None
    price_date: str | None
    attempts: int
    error: str | None
    waits_because: str | None = None
    predicted: Predicted | None = None
    degraded: list[str] = []  # what the engine cannot vouch for now
    repeat: dict[str, Any] | None = None  # a verdict, see RepeatAnswer
    result: Any = None  # whatever the computation returned, as JSON
    result_note: str | None = None
    traceback: str | None = None
    raised: Raised | None = None


class JobsPage(msgspec.Struct, kw_only=True):
    """One page of jobs, newest first; `total` counts those of all pages and states."""

    items: list[JobAnswer]
    next: str | None
    total: int


class SubmitAnswer(msgspec.Struct, kw_only=True):
    """An accepted job: it survives a crash of the service."""

    id: str
    state: str
    name: str
    computation_id: str


class BatchAnswer(msgspec.Struct, kw_only=True):
    """Accepted jobs, in the order of the request."""

    items: list[SubmitAnswer]


class JobsBatch(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Several jobs that are planned as one batch; all or none are accepted. Each is a job as in a job file."""

    jobs: list[dict[str, Any]]


class Candidate(msgspec.Struct, kw_only=True):
    """One resource in a decision, with what was predicted of the job there and why it lost."""

    resource_id: str
    runtime_p10_s: float | None
    runtime_p50_s: float | None
    runtime_p90_s: float | None
    wait_s: float | None
    cost_usd: float | None
    risk: float | None
    score: float | None
    why: str
    chosen: bool
    terms: dict[str, float | None]


class DecisionAnswer(msgspec.Struct, kw_only=True):
    """Why a job went where it went: every candidate, best first."""

    job_id: str
    attempt_id: str
    at_s: float
    policy: str
    predicted_by: str
    chosen: str
    candidates: list[Candidate]


class AttemptsAnswer(msgspec.Struct, kw_only=True):
    """Every try of a job, oldest first."""

    items: list[AttemptRow]


class AskedAnswer(msgspec.Struct, kw_only=True):
    """Says that something was asked for; what comes of it is seen at the job."""

    id: str
    state: str
    asked: str


class ResourceAnswer(msgspec.Struct, kw_only=True):
    """A resource as declared or measured; `available` is false while it takes no work."""

    id: str
    kind: Kind
    site: Site
    unit_type: UnitType | None
    domain: str
    slots: int
    memory_bytes: int | None
    price_usd_per_h: float | None
    price_date: str | None
    startup_s: float | None
    latency_s: float | None
    bandwidth_bytes_per_s: float | None
    power_w: float | None
    spec: dict[str, float]
    labels: dict[str, str]
    cpu_quota_share: float | None
    description: str
    available: bool


class ResourcesPage(msgspec.Struct, kw_only=True):
    """One page of resources, in the order in which they became known."""

    items: list[ResourceAnswer]
    next: str | None


class DnaAnswer(msgspec.Struct, kw_only=True):
    """A DNA vector, slot by slot; null where nothing is known."""

    id: str
    version: str
    slots: list[str]
    vector: list[float | None]


class Health(msgspec.Struct, kw_only=True):
    """Whether the service lives, or is ready."""

    status: str
    version: str = ""
    reasons: list[str] = []
