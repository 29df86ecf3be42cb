"""Side by side: resources by what ran on them, policies by what they reached, predictors by how they answered."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnaml.core.errors import InputError
from dnaml.nb.sources import runs_of
from dnaml.simulation.report import Report

if TYPE_CHECKING:
    import pandas as pd

    from dnaml.client import Executor
    from dnaml.datasets.table import RunTable
    from dnaml.history import History
    from dnaml.predict.evaluation import Estimator

_FIGURES = (
    "mean_jct_s",
    "p50_jct_s",
    "p99_jct_s",
    "makespan_s",
    "cost_usd",
    "late",
    "restarts",
    "utilisation",
    "jobs",
    "decisions",
    "decision_cpu_s",
)


def compare(
    *subjects: "Report | Executor | History | RunTable | pd.DataFrame | str | Path | Mapping[str, Estimator]",
    runs: "RunTable | pd.DataFrame | str | Path | None" = None,
) -> "pd.DataFrame":
    """Return a table of what is given, side by side.

    Reports of `simulate`: one row a policy (`simulated` is True). A mapping from name to fitted predictor, with `runs`
    to judge by: one row a predictor, errors and coverage in percent. Whatever holds runs (a state folder, an executor,
    a run table): median seconds of each computation on each resource, the fastest, and how much slower the slowest is.
    """
    if not subjects:
        raise InputError("compare: needs reports, predictors or runs, got nothing")
    reports = [one for one in subjects if isinstance(one, Report)]
    if len(reports) == len(subjects):
        return policies(reports)
    if len(subjects) != 1:
        raise InputError("compare: several things must all be reports of simulate; give one state folder or mapping")
    (subject,) = subjects
    if isinstance(subject, Mapping):
        if runs is None:
            raise InputError("compare: predictors are judged by runs; give runs=TABLE")
        return predictors(subject, runs)
    if isinstance(subject, Report):
        raise AssertionError("reports were answered above")
    return machines(runs_of(subject))


def policies(reports: list[Report]) -> "pd.DataFrame":
    """Return one row per simulated policy, indexed by it; completion times count from arrival."""
    import pandas as pd

    rows = [{"trace": one.trace, **{name: getattr(one, name) for name in _FIGURES}} for one in reports]
    index = pd.Index([one.policy for one in reports], name="policy")
    return pd.DataFrame(rows, index=index).assign(simulated=True)


def predictors(fitted: Mapping[str, "Estimator"], runs: "RunTable | pd.DataFrame | str | Path") -> "pd.DataFrame":
    """Return one row per predictor: how its answers met the clock on runs that it should not have learned from."""
    import pandas as pd

    from dnaml.predict.evaluation import answered, score

    table = runs_of(runs)
    told = table.rows(~(table.frame["failed"] | table.frame["censored"]).to_numpy(dtype=bool))
    if len(told) == 0:
        raise InputError("compare: no run tells a runtime")
    found = {name: score([answered(model, told, name)], held="given") for name, model in fitted.items()}
    kept = ("runs", "mdape_pct", "mape_pct", "inside_pct", "width", "spearman", "regret_pct")
    rows = [{name: getattr(one, name) for name in kept} for one in found.values()]
    return pd.DataFrame(rows, index=pd.Index(list(found), name="predictor"))


def machines(table: "RunTable") -> "pd.DataFrame":
    """Return median seconds [computation, resource], then `fastest` and `slowest_over_fastest`; what failed is out."""
    frame = table.frame[~(table.frame["failed"] | table.frame["censored"])]
    seconds = frame.pivot_table(index="computation_id", columns="resource_id", values="runtime_s", aggfunc="median")
    added: dict[str, Any] = {  # a column of names and one of ratios
        "fastest": seconds.idxmin(axis=1),
        "slowest_over_fastest": seconds.max(axis=1) / seconds.min(axis=1),
    }
    return seconds.assign(**added)
