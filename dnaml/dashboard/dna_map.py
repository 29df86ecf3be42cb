"""The page of the DNA map: resources and computations as points; those that are alike lie together."""

from collections.abc import Mapping, Sequence
from typing import Any

from dnaml.answers import amounts
from dnaml.answers.dna_plane import CELLS, MOST_COMPUTATIONS, MOST_RESOURCES, DnaPlane, Spot
from dnaml.dashboard import parts
from dnaml.dashboard.palette import (
    BLUE,
    GRAY,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PANEL,
    PINK,
    RED,
    SKY,
    YELLOW,
    Option,
    axis,
    chart,
)
from dnaml.dashboard.reads import Caller, Reads
from dnaml.dashboard.tables import Cell, Column, Row

FEWEST = 2  # resources, below which there is no map
MOST_ROWS = 40
MOST_NAMED = 40  # points of a sort that are named on the map itself
OTHER = "other families"
OF_KIND: Mapping[str, str] = {"CPU": BLUE, "GPU": ORANGE, "FPGA": RED, "ASIC": INK}
OF_FAMILY = (PINK, GREEN, SKY, YELLOW)
COLUMNS = (
    Column(title="Name", wide=True),
    Column(title="Sort"),
    Column(title="Most of", wide=True),
    Column(title="Used by you"),
)
PROBE = "dnaml probe            # measures this machine, about four seconds\ndnaml resources add FILE.toml"


def page(reads: Reads, caller: Caller) -> None:
    """Draw the map and the list of what is on it."""
    drawn = _Drawn()
    parts.live(reads.plane, drawn.draw, every_s=10.0)


def option(plane: DnaPlane) -> Option:
    """Return the chart: a series for each kind of resource and each family of computations."""
    across, up = (_axis(plane, at) for at in (0, 1))
    across |= {"nameLocation": "middle", "nameGap": 14}
    up |= {"nameLocation": "middle", "nameGap": 14}
    drawn = [*_resources(plane), *_computations(plane)]
    return chart(
        drawn,
        xAxis=across,
        yAxis=up,
        grid={"left": 34, "right": 24, "top": 44, "bottom": 36},
        legend={**chart([])["legend"], "data": [one["name"] for one in drawn if one["name"]], "type": "scroll"},
        tooltip={**chart([])["tooltip"], "formatter": "{b}", "extraCssText": "white-space: pre-line"},
    )


def rows(plane: DnaPlane) -> list[Row]:
    """Return what is on the map as a table: computations first, then resources that ran one's work."""
    resources = sorted(plane.resources, key=lambda one: not one.used)
    shown = [*((one, f"family {one.group}") for one in plane.computations), *((one, one.group) for one in resources)]
    return [
        Row(
            key=f"{sort} {one.name}",
            cells=(
                Cell(text=one.name),
                Cell(text=sort),
                Cell(text=_most(one)),
                Cell(text="yes" if one.used else amounts.UNKNOWN),
            ),
        )
        for one, sort in shown[:MOST_ROWS]
    ]


def rule(plane: DnaPlane) -> str:
    """Say how much of everything is drawn, and by which rule."""
    told = [f"Both axes are worked out from all {plane.all_resources:,} resources, each DNA slot counting alike."]
    if len(plane.resources) + len(plane.unknown) < plane.all_resources:
        told.append(
            f"{len(plane.resources):,} are drawn: those that ran your work, then one for each cell of a "
            f"{CELLS} x {CELLS} grid, then others evenly taken, up to {MOST_RESOURCES}."
        )
    if len(plane.computations) < plane.all_computations:
        told.append(
            f"{len(plane.computations):,} of {plane.all_computations:,} computations are drawn: the newest of each "
            f"family, then the newest of all, up to {MOST_COMPUTATIONS}; those whose demand is unknown lie nowhere."
        )
    if plane.unknown:
        names = ", ".join(plane.unknown[:3]) + (", ..." if len(plane.unknown) > 3 else "")
        told.append(f"Of {len(plane.unknown):,} resources nothing is known that the map shows ({names}): probe them.")
    return " ".join(told)


class _Drawn:
    """What is drawn of the page."""

    def __init__(self) -> None:
        self._state = ""
        self._place: Any = None

    def draw(self, plane: DnaPlane) -> None:
        """Draw the first time, change what is there later."""
        from nicegui import ui

        state = "map" if len(plane.resources) >= FEWEST else "empty"
        if self._state != state:
            if self._place is not None:
                self._place.clear()
            else:
                self._place = ui.element("div")
            self._state = state
            with self._place:
                self._build() if state == "map" else _empty(plane)
        if state == "map":
            self._chart.show(option(plane))
            self._table.show(rows(plane))
            if self._rule.text != rule(plane):
                self._rule.text = rule(plane)

    def _build(self) -> None:
        about = (
            "Resources that supply alike lie together. A computation lies towards the resources that supply what it "
            "asks for; the longer its line, the more it cares."
        )
        with parts.panel("Map", about):
            self._chart = parts.Chart("Map of resources and computations; the table below lists them", "32rem")
            self._rule = parts.caption("")
        with parts.panel("On the map"):
            self._table = parts.Table(COLUMNS, "What is on the map, with the largest slots of its DNA")


def _empty(plane: DnaPlane) -> None:
    known = f"{plane.all_resources} of which {len(plane.unknown)} were never measured" if plane.unknown else "one"
    words = (
        f"A map needs {FEWEST} resources whose DNA is known, and there is {known if plane.all_resources else 'none'}. "
        "Measure this machine, or declare others:"
    )
    parts.empty("There is no map yet", words, PROBE)


def _axis(plane: DnaPlane, at: int) -> Option:
    names = ", ".join(name.replace("_", " ") for name in plane.axes[at]) or "nothing more differs"
    told = f"{names} ({100 * plane.explained_share[at]:.0f} %)"
    span = {"scale": True} if plane.axes[at] else {"min": -1, "max": 1}  # all at 0: in the middle
    return axis("value", told, **span) | {"axisLabel": {"show": False}, "axisTick": {"show": False}}


def _resources(plane: DnaPlane) -> list[Option]:
    kinds = [kind for kind in OF_KIND if any(one.group == kind for one in plane.resources)]
    kinds += sorted({one.group for one in plane.resources} - set(kinds))
    named = len(plane.resources) <= MOST_NAMED
    return [
        _points(
            kind,
            [one for one in plane.resources if one.group == kind],
            OF_KIND.get(kind, GRAY),
            symbol="circle",
            named=named,
        )
        for kind in kinds
    ]


def _computations(plane: DnaPlane) -> list[Option]:
    counts: dict[str, int] = {}
    for one in plane.computations:
        counts[one.group] = counts.get(one.group, 0) + 1
    largest = sorted(counts, key=lambda name: (-counts[name], name))
    largest = largest if len(largest) == len(OF_FAMILY) + 1 else largest[: len(OF_FAMILY)]
    colours = dict(zip(largest, OF_FAMILY, strict=False))
    groups: dict[str, list[Spot]] = {name: [] for name in (*largest, *([OTHER] if len(counts) > len(largest) else []))}
    for one in plane.computations:
        groups[one.group if one.group in groups else OTHER].append(one)
    named = len(plane.computations) <= MOST_NAMED
    found = []
    for name, spots in groups.items():
        colour = colours.get(name, GRAY)
        found.append(_lines(spots, colour))
        label = name if name == OTHER else f"family {name}"
        found.append(_points(label, spots, colour, symbol="diamond", named=named))
    return found


def _points(name: str, spots: Sequence[Spot], colour: str, *, symbol: str, named: bool) -> Option:
    border = {"borderColor": PANEL, "borderWidth": 1}
    return {
        "type": "scatter",
        "name": name,
        "symbol": symbol,
        "symbolSize": 12 if symbol == "diamond" else 10,
        "itemStyle": {"color": colour, "opacity": 0.9, **border},
        "label": {
            "show": named,
            "formatter": "{@[2]}",
            "position": "right",
            "color": MUTED,
            "fontSize": 11,
            "width": 150,
            "overflow": "truncate",
        },
        "labelLayout": {"hideOverlap": True},
        "emphasis": {"label": {"show": True}},
        "data": [{"value": [one.x, one.y, one.name], "name": _hover(one)} for one in spots],
    }


def _lines(spots: Sequence[Spot], colour: str) -> Option:
    return {
        "type": "lines",
        "name": "",
        "coordinateSystem": "cartesian2d",
        "silent": True,
        "tooltip": {"show": False},
        "lineStyle": {"color": colour, "opacity": 0.45, "width": 1.2, "curveness": 0},
        "data": [{"coords": [[0.0, 0.0], [one.x, one.y]]} for one in spots],
    }


def _hover(one: Spot) -> str:
    used = "\nran your work" if one.used else ""
    return f"{one.name}\n{one.group}\n{_most(one)}{used}"


def _most(one: Spot) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.2f}" for name, value in one.slots.items()) or "nothing known"
