"""What simulated policies did, as one picture: who held which pool when, completion times, and cost against them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from dnaml.simulation import Report
    from dnaml.simulation.tally import Span

_HOUR_S = 3600.0


def draw(reports: Sequence["Report"], path: Path) -> None:
    """Write the picture; its kind follows from the file's name. Raises InputError where it cannot be written."""
    import matplotlib

    from dnaml.core.errors import InputError
    from dnaml.nb.frontiers import frontier

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 5), layout="constrained")
    runs, times, costs = figure.subplots(1, 3)
    gantt(runs, reports[0])
    completion_times(times, reports)
    frontier(reports, ax=costs)
    try:
        figure.savefig(path, dpi=120)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {error}") from error


def gantt(axes: "Axes", report: "Report") -> None:
    """Draw each span of the first policy on the units of its pool that were free; of shared ones each gets half."""
    ticks: list[tuple[float, str]] = []
    base = 0.0
    for pool in dict.fromkeys(span.resource_id for span in report.spans):
        spans = sorted((s for s in report.spans if s.resource_id == pool), key=lambda s: (s.began_s, s.job_id))
        rows, height = _stacked(spans)
        for span, row in zip(spans, rows, strict=True):
            shade = f"C{sum(map(ord, span.job_id)) % 10}"
            left, width = span.began_s / _HOUR_S, (span.ended_s - span.began_s) / _HOUR_S
            axes.barh(base + row, width, left=left, height=span.own_units, align="edge", color=shade, linewidth=0)
        ticks.append((base + height / 2, pool))
        base += height + 1
    axes.set_yticks([at for at, _ in ticks], [pool for _, pool in ticks])
    axes.set_xlabel("hours")
    axes.set_title(f"units held, {report.policy}")


def _stacked(spans: Sequence["Span"]) -> tuple[list[float], float]:
    """Return for each span the lowest row at which its units fit beside those that still run, and the height."""
    rows: list[float] = []
    running: list[tuple[float, float, float]] = []
    height = 0.0
    for span in spans:
        running = sorted((one for one in running if one[0] > span.began_s), key=lambda one: one[1])
        row = 0.0
        for _, at, units in running:
            if at - row >= span.own_units:
                break
            row = max(row, at + units)
        rows.append(row)
        running.append((span.ended_s, row, span.own_units))
        height = max(height, row + span.own_units)
    return rows, height


def completion_times(axes: "Axes", reports: Sequence["Report"]) -> None:
    """Draw the share of jobs that were done within each time."""
    for report in reports:
        jct_h = np.sort([outcome.completion_s for outcome in report.outcomes]) / _HOUR_S
        axes.step(jct_h, np.arange(1, len(jct_h) + 1) / max(1, len(jct_h)), where="post", label=report.policy)
    axes.set_xscale("log")
    axes.set_xlabel("completion time, hours")
    axes.set_ylabel("share of jobs")
    axes.legend()
