"""The page of the queue: jobs by state, and the Gantt chart of placements."""

from dnaml.dashboard import parts
from dnaml.dashboard.reads import Caller, Reads


def page(reads: Reads, caller: Caller) -> None:
    """Draw jobs and placements."""
    with parts.panel("Placements"):
        parts.live(lambda: reads.placements(400), lambda found: None)
