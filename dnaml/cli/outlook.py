"""What would happen to a job now, by the runs of the state folder and an idle pool; nothing is started or written."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dnaml.answers import outlook as answers
from dnaml.answers.predictors import predictor_of as predictor_of
from dnaml.cli.work import Work
from dnaml.core.resource import Resource


def outlook(work: Work, resources: Sequence[Resource], state: Path) -> dict[str, Any]:  # JSON values
    """Return what the scheduler would decide about a job over these resources."""
    job = work.as_job(resources, time.time())
    return answers.outlook(job, work.computation, tuple(resources), predictor_of(state), work.job.objective())
