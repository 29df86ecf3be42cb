"""One decision as a table and a chart: every candidate's predicted runtime, cost, risk and score, and why it lost."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dnaml.answers import amounts
from dnaml.answers.decisions import decision_value
from dnaml.answers.rows import AttemptRow
from dnaml.core.plan import Decision
from dnaml.dashboard.palette import BLUE, GRAY, GREEN, INK, ORANGE, PINK, RED, SKY, Option, axis, chart
from dnaml.dashboard.tables import Cell, Column, Row, money

MOST_ROWS, MOST_DRAWN = 50, 12
COLUMNS = (
    Column(title="Resource"),
    Column(title="p10", numeric=True),
    Column(title="p50", numeric=True),
    Column(title="p90", numeric=True),
    Column(title="Wait", numeric=True),
    Column(title="Cost", numeric=True),
    Column(title="Risk", numeric=True),
    Column(title="Score", numeric=True),
    Column(title="Why", wide=True),
)
OF_TERM = {"latency": BLUE, "cost": ORANGE, "resilience": GREEN, "tail": SKY, "energy": PINK, "late": RED}
_LOG_FROM = 20.0  # a span of so many times is drawn on a logarithmic axis
# ECharts draws a bar between two values by a function only. It is ours; no text of users is in it.
_RENDER = """(params, api) => {
  const low = api.coord([api.value(1), api.value(0)]), middle = api.coord([api.value(2), api.value(0)]);
  const high = api.coord([api.value(3), api.value(0)]), style = api.style();
  return {type: "group", children: [
    {type: "rect", shape: {x: low[0], y: low[1] - 5, width: Math.max(2, high[0] - low[0]), height: 10, r: 5},
      style: {fill: style.fill, opacity: 0.35}},
    {type: "circle", shape: {cx: middle[0], cy: middle[1], r: 5}, style: {fill: style.fill}}]};
}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a prediction came to: the attempt that ended on the chosen resource beside what was predicted of it."""

    resource_id: str
    runtime_s: float
    predicted_s: tuple[float, float, float]
    cost_usd: float | None
    predicted_usd: float

    @property
    def inside(self) -> bool:
        """Say whether the measured runtime lies in the band of 10 to 90 %."""
        return self.predicted_s[0] <= self.runtime_s <= self.predicted_s[2]


def candidates(decision: Decision) -> list[dict[str, Any]]:  # JSON values
    """Return the candidates as the table shows them: the chosen first, then by score; at most MOST_ROWS."""
    found: list[dict[str, Any]] = decision_value(decision)["candidates"]
    found.sort(key=lambda one: not one["chosen"])  # stable: the rest stay by score
    return found[:MOST_ROWS]


def rows(decision: Decision) -> list[Row]:
    """Return the rows of the table."""
    return [
        Row(
            key=one["resource_id"],
            strong=one["chosen"],
            cells=(
                Cell(text=one["resource_id"]),
                *(Cell(text=amounts.seconds(one[f"runtime_{level}_s"])) for level in ("p10", "p50", "p90")),
                Cell(text=amounts.seconds(one["wait_s"])),
                Cell(text=money(one["cost_usd"])),
                Cell(text=amounts.share(one["risk"])),
                Cell(text=f"{one['score']:.3f}" if math.isfinite(one["score"]) else amounts.UNKNOWN),
                Cell(text="chosen", tone="good") if one["chosen"] else Cell(text=one["why"]),
            ),
        )
        for one in candidates(decision)
    ]


def told(decision: Decision) -> str:
    """Say who decided, who predicted, and how much of it is shown."""
    count = len(decision.resource_ids)
    more = f" The {MOST_ROWS} best of {count:,} candidates are shown." if count > MOST_ROWS else ""
    by = f"Decided by the policy {decision.policy} for attempt {decision.attempt_id}, predicted by {decision.path}."
    return by + more


def outcome(decision: Decision, attempts: Sequence[AttemptRow]) -> Outcome | None:
    """Return what came of the prediction, None until an attempt succeeded on a resource that was a candidate."""
    for attempt in reversed(attempts):
        if attempt.state == "DONE" and attempt.runtime_s is not None and attempt.resource_id in decision.resource_ids:
            at = decision.resource_ids.index(attempt.resource_id)
            return Outcome(
                resource_id=attempt.resource_id,
                runtime_s=attempt.runtime_s,
                predicted_s=(decision.runtime_p10_s[at], decision.runtime_p50_s[at], decision.runtime_p90_s[at]),
                cost_usd=attempt.cost_usd,
                predicted_usd=decision.cost_usd[at],
            )
    return None


def compared(found: Outcome | None) -> dict[str, str]:
    """Return predicted against actual in words."""
    if found is None:
        return {"measured": "not yet: no attempt has succeeded where it was predicted"}
    low, middle, high = found.predicted_s
    ratio = found.runtime_s / middle if middle > 0 else math.nan
    return {
        "predicted": f"{amounts.seconds(middle)} (10 to 90 %: {amounts.seconds(low)} to {amounts.seconds(high)})",
        "measured": f"{amounts.seconds(found.runtime_s)} on {found.resource_id}",
        "measured / predicted": f"{ratio:.3g}, {'inside' if found.inside else 'outside'} the band",
        "cost predicted": money(found.predicted_usd),
        "cost measured": money(found.cost_usd),
    }


def runtimes(decision: Decision, found: Outcome | None) -> Option:
    """Return the chart of predicted runtimes: a band of 10 to 90 % with its median, and what was measured."""
    drawn = [one for one in candidates(decision) if _finite(one)][:MOST_DRAWN]
    names = [one["resource_id"] for one in drawn]
    values = [one[f"runtime_{level}_s"] for one in drawn for level in ("p10", "p50", "p90")]
    values += [found.runtime_s] if found is not None else []
    positive = [value for value in values if value > 0]
    log = len(positive) == len(values) > 0 and max(positive) / min(positive) > _LOG_FROM
    across = axis("log" if log else "value", "seconds", nameLocation="middle", nameGap=28, scale=log)
    across |= {"min": _below(min(positive)), "max": _above(max(positive))} if log else {}
    across["axisLabel"] |= {":formatter": "(value) => +value.toPrecision(3) + ''"}
    up = axis("category", data=names, inverse=True)
    up["axisLabel"] |= {"width": 110, "overflow": "truncate", "interval": 0, "hideOverlap": False}
    series = [_bands("predicted, chosen", drawn, BLUE, chosen=True), _bands("predicted", drawn, GRAY, chosen=False)]
    if found is not None and found.resource_id in names:
        series.append(_measured(found, names.index(found.resource_id)))
    return chart(
        [one for one in series if one["data"]],
        xAxis=across,
        yAxis=up,
        grid={"left": 8, "right": 24, "top": 32, "bottom": 30, "containLabel": True},
    )


def made_of(decision: Decision) -> Option:
    """Return the chart of what each candidate's score sums up, a bar a candidate and a colour a term."""
    drawn = [one for one in candidates(decision) if math.isfinite(one["score"])][:MOST_DRAWN]
    up = axis("category", data=[one["resource_id"] for one in drawn], inverse=True)
    up["axisLabel"] |= {"width": 110, "overflow": "truncate", "interval": 0, "hideOverlap": False}
    return chart(
        [
            {
                "type": "bar",
                "name": name,
                "stack": "score",
                "barMaxWidth": 14,
                "itemStyle": {"color": OF_TERM.get(name, GRAY)},
                "data": [
                    {"value": one["terms"][name], "name": f"{one['resource_id']}: {name} {one['terms'][name]:.3f}"}
                    for one in drawn
                ],
            }
            for name in decision.terms
        ],
        xAxis=axis("value", "score, lower is better", nameLocation="middle", nameGap=28),
        yAxis=up,
        grid={"left": 8, "right": 24, "top": 32, "bottom": 30, "containLabel": True},
        tooltip={**chart([])["tooltip"], "formatter": "{b}"},
    )


def height(decision: Decision) -> str:
    """Return the height of the chart."""
    return f"{110 + 30 * min(MOST_DRAWN, max(2, len(decision.resource_ids)))}px"


def _bands(name: str, drawn: Sequence[dict[str, Any]], colour: str, *, chosen: bool) -> Option:
    data = [
        {
            "value": [at, one["runtime_p10_s"], one["runtime_p50_s"], one["runtime_p90_s"]],
            "name": f"{one['resource_id']}: {amounts.seconds(one['runtime_p50_s'])}"
            f" ({amounts.seconds(one['runtime_p10_s'])} to {amounts.seconds(one['runtime_p90_s'])})",
        }
        for at, one in enumerate(drawn)
        if one["chosen"] is chosen
    ]
    return {
        "type": "custom",
        "name": name,
        ":renderItem": _RENDER,
        "encode": {"x": [1, 2, 3], "y": 0, "tooltip": []},
        "itemStyle": {"color": colour},
        "data": data,
    }


def _measured(found: Outcome, row: int) -> Option:
    return {
        "type": "scatter",
        "name": "measured",
        "symbol": "diamond",
        "symbolSize": 15,
        "z": 5,
        "encode": {"tooltip": []},
        "itemStyle": {"color": INK, "borderColor": "var(--panel)", "borderWidth": 1.5},
        "data": [{"value": [found.runtime_s, row], "name": f"measured: {amounts.seconds(found.runtime_s)}"}],
    }


def _finite(one: dict[str, Any]) -> bool:
    return all(math.isfinite(one[f"runtime_{level}_s"]) for level in ("p10", "p50", "p90"))


def _below(value: float) -> float:
    return float(10.0 ** math.floor(math.log10(value)))


def _above(value: float) -> float:
    return float(10.0 ** math.ceil(math.log10(value)))
