"""One job over all resources at this moment: what each would take, cost and risk, and which is best.

The plan looks at many waiting jobs at once; this looks at one that runs already and may move, be copied or be checked.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from dnaml.core.plan import Decision, FloatArray, Problem
from dnaml.schedule.agenda import Forecast
from dnaml.schedule.checkpointing import Hazards
from dnaml.schedule.objective import Terms, shares_of, terms

_WORTHLESS_S = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outlook:
    """Explains one job on every resource that is up; columns are resources, `columns` gives each by its id."""

    problem: Problem
    terms: Terms
    columns: dict[str, int]

    @classmethod
    def of(cls, problem: Problem) -> "Outlook":
        """Return the outlook of a problem with one job."""
        columns = {resource.id: column for column, resource in enumerate(problem.resources)}
        return cls(problem=problem, terms=terms(problem), columns=columns)

    def best(self, without: Collection[str], domains: Collection[str] = ()) -> str | None:
        """Return the allowed resource of least J outside some resources, and outside these domains if it can."""
        open_to = [
            (resource.domain in domains, float(self.terms.score[0, column]), resource.id)
            for column, resource in enumerate(self.problem.resources)
            if resource.id not in without and self.terms.feasible.matrix[0, column]
        ]
        return min(open_to, key=lambda each: each[:2])[2] if open_to else None

    def refusal(self, resource_id: str) -> str:
        """Return why the job may not run on a resource, or "" if it may."""
        column = self.columns.get(resource_id)
        if column is None:
            return f"there is no resource {resource_id}"
        return self.terms.reason(0, column)

    def runtime_s(self, resource_id: str) -> tuple[FloatArray, FloatArray]:
        """Return levels [Q] and quantiles [Q] of the whole job's runtime on a resource."""
        runtime_s = self.problem.prediction.runtime_s
        return runtime_s.levels, runtime_s.values[0, self.columns[resource_id]]

    def forecast(self, resource_id: str) -> Forecast:
        """Return what is expected of an attempt on a resource."""
        column, runtime_s = self.columns[resource_id], self.problem.prediction.runtime_s
        return Forecast(
            float(runtime_s.quantile(0.5)[0, column]),
            float(runtime_s.quantile(0.9)[0, column]),
            self.hazard_per_h(resource_id),
        )

    def hazard_per_h(self, resource_id: str) -> float:
        """Return how often an hour the resource is lost; what is not a number counts as never."""
        rate = float(self.problem.prediction.hazard_per_h[self.columns[resource_id]])
        return rate if np.isfinite(rate) and rate > 0 else 0.0

    def hazards(self, resource_id: str, write_s: float) -> Hazards:
        """Return the hazard of a resource with the cost of saving and of going on."""
        return Hazards(hazard_per_s=self.hazard_per_h(resource_id) / 3600, write_s=write_s, restore_s=write_s)

    def wait_s(self, resource_id: str) -> float:
        """Return how long a new attempt would wait, for its input too, and start up on a resource."""
        column = self.columns[resource_id]
        return float(self.terms.ready_s[0, column]) + (self.problem.resources[column].startup_s or 0.0)

    def price_usd_per_s(self, resource_id: str) -> float:
        """Return what a second on a resource costs, 0 where no price is known."""
        column = self.columns[resource_id]
        rate = self.terms.cost_usd[0, column] / max(self.terms.runtime_s[0, column], _WORTHLESS_S)
        return float(rate) if np.isfinite(rate) else 0.0

    def usd_per_s(self) -> float:
        """Return what a second of waiting is worth beside prices: the latency term of J over its cost term.

        Only the ratio counts, so where nothing has a price a second is worth a dollar.
        """
        shares, allowed = shares_of(self.problem), self.terms.feasible.matrix[0]
        costs, times = self.terms.cost_usd[0, allowed], self.terms.runtime_s[0, allowed]
        costs = costs[np.isfinite(costs) & (costs > 0)]
        if not costs.size:
            return 1.0
        latency, cost = float(np.max(shares.latency)), float(np.max(shares.cost))
        return latency / cost * float(costs.min()) / max(float(times.min()), _WORTHLESS_S)

    def decision(self, attempt_id: str, chosen: str, policy: str) -> Decision:
        """Return the record of why an attempt beside the plan goes where it goes."""
        seen, prediction = self.terms, self.problem.prediction
        low, middle, high = (tuple(prediction.runtime_s.quantile(q)[0].tolist()) for q in (0.1, 0.5, 0.9))
        return Decision(
            job_id=self.problem.jobs[0].id,
            attempt_id=attempt_id,
            at_s=self.problem.at_s,
            policy=policy,
            path=prediction.path,
            chosen=chosen,
            resource_ids=tuple(self.columns),
            runtime_p10_s=low,
            runtime_p50_s=middle,
            runtime_p90_s=high,
            wait_s=tuple(seen.ready_s[0].tolist()),
            cost_usd=tuple(seen.cost_usd[0].tolist()),
            risk=tuple(seen.risk[0].tolist()),
            score=tuple(seen.score[0].tolist()),
            reasons=tuple(seen.reason(0, column) for column in range(len(self.columns))),
            terms=seen.summands(0),
        )
