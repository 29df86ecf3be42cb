"""`dnaml predict JOB`: time and cost of a job on every known resource, with bands; nothing is run."""

from typing import Any

from dnaml.cli import amounts
from dnaml.cli.screen import Screen, table
from dnaml.cli.verbs import JobSource, alone, verb

app = alone()


@verb(app, example="dnaml predict dnaml.yaml --json", over="asking:predict")
def predict(screen: Screen, source: JobSource) -> None:
    """Predict a job's time and cost on every resource, declared ones too, without running it."""
    from dnaml.cli.outlook import predictor_of
    from dnaml.cli.pool import resources_or_this_machine
    from dnaml.cli.work import prepare

    work = prepare(source, screen.state)
    pool = resources_or_this_machine(screen)
    answer = predictor_of(screen.state).predict([work.computation], pool)
    bands = [answer.runtime_s.quantile(level)[0] for level in (0.1, 0.5, 0.9)]
    rows: list[dict[str, Any]] = [  # JSON values
        {
            "resource_id": one.id,
            "site": one.site.value,
            "runtime_s_p10": float(bands[0][r]),
            "runtime_s": float(bands[1][r]),
            "runtime_s_p90": float(bands[2][r]),
            "cost_usd": float(answer.cost_usd.quantile(0.5)[0, r]),
            "cost_usd_p90": float(answer.cost_usd.quantile(0.9)[0, r]),
            "price_usd_per_h": one.price_usd_per_h,
            "price_date": one.price_date,
            "feasible": bool(answer.feasible[0, r]),
        }
        for r, one in enumerate(pool)
    ]
    show(screen, work.computation.id, answer.path, rows)


def show(screen: Screen, computation_id: str, path: str, rows: list[dict[str, Any]]) -> None:  # JSON values
    """Answer with one row a resource, quickest first, those that cannot hold the job last."""
    from dnaml.cli.explain import price_line

    rows.sort(key=lambda row: (not row["feasible"], row["runtime_s"]))
    value = {"computation_id": computation_id, "predicted_by": path, "resources": rows}
    end = f"{computation_id}: predicted by {path}"
    screen.answer(value, _table(rows), end, price_line([row["price_date"] for row in rows]))


def _table(rows: list[dict[str, Any]]) -> Any:  # a rich table, imported late
    columns = ("resource", "??site", ">p10", ">median", ">p90", ">cost", "?>cost p90", "")
    shown = [
        (
            row["resource_id"],
            row["site"],
            amounts.seconds(row["runtime_s_p10"]),
            amounts.seconds(row["runtime_s"]),
            amounts.seconds(row["runtime_s_p90"]),
            amounts.usd(row["cost_usd"]),
            amounts.usd(row["cost_usd_p90"]),
            "" if row["feasible"] else "cannot hold it",
        )
        for row in rows
    ]
    return table("", columns, shown)
