"""Whole workloads and the solvers below them: dnaml's policy beside published ones, on the same traces.

One module a kind of task; `python -m benchmarks.scheduling [--quick] [--json]` runs them all.
"""

import os
from pathlib import Path


def folder() -> Path:
    """Return the folder of the public traces: below $DNAML_DATA, else beside the checkout."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    return Path(os.environ.get("DNAML_DATA", beside)) / "scheduling"
