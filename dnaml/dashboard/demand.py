"""The page of cost and demand: what was spent on what, how much work is asked for, and what scaling makes of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dnaml.answers import amounts
from dnaml.answers.scaling_advice import FEWEST_BINS, Advice, Expected
from dnaml.answers.spending import SpendingNow
from dnaml.dashboard import parts
from dnaml.dashboard.demand_charts import ALL, demanded, demanded_height, shown_families, spent, spent_height
from dnaml.dashboard.insight_reads import DemandShown
from dnaml.dashboard.queue import first_job
from dnaml.dashboard.reads import About, Caller, Reads
from dnaml.dashboard.tables import Cell, Column, Row, money
from dnaml.scaling.told import ScalingTold

MOST_ROWS = 40
COST_COLUMNS = (
    Column(title="Resource", wide=True),
    Column(title="Cost", numeric=True),
    Column(title="Busy", numeric=True),
    Column(title="Attempts", numeric=True),
    Column(title="Per busy hour", numeric=True),
)
DECIDED_COLUMNS = (
    Column(title="When", numeric=True),
    Column(title="What"),
    Column(title="Which", wide=True),
    Column(title="Why", wide=True),
)
SCALE = "dnaml serve --scale scaling.toml --dry-run   # says what it would buy, and buys nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandView:
    """All that the page shows at one moment."""

    spending: SpendingNow
    shown: DemandShown
    slots: int
    about: About


def page(reads: Reads, caller: Caller) -> None:
    """Draw spending, demand with its forecast, and scaling."""
    drawn = _Drawn()

    def read() -> DemandView:
        slots = sum(one.resource.slots for one in reads.resources() if one.available and one.drivable)
        return DemandView(spending=reads.spending(), shown=reads.demand(), slots=slots, about=reads.about())

    drawn.feed = parts.live(read, drawn.draw, every_s=3.0)


def figures(view: DemandView) -> dict[str, str]:
    """Return the figures on top of the page."""
    spending, demand = view.spending, view.shown.demand
    busy_s = sum(one.runtime_s for one in spending.resources)
    said = view.shown.expected.get(ALL)
    coming = said.said[-1] / demand.width_s if said is not None and len(said.said) else None
    return {
        "Spent": money(spending.usd) if spending.priced else amounts.UNKNOWN,
        "Attempts with a price": f"{spending.priced:,} of {spending.attempts:,}",
        "Work done": amounts.seconds(busy_s) if spending.attempts else amounts.UNKNOWN,
        "Slots that take work": f"{view.slots:,}",
        "Slots expected": _slots(coming),
    }


def cost_rows(spending: SpendingNow) -> list[Row]:
    """Return what each resource cost, the costliest first; a meter shows its part of the whole."""
    return [
        Row(
            key=one.name,
            cells=(
                Cell(text=one.name),
                Cell(
                    text=money(one.usd) if one.priced else amounts.UNKNOWN,
                    share=one.usd / spending.usd if spending.usd > 0 else None,
                    note="" if one.priced else "no price known",
                ),
                Cell(text=amounts.seconds(one.runtime_s)),
                Cell(text=f"{one.attempts:,}"),
                Cell(text=_per_hour(one.usd, one.runtime_s) if one.priced else amounts.UNKNOWN),
            ),
        )
        for one in spending.resources[:MOST_ROWS]
    ]


def quality(said: Expected | None, width_s: float) -> str:
    """Say how well the forecast did of late, and how it is made."""
    ahead = "" if said is None else f" {amounts.seconds(said.ahead * width_s)} before"
    told = f"One slot works off a second of work a second; a bin is {amounts.seconds(width_s)} wide."
    if said is None or said.judged == 0:
        begun = said is not None and bool(np.isfinite(said.said).any())
        when = "No bin that was forecast is over yet." if begun else f"A forecast takes about {FEWEST_BINS} bins."
        return f"{told} {when}"
    return (
        f"{told} The band is what was said of each bin{ahead}: {said.inside:.0%} of {said.judged:,} bins fell inside "
        "10 to 90 % (80 % is meant). Several forecasters compete; the newest bin is still filling and is left out."
    )


def advice_facts(advice: Advice) -> dict[str, str]:
    """Return in words what scaling would do now, and why."""
    slots = "slot" if abs(advice.change) == 1 else "slots"
    doing = (
        f"acquire {advice.change:,} {slots} like those of {advice.like}"
        if advice.change > 0
        else f"release {-advice.change:,} {slots}"
        if advice.change < 0
        else "nothing"
    )
    price = amounts.UNKNOWN if advice.price_usd_per_h is None else f"{money(advice.price_usd_per_h)} an hour each"
    return {
        "It would": doing,
        "because": advice.reason,
        "slots there": f"{advice.slots:,}",
        "slots wanted": f"{advice.target:,}",
        "price": price,
        "looks ahead": f"{amounts.seconds(advice.ahead * advice.bin_s)} ({advice.ahead} bins); a machine is thought to "
        f"take {amounts.seconds(advice.lead_s)} to come",
    }


def scaling_facts(told: ScalingTold) -> dict[str, str]:
    """Return in words how scaling stands."""
    most = f" of at most {money(told.most_usd)}" if told.most_usd is not None else ""
    at = "too little is known for a forecast" if not told.demand else f"the forecast at {told.level:.1%}"
    return {
        "template": told.template + (" (dry run: nothing is bought)" if told.dry_run else ""),
        "machines": f"{len(told.machines):,} there, {told.coming:,} on their way, {told.wanted:,} wanted",
        "follows": f"{at}, {amounts.seconds(told.ahead_s)} ahead in bins of {amounts.seconds(told.bin_s)}",
        "a machine comes after": f"{amounts.seconds(told.lead_p95_s)} in 95 of 100 cases",
        "first in the queue waits": amounts.seconds(told.waiting_s),
        "spent on machines": money(told.spent_usd) + most,
        "refused": "; ".join(told.refused[-3:]) or "nothing",
    }


def decided_rows(told: ScalingTold) -> list[Row]:
    """Return what scaling decided of late, newest first."""
    return [
        Row(
            key=f"{one.at_s} {place}",
            cells=(Cell(at_s=one.at_s), Cell(text=one.what, tone="busy"), Cell(text=one.which), Cell(text=one.reason)),
        )
        for place, one in reversed(list(enumerate(told.decisions)))
    ]


class _Drawn:
    """What is drawn of the page, and which family its reader looks at."""

    def __init__(self) -> None:
        self.family = ALL
        self.feed: parts.Feed | None = None
        self._built = self._filled = False
        self._decided: parts.Table | None = None

    def draw(self, view: DemandView) -> None:
        """Draw the first time, change what is there later."""
        if not self._built:
            self._built = True
            self._build(view)
        if not self._filled and view.shown.demand.bins:
            self._filled = True
            self._place.clear()
            with self._place:
                self._fill()
        self._tiles.show(figures(view))
        self._show_scaling(view)
        if self._filled:
            self._show(view)

    def _show(self, view: DemandView) -> None:
        self._spent.show(spent(view.spending), spent_height(view.spending))
        self._costs.show(cost_rows(view.spending))
        families = shown_families(view.shown)
        self._families.show(families)
        family = self.family if self.family in families else ALL
        said = view.shown.expected.get(family)
        self._demand.show(demanded(view.shown, family, view.slots), demanded_height(view.shown))
        told = quality(said, view.shown.demand.width_s)
        if self._quality.text != told:
            self._quality.text = told

    def _show_scaling(self, view: DemandView) -> None:
        told, advice = view.shown.scaling, view.shown.advice
        self._nothing.set_visibility(told is None and advice is None)
        self._not_scaled.set_visibility(told is None)
        self._facts.show(
            scaling_facts(told) if told is not None else advice_facts(advice) if advice is not None else {}
        )
        if told is not None and told.decisions and self._decided is None:
            with self._scaling:
                self._decided = parts.Table(DECIDED_COLUMNS, "What scaling decided of late")
        if self._decided is not None and told is not None:
            self._decided.show(decided_rows(told))

    def _build(self, view: DemandView) -> None:
        from nicegui import ui

        self._tiles = parts.Tiles()
        self._place = ui.element("div")
        with self._place, parts.panel("Cost and demand"):
            words = "Nothing was submitted yet, so nothing was asked for and nothing spent. To begin:"
            parts.empty("No demand yet", words, first_job(view.about))
        with parts.panel("Scaling", "What machines would be bought or given back now, before they are needed."):
            self._facts = parts.Facts()
            words = f"The scaler wants {FEWEST_BINS} bins of demand and a resource before it says anything."
            self._nothing = parts.empty("Too little is known yet", words)
            self._not_scaled = parts.empty(
                "This service buys nothing", "To let it scale a pool, or only say so:", SCALE
            )
            self._scaling = ui.element("div")

    def _fill(self) -> None:
        with parts.panel("Spending", "What your work cost, by resource, when its attempts ended; the line adds it up."):
            self._spent = parts.Chart("Spending over time by resource; the table lists the sums")
            self._costs = parts.Table(COST_COLUMNS, "Cost of your work by resource")
        with parts.panel(
            "Demand", "Work submitted in each bin of time, in slots that it keeps busy, and what was expected."
        ):
            self._families = parts.Choices("Family of computations", ALL, self._choose)
            self._demand = parts.Chart("Demand over time with its forecast", "22rem")
            self._quality = parts.caption("")

    async def _choose(self, family: str) -> None:
        self.family = family
        assert self.feed is not None
        await self.feed.again()


def _slots(quantiles: "Sequence[float] | None") -> str:
    if quantiles is None or not all(math.isfinite(one) for one in quantiles):
        return amounts.UNKNOWN
    low, middle, high, _ = map(_few, quantiles)
    return f"{middle} ({low}–{high})"


def _few(slots: float) -> str:
    """Return a number of slots; what is less than a hundredth is none."""
    return f"{slots:,.0f}" if slots >= 10 or slots < 0.01 else f"{slots:.2g}"


def _per_hour(usd: float, runtime_s: float) -> str:
    return money(3600.0 * usd / runtime_s) if runtime_s > 0 else amounts.UNKNOWN
