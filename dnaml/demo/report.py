"""The demo's report: JSON summary, run table in Parquet."""

import json
from pathlib import Path
from typing import Any

from dnaml.datasets.table import RunTable


def summary(findings: Any) -> dict[str, Any]:
    """Return the figures of the demo in the form that `--json` prints."""
    held = findings.held_back
    shown = findings.failover
    return {
        "resources": [
            {"id": r.id, "price_usd_per_h": r.price_usd_per_h, "description": r.description} for r in findings.resources
        ],
        "prediction": {
            "mdape": held.mdape,
            "cover80": held.cover80,
            "spearman": held.spearman,
            "never_run": {
                "mdape": findings.never_run.mdape,
                "cover80": findings.never_run.cover80,
                "spearman": findings.never_run.spearman,
            },
        },
        "policies": findings.policies,
        "failover": {
            "detect_s": shown.detect_s,
            "redone_s": shown.redone_s,
            "lost": shown.lost,
            "duplicated": shown.duplicated,
        },
        "elapsed_s": findings.elapsed_s,
    }


def write(findings: Any, out: Path) -> None:
    """Write the report."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "summary.json").write_text(json.dumps(summary(findings), indent=1))
    RunTable.from_runs(findings.runs).frame.to_parquet(out / "runs.parquet")
