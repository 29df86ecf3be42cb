"""Rows of a part as MLflow runs: the session's curves and table, and pages for the runs that were long."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dnaml.tracking import Page

Row = Mapping[str, Any]  # JSON values

SESSION = "dnaml.session"
MOST_STEPS = 100  # points of each curve that one part adds
MOST_PAGES = 20  # of own runs from one part; what is beyond stands in the table alone
_CURVES = ("runtime_s", "runtime_p50_s", "error_ratio", "inside_share", "wait_s", "cost_usd", "energy_j")
_LONGEST_TAG = 4000


def session_page(header: Row, rows: Sequence[Row], table: Path, first_step: int) -> Page:
    """Return the page of a session with what one part adds: `first_step` counts the rows that were sent before."""
    return Page(
        name=str(header["name"]),
        tags={key: value[:_LONGEST_TAG] for key, value in header["tags"].items()},
        parent=header.get("parent"),
        metrics=list(curves(rows, first_step)),
        files={f"runs/{table.name}": table},
        ended=False,
    )


def curves(rows: Sequence[Row], first_step: int) -> list[tuple[str, float, int, int]]:
    """Return points of every curve: each row where there are few, means of neighbours where there are many."""
    runs = [row for row in rows if row.get("kind") == "run"]
    found = []
    for group in np.array_split(np.arange(len(runs)), min(len(runs), MOST_STEPS)) if runs else ():
        chosen = [runs[place] for place in group.tolist()]
        at_ms, step = int(chosen[-1]["at_s"] * 1000), first_step + int(group[-1])
        for name in _CURVES:
            values = [row[name] for row in chosen if row.get(name) is not None]
            if values:
                found.append((name, float(np.mean(values)), at_ms, step))
    return found


def own_pages(header: Row, rows: Sequence[Row], *, parent: str, own_run_s: float) -> list[Page]:
    """Return the pages of runs that took long, the longest first where there are too many."""
    long = [row for row in rows if row.get("kind") == "run" and (row.get("runtime_s") or 0.0) >= own_run_s]
    long = sorted(long, key=lambda row: -row["runtime_s"])[:MOST_PAGES]
    return [_run_page(header, row, parent) for row in long]


def _run_page(header: Row, row: Row, parent: str) -> Page:
    at_ms = int(row["at_s"] * 1000)
    resource = row["resource_id"]
    linked = {
        key: value[:_LONGEST_TAG]
        for key, value in header["tags"].items()
        if not key.startswith(("dnaml.dna.", "dnaml.resource.")) or key.endswith(f".{resource}")
    }
    numbers = {key: value for key, value in row.items() if isinstance(value, float) and key != "at_s"}
    telemetry = {f"telemetry/{key}": value for key, value in (row.get("telemetry") or {}).items()}
    texts = ("computation_id", "kernel", "resource_id", "policy", "path", "candidates", "outcome")
    return Page(
        name=str(row.get("name") or row["computation_id"]),
        tags={**linked, "dnaml.kind": "run", "dnaml.job_id": str(row["job_id"])},
        params={key: row[key] for key in texts},
        metrics=[(key, value, at_ms, 0) for key, value in {**numbers, **telemetry}.items()],
        parent=parent,
        failed=row["outcome"] != "done",
    )
