"""The three figures that every workload is judged by, as rows."""

from benchmarks.report import Row
from dnaml.simulation import Report

HOUR_S = 3600.0
Bars = tuple[float | None, float | None, float | None]
NO_BARS: Bars = (None, None, None)


def three(name: str, report: Report, bars: Bars, peer: Report) -> list[Row]:
    """Return the rows of mean completion time, makespan and cost."""
    figures = (
        ("jct", "mean completion time", report.mean_jct_s / HOUR_S, "h", peer.mean_jct_s / HOUR_S),
        ("makespan", "time to the last end", report.makespan_s / HOUR_S, "h", peer.makespan_s / HOUR_S),
        ("usd", "cost of all jobs", report.cost_usd, "USD", peer.cost_usd),
    )
    note = f"{report.restarts} restarts, {report.late} late, decisions {report.decision_cpu_s:.1f} s of processor time"
    note += "" if report.gap is None else f", {100 * report.gap:.0f} % above the utopia point"
    return [
        Row(
            id=f"{name}.{key}",
            metric=metric,
            value=value,
            unit=unit,
            bar=bar,
            peer=peer.policy,
            peer_value=beside,
            note=note if key == "jct" else "",
        )
        for (key, metric, value, unit, beside), bar in zip(figures, bars, strict=True)
    ]
