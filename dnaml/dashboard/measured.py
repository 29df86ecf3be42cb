"""What was measured of a job: its attempts as a table, everything known of one in words, and curves over time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from dnaml.answers import amounts
from dnaml.core.attempt import Sample
from dnaml.dashboard.palette import SERIES, Option, axis, chart
from dnaml.dashboard.reads import AttemptNow
from dnaml.dashboard.tables import Cell, Column, Row, money

COLUMNS = (
    Column(title="Attempt"),
    Column(title="Resource"),
    Column(title="State"),
    Column(title="Began", numeric=True),
    Column(title="Wall time", numeric=True),
    Column(title="Own clock", numeric=True),
    Column(title="Peak memory", numeric=True),
    Column(title="Cost", numeric=True),
    Column(title="Checkpoints", numeric=True),
    Column(title="How it ended", wide=True),
)
NOTE = "The own clock counts processor time and time blocked on input and output: it is free of waiting for a core."
TOO_SHORT = "No curve: an attempt is sampled once a second from its second second on. What it used in all stands above."
_TONES = {"RUNNING": "busy", "DONE": "good", "FAILED": "bad", "LOST": "warn"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One curve: what is drawn of which metric; a counter is drawn as its growth a second."""

    title: str
    unit: str
    metric: str
    counter: bool = False
    factor: float = 1.0


CURVES = (
    Curve(title="Processor", unit="cores", metric="cpu_s", counter=True),
    Curve(title="Memory", unit="MiB", metric="memory_bytes", factor=2.0**-20),
    Curve(title="GPU", unit="% busy", metric="gpu_busy_share", factor=100.0),
    Curve(title="GPU memory", unit="MiB", metric="gpu_memory_bytes", factor=2.0**-20),
    Curve(title="Read", unit="MB/s", metric="read_bytes", counter=True, factor=1e-6),
    Curve(title="Written", unit="MB/s", metric="written_bytes", counter=True, factor=1e-6),
    Curve(title="Network in", unit="MB/s", metric="tcp_received_bytes", counter=True, factor=1e-6),
    Curve(title="Network out", unit="MB/s", metric="tcp_sent_bytes", counter=True, factor=1e-6),
)


def rows(attempts: Sequence[AttemptNow]) -> list[Row]:
    """Return the rows of the table of attempts, oldest first."""
    return [
        Row(
            key=one.row.id,
            cells=(
                Cell(text=one.row.id),
                Cell(text=one.row.resource_id),
                Cell(text=one.row.state.lower(), tone=_TONES.get(one.row.state, "quiet")),
                Cell(at_s=one.row.started_at_s),
                Cell(text=amounts.seconds(one.row.wall_s)),
                Cell(text=amounts.seconds(one.row.runtime_s)),
                Cell(text=amounts.size(one.row.peak_memory_bytes)),
                Cell(text=money(one.row.cost_usd)),
                Cell(text=str(one.row.checkpoints)),
                Cell(text=(one.row.error or "").strip().rpartition("\n")[2][:300] or amounts.UNKNOWN),
            ),
        )
        for one in attempts
    ]


def facts(telemetry: Mapping[str, float]) -> dict[str, str]:
    """Return measurements in words, by name; a name's ending says its unit."""
    return {name: _amount(name, value) for name, value in sorted(telemetry.items())}


def curves(samples: Sequence[Sample]) -> dict[str, Option]:
    """Return a chart for each curve that says something, by its title: one series an attempt."""
    attempts = list(dict.fromkeys(one.attempt_id or "" for one in samples))
    found: dict[str, Option] = {}
    for curve in CURVES:
        lines = [points(curve, [one for one in samples if one.attempt_id == attempt]) for attempt in attempts]
        if any(value > 0 for line in lines for _, value in line) and any(len(line) > 1 for line in lines):
            found[curve.title] = _drawn(curve, dict(zip(attempts, lines, strict=True)))
    return found


def points(curve: Curve, samples: Sequence[Sample]) -> list[tuple[int, float]]:
    """Return a curve's points of one attempt: milliseconds since 1970 and the value in the curve's unit."""
    known = [(one.at_s, one.metrics[curve.metric]) for one in samples if curve.metric in one.metrics]
    if not curve.counter:
        return [(round(1e3 * at_s), _short(curve.factor * value)) for at_s, value in known]
    return [
        (round(1e3 * later_s), _short(curve.factor * max(0.0, later - earlier) / (later_s - earlier_s)))
        for (earlier_s, earlier), (later_s, later) in pairwise(known)
        if later_s > earlier_s
    ]


def _drawn(curve: Curve, lines: Mapping[str, Sequence[tuple[int, float]]]) -> Option:
    series = [
        {
            "type": "line",
            "name": f"attempt {attempt.rpartition('.')[2]}",
            "showSymbol": len(line) < 3,
            "lineStyle": {"width": 2},
            "areaStyle": {"opacity": 0.12},
            "color": SERIES[at % len(SERIES)],
            "data": [list(point) for point in line],
        }
        for at, (attempt, line) in enumerate(lines.items())
    ]
    many = len(series) > 1
    across = axis("time", splitNumber=3)
    across["splitLine"] = {"show": False}
    return chart(
        series,
        xAxis=across,
        yAxis=axis("value", min=0, splitNumber=3),
        grid={"left": 8, "right": 16, "top": 28 if many else 12, "bottom": 4, "containLabel": True},
        **({} if many else {"legend": {"show": False}}),
        tooltip={**chart([])["tooltip"], "trigger": "axis", "axisPointer": {"type": "line"}},
    )


def _amount(name: str, value: float) -> str:
    if name.endswith("_bytes_per_s"):
        return amounts.rate(value, "B/s")
    if name.endswith("_per_s"):
        return amounts.rate(value, "/s")
    if name.endswith("_bytes"):
        return amounts.size(value)
    if name.endswith("_s"):
        return amounts.seconds(value)
    if name.endswith("_share"):
        return amounts.share(value)
    units = {"_w": " W", "_j": " J", "_c": " °C", "_hz": " Hz"}
    return f"{value:,.6g}" + next((unit for ending, unit in units.items() if name.endswith(ending)), "")


def _short(value: float) -> float:
    return float(f"{value:.4g}")
