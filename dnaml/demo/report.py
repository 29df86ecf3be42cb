"""What the demo leaves behind: one HTML page, the figures that `--json` prints, and the run table in Parquet."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from dnaml.datasets.table import RunTable
from dnaml.demo.page import page_of, reached

if TYPE_CHECKING:
    from dnaml.demo.learn import Quality
    from dnaml.demo.main import Findings

Number = float | None
"""a figure, or None where it is not known: JSON has no NaN"""


class ResourceSummary(TypedDict):
    """A resource as the demo set it up."""

    id: str
    price_usd_per_h: Number
    description: str


class QualitySummary(TypedDict):
    """How predictions met measured runtimes: median error and coverage of p10-p90 in percent, order in [-1, 1]."""

    runs: int
    mdape: Number
    cover80: Number
    spearman: Number


class ZeroShotSummary(QualitySummary):
    """Quality on a resource on which nothing had run."""

    resource_id: str


class PredictionSummary(QualitySummary):
    """Quality on held-back runs, beside it on cells that had never been run, and on a resource left out entirely."""

    never_run: QualitySummary
    zero_shot: ZeroShotSummary


class FailoverSummary(TypedDict):
    """What the kill of a worker cost."""

    killed: str
    went_on: str
    resumed_at_share: float
    detect_s: float
    redone_s: float
    lost: int
    duplicated: int


class Summary(TypedDict):
    """The figures of one demo."""

    seed: int
    resources: list[ResourceSummary]
    prediction: PredictionSummary
    policies: dict[str, dict[str, dict[str, Number]]]
    used: dict[str, dict[str, dict[str, int]]]
    failover: FailoverSummary
    elapsed_s: dict[str, float]


def summary(findings: "Findings") -> Summary:
    """Return the figures of the demo in the form that `--json` prints; raise InputError when a stage is missing."""
    shown = reached(findings.failover, "failover")
    never_run = _quality(reached(findings.never_run, "never_run"))
    zero_shot: ZeroShotSummary = {
        **_quality(reached(findings.zero_shot, "zero_shot")),
        "resource_id": findings.left_out,
    }
    return {
        "seed": findings.seed,
        "resources": [
            {"id": r.id, "price_usd_per_h": r.price_usd_per_h, "description": r.description} for r in findings.resources
        ],
        "prediction": {
            **_quality(reached(findings.held_back, "held_back")),
            "never_run": never_run,
            "zero_shot": zero_shot,
        },
        "policies": {
            preset: {name: _numbers(row) for name, row in rows.items()} for preset, rows in findings.policies.items()
        },
        "used": {preset: {name: dict(ran.used) for name, ran in made.items()} for preset, made in findings.ran.items()},
        "failover": {
            "killed": shown.killed,
            "went_on": shown.went_on,
            "resumed_at_share": shown.resumed_at,
            "detect_s": shown.detect_s,
            "redone_s": shown.redone_s,
            "lost": shown.lost,
            "duplicated": shown.duplicated,
        },
        "elapsed_s": findings.elapsed_s,
    }


def _quality(quality: "Quality") -> QualitySummary:
    return {
        "runs": quality.runs,
        "mdape": _number(quality.mdape),
        "cover80": _number(quality.cover80),
        "spearman": _number(quality.spearman),
    }


def _numbers(row: Mapping[str, float]) -> dict[str, Number]:
    return {name: _number(value) for name, value in row.items()}


def _number(value: float) -> Number:
    return value if math.isfinite(value) else None


def write(findings: "Findings", out: Path) -> None:
    """Write `index.html`, `summary.json` and `runs.parquet` into a folder, made if need be."""
    figures = json.dumps(summary(findings), indent=1, allow_nan=False)
    document = page_of(findings)
    out.mkdir(parents=True, exist_ok=True)
    (out / "summary.json").write_text(figures + "\n", encoding="utf-8")
    (out / "index.html").write_text(document, encoding="utf-8")
    RunTable.from_runs(findings.runs).frame.to_parquet(out / "runs.parquet")
