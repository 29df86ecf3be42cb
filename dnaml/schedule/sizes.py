"""What computations turned out to need in memory: one that was too large for its resource goes to a larger one.

It is the computation's doing, not the resource's: the next attempt needs half as much again, and never the same size.
"""

from collections.abc import Iterable
from dataclasses import replace

from dnaml.core.resource import Resource
from dnaml.core.work import Computation
from dnaml.schedule.feasible import keeps_static
from dnaml.schedule.ledger import Entry

MORE = 1.5


class Sizes:
    """Remembers for each computation how much memory it is now thought to need, and where it did not fit."""

    def __init__(self) -> None:
        self._bytes: dict[str, int] = {}
        self._too_small: dict[str, set[str]] = {}

    def burst(self, computation: Computation, resource_id: str, resource: Resource | None, peak: int | None) -> None:
        """Note that a computation ran out of memory on a resource, where `peak` bytes were seen at most."""
        limit = resource.memory_bytes if resource is not None else None
        seen = max(peak or 0, limit or 0, self._bytes.get(computation.id, 0) if limit is None else 0)
        known = max(self._bytes.get(computation.id, 0), computation.memory_bytes or 0)
        self._bytes[computation.id] = max(known, round(MORE * seen))
        self._too_small.setdefault(computation.id, set()).add(resource_id)

    def fit(self, entry: Entry) -> None:
        """Give a job what its computation is now thought to need."""
        need = self._bytes.get(entry.computation.id)
        if need is not None:
            need = max(need, entry.computation.memory_bytes or 0)
            entry.computation = replace(entry.computation, memory_bytes=need)
            entry.too_small = self._too_small[entry.computation.id]


def unfit_reason(entry: Entry, resources: Iterable[Resource]) -> str:
    """Return why no resource is large enough for a job that ran out of memory, naming the largest; "" if one is."""
    need = entry.computation.memory_bytes or 0
    known = [resource for resource in resources if keeps_static(entry.job.constraints, resource)]
    if not known or any(
        r.id not in entry.too_small and (r.memory_bytes is None or r.memory_bytes >= need) for r in known
    ):
        return ""
    largest = max(known, key=lambda r: r.memory_bytes or 0)
    has = "memory of unknown size" if largest.memory_bytes is None else f"{largest.memory_bytes / 2**20:.0f} MiB"
    return f"needs {need / 2**20:.0f} MiB by what it used before, the largest resource {largest.id} has {has}"
