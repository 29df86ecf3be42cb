"""Scaling before demand on measured series of demand: bins with too few machines and what the machines cost (S12), and
how good the forecasts are (R5).

Every rule decides after a bin for machines that come three bins later, and is charged for each machine and bin. A
machine carries a twentieth of the 95 % quantile of the series. The oracle knows the next three bins. Forecasts know
only the past of their own series. The settings of dnaml were chosen on the first half of each series and on synthetic
ones; all rules begin with equal machines at the second half, which alone is judged. The whole series are in the notes.
"""

import csv
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.report import Op, Row, main
from dnaml.datasets.traces.series import demand as read_demand
from dnaml.predict.demand.forecaster import LEVELS, MEDIAN
from dnaml.predict.demand.scores import mase, pinballs
from dnaml.predict.demand.simple import seasonal, smoothed
from dnaml.predict.demand.standard import standard
from dnaml.schedule.scaling_rule import Fleet, Pacing, PacingSettings, Reactive

FloatArray = npt.NDArray[np.float64]
DATA = Path(os.environ.get("DNAML_DATA", "../shared/data")) / "scheduling" / "demand"
LEAD = 3
JUDGED_FROM = 0.5  # of a series: what comes before is learned from, and was looked at when settings were chosen
QUICK_BINS = 800


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """One series of demand [N]; `season` in bins, 0 where none is known beforehand."""

    name: str
    values: FloatArray
    bin_s: float
    season: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """How a rule did: share of bins with too few machines, and machine-bins over the oracle's."""

    short: float
    cost: float


def cases() -> list[Case]:
    """Return the seven series."""
    regular = [("elb_requests_5min", 288, 300.0), ("asg_grok_5min", 288, 300.0)]
    regular += [("nyc_taxi_30min", 48, 1800.0), ("ec2_cpu_825cc2_5min", 288, 300.0)]
    found = [
        Case(name=name, values=read_demand(DATA, name).values, bin_s=bin_s, season=season)
        for name, season, bin_s in regular
    ]
    columns = [read_demand(DATA, "genai_qps_1min", f"{one}_requests_qps").values for one in ("api", "generative")]
    found.append(Case(name="genai_qps_1min", values=np.nansum(np.stack(columns), axis=0), bin_s=60.0, season=0))
    arrivals = read_demand(DATA, "openb_arrivals_1h", "gpu").values
    found.append(Case(name="openb_arrivals_1h", values=arrivals, bin_s=3600.0, season=24))
    found.append(
        Case(name="azure_llm_2023_code", values=_tokens(DATA / "azure_llm_2023_code.csv"), bin_s=15.0, season=0)
    )
    return found


def measure(quick: bool) -> Sequence[Row]:
    """Return the rows of S12 and R5."""
    if not DATA.is_dir():
        return [
            Row(id=one, metric="all series", value=None, unit="", note=f"no data in {DATA}") for one in ("S12", "R5")
        ]
    rows, quality = [], []
    fewer, halved, judged = 0, 0, 0
    for case in cases():
        values = case.values[-QUICK_BINS:] if quick else case.values
        forecasts = forecast(values, case.bin_s)
        results = scaled(values, case, forecasts, int(JUDGED_FROM * len(values)))
        ours, hpa = results["dnaml"], results["HPA 70 %"]
        whole = scaled(values, case, forecasts, 0)
        beside = f"{_told(results)}; whole series: {_told({name: whole[name] for name in ('HPA 70 %', 'dnaml')})}"
        if hpa.short > 0.01:
            judged += 1
            at_its_cost = ours.cost <= hpa.cost
            fewer += at_its_cost and ours.short < hpa.short
            halved += at_its_cost and ours.short <= hpa.short / 2
            rows += [_row("S12", case, "short bins", ours.short, "share", hpa.short, beside)]
            rows += [_row("S12", case, "cost over oracle", ours.cost, "x", hpa.cost, "", hpa.cost)]
        else:
            rows += [_row("S12", case, "short bins", ours.short, "share", hpa.short, beside, 0.005)]
            rows += [_row("S12", case, "cost over oracle", ours.cost, "x", hpa.cost, "", 1.2)]
        quality += _quality(case, values, forecasts)
    rows.append(
        Row(id="S12.fewer", metric="series with fewer", value=fewer, unit="series", op=Op.AT_LEAST, bar=judged or None)
    )
    rows.append(Row(id="S12.half", metric="series with half", value=halved, unit="series", op=Op.AT_LEAST, bar=3))
    return [*rows, *quality]


def forecast(values: FloatArray, bin_s: float) -> FloatArray:
    """Return what the default competition says after each bin [N, K] of the bin LEAD later; NaN while it is silent."""
    competition = standard(LEAD, bin_s)
    said = np.full((len(values), len(LEVELS)), np.nan)
    for at, value in enumerate(values.tolist()):
        competition.observe(value)
        answer = competition.forecast()
        if answer is not None:
            said[at] = answer
    return said


def scaled(values: FloatArray, case: Case, forecasts: FloatArray, start: int) -> dict[str, Scaled]:
    """Return how every rule did on a series from a bin on; each saw what was before."""
    demand = values / (float(np.quantile(values, 0.95)) / 20 + 1e-9)  # in machines
    rule = Reactive()
    reactive = np.array([rule.wanted(one) for one in demand.tolist()])
    first = int(reactive[max(0, start - 1)])
    reach = [demand[at : at + LEAD + 1].max() for at in range(len(demand))]
    oracle = _followed(_whole(np.array(reach))[start:], window=5)
    naive = seasonal(LEAD, case.season) if case.season else smoothed(LEAD, 1.0)
    wants = {
        "HPA 70 %": reactive,
        "EWMA + 10 %": _whole(1.1 * _points(demand, smoothed(LEAD, 0.3))),
        "seasonal naive + 10 %": _whole(1.1 * _points(demand, naive)),
    }
    ran = {name: _followed(want[start:], window=5, first=first) for name, want in wants.items()}
    ran["dnaml"] = _paced(demand, forecasts / (values.max() or 1.0) * (demand.max() or 1.0), start, first)
    base, judged = float(oracle.sum()), demand[start:]
    return {name: Scaled(short=float((judged > had).mean()), cost=float(had.sum()) / base) for name, had in ran.items()}


def _paced(demand: FloatArray, forecasts: FloatArray, start: int, first: int) -> FloatArray:
    """Return the machines that there were in each bin from `start` on under the pacing of the scaler."""
    pacing = Pacing(PacingSettings(lead=LEAD), LEVELS, machines=1 if start else first)
    fleet = Fleet(LEAD, machines=first)
    had = np.empty(len(demand) - start)
    for at, asked in enumerate(demand.tolist()):
        said = None if np.isnan(forecasts[at, 0]) else forecasts[at]
        if at < start:
            pacing.wanted(asked, said, None)
            continue
        had[at - start] = fleet.machines
        fleet.follow(pacing.wanted(asked, said, fleet.machines))
    return had


def _followed(want: npt.NDArray[np.int64], *, window: int, first: int | None = None) -> FloatArray:
    fleet = Fleet(LEAD, window=window, machines=max(1, int(want[0])) if first is None else first)
    had = np.empty(len(want))
    for at, wanted in enumerate(want.tolist()):
        had[at] = fleet.machines
        fleet.follow(wanted)
    return had


def _told(results: dict[str, Scaled]) -> str:
    return ", ".join(f"{name} {one.short:.2%} at {one.cost:.3f}" for name, one in results.items())


def _points(demand: FloatArray, forecaster: object) -> FloatArray:
    """Return the medians [N] of a forecaster; the value itself while it is silent."""
    points = np.empty(len(demand))
    for at, value in enumerate(demand.tolist()):
        forecaster.observe(value)  # type: ignore[attr-defined]
        said = forecaster.forecast()  # type: ignore[attr-defined]
        points[at] = value if said is None else said[MEDIAN]
    return points


def _whole(machines: FloatArray) -> npt.NDArray[np.int64]:
    return np.maximum(1, np.ceil(machines - 1e-9)).astype(np.int64)


def _quality(case: Case, values: FloatArray, forecasts: FloatArray) -> list[Row]:
    """Return R5 for a series: absolute and pinball error over those of the seasonal naive forecast."""
    first = max(int(JUDGED_FROM * len(values)), case.season)
    at = np.arange(first, len(values) - LEAD)
    came, said = values[at + LEAD], forecasts[at]
    naive_points = values[at + LEAD - case.season] if case.season else values[at]
    naive = seasonal(LEAD, case.season) if case.season else smoothed(LEAD, 1.0)
    naive_said = np.full((len(values), len(LEVELS)), np.nan)
    for place, value in enumerate(values.tolist()):
        naive.observe(value)
        answer = naive.forecast()
        naive_said[place] = naive_said[place] if answer is None else answer
    error = mase(came, said[:, MEDIAN], naive_points)
    pinball = float(np.nanmean(pinballs(came, said)) / np.nanmean(pinballs(came, naive_said[at])))
    peer = "seasonal naive" if case.season else "last value"
    covered = ", ".join(
        f"{level:.0%} covers {np.mean(came <= said[:, LEVELS.index(level)]):.1%}" for level in (0.9, 0.98)
    )
    bar = 0.85 if case.season else 1.02
    return [
        Row(
            id="R5",
            metric=f"{case.name}: MASE",
            value=error,
            unit="x",
            bar=bar,
            peer=peer,
            peer_value=1.0,
            note=covered,
        ),
        Row(id="R5", metric=f"{case.name}: pinball", value=pinball, unit="x", bar=1.0, peer=peer, peer_value=1.0),
    ]


def _row(
    id_: str, case: Case, what: str, value: float, unit: str, peer: float, note: str, bar: float | None = None
) -> Row:
    bar = peer if bar is None else bar
    return Row(
        id=id_,
        metric=f"{case.name}: {what}",
        value=value,
        unit=unit,
        bar=bar,
        peer="HPA 70 %",
        peer_value=peer,
        note=note,
    )


def _tokens(path: Path) -> FloatArray:
    """Return the tokens of each 15 s, ten for each generated one."""
    with path.open(newline="") as lines:
        rows = [
            (int(float(row["arrival_s"]) // 15), float(row["context_tokens"]) + 10 * float(row["generated_tokens"]))
            for row in csv.DictReader(lines)
        ]
    bins, work = np.array([at for at, _ in rows]), np.array([tokens for _, tokens in rows])
    tokens: FloatArray = np.bincount(bins, work).astype(np.float64)
    return tokens


if __name__ == "__main__":
    sys.exit(main("scaling", measure))
