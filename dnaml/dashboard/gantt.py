"""The Gantt chart of placements: one lane a resource, one bar an attempt, marks where work moved or was lost.

Attempts that share a resource lie beside each other in its lane. Lanes beyond the busiest and bars beyond the newest
are left out, and the chart says so.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush

from dnaml.core.attempt import JobState
from dnaml.dashboard.palette import BLUE, GRAY, GREEN, INK, OF_STATE, ORANGE, PINK, RED, Option, axis, chart
from dnaml.dashboard.reads import Bar, Placements

MOST_LANES = 24
CROSS = "path://M2,0L5,3L8,0L10,2L7,5L10,8L8,10L5,7L2,10L0,8L3,5L0,2Z"
NOTE = (
    "At most the 400 newest attempts on the 24 busiest resources. A diamond: moved on; a cross: its resource failed it."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """How far the chart looks back; None for all that is kept."""

    name: str
    seconds: float | None


AUTOMATIC = "Newest 100"
SPANS = (
    Span(name=AUTOMATIC, seconds=None),
    Span(name="10 minutes", seconds=600.0),
    Span(name="1 hour", seconds=3_600.0),
    Span(name="1 day", seconds=86_400.0),
    Span(name="All", seconds=None),
)
_KINDS: Mapping[str, tuple[str, str]] = {
    "RUNNING": ("running", BLUE),
    "DONE": ("done", GREEN),
    "FAILED": ("failed", RED),
    "LOST": ("lost", ORANGE),
    "STOPPED": ("stopped", PINK),
    "CANCELLED": ("cancelled", GRAY),
}
assert OF_STATE[JobState.SUCCEEDED] == GREEN  # states of jobs and of attempts look alike
# ECharts draws bars between two moments by a function only. It is ours; no text of users is in it.
_DRAW = """(params, api) => {
  const left = api.coord([api.value(1), api.value(0)]), right = api.coord([api.value(2), api.value(0)]);
  const lane = api.size([0, 1])[1] * 0.8, high = Math.max(2, lane / api.value(4) - 1);
  const shape = echarts_clip({x: left[0], y: left[1] - lane / 2 + api.value(3) * lane / api.value(4),
    width: Math.max(2, right[0] - left[0]), height: high}, params.coordSys);
  return shape && {type: "rect", transition: [], shape: {...shape, r: Math.min(3, high / 3)}, style: api.style()};
}"""
_CLIP = """(shape, area) => {
  const x = Math.max(shape.x, area.x), end = Math.min(shape.x + shape.width, area.x + area.width);
  return end > x ? {x, y: shape.y, width: end - x, height: shape.height} : null;
}"""
_RENDER = _DRAW.replace("echarts_clip", f"({_CLIP})")


def within(placements: Placements, span: str) -> Placements:
    """Return the placements that a span shows: those that still ran in it."""
    if span == AUTOMATIC:
        bars = placements.bars[-100:]
        return replace(placements, bars=bars, left_out=placements.left_out + len(placements.bars) - len(bars))
    seconds = next((one.seconds for one in SPANS if one.name == span), None)
    if seconds is None:
        return placements
    since_s = placements.now_s - seconds
    return replace(placements, bars=[bar for bar in placements.bars if (bar.ended_at_s or placements.now_s) >= since_s])


def lanes(bars: Sequence[Bar]) -> list[str]:
    """Return the resources that get a lane, by name: those with most attempts."""
    busiest = Counter(bar.resource_id for bar in bars).most_common(MOST_LANES)
    return sorted(resource_id for resource_id, _ in busiest)


def beside(bars: Sequence[Bar], now_s: float) -> list[tuple[int, int]]:
    """Return for each bar, in the order of their starts, its track in its lane and how many tracks the lane has."""
    free: dict[str, list[int]] = {}
    busy: dict[str, list[tuple[float, int]]] = {}
    tracks: dict[str, int] = {}
    found: list[int] = []
    for bar in bars:
        of = bar.resource_id
        ends, spare = busy.setdefault(of, []), free.setdefault(of, [])
        while ends and ends[0][0] <= bar.started_at_s:
            heappush(spare, heappop(ends)[1])
        track = heappop(spare) if spare else tracks.get(of, 0)
        tracks[of] = max(tracks.get(of, 0), track + 1)
        heappush(ends, (_end_s(bar, now_s), track))
        found.append(track)
    return [(track, tracks[bar.resource_id]) for bar, track in zip(bars, found, strict=True)]


def gantt(placements: Placements) -> Option:
    """Return the chart of placements; times in milliseconds since 1970, as browsers count."""
    names = lanes(placements.bars)
    at = {name: row for row, name in enumerate(names)}
    bars = [bar for bar in placements.bars if bar.resource_id in at]
    places = beside(bars, placements.now_s)
    series: list[Option] = []
    for state, (name, colour) in _KINDS.items():
        data = [
            _item(bar, at[bar.resource_id], place, placements.now_s)
            for bar, place in zip(bars, places, strict=True)
            if bar.state == state
        ]
        if data:
            series.append(_bars(name, colour, data))
    marks = (
        ("moved", "diamond", [bar for bar in bars if bar.moved]),
        ("resource lost", CROSS, [bar for bar in bars if bar.lost]),
    )
    series += [_marks(name, symbol, found, at, placements.now_s) for name, symbol, found in marks if found]
    up = axis("category", data=names, inverse=True)
    up["axisLabel"] |= {"width": 110, "overflow": "truncate", "interval": 0, "hideOverlap": False}
    return chart(
        series,
        xAxis=axis("time"),
        yAxis=up,
        grid={"left": 8, "right": 20, "top": 34, "bottom": 8, "containLabel": True},
    )


def gantt_height(placements: Placements) -> str:
    """Return the height of the chart."""
    return f"{90 + 38 * max(2, len(lanes(placements.bars)))}px"


def _bars(name: str, colour: str, data: Sequence[Option]) -> Option:
    return {
        "type": "custom",
        "name": name,
        ":renderItem": _RENDER,
        "encode": {"x": [1, 2], "y": 0, "tooltip": []},
        "itemStyle": {"color": colour},
        "data": list(data),
    }


def _item(bar: Bar, lane: int, place: tuple[int, int], now_s: float) -> Option:
    end_s = _end_s(bar, now_s)
    told = f"{bar.name} · {bar.resource_id} · {bar.state.lower()} · {end_s - bar.started_at_s:,.2f} s"
    return {"value": [lane, _ms(bar.started_at_s), _ms(end_s), *place], "name": told}


def _marks(name: str, symbol: str, bars: Sequence[Bar], at: Mapping[str, int], now_s: float) -> Option:
    data = [
        {"value": [_ms(_end_s(bar, now_s)), at[bar.resource_id]], "name": f"{bar.name}: {name} at {bar.resource_id}"}
        for bar in bars
    ]
    return {
        "type": "scatter",
        "name": name,
        "symbol": symbol,
        "symbolSize": 12,
        "z": 5,
        "encode": {"tooltip": []},
        "itemStyle": {"color": INK, "borderColor": "var(--panel)", "borderWidth": 1},
        "data": data,
    }


def _end_s(bar: Bar, now_s: float) -> float:
    return max(bar.started_at_s, now_s if bar.ended_at_s is None else bar.ended_at_s)


def _ms(at_s: float) -> int:
    return round(1_000 * at_s)
