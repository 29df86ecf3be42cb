"""S10: the same workloads when every predicted runtime is wrong by a factor, drawn log-normally per job and type.

What a job runs on is known once it has run there for a round. Restarts are free, as in the rows that it is held
against; beyond a log-error of 0.3 the peer is SRPT under the same errors.
"""

import statistics
from collections.abc import Callable, Sequence

from benchmarks.report import Row
from benchmarks.scheduling import arrivals, batch
from benchmarks.scheduling.workload import HOUR_S
from dnaml.schedule.rounds.registry import by_name
from dnaml.simulation import Report, Settings, replay
from dnaml.simulation.settings import Disturbances

SEEDS = (0, 1, 2)
_ASKED, _BEYOND = 0.3, (0.6, 1.0)
_JCT, _MAKESPAN, _LATE = 1.03, 1.15, 18

Play = Callable[[Settings], Report]


def wrong(error_sd: float, seed: int) -> Settings:
    """Return the settings under which predictions are wrong by exp(N(0, error_sd))."""
    return Settings(seed=seed, disturbances=Disturbances(error_sd=error_sd))


def error_rows(quick: bool) -> list[Row]:
    """Return the loss against exact predictions at a log-error of 0.3 for S2 to S5, and the curve beyond it for S5."""
    jobs, one_by_one = batch.trace(), arrivals.trace()
    seeds = SEEDS[:1] if quick else SEEDS
    plays: dict[str, Play] = {
        goal.row: lambda settings, goal=goal: batch.played(jobs, goal, settings)  # type: ignore[misc]
        for goal in (batch.GOALS[:1] if quick else batch.GOALS)
    }
    plays["S5"] = lambda settings: replay(one_by_one, by_name("dnaml"), settings)
    rows = []
    for name, play in plays.items():
        rows += _losses(name, play(Settings()), [play(wrong(_ASKED, seed)) for seed in seeds])
    for error_sd in _BEYOND:
        ours = [replay(one_by_one, by_name("dnaml"), wrong(error_sd, seed)) for seed in seeds]
        theirs = [replay(one_by_one, by_name("srpt"), wrong(error_sd, seed)) for seed in seeds]
        peer_h = _mean(theirs, lambda report: report.mean_jct_s / HOUR_S)
        rows.append(
            Row(
                id=f"S10.S5.sd{error_sd:g}",
                metric=f"mean completion time at log-error {error_sd:g}",
                value=_mean(ours, lambda report: report.mean_jct_s / HOUR_S),
                unit="h",
                bar=peer_h,
                peer="srpt",
                peer_value=peer_h,
                note=f"late {[report.late for report in ours]}, srpt {[report.late for report in theirs]}",
            )
        )
    return rows


def _losses(name: str, exact: Report, wronged: Sequence[Report]) -> list[Row]:
    jct = _mean(wronged, lambda report: report.mean_jct_s) / exact.mean_jct_s
    makespan = _mean(wronged, lambda report: report.makespan_s) / exact.makespan_s
    note = ", ".join(f"{report.mean_jct_s / HOUR_S:.2f} h" for report in wronged)
    usd = _mean(wronged, lambda report: report.cost_usd) / exact.cost_usd
    rows = [
        Row(id=f"S10.{name}.jct", metric="completion time over exact", value=jct, unit="x", bar=_JCT, note=note),
        Row(id=f"S10.{name}.makespan", metric="makespan over exact", value=makespan, unit="x", bar=_MAKESPAN),
        Row(id=f"S10.{name}.usd", metric="cost over exact", value=usd, unit="x"),
    ]
    if name == "S5":
        late = max(float(report.late) for report in wronged)
        rows.append(Row(id="S10.S5.late", metric="most deadlines missed of 400", value=late, unit="jobs", bar=_LATE))
    return rows


def _mean(reports: Sequence[Report], of: Callable[[Report], float]) -> float:
    return statistics.mean(of(report) for report in reports)
