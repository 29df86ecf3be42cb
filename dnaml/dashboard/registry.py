"""The page of models: versions with aliases and figures beside the simple ways, and the training under way."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from dnaml.answers import amounts
from dnaml.dashboard import parts
from dnaml.dashboard.insight_reads import RegistryNow
from dnaml.dashboard.palette import BLUE, SERIES, Option, axis, chart
from dnaml.dashboard.reads import Caller, Reads
from dnaml.dashboard.tables import Cell, Column, Row
from dnaml.predict.model_card import Figures, figures_of
from dnaml.predict.recipe import OWN
from dnaml.tracking import Described

MOST_ROWS, MOST_CHOICES = 40, 8
VERSION_COLUMNS = (
    Column(title="Version"),
    Column(title="Aliases"),
    Column(title="Trained", numeric=True),
    Column(title="Runs", numeric=True),
    Column(title="Median error, new resource", numeric=True),
    Column(title="Best simple way", numeric=True),
    Column(title="Inside p10-p90", numeric=True),
)
FIGURE_COLUMNS = (
    Column(title="Never seen"),
    Column(title="Runs given", numeric=True),
    Column(title="By"),
    Column(title="Median error", numeric=True),
    Column(title="Mean error", numeric=True),
    Column(title="Inside p10-p90", numeric=True),
    Column(title="Rank", numeric=True),
    Column(title="Regret", numeric=True),
)
_DATA = "data."
_CARD = (
    ("rows", "runs"),
    ("resources", "resources"),
    ("computations", "computations"),
    ("kernels", "kernels"),
    ("pairs", "pairs that ran"),
    ("failed", "failed runs"),
    ("censored", "runs cut short"),
    ("least_s", "shortest"),
    ("median_s", "median"),
    ("most_s", "longest"),
    ("missing_share", "values missing"),
    ("digest", "digest"),
)
LEARNS_LIVE = "live-"  # the version of a predictor without a model begins so
TRAIN = "dnaml train --from-state          # learns from what this service ran, and judges what it learned"


def page(reads: Reads, caller: Caller) -> None:
    """Draw the registry."""
    drawn = _Drawn()
    drawn.feed = parts.live(reads.registry, drawn.draw, every_s=3.0)


def figures(now: RegistryNow) -> dict[str, str]:
    """Return the figures on top of the page."""
    newest = max((one.created_at_s for one in now.versions), default=math.nan)
    age = amounts.seconds(max(0.0, float(round(now.now_s - newest)))) if math.isfinite(newest) else ""
    return {
        "Predicts now": predicts(now.predictor),
        "By the rung": now.rung or amounts.UNKNOWN,
        "Versions registered": f"{len(now.versions):,}",
        "Newest trained": f"{age} ago" if age else amounts.UNKNOWN,
        "Training": training_word(now.training),
    }


def predicts(version: str) -> str:
    """Say which predictor answers, and how many runs it has learned from since it was made."""
    name, _, runs = version.rpartition("+")
    return f"{name}, {int(runs):,} runs learned" if name and runs.isdigit() else version


def in_use(now: RegistryNow) -> str:
    """Say whether the scheduler asks a registered model."""
    if now.predictor.startswith(LEARNS_LIVE):
        return "None of these is in use: this scheduler predicts from what it ran itself, without a trained model."
    return f"In use: {predicts(now.predictor)}."


def training_word(training: Mapping[str, Any] | None) -> str:
    """Say in a word how the last training stands."""
    return "none yet" if training is None else str(training["state"])


def training_told(now: RegistryNow) -> str:
    """Say how the last training stands, and since when or why."""
    training = now.training
    if training is None:
        return "Nothing was trained since the service started."
    since = amounts.seconds(max(0.0, float(round(now.now_s - float(training["started_at_s"])))))
    if training["state"] == "running":
        return f"{training['name']} is being trained, for {since} so far."
    return f"{training['name']}: {training['state']}, begun {since} ago. {training['detail']}".strip()


def label(one: Described) -> str:
    """Return how a version is called on the page."""
    return f"{one.name} {one.version}"


def best(found: Sequence[Figures], figure: str, *, own: bool) -> float:
    """Return the least figure for a resource never seen and never run, of the predictor itself or the simple ways."""
    values = [
        one.figures[figure]
        for one in found
        if one.held == "resource" and one.probes == 0 and (one.estimator == OWN) is own and figure in one.figures
    ]
    return min(values, default=math.nan)


def version_rows(now: RegistryNow) -> list[Row]:
    """Return the versions, newest first."""
    return [_version_row(one, figures_of(one.metrics)) for one in now.versions[:MOST_ROWS]]


def figure_rows(one: Described) -> list[Row]:
    """Return how a version and the simple ways did on what was held back."""
    return [
        Row(
            key=f"{each.held} {each.probes} {each.estimator}",
            strong=each.estimator == OWN,
            cells=(
                Cell(text=each.never_seen),
                Cell(text=str(each.probes)),
                Cell(text=each.estimator),
                Cell(text=_percent(each.figures, "mdape_pct")),
                Cell(text=_percent(each.figures, "mape_pct")),
                Cell(text=_percent(each.figures, "inside_pct")),
                Cell(text=f"{each.figures['spearman']:.3f}" if "spearman" in each.figures else amounts.UNKNOWN),
                Cell(text=_percent(each.figures, "regret_pct")),
            ),
        )
        for each in figures_of(one.metrics)
    ]


def beside(one: Described) -> Option:
    """Return the chart of median errors: a group for each thing held back, a bar for each way to predict."""
    found = figures_of(one.metrics)
    groups = list(dict.fromkeys((each.never_seen, each.probes) for each in found))
    ways = sorted({each.estimator for each in found}, key=lambda name: (name != OWN, name))
    series = [
        {
            "type": "bar",
            "name": way,
            "barMaxWidth": 22,
            "itemStyle": {"color": SERIES[place % len(SERIES)] if way != OWN else BLUE},
            "data": [_bar(found, way, group) for group in groups],
        }
        for place, way in enumerate(ways)
    ]
    names = [f"{held}, {probes} runs" for held, probes in groups]
    across = axis("category", data=names)
    across["axisLabel"] |= {"width": 110, "overflow": "break", "interval": 0, "hideOverlap": False}
    up = axis("value", "median error")
    up["axisLabel"] |= {":formatter": "(value) => value + ' %'"}
    return chart(
        series,
        xAxis=across,
        yAxis=up,
        legend={**chart([])["legend"], "type": "scroll", "data": ways},
        grid={"left": 8, "right": 16, "top": 56, "bottom": 8, "containLabel": True},
        tooltip={**chart([])["tooltip"], "formatter": "{a}, {b}: {c} %"},
    )


def card(one: Described) -> dict[str, str]:
    """Return a version's data card and where it is found."""
    data = {name.removeprefix(_DATA): value for name, value in one.params.items() if name.startswith(_DATA)}
    told = {title: _card_value(name, data[name]) for name, title in _CARD if name in data}
    aside = {name.partition(".")[2]: value for name, value in data.items() if name.startswith("set_aside.")}
    if aside:
        told["set aside"] = ", ".join(f"{count} because {why}" for why, count in aside.items())
    settings = ", ".join(f"{name}={value}" for name, value in one.params.items() if not name.startswith(_DATA))
    return {
        "load it with": f'dnaml.RuntimePredictor.load("models:/{one.name}/{one.version}")',
        "run in MLflow": f"{one.run_id} (dnaml mlflow ui shows it, with data_card.json and pictures)",
        **told,
        **({"settings": settings} if settings else {}),
    }


class _Drawn:
    """What is drawn of the page, and which version its reader looks at."""

    def __init__(self) -> None:
        self.chosen = ""
        self.feed: parts.Feed | None = None
        self._built = self._filled = False

    def draw(self, now: RegistryNow) -> None:
        """Draw the first time, change what is there later."""
        if not self._built:
            self._built = True
            self._build()
        if now.versions and not self._filled:
            self._filled = True
            self._place.clear()
            with self._place:
                self._fill(now)
        self._tiles.show(figures(now))
        if self._training.text != training_told(now):
            self._training.text = training_told(now)
        if self._filled:
            self._show(now)

    def _show(self, now: RegistryNow) -> None:
        self._versions.show(version_rows(now))
        if self._in_use.text != in_use(now):
            self._in_use.text = in_use(now)
        choices = {label(one): label(one) for one in now.versions[:MOST_CHOICES]}
        self._choices.show(choices)
        one = next((one for one in now.versions if label(one) == self.chosen), now.versions[0])
        judged = bool(figures_of(one.metrics))
        self._unjudged.set_visibility(not judged)
        self._chart.show(beside(one), "19rem" if judged else "0")
        self._figures.show(figure_rows(one))
        self._figures.element.set_visibility(judged)
        self._card.show(card(one))

    def _build(self) -> None:
        from nicegui import ui

        self._tiles = parts.Tiles()
        with parts.panel("Training"):
            self._training = parts.caption("")
        self._place = ui.element("div")
        with self._place, parts.panel("Models"):
            words = "The scheduler learns from every run without one; a trained model also knows what it never ran."
            parts.empty("No model is registered", words, TRAIN)

    def _fill(self, now: RegistryNow) -> None:
        self.chosen = label(now.versions[0])
        with parts.panel("Models", "Every registered version, newest first, and what it was found to be worth."):
            self._versions = parts.Table(VERSION_COLUMNS, "Registered versions")
            self._in_use = parts.caption("")
        with parts.panel("One version", "How it did on what it never saw, beside the simple ways to predict."):
            self._choices = parts.Choices("Version", self.chosen, self._choose)
            self._chart = parts.Chart("Median error of the version and the simple ways; the table lists all figures")
            self._figures = parts.Table(FIGURE_COLUMNS, "Figures on what was held back")
            words = "A training over REST is not judged, to be quick. To know what a model is worth:"
            self._unjudged = parts.empty("This version was not judged", words, TRAIN)
            parts.text("h3", "Data card")
            self._card = parts.Facts()

    async def _choose(self, version: str) -> None:
        self.chosen = version
        assert self.feed is not None
        await self.feed.again()


def _version_row(one: Described, found: Sequence[Figures]) -> Row:
    own, simple = (best(found, "mdape_pct", own=own) for own in (True, False))
    ahead = math.isfinite(own) and math.isfinite(simple) and own <= simple
    return Row(
        key=label(one),
        cells=(
            Cell(text=label(one)),
            Cell(text=", ".join(one.aliases), tone="good") if one.aliases else Cell(text=amounts.UNKNOWN),
            Cell(at_s=one.created_at_s),
            Cell(text=f"{int(one.params[_DATA + 'rows']):,}" if _DATA + "rows" in one.params else amounts.UNKNOWN),
            Cell(text=_pct(own), note="" if not math.isfinite(own) else "ahead" if ahead else "behind"),
            Cell(text=_pct(simple)),
            Cell(text=_pct(best(found, "inside_pct", own=True))),
        ),
    )


def _bar(found: Sequence[Figures], way: str, group: tuple[str, int]) -> float | None:
    for each in found:
        if each.estimator == way and (each.never_seen, each.probes) == group and "mdape_pct" in each.figures:
            return round(each.figures["mdape_pct"], 2)
    return None


def _card_value(name: str, value: str) -> str:
    try:
        number = float(value)
    except ValueError:
        return value
    if name.endswith("_s"):
        return amounts.seconds(number)
    return amounts.share(number) if name.endswith("_share") else f"{number:,.0f}"


def _percent(values: Mapping[str, float], name: str) -> str:
    return _pct(values.get(name, math.nan))


def _pct(value: float) -> str:
    return f"{value:.1f} %" if math.isfinite(value) else amounts.UNKNOWN
