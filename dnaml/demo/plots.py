"""The plots of the demo's report, as inline SVG whose colours follow the page and whose text stays text.

Each function returns a matplotlib figure; `drawing` makes the SVG of it, with words for those who do not see it.
"""

import html
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from dnaml.demo.document import Html, Tone

if TYPE_CHECKING:
    from dnaml.demo.failover import Failover
    from dnaml.demo.learn import Quality

SERIES = ((Tone.OWN, "o"), (Tone.OTHER, "^"))
"""colour and mark of each series: told apart without colour too"""

_INK = Tone.INK.light
_STYLE = mpl.rc_context(
    {
        "font.size": 8.5,
        "font.family": "DejaVu Sans",  # wider than what browsers take: what fits here fits there
        "text.color": _INK,
        "axes.labelcolor": _INK,
        "axes.edgecolor": _INK,
        "axes.linewidth": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.color": _INK,
        "ytick.color": _INK,
        "grid.color": Tone.GRID.light,
        "grid.linewidth": 0.6,
        "axes.axisbelow": True,
        "legend.frameon": False,
        "svg.fonttype": "none",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One policy in a bar chart: its objective, and that divided by what dnaml and what the oracle reached."""

    policy: str
    objective: float
    to_dnaml: float
    to_oracle: float
    own: bool = False


@_STYLE
def drawing(figure: Figure, *, name: str, alt: str) -> Html:
    """Return a figure as inline SVG, its ids made its own by `name`; `alt` says in words what it shows."""
    raw = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(raw, format="svg", transparent=True, metadata=nothing)
    text = raw.getvalue()
    (view_box,) = re.findall(r'<svg[^>]* viewBox="([^"]*)"', text)
    text = text[text.index(">", text.index("<svg")) + 1 :]
    text = re.sub(r"<(metadata|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    text = text.replace(' id="', f' id="{name}-').replace("url(#", f"url(#{name}-")
    text = text.replace('xlink:href="#', f'href="#{name}-')
    for tone in Tone:
        text = text.replace(tone.light, tone.variable)
    return Html(f'<svg viewBox="{view_box}" role="img" aria-label="{html.escape(alt)}">{text.strip()}\n')


@_STYLE
def calibration(qualities: "Mapping[str, Quality]") -> Figure:
    """Draw stated against met levels in percent: a line below the diagonal means that runs took longer than said."""
    figure, axes = _square()
    for (label, quality), (tone, mark) in zip(qualities.items(), SERIES, strict=False):
        stated, met = np.array(quality.calibration, dtype=float).reshape(-1, 2).T * 100
        axes.plot(stated, met, color=tone.light, marker=mark, markersize=4.5, linewidth=1.2, label=label)
    _diagonal(axes, 0, 100)
    axes.set(xlabel="stated quantile (%)", ylabel="runs that took at most that (%)")
    return figure


@_STYLE
def scatter(qualities: "Mapping[str, Quality]") -> Figure:
    """Draw predicted against measured runtimes, on logarithmic axes of one range."""
    figure, axes = _square()
    for (label, quality), (tone, mark) in zip(qualities.items(), SERIES, strict=False):
        points = axes.plot(quality.truth_s, quality.predicted_s, color=tone.light, marker=mark, linestyle="")
        points[0].set(markersize=3.6, markeredgewidth=0, alpha=0.6, label=label)
    axes.set(xscale="log", yscale="log")
    _diagonal(axes, *range_s(qualities.values()))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 3)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("")
    axes.set(xlabel="measured runtime (s)", ylabel="predicted median (s)")
    return figure


def range_s(qualities: "Iterable[Quality]") -> tuple[float, float]:
    """Return a range in seconds that holds every measured and predicted runtime, with a margin."""
    values = np.concatenate([np.concatenate([quality.truth_s, quality.predicted_s]) for quality in qualities])
    known = values[np.isfinite(values) & (values > 0)]
    if not known.size:
        return 0.1, 1.0
    return float(known.min() / 1.4), float(known.max() * 1.4)


def _square() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(4.0, 3.9), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(True)
    return figure, axes


def _diagonal(axes: Axes, low: float, high: float) -> None:
    """Draw where prediction and truth agree; both axes get the same range; the series get their legend."""
    axes.plot([low, high], [low, high], color=Tone.QUIET.light, linewidth=0.8, linestyle="--", label="agreement")
    axes.set(xlim=(low, high), ylim=(low, high))
    axes.set_aspect("equal")
    axes.legend(loc="upper left", handlelength=1.6, borderaxespad=0.2)


@_STYLE
def bars(rows: Sequence[Bar]) -> Figure:
    """Draw the objective of each policy as a bar from zero, with value and ratios in columns at the right."""
    height_in = 0.4 + 0.26 * len(rows)
    figure = Figure(figsize=(4.6, height_in))
    axes = figure.add_axes((0.235, 0.02, 0.3, 1 - 0.32 / height_in))
    colours = [(Tone.OWN if row.own else Tone.BAR).light for row in rows]
    axes.barh(range(len(rows)), [row.objective for row in rows], color=colours, height=0.66)
    axes.set(xlim=(0, max(row.objective for row in rows)), ylim=(len(rows) - 0.5, -0.5), xticks=[])
    axes.set_yticks(range(len(rows)), [row.policy for row in rows])
    axes.tick_params(length=0)
    axes.spines["bottom"].set_visible(False)
    titles = ("objective", "÷ dnaml", "÷ oracle")
    for column, title in enumerate(titles):
        right = 1.5 + 0.46 * column
        across = axes.get_yaxis_transform()
        axes.text(right, -0.62, title, transform=across, ha="right", va="bottom", color=Tone.QUIET.light)
        for place, row in enumerate(rows):
            value = (row.objective, row.to_dnaml, row.to_oracle)[column]
            axes.text(right, place, f"{value:.2f}", transform=across, ha="right", va="center")
    return figure


@_STYLE
def timeline(shown: "Failover") -> Figure:
    """Draw newest checkpoint, kill and its detection on one axis of seconds from the kill."""
    figure = Figure(figsize=(4.6, 1.9), layout="constrained")
    axes = figure.add_subplot()
    axes.axvspan(-shown.redone_s, 0, ymax=0.16, color=Tone.OTHER.light, alpha=0.75, linewidth=0)
    axes.axvspan(0, shown.detect_s, ymax=0.16, color=Tone.OWN.light, alpha=0.75, linewidth=0)
    middle_s = (shown.detect_s - shown.redone_s) / 2
    moments = (
        (-shown.redone_s, f"newest checkpoint, at {100 * shown.resumed_at:.0f} % of the work"),
        (0.0, f"SIGKILL: {shown.redone_s:.3g} s of work to do again"),
        (shown.detect_s, f"noticed after {shown.detect_s * 1000:.3g} ms"),
    )
    # Every label runs towards the middle, above the lines that it passes.
    heights = (0.85, 0.58, 0.31) if middle_s > 0 else (0.85, 0.31, 0.58)
    for height, (at_s, label) in zip(heights, moments, strict=True):
        leftmost = at_s < middle_s
        axes.plot([at_s, at_s], [0, height], color=_INK, linewidth=0.8)
        offset = (4 if leftmost else -4, 0)
        axes.annotate(
            label, (at_s, height), offset, textcoords="offset points", ha="left" if leftmost else "right", va="center"
        )
    pad_s = max(0.04 * (shown.redone_s + shown.detect_s), 1e-3)
    axes.set(xlim=(-shown.redone_s - pad_s, shown.detect_s + pad_s), ylim=(0, 1), yticks=[])
    axes.set_xlabel("seconds from the kill")
    axes.spines["left"].set_visible(False)
    return figure
