"""dnaml learns how fast each computation runs on each machine, and places work by what it learned."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dnaml import nb
    from dnaml.client import Executor
    from dnaml.core.dna import ComputationDNA, ResourceDNA
    from dnaml.core.resource import Resource
    from dnaml.core.work import Computation, Constraints, Objective, Resilience
    from dnaml.datasets.table import RunTable, load_runs
    from dnaml.dna.space import match
    from dnaml.execution.context import Context
    from dnaml.execution.fingerprint import fingerprint
    from dnaml.logbook import autolog
    from dnaml.predict.runtime import RuntimePredictor
    from dnaml.remote import connect
    from dnaml.repeatable import computation
    from dnaml.simulation import simulate
    from dnaml.telemetry.profile import profile_resource

_HOME = {
    "Computation": "core.work",
    "ComputationDNA": "core.dna",
    "Constraints": "core.work",
    "Context": "execution.context",
    "Executor": "client",
    "Objective": "core.work",
    "Resilience": "core.work",
    "Resource": "core.resource",
    "ResourceDNA": "core.dna",
    "RunTable": "datasets.table",
    "RuntimePredictor": "predict.runtime",
    "autolog": "logbook",
    "computation": "repeatable",
    "connect": "remote",
    "fingerprint": "execution.fingerprint",
    "load_runs": "datasets.table",
    "match": "dna.space",
    "profile_resource": "telemetry.profile",
    "simulate": "simulation",
}

__all__ = [
    "Computation",
    "ComputationDNA",
    "Constraints",
    "Context",
    "Executor",
    "Objective",
    "Resilience",
    "Resource",
    "ResourceDNA",
    "RunTable",
    "RuntimePredictor",
    "autolog",
    "computation",
    "connect",
    "fingerprint",
    "load_runs",
    "match",
    "nb",
    "profile_resource",
    "simulate",
]


def __getattr__(name: str) -> object:
    """Find a public name on its first use, so that `import dnaml` costs next to nothing."""
    if name == "nb":
        return import_module("dnaml.nb")
    if name not in _HOME:
        raise AttributeError(f"module 'dnaml' has no attribute {name!r}")
    found: object = getattr(import_module(f"dnaml.{_HOME[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
