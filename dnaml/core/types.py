"""The index of the core's values, so that callers need one import line."""

from dnaml.core.attempt import (
    MOVES,
    Attempt,
    AttemptState,
    Cause,
    Checkpoint,
    JobState,
    Placement,
    Sample,
    Stored,
    Usage,
    check_move,
)
from dnaml.core.dna import DNA_LENGTH, RAW_SLOTS, ComputationDNA, ResourceDNA
from dnaml.core.plan import Decision, Plan, Problem
from dnaml.core.resource import Kind, Resource, ResourceState, Site, UnitType
from dnaml.core.work import PRESETS, Computation, Constraints, Job, Objective, Resilience

__all__ = [
    "DNA_LENGTH",
    "MOVES",
    "PRESETS",
    "RAW_SLOTS",
    "Attempt",
    "AttemptState",
    "Cause",
    "Checkpoint",
    "Computation",
    "ComputationDNA",
    "Constraints",
    "Decision",
    "Job",
    "JobState",
    "Kind",
    "Objective",
    "Placement",
    "Plan",
    "Problem",
    "Resilience",
    "Resource",
    "ResourceDNA",
    "ResourceState",
    "Sample",
    "Site",
    "Stored",
    "UnitType",
    "Usage",
    "check_move",
]
