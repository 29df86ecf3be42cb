"""The frontier of S2 to S5: cost against completion time as the weights move, beside every other policy's point.

A peer's point is reached where some weights cost no more and complete no later on the mean. No last hour is asked for
here: a makespan is a third wish, and has rows of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import Row
from benchmarks.scheduling import arrivals, batch
from benchmarks.scheduling.workload import HOUR_S
from dnaml.core.work import Objective
from dnaml.datasets.traces.trace import Trace
from dnaml.schedule.rounds.registry import DEFAULT, POLICIES, by_name
from dnaml.simulation import Report, Settings, replay

_BLUE, _GREY = "#1f5fa8", "#8a8a8a"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """What one trace became under dnaml's weights, by share of the cost, and under the other policies, by name."""

    trace: str
    ours: Mapping[float, Report]
    peers: Mapping[str, Report]

    def missed(self) -> list[str]:
        """Return the peers whose point no weights reach, in cost and mean completion time together."""
        return [name for name, peer in self.peers.items() if not any(_reaches(one, peer) for one in self.ours.values())]


def frontiers(quick: bool) -> list[Frontier]:
    """Replay the batch and, unless `quick`, the arrivals under a row of weights and under every other policy."""
    traces = {"S2": batch.trace()} if quick else {"S2": batch.trace(), "S5": arrivals.trace()}
    shares = (0.0, 0.5, 1.0) if quick else (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    names = ("srpt", "gavel_cost") if quick else [name for name in POLICIES if name != DEFAULT]
    return [_frontier(name, jobs, shares, names) for name, jobs in traces.items()]


def _frontier(name: str, jobs: Trace, shares: Sequence[float], names: Sequence[str]) -> Frontier:
    ours = {share: replay(jobs, by_name(DEFAULT), Settings(objective=_weights(share))) for share in shares}
    return Frontier(trace=name, ours=ours, peers={name: replay(jobs, by_name(name)) for name in names})


def _weights(share: float) -> Objective:
    return Objective(cost=share, latency=1.0 - share, resilience=0.0, energy=0.0)


def _reaches(ours: Report, peer: Report) -> bool:
    return ours.cost_usd <= peer.cost_usd and ours.mean_jct_s <= peer.mean_jct_s


def frontier_rows(quick: bool, plots: Path | None = None) -> list[Row]:
    """Return how many peers no weights reach on each trace; draws the frontiers into the folder `plots`."""
    found = frontiers(quick)
    if plots is not None:
        draw(found, plots / "frontier.svg")
    return [_row(one) for one in found]


def _row(one: Frontier) -> Row:
    points = ", ".join(
        f"{share:.1f}: {report.mean_jct_s / HOUR_S:.2f} h {report.cost_usd:,.0f} USD"
        for share, report in one.ours.items()
    )
    missed = one.missed()
    return Row(
        id=f"{one.trace}.frontier",
        metric=f"peers, of {len(one.peers)}, that no weights of cost and latency reach",
        value=len(missed),
        unit="peers",
        bar=0,
        note=f"{'missed: ' + ', '.join(missed) + '; ' if missed else ''}by share of the cost {points}",
    )


def draw(found: Sequence[Frontier], file: Path) -> None:
    """Write a picture of cost over mean completion time, one panel for each trace."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0 * len(found), 4.2), layout="constrained")
    FigureCanvasSVG(figure)
    for axes, one in zip(figure.subplots(1, len(found), squeeze=False)[0], found, strict=True):
        line = sorted((report.mean_jct_s / HOUR_S, report.cost_usd) for report in one.ours.values())
        axes.plot(*zip(*line, strict=True), marker="o", color=_BLUE, label="dnaml, weights from latency to cost")
        for name, peer in one.peers.items():
            at = (peer.mean_jct_s / HOUR_S, peer.cost_usd)
            axes.plot(*at, "s", color=_GREY, markersize=4)
            axes.annotate(name, at, textcoords="offset points", xytext=(4, 4), fontsize=7, color=_GREY)
        axes.set(title=one.trace, xlabel="mean completion time (h), simulated", ylabel="cost of all jobs (USD)")
        axes.set_xscale("log")
        axes.grid(visible=True, which="both", alpha=0.25)
        axes.legend(fontsize=8, loc="upper right")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)
