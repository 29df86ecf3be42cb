"""Cost against completion time of simulated policies, and the line of those that nobody beats in both."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dnaml.core.errors import InputError
from dnaml.nb.canvas import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from dnaml.simulation.report import Report

_HOUR_S = 3600.0


def frontier(reports: Sequence["Report"], *, ax: "Axes | None" = None) -> "Axes":
    """Draw one point per report; the grey line joins those that no other beats in both time and cost."""
    if not reports:
        raise InputError("frontier: needs at least one report, got none")
    traces = ", ".join(dict.fromkeys(one.trace for one in reports))
    axes = canvas(ax, across="mean completion time (hours)", up="cost (USD)", title=f"simulated: {traces}")
    points = sorted((report.mean_jct_s / _HOUR_S, report.cost_usd, report.policy) for report in reports)
    best, line = float("inf"), []
    for jct_h, usd, name in points:
        axes.plot(jct_h, usd, "o")
        axes.annotate(name, (jct_h, usd), textcoords="offset points", xytext=(4, 4), fontsize=8)
        if usd < best:
            best = usd
            line.append((jct_h, usd))
    axes.plot(*zip(*line, strict=True), "-", color="0.6", zorder=0)
    return axes
