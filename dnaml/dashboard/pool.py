"""The page of the pool: every resource with its load, state and price, and the DNA heat map."""

from dnaml.dashboard import parts
from dnaml.dashboard.reads import Caller, Reads


def page(reads: Reads, caller: Caller) -> None:
    """Draw the pool."""
    with parts.panel("Resources"):
        parts.live(reads.resources, lambda found: None)
