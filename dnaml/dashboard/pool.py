"""The page of the pool: every resource with its load, state and price, and the DNA heat map of those on the page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dnaml.answers import amounts
from dnaml.core.dna import RAW_SLOTS, ResourceDNA
from dnaml.core.resource import Site
from dnaml.dashboard import parts
from dnaml.dashboard.palette import HEAT, MUTED, PANEL, Option, axis, chart
from dnaml.dashboard.reads import Caller, Reads, ResourceNow
from dnaml.dashboard.tables import Cell, Column, Row, money
from dnaml.dna.space import SLOTS

PER_PAGE = 20
COLUMNS = (
    Column(title="Resource", wide=True),
    Column(title="State"),
    Column(title="Kind"),
    Column(title="Your jobs", numeric=True),
    Column(title="Load", numeric=True),
    Column(title="Memory", numeric=True),
    Column(title="Price per hour", numeric=True),
)
_SITES = {
    Site.LOCAL: "this machine",
    Site.ON_PREM: "own machine",
    Site.CLOUD: "cloud",
    Site.SERVERLESS: "by the call",
}
HEAT_NOTE = (
    "Each row is one resource of the table above, each column one of the 16 interpretable axes. The scale is fixed and"
    " logarithmic: 0 the least, 1 the most that is known of an axis; more is better, for price and latency, too."
    " A gap is unknown: neither measured nor declared."
)
EMULATED_NOTE = (
    "Emulated resources are this machine: the times are real, what makes them differ are switches of its libraries."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolPage:
    """The resources of one page with their DNA, how many match, and all of them counted."""

    shown: Sequence[ResourceNow]
    dna: Sequence[ResourceDNA]
    matching: int
    figures: dict[str, str]
    emulated: bool


def page(reads: Reads, caller: Caller) -> None:
    """Draw the pool."""
    view = _Drawn()

    def read() -> PoolPage:
        found = pool_page(reads.resources(), view.words, view.first)
        dna = reads.dna([one.resource.id for one in found.shown])
        return PoolPage(
            shown=found.shown, dna=dna, matching=found.matching, figures=found.figures, emulated=found.emulated
        )

    view.feed = parts.live(read, view.draw)


def is_emulated(one: ResourceNow) -> bool:
    """Say whether a resource is this machine in the place of another: its times are real, the machine is not."""
    return one.here and (bool(one.resource.environment) or one.resource.site is not Site.LOCAL)


def pool_page(resources: Sequence[ResourceNow], words: str, first: int, limit: int = PER_PAGE) -> PoolPage:
    """Return the resources that match words in id, kind, site or description, busiest first, from the first on."""
    wanted = words.casefold().split()
    matching = [one for one in resources if all(word in _text_of(one) for word in wanted)]
    matching.sort(key=lambda one: (not one.available, not one.drivable, -one.running, one.resource.id))
    return PoolPage(
        shown=matching[first : first + limit],
        dna=(),
        matching=len(matching),
        figures=figures(resources),
        emulated=any(is_emulated(one) for one in resources),
    )


def figures(resources: Sequence[ResourceNow]) -> dict[str, str]:
    """Return the figures above the table."""
    taking = [one for one in resources if one.available]
    slots = sum(one.resource.slots for one in taking)
    priced = [one.resource.price_usd_per_h for one in taking if one.resource.price_usd_per_h is not None]
    loads = [one.state.load for one in taking if one.state is not None and one.state.load is not None]
    return {
        "Resources": f"{len(resources):,}",
        "Taking work": f"{len(taking):,}",
        "Your jobs on slots": f"{sum(one.running for one in resources):,} / {slots:,}",
        "Mean load": amounts.share(sum(loads) / len(loads)) if loads else amounts.UNKNOWN,
        "Known prices, per hour": money(sum(priced) if priced else None),
    }


def rows(resources: Sequence[ResourceNow]) -> list[Row]:
    """Return the rows of the table."""
    return [_row(one) for one in resources]


def heat_map(dna: Sequence[ResourceDNA]) -> Option:
    """Return the heat map of the interpretable slots: [x, y, supply in [0, 1]]; what is unknown is left out."""
    names = [one.owner_id for one in dna]
    cells = [
        {"value": [slot, row, round(float(value), 2)], "name": f"{one.owner_id} · {SLOTS[slot].replace('_', ' ')}"}
        for row, one in enumerate(dna)
        for slot, value in enumerate(one.vector[:RAW_SLOTS].tolist())
        if math.isfinite(value)
    ]
    slots = [name.replace("_", " ") for name in SLOTS]
    across = axis("category", data=slots, position="top", splitArea={"show": False})
    across["axisLabel"] |= {"rotate": 90, "hideOverlap": False, "interval": 0, "fontSize": 11}
    up = axis("category", data=names, inverse=True)
    up["axisLabel"] |= {"width": 110, "overflow": "truncate", "hideOverlap": False, "interval": 0}
    lines = {"borderWidth": 1, "borderColor": PANEL}
    return chart(
        [{"type": "heatmap", "name": "supply", "data": cells, "encode": {"tooltip": [2]}, "itemStyle": lines}],
        legend={"show": False},
        xAxis=across,
        yAxis=up,
        grid={"left": 8, "right": 40, "top": 8, "bottom": 44, "containLabel": True},
        visualMap={
            "min": 0,
            "max": 1,
            "precision": 2,
            "calculable": False,
            "orient": "horizontal",
            "left": "center",
            "bottom": 0,
            "itemHeight": 160,
            "itemWidth": 12,
            "text": ["1 most", "0 least"],
            "textStyle": {"color": MUTED},
            "inRange": {"color": list(HEAT)},
        },
    )


def heat_height(count: int) -> str:
    """Return the height of a heat map of so many resources."""
    return f"{190 + 22 * max(1, count)}px"


def _row(one: ResourceNow) -> Row:
    resource, state = one.resource, one.state
    load = state.load if state is not None else None
    note = "emulated by this machine" if is_emulated(one) else resource.description
    kind = resource.kind.value.upper() + (f" · {resource.unit_type.value}" if resource.unit_type is not None else "")
    return Row(
        key=resource.id,
        cells=(
            Cell(text=resource.id, note=note),
            Cell(text=_state(one)[0], tone=_state(one)[1]),
            Cell(text=kind, note=_SITES[resource.site]),
            Cell(text=f"{one.running} / {resource.slots}", share=one.running / resource.slots),
            Cell(text=amounts.share(load), share=load),
            Cell(text=amounts.size(resource.memory_bytes)),
            Cell(text=money(resource.price_usd_per_h), note=resource.price_date or ""),
        ),
    )


def _state(one: ResourceNow) -> tuple[str, str]:
    """Return a resource's state in words, and its tone."""
    if not one.drivable:
        return "declared only", "quiet"
    if not one.available:
        return "down", "bad"
    return ("busy", "busy") if one.running >= one.resource.slots else ("ready", "good")


def _text_of(one: ResourceNow) -> str:
    resource = one.resource
    emulated = "emulated" if is_emulated(one) else ""
    words = (resource.id, resource.kind.value, resource.site.value, _SITES[resource.site], emulated, _state(one)[0])
    return " ".join((*words, resource.description, *resource.labels.values())).casefold()


class _Drawn:
    """What is drawn of the page, and which part of the pool its reader looks at."""

    def __init__(self) -> None:
        self.words, self.first = "", 0
        self.feed: parts.Feed | None = None
        self._tiles: parts.Tiles | None = None

    def draw(self, found: PoolPage) -> None:
        """Draw the first time, change what is there later."""
        if self._tiles is None:
            self._build(found)
        assert self._tiles is not None
        self._tiles.show(found.figures)
        self._table.show(rows(found.shown))
        self._pager.show(self.first, found.matching)
        self._heat.show(heat_map(found.dna), heat_height(len(found.dna)))

    def _build(self, found: PoolPage) -> None:
        self._tiles = parts.Tiles()
        with parts.panel("Resources", "Those that take work first; one only declared is predicted for, never driven."):
            parts.search("Find by id, kind, site, label", self._search)
            self._table = parts.Table(COLUMNS, "Resources with state, load and price")
            self._pager = parts.Pager(PER_PAGE, self._turn)
            if found.emulated:
                parts.caption(EMULATED_NOTE)
        with parts.panel("Resource DNA", "What each resource supplies, axis by axis."):
            self._heat = parts.Chart("Heat map of the DNA of the resources above; their table has the same order")
            parts.caption(HEAT_NOTE)

    async def _turn(self, first: int) -> None:
        self.first = first
        await self._look()

    async def _search(self, words: str) -> None:
        self.words, self.first = words, 0
        await self._look()

    async def _look(self) -> None:
        assert self.feed is not None
        await self.feed.again()
