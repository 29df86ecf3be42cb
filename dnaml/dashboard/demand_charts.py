"""The charts of cost and demand: spending by resource over time, and demand of a family with its forecast."""

from collections.abc import Sequence

import numpy as np

from dnaml.answers import amounts
from dnaml.answers.demanded import OTHERS, DemandNow
from dnaml.answers.scaling_advice import SHOWN, Expected
from dnaml.answers.spending import SpendingNow
from dnaml.dashboard.insight_reads import DemandShown
from dnaml.dashboard.palette import BLUE, GRAY, INK, MUTED, ORANGE, SERIES, Option, axis, chart, time_axis

ALL = "all"
MOST_SERIES = 6  # resources told apart by colour
_GRID = {"left": 8, "right": 24, "top": 56, "bottom": 8, "containLabel": True}
_BAND = "expected, 10 to 90 %"


def spent(spending: SpendingNow) -> Option:
    """Return the chart of spending: bars by resource, the costliest told apart, and their running sum."""
    names = [one.name for one in spending.resources if one.usd > 0][:MOST_SERIES]
    at_ms = [1000.0 * (one.at_s + 0.5 * spending.width_s) for one in spending.bins]
    bars: dict[str, list[float]] = {name: [one.amounts.get(name, 0.0) for one in spending.bins] for name in names}
    others = [sum(one.amounts.values()) - sum(one.amounts.get(name, 0.0) for name in names) for one in spending.bins]
    if max(others, default=0.0) > 1e-9 * max(spending.usd, 1e-12):
        bars[OTHERS] = [max(0.0, one) for one in others]
    sums = np.cumsum([sum(one.amounts.values()) for one in spending.bins]).tolist()
    told = [
        {
            "type": "bar",
            "name": name,
            "stack": "usd",
            "barMaxWidth": 24,
            "itemStyle": {"color": GRAY if name == OTHERS else SERIES[place % len(SERIES)]},
            "data": [
                {"value": [when, usd], "name": f"{name}\n{amounts.usd(usd)} in {amounts.seconds(spending.width_s)}"}
                for when, usd in zip(at_ms, values, strict=True)  # each bin: stacks are built by place
            ],
        }
        for place, (name, values) in enumerate(bars.items())
    ]
    line = {
        "type": "line",
        "name": "sum",
        "yAxisIndex": 1,
        "symbol": "none" if len(at_ms) > 1 else "circle",
        "lineStyle": {"color": INK, "width": 1.5},
        "itemStyle": {"color": INK},
        "data": [
            {"value": [when, usd], "name": f"{amounts.usd(usd)} so far"} for when, usd in zip(at_ms, sums, strict=True)
        ],
    }
    money = {":formatter": "(value) => '$' + value.toLocaleString('en', {maximumSignificantDigits: 3})"}
    each, whole = (axis("value", name) for name in (f"per {amounts.seconds(spending.width_s)}", "sum"))
    each["axisLabel"] |= money
    whole["axisLabel"] |= money
    whole["splitLine"] = {"show": False}
    return chart(
        [*told, line],
        xAxis=time_axis(at_ms, spending.width_s),
        yAxis=[each, whole],
        grid=_GRID,
        legend={**chart([])["legend"], "type": "scroll", "data": [*bars, "sum"]},
        tooltip={**chart([])["tooltip"], "formatter": "{b}", "extraCssText": "white-space: pre-line"},
    )


def spent_height(spending: SpendingNow) -> str:
    """Return the height of the chart: next to none where nothing has a price."""
    return "20rem" if spending.priced else "0"


def demanded_height(shown: DemandShown) -> str:
    """Return the height of the chart: next to none until the first bin is over."""
    return "22rem" if len(shown.demand.closed()) else "0"


def shown_families(shown: DemandShown) -> dict[str, str]:
    """Return the labels of the families that have a forecast of their own, all of them together first."""
    families = [name for name in shown.expected if name != ALL]
    return {ALL: "All", **{name: name for name in families}}


def demanded(shown: DemandShown, family: str, slots: int) -> Option:
    """Return the chart of one family's demand in slots, what had been expected of each bin, and of those to come."""
    demand, said = shown.demand, shown.expected.get(family)
    came = _came(demand, family, said)
    at_ms = [
        1000.0 * (demand.first_s + (n + 0.5) * demand.width_s) for n in range(len(came) + (said.ahead if said else 0))
    ]
    series: list[Option] = [
        {
            "type": "bar",
            "name": "asked for",
            "barMaxWidth": 18,
            "itemStyle": {"color": BLUE, "opacity": 0.75},
            "data": [
                {"value": [when, value], "name": f"{_slots(value)} asked for"}
                for when, value in zip(at_ms, came, strict=False)
            ],
        }
    ]
    if said is not None:
        series += _expected(said, at_ms, demand.width_s)
    if family == ALL and slots:
        series[0]["markLine"] = {
            "silent": True,
            "symbol": "none",
            "label": {"formatter": "slots there", "color": MUTED, "fontSize": 11, "position": "insideStartTop"},
            "lineStyle": {"color": MUTED, "type": "dashed", "width": 1},
            "data": [{"yAxis": slots}],
        }
    names = ["asked for", *([_BAND, "middle"] if said is not None else [])]
    return chart(
        series,
        xAxis=time_axis(at_ms, demand.width_s),
        yAxis=axis("value", "slots"),
        grid=_GRID,
        legend={**chart([])["legend"], "data": names},
        tooltip={**chart([])["tooltip"], "formatter": "{b}"},
    )


def _came(demand: DemandNow, family: str, said: Expected | None) -> Sequence[float]:
    """Return the demand of each whole bin in slots."""
    if said is not None:
        return [float(one) for one in said.seconds / demand.width_s]
    if family == ALL:
        return [float(one) for one in demand.closed() / demand.width_s]
    return [float(one) for one in demand.seconds[family][:-1] / demand.width_s]


def _expected(said: Expected, at_ms: Sequence[float], width_s: float) -> list[Option]:
    """Return the band of 10 to 90 % as an area above an unseen line, and the median."""
    low, middle, high = (said.said[:, SHOWN.index(level)] / width_s for level in (0.1, 0.5, 0.9))
    known = [n for n in range(len(at_ms)) if np.isfinite(middle[n])]
    unseen = {"type": "line", "stack": "band", "symbol": "none", "silent": True, "lineStyle": {"opacity": 0}}
    return [
        {**unseen, "name": "", "data": [[at_ms[n], float(low[n])] for n in known]},
        {
            **unseen,
            "name": _BAND,
            "itemStyle": {"color": ORANGE},
            "areaStyle": {"color": ORANGE, "opacity": 0.25},
            "data": [[at_ms[n], float(high[n] - low[n])] for n in known],
        },
        {
            "type": "line",
            "name": "middle",
            "symbolSize": 5,
            "lineStyle": {"color": ORANGE, "width": 2},
            "itemStyle": {"color": ORANGE},
            "data": [
                {
                    "value": [at_ms[n], float(middle[n])],
                    "name": f"{_slots(middle[n])} expected, {_slots(low[n])} to {_slots(high[n])} for 80 % of bins",
                }
                for n in known
            ],
        },
    ]


def _slots(value: float) -> str:
    return f"{value:.2f} slots" if value < 10 else f"{value:,.0f} slots"
