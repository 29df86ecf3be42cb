"""What a policy may look at and what it answers: Problem in, Plan out; and the record of one decision."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dnaml.core.attempt import Attempt, Placement
from dnaml.core.prediction import Prediction
from dnaml.core.resource import Resource
from dnaml.core.work import Computation, Job, Objective

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """All that a policy may look at.

    Shapes: `jobs` J, `resources` R, `free_in_s` [R] seconds until each resource can start its next placement,
    `prediction` arrays [J, R, ...] with row j for job j, `similarity` [J, R] of the raw DNA or None.
    `running` are the attempts now on resources. `budget` counts solver steps, never seconds: a replay must
    decide alike. With `explores` the job goes where it might do best, not where it is expected to.
    """

    at_s: float
    jobs: tuple[Job, ...]
    computations: tuple[Computation, ...]
    resources: tuple[Resource, ...]
    free_in_s: FloatArray
    prediction: Prediction
    objective: Objective
    running: tuple[Attempt, ...] = ()
    similarity: FloatArray | None = None
    seed: int = 0
    budget: int = 10_000
    explores: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Placements in start order for each resource, and for each job left out the reason.

    `score` holds the objective and its parts for the whole plan (lower is better); `bound` is a certified lower
    bound of `score["objective"]` and `gap` the relative distance to it, both None where the policy proves nothing.
    """

    placements: tuple[Placement, ...]
    unplaced: Mapping[str, str] = field(default_factory=dict)
    score: Mapping[str, float] = field(default_factory=dict)
    bound: float | None = None
    gap: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Why one attempt went where it went: every candidate with its prediction; all tuples have length R.

    `score` is J(c, r), lower is better, at the moment of planning; `terms` are its weighed summands by name, without
    those that are 0 for all. `reasons` says why a candidate lost ("" for the chosen one). `path` names the predictor or
    fallback that answered.
    """

    job_id: str
    attempt_id: str
    at_s: float
    policy: str
    path: str
    chosen: str
    resource_ids: tuple[str, ...]
    runtime_p10_s: tuple[float, ...]
    runtime_p50_s: tuple[float, ...]
    runtime_p90_s: tuple[float, ...]
    wait_s: tuple[float, ...]
    cost_usd: tuple[float, ...]
    risk: tuple[float, ...]
    score: tuple[float, ...]
    reasons: tuple[str, ...]
    terms: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
