"""Colours that everybody can tell apart, on light and on dark, and the chart settings that all charts share.

Text, axes and grid take the colours of the page through CSS variables, so charts are drawn as SVG and follow the theme
without being drawn again. The hues are those of Okabe and Ito (2008), which hold for the common colour blindnesses.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from dnaml.core.attempt import JobState

Option = dict[str, Any]
"""an ECharts option: JSON values. Text of users goes into values only, never into keys, and tooltips are templates"""

BLUE, ORANGE, GREEN, RED = "#0b84c6", "#d98a00", "#009e73", "#d55e00"
PINK, SKY, YELLOW, GRAY = "#cc79a7", "#56b4e9", "#c9b400", "#8a94a3"
SERIES = (BLUE, ORANGE, GREEN, PINK, RED, SKY, YELLOW, GRAY)
"""colours of series, in this order"""

INK, MUTED, LINE, PANEL = "var(--ink)", "var(--muted)", "var(--line)", "var(--panel)"

HEAT = ("#00224e", "#2c4770", "#575d6d", "#7d7c78", "#a69d75", "#d3c164", "#fee838")
"""cividis (Nunez and others, 2018): rises evenly in lightness, the same to every eye"""

OF_STATE: Mapping[JobState, str] = {
    JobState.PENDING: GRAY,
    JobState.RUNNING: BLUE,
    JobState.RECOVERING: ORANGE,
    JobState.SUCCEEDED: GREEN,
    JobState.FAILED: RED,
    JobState.CANCELLED: PINK,
}

_FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif'
_SMALL = {"color": MUTED, "fontSize": 12, "fontFamily": _FONT}
_MOMENTS = {
    "year": "{yyyy}",
    "month": "{yyyy}-{MM}",
    "day": "{MM}-{dd}",
    "hour": "{HH}:{mm}",
    "minute": "{HH}:{mm}",
    "second": "{HH}:{mm}:{ss}",
    "millisecond": "{HH}:{mm}:{ss}.{SSS}",
    "none": "{HH}:{mm}:{ss}",
}


def axis(kind: str, name: str = "", **more: Any) -> Option:
    """Return an axis of a kind (value, log, time, category); a name is written where the axis ends."""
    return {
        "type": kind,
        "name": name,
        "nameTextStyle": _SMALL,
        "axisLabel": {**_SMALL, "hideOverlap": True, **({"formatter": _MOMENTS} if kind == "time" else {})},
        "axisLine": {"lineStyle": {"color": LINE}},
        "axisTick": {"lineStyle": {"color": LINE}},
        "splitLine": {"show": kind != "category", "lineStyle": {"color": LINE}},
        **more,
    }


def time_axis(middles_ms: Sequence[float], width_s: float) -> Option:
    """Return the axis of bins of time, from the start of the first to the end of the last, also of a lone one."""
    half_ms = 500.0 * max(1.0, width_s)
    edges = {"min": min(middles_ms) - half_ms, "max": max(middles_ms) + half_ms} if middles_ms else {}
    return axis("time") | edges


def chart(series: Sequence[Option], **more: Any) -> Option:
    """Return an option with series and whatever else, and the settings that all charts share."""
    base: Option = {
        "animation": False,
        "backgroundColor": "transparent",
        "color": list(SERIES),
        "textStyle": {"fontFamily": _FONT, "color": INK},
        "grid": {"left": 8, "right": 16, "top": 28, "bottom": 8, "containLabel": True},
        "tooltip": {
            "confine": True,
            "backgroundColor": PANEL,
            "borderColor": LINE,
            "textStyle": {"color": INK, "fontSize": 12},
        },
        "legend": {
            "textStyle": _SMALL,
            "itemWidth": 10,
            "itemHeight": 10,
            "top": 0,
            "data": [{"name": one["name"], "icon": one.get("symbol", "roundRect")} for one in series if "name" in one],
        },
        "series": list(series),
    }
    return base | more
