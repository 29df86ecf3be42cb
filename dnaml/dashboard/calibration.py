"""The page of calibration and drift: did what was predicted happen, how often, of what not, and who answered."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dnaml.answers import amounts
from dnaml.answers.trust import NameMet, TrustNow
from dnaml.dashboard import parts
from dnaml.dashboard.insight_reads import DriftNow, WatchedNow
from dnaml.dashboard.queue import first_job
from dnaml.dashboard.reads import Caller, Reads
from dnaml.dashboard.tables import Cell, Column, Row
from dnaml.dashboard.trust_charts import coverage, errors, reliability

MOST_ROWS, MOST_WATCHED = 25, 12
LEAST_TOLD = 0.05  # of the sum that raises an alarm
FEW_RUNS = 20  # below, a share of runs says little
DRIFT_COLUMNS = (
    Column(title="Name", wide=True),
    Column(title="Sort"),
    Column(title="State"),
    Column(title="Change", numeric=True),
    Column(title="Last judged", numeric=True),
    Column(title="Last alarm", numeric=True),
)
NAME_COLUMNS = (
    Column(title="Name", wide=True),
    Column(title="Runs", numeric=True),
    Column(title="Inside p10-p90", numeric=True),
    Column(title="Measured / predicted", numeric=True),
)
PATH_COLUMNS = (Column(title="Answered by", wide=True), Column(title="Decisions", numeric=True))
NO_RUNS = (
    "A run is judged when it ends: its measured runtime beside what was predicted when it was placed. Submit a few "
    "jobs, for example one function on several inputs:"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationView:
    """All that the page shows at one moment."""

    trust: TrustNow
    drift: DriftNow
    submit: str


def page(reads: Reads, caller: Caller) -> None:
    """Draw calibration, drift and fallbacks."""
    drawn = _Drawn()

    def read() -> CalibrationView:
        return CalibrationView(trust=reads.trust(), drift=reads.drift(), submit=first_job(reads.about()))

    parts.live(read, drawn.draw, every_s=3.0)


def figures(trust: TrustNow, drift: DriftNow) -> dict[str, str]:
    """Return the figures on top of the page."""
    runs = sum(one.runs for one in trust.kernels)
    log_ratio = sum(one.runs * math.log(one.ratio) for one in trust.kernels) / runs if runs else math.nan
    stale = sum(one.anchors_left > 0 for one in drift.watched)
    return {
        "Runs judged": f"{trust.runs:,}",
        "Inside p10-p90 (80 % is meant)": amounts.share(trust.inside),
        "Measured / predicted": f"× {math.exp(log_ratio):.2f}" if runs else amounts.UNKNOWN,
        "Drifted now": f"{stale:,} of {len(drift.watched):,}",
        "Answers now": drift.health.rung,
    }


def drift_rows(drift: DriftNow) -> list[Row]:
    """Return the rows of what is watched; a meter says how near to an alarm each is."""
    return [
        Row(
            key=f"{one.subject.value} {one.id}",
            strong=one.anchors_left > 0,
            cells=(
                Cell(text=one.id),
                Cell(text=one.subject.value),
                _drift_state(one),
                Cell(text=_change(one, drift.bound), share=abs(one.statistic) / drift.bound),
                _moment(one.last_s),
                _moment(one.alarm_s),
            ),
        )
        for one in drift.watched[:MOST_WATCHED]
    ]


def name_rows(names: Sequence[NameMet]) -> list[Row]:
    """Return how often and how well each resource or kernel was predicted, those with most runs first."""
    return [
        Row(
            key=one.name,
            cells=(
                Cell(text=one.name),
                Cell(text=f"{one.runs:,}"),
                Cell(
                    text=amounts.share(one.inside),
                    share=one.inside,
                    note="few runs" if one.runs < FEW_RUNS else "",
                ),
                Cell(text=f"× {one.ratio:.2f}"),
            ),
        )
        for one in names[:MOST_ROWS]
    ]


def path_rows(paths: Mapping[str, int]) -> list[Row]:
    """Return which predictor or fallback answered how many decisions."""
    total = sum(paths.values())
    return [
        Row(key=path, cells=(Cell(text=path), Cell(text=f"{count:,}", share=count / total)))
        for path, count in list(paths.items())[:MOST_ROWS]
    ]


def watched(drift: DriftNow) -> str:
    """Say how many are watched and which of them are shown."""
    if not drift.watched:
        return "Nothing is watched yet: a resource is from its first run that had been predicted."
    shown = min(MOST_WATCHED, len(drift.watched))
    return f"{shown} of {len(drift.watched):,} are shown: those that drifted, then those nearest to an alarm."


def degraded(drift: DriftNow) -> str:
    """Say in a sentence or two what is degraded, and what follows from it."""
    health = drift.health
    told = []
    if drift.pool_is_stale:
        told.append("Many resources drifted within a day: the model itself is at fault, and simpler rungs answer.")
    if health.reasons:
        told.append(f"The newest answer came from {health.rung!r}, because {'; '.join(health.reasons)}.")
    stale = {**health.resources, **health.computations}
    if stale:
        names = ", ".join(f"{name} ({left} more)" for name, left in list(stale.items())[:5])
        more = f" and {len(stale) - 5} others" if len(stale) > 5 else ""
        told.append(f"Predicted with more doubt until they have run as often as asked: {names}{more}.")
    return " ".join(told) or "Nothing is degraded: the best predictor there is answers, and nothing has drifted."


class _Drawn:
    """What is drawn of the page."""

    def __init__(self) -> None:
        self._built = self._judged = False

    def draw(self, view: CalibrationView) -> None:
        """Draw the first time, change what is there later."""
        trust, drift = view.trust, view.drift
        if not self._built:
            self._built = True
            self._build(view)
        if trust.runs and not self._judged:
            self._judged = True
            self._place.clear()
            with self._place:
                self._fill()
        self._tiles.show(figures(trust, drift))
        self._paths.show(path_rows(trust.paths))
        self._drift.show(drift_rows(drift))
        if self._watched.text != watched(drift):
            self._watched.text = watched(drift)
        if self._degraded.text != degraded(drift):
            self._degraded.text = degraded(drift)
        if self._judged:
            self._levels.show(reliability(trust))
            self._errors.show(errors(trust))
            self._coverage.show(coverage(trust))
            self._resources.show(name_rows(trust.resources))
            self._kernels.show(name_rows(trust.kernels))
            if self._verdict.text != verdict(trust):
                self._verdict.text = verdict(trust)

    def _build(self, view: CalibrationView) -> None:
        from nicegui import ui

        self._tiles = parts.Tiles()
        self._place = ui.element("div")
        with self._place, parts.panel("Predicted against measured"):
            parts.empty("No run was judged yet", NO_RUNS, view.submit)
        with parts.panel("Degraded"):
            self._degraded = parts.caption("")
        with parts.panel("Drift", "A sum of surprises; at its bound, something is no longer what it was."):
            self._drift = parts.Table(DRIFT_COLUMNS, "Resources and your computations that are watched for drift")
            self._watched = parts.caption("")
        with parts.panel("Who answered", "Decisions about your jobs, by the predictor or fallback that was asked."):
            self._paths = parts.Table(PATH_COLUMNS, "Decisions by predictor")

    def _fill(self) -> None:
        from nicegui import ui

        with ui.element("div").classes("columns"):
            with parts.panel("Coverage by level", "On the dashed line, as many runs stayed below as was said."):
                self._levels = parts.Chart("Stated against met levels of predicted runtimes", "19rem")
                self._verdict = parts.caption("")
            with parts.panel("Coverage over time", "The share of runs between p10 and p90; 80 % is meant."):
                self._coverage = parts.Chart("Share of runs inside the predicted band over time", "19rem")
        with parts.panel("Error over time", "Measured over predicted median runtime; bars hold 80 % of the runs."):
            self._errors = parts.Chart("Measured over predicted runtime over time", "19rem")
        with ui.element("div").classes("columns"):
            with parts.panel("By resource"):
                self._resources = parts.Table(NAME_COLUMNS, "How well runs on each resource were predicted")
            with parts.panel("By family of computations"):
                self._kernels = parts.Table(NAME_COLUMNS, "How well runs of each kernel were predicted")


def verdict(trust: TrustNow) -> str:
    """Say whether the band holds what it says."""
    if trust.alarm is not None:
        word = "fewer" if trust.alarm.statistic > 0 else "more"
        return (
            f"Over 30 days {word} runs were inside than chance allows "
            f"({abs(trust.alarm.statistic):.1f} standard errors off): bands of this group are widened or narrowed."
        )
    if trust.runs < FEW_RUNS:
        return f"{trust.runs} runs say little yet; bars are one standard error."
    return "Bars are one standard error. Over 30 days coverage is as far from 80 % as chance allows."


def _drift_state(one: WatchedNow) -> Cell:
    if one.anchors_left > 0:
        return Cell(text="drifted", tone="bad", note=f"{one.anchors_left} runs asked")
    return Cell(text="steady", tone="good") if math.isfinite(one.last_s) else Cell(text="never judged", tone="quiet")


def _change(one: WatchedNow, bound: float) -> str:
    if abs(one.statistic) < LEAST_TOLD:
        return "none"
    return f"{'slower' if one.statistic > 0 else 'faster'} {abs(one.statistic):.1f} of {bound:g}"


def _moment(at_s: float) -> Cell:
    return Cell(at_s=at_s) if math.isfinite(at_s) else Cell(text=amounts.UNKNOWN)
