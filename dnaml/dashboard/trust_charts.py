"""The charts of calibration: stated against met levels, errors over time, coverage over time."""

import math
from collections.abc import Sequence

from dnaml.answers.trust import Span, TrustNow
from dnaml.dashboard.palette import BLUE, GRAY, GREEN, MUTED, Option, axis, chart, time_axis

TARGET = 0.8  # of runs between p10 and p90


def reliability(trust: TrustNow) -> Option:
    """Return the chart of stated against met levels, with bars of one standard error."""
    bars = [
        {"coords": [[one.stated, max(0.0, one.met - one.error)], [one.stated, min(1.0, one.met + one.error)]]}
        for one in trust.levels
    ]
    points = [
        {"value": [one.stated, one.met], "name": f"{one.stated:.0%} stated, {one.met:.1%} met"} for one in trust.levels
    ]
    ends = {"min": 0, "max": 1, "interval": 0.25}
    percent = {"axisLabel": {**axis("value")["axisLabel"], ":formatter": "(value) => Math.round(100 * value) + ' %'"}}
    return chart(
        [
            {
                "type": "line",
                "name": "as meant",
                "data": [[0, 0], [1, 1]],
                "symbol": "none",
                "silent": True,
                "lineStyle": {"color": GRAY, "type": "dashed", "width": 1},
                "itemStyle": {"color": GRAY},
            },
            {
                "type": "lines",
                "name": "",
                "coordinateSystem": "cartesian2d",
                "silent": True,
                "lineStyle": {"color": BLUE, "width": 2, "opacity": 0.6},
                "data": bars,
            },
            {
                "type": "line",
                "name": "met",
                "data": points,
                "symbolSize": 9,
                "lineStyle": {"color": BLUE, "width": 1.5},
                "itemStyle": {"color": BLUE},
            },
        ],
        xAxis=axis("value", "runs predicted to stay below", nameLocation="middle", nameGap=28) | ends | percent,
        yAxis=axis("value", "runs that did") | ends | percent,
        grid={"left": 8, "right": 24, "top": 48, "bottom": 30, "containLabel": True},
        legend={**chart([])["legend"], "data": ["met", "as meant"], "left": "right"},
        tooltip={**chart([])["tooltip"], "formatter": "{b}"},
    )


def errors(trust: TrustNow) -> Option:
    """Return the chart of measured over predicted runtime over time: the median, and the band of 10 to 90 %."""
    spans = [{"coords": [[_ms(one), one.ratio_p10], [_ms(one), one.ratio_p90]]} for one in trust.spans]
    middle = [
        {
            "value": [_ms(one), one.ratio_p50],
            "name": f"× {one.ratio_p50:.2f} in the middle, × {one.ratio_p10:.2f} to × {one.ratio_p90:.2f} for 80 % of "
            f"{one.runs:,} runs",
        }
        for one in trust.spans
    ]
    low, high = _edge([1.0 / one.ratio_p10 for one in trust.spans]), _edge([one.ratio_p90 for one in trust.spans])
    up = axis("log", logBase=10) | {"min": 1.0 / low, "max": high}
    up["axisLabel"] |= {":formatter": "(value) => '× ' + +value.toPrecision(2)"}
    return chart(
        [
            {
                "type": "lines",
                "name": "",
                "coordinateSystem": "cartesian2d",
                "silent": True,
                "lineStyle": {"color": BLUE, "width": 5, "opacity": 0.3, "cap": "round"},
                "data": spans,
            },
            {
                "type": "line",
                "name": "median and 10 to 90 %",
                "data": middle,
                "symbolSize": 6,
                "lineStyle": {"color": BLUE, "width": 1.5},
                "itemStyle": {"color": BLUE},
                "markLine": _rule_at(1.0),
            },
        ],
        xAxis=_across(trust),
        yAxis=up,
        grid={"left": 8, "right": 24, "top": 16, "bottom": 8, "containLabel": True},
        legend={**chart([])["legend"], "show": False},
        tooltip={**chart([])["tooltip"], "formatter": "{b}"},
    )


def coverage(trust: TrustNow) -> Option:
    """Return the chart of the share of runs inside p10 to p90 over time; larger points hold more runs."""
    most = max((one.runs for one in trust.spans), default=1)
    points = [
        {
            "value": [_ms(one), one.inside],
            "name": f"{one.inside:.0%} of {one.runs:,} runs inside",
            "symbolSize": round(5 + 9 * math.sqrt(one.runs / most), 1),
        }
        for one in trust.spans
    ]
    up = axis("value") | {"min": 0, "max": 1, "interval": 0.2}
    up["axisLabel"] |= {":formatter": "(value) => Math.round(100 * value) + ' %'"}
    return chart(
        [
            {
                "type": "line",
                "name": "inside",
                "data": points,
                "lineStyle": {"color": GREEN, "width": 1, "opacity": 0.6},
                "itemStyle": {"color": GREEN},
                "markLine": _rule_at(TARGET),
            }
        ],
        xAxis=_across(trust),
        yAxis=up,
        grid={"left": 8, "right": 24, "top": 16, "bottom": 8, "containLabel": True},
        legend={**chart([])["legend"], "show": False},
        tooltip={**chart([])["tooltip"], "formatter": "{b}"},
    )


def _edge(ratios: Sequence[float]) -> float:
    """Return the round ratio that holds all."""
    most = max(ratios, default=1.0)
    return next((edge for edge in (1.5, 2.0, 3.0, 5.0, 10.0, 30.0) if edge >= most), 100.0)


def _ms(one: Span) -> float:
    """Return the middle of a span in milliseconds, as charts take times."""
    return 500.0 * (one.at_s + one.until_s)


def _across(trust: TrustNow) -> Option:
    """Return the axis of time that holds every span."""
    longest_s = max((one.until_s - one.at_s for one in trust.spans), default=0.0)
    return time_axis([_ms(one) for one in trust.spans], longest_s)


def _rule_at(value: float) -> Option:
    return {
        "silent": True,
        "symbol": "none",
        "label": {"show": False},
        "lineStyle": {"color": MUTED, "type": "dashed", "width": 1},
        "data": [{"yAxis": value}],
    }
