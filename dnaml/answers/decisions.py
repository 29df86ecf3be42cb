"""One decision as a JSON object: the table behind a placement, best candidate first."""

from typing import TYPE_CHECKING, Any

from dnaml.futures import reasons

if TYPE_CHECKING:
    from dnaml.core.plan import Decision


def decision_value(decision: "Decision") -> dict[str, Any]:  # JSON values
    """Return a decision as one JSON object with a list of candidates, best first."""
    columns = zip(
        decision.resource_ids,
        decision.runtime_p10_s,
        decision.runtime_p50_s,
        decision.runtime_p90_s,
        decision.wait_s,
        decision.cost_usd,
        decision.risk,
        decision.score,
        reasons(decision),
        strict=True,
    )
    names = ("resource_id", "runtime_p10_s", "runtime_p50_s", "runtime_p90_s", "wait_s", "cost_usd", "risk", "score")
    rows = [dict(zip((*names, "why"), row, strict=True)) for row in columns]
    for place, row in enumerate(rows):
        row["chosen"] = row["resource_id"] == decision.chosen
        row["terms"] = {name: values[place] for name, values in decision.terms.items()}
    return {
        "job_id": decision.job_id,
        "attempt_id": decision.attempt_id,
        "at_s": decision.at_s,
        "policy": decision.policy,
        "predicted_by": decision.path,
        "chosen": decision.chosen,
        "candidates": sorted(rows, key=lambda row: row["score"]),
    }
