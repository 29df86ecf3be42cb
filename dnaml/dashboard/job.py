"""The page of one job: decision, prediction against what happened, attempts, telemetry, logs, repeats."""

from dnaml.dashboard import parts
from dnaml.dashboard.reads import Caller, Reads


def page(reads: Reads, caller: Caller, job_id: str) -> None:
    """Draw one job."""
    with parts.panel(f"Job {job_id}"):
        parts.live(lambda: reads.job(job_id), lambda found: None)
