"""Decisions as a table: what was chosen among how many, what was predicted of it, and what the clock then said."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnaml.answers.judged import measured_s
from dnaml.core.plan import Decision
from dnaml.futures import ExplainedDecision
from dnaml.history import History, JobView
from dnaml.nb.sources import history_of

if TYPE_CHECKING:
    import pandas as pd

    from dnaml.client import Executor

COLUMNS = (
    "job_id",
    "name",
    "computation_id",
    "at_s",
    "chosen",
    "candidates",
    "runtime_p10_s",
    "runtime_p50_s",
    "runtime_p90_s",
    "runtime_s",
    "inside",
    "wait_s",
    "cost_usd",
    "next_best",
    "margin",
    "policy",
    "path",
)


def decisions(
    subject: "Executor | History | str | Path | Decision | ExplainedDecision", job_id: str | None = None
) -> "pd.DataFrame":
    """Return one row per decision in order; with a job's id (or one decision), one row per candidate of its newest.

    `runtime_s` is measured, NaN while it runs or where it did not succeed, and `inside` says whether it fell between
    p10 and p90; `margin` is by how much the next best candidate's score is worse. `path` names what predicted.
    """
    import pandas as pd

    if isinstance(subject, ExplainedDecision):
        return subject.explain()
    if isinstance(subject, Decision):
        return ExplainedDecision(subject).explain()
    history = history_of(subject)
    if job_id is not None:
        return ExplainedDecision(history.decision(history.job(job_id).id)).explain()
    rows = [_row(one, history.jobs[one.job_id]) for one in history.decisions()]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(decision: Decision, view: JobView) -> dict[str, Any]:  # cells of a table
    at = decision.resource_ids.index(decision.chosen)
    p10_s, p90_s, took_s = decision.runtime_p10_s[at], decision.runtime_p90_s[at], measured_s(decision, view)
    others = [(score, name) for score, name in zip(decision.score, decision.resource_ids, strict=True)]
    others.pop(at)
    score, name = min(others, default=(math.nan, None))
    return {
        "job_id": decision.job_id,
        "name": view.job.name,
        "computation_id": view.job.computation_id,
        "at_s": decision.at_s,
        "chosen": decision.chosen,
        "candidates": len(decision.resource_ids),
        "runtime_p10_s": p10_s,
        "runtime_p50_s": decision.runtime_p50_s[at],
        "runtime_p90_s": p90_s,
        "runtime_s": took_s,
        "inside": None if math.isnan(took_s) else p10_s <= took_s <= p90_s,
        "wait_s": decision.wait_s[at],
        "cost_usd": decision.cost_usd[at],
        "next_best": name,
        "margin": score - decision.score[at],
        "policy": decision.policy,
        "path": decision.path,
    }
