"""The frontier of S2 to S5: cost against completion time as the weights move, beside every other policy's point.

A peer's point is reached where some weights cost no more and complete no later on the mean. A peer that leaves jobs
unplaced for ever has no point. No last hour is asked for here: a makespan is a third wish, and has rows of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import Row
from benchmarks.scheduling import arrivals, batch
from benchmarks.scheduling.workload import HOUR_S
from dnaml.core.work import Objective
from dnaml.datasets.traces.trace import Trace
from dnaml.schedule.rounds.registry import DEFAULT, ORACLE, POLICIES, by_name
from dnaml.simulation import Report, Settings, replay

_BLUE, _GREY = "#1f5fa8", "#6a6a6a"
_FAR = 2.5  # points beyond so many times the least completion time are not drawn
_ROOM = (0.16, 0.035)  # what a name takes of the picture, across and up


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """What one trace became under dnaml's weights, by share of the cost, and under the other policies, by name."""

    trace: str
    ours: Mapping[float, Report]
    peers: Mapping[str, Report]
    unfinished: Sequence[str] = ()

    def missed(self) -> list[str]:
        """Return the peers whose point no weights reach, in cost and mean completion time together."""
        return [name for name, peer in self.peers.items() if not any(_reaches(one, peer) for one in self.ours.values())]


def frontiers(quick: bool) -> list[Frontier]:
    """Replay the batch and, unless `quick`, the arrivals under a row of weights and under every other policy."""
    traces = {"S2": batch.trace()} if quick else {"S2": batch.trace(), "S5": arrivals.trace()}
    shares = (0.0, 0.5, 1.0) if quick else (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    names = ("srpt", "gavel_cost") if quick else [name for name in POLICIES if name not in (DEFAULT, ORACLE)]
    return [_frontier(name, jobs, shares, names) for name, jobs in traces.items()]


def _frontier(name: str, jobs: Trace, shares: Sequence[float], names: Sequence[str]) -> Frontier:
    ours = {share: replay(jobs, by_name(DEFAULT), Settings(objective=_weights(share))) for share in shares}
    peers = {peer: replay(jobs, by_name(peer)) for peer in names}
    count = sum(1 for _ in jobs.jobs)
    unfinished = [peer for peer, report in peers.items() if report.jobs < count]
    done = {peer: report for peer, report in peers.items() if peer not in unfinished}
    return Frontier(trace=name, ours=ours, peers=done, unfinished=unfinished)


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
    points = ", ".join(_point(f"{share:.1f}:", report) for share, report in one.ours.items())
    missed = [_point(name, one.peers[name]) for name in one.missed()]
    left = f"{', '.join(one.unfinished)} left jobs unplaced; " if one.unfinished else ""
    return Row(
        id=f"{one.trace}.frontier",
        metric=f"peers, of {len(one.peers)}, that no weights of cost and latency reach",
        value=len(missed),
        unit="peers",
        bar=0,
        note=f"{'missed: ' + ', '.join(missed) + '; ' if missed else ''}{left}by share of the cost {points}",
    )


def _point(name: str, report: Report) -> str:
    return f"{name} {report.mean_jct_s / HOUR_S:.2f} h {report.cost_usd:,.0f} USD"


def draw(found: Sequence[Frontier], file: Path) -> None:
    """Write a picture of cost over mean completion time, one panel for each trace."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0 * len(found), 4.2), layout="constrained")
    FigureCanvasSVG(figure)
    for axes, one in zip(figure.subplots(1, len(found), squeeze=False)[0], found, strict=True):
        line = sorted((report.mean_jct_s / HOUR_S, report.cost_usd) for report in one.ours.values())
        axes.plot(*zip(*line, strict=True), marker="o", color=_BLUE, label="dnaml, weights from latency to cost")
        points = {name: (peer.mean_jct_s / HOUR_S, peer.cost_usd) for name, peer in one.peers.items()}
        near = {name: at for name, at in points.items() if at[0] <= _FAR * line[0][0]}
        axes.plot(*zip(*near.values(), strict=True), "s", color=_GREY, markersize=4, label="other policies")
        for name in _apart(near):
            axes.annotate(name, near[name], textcoords="offset points", xytext=(5, 3), fontsize=8, color=_GREY)
        axes.set(title=one.trace, xlabel="mean completion time (h), simulated", ylabel="cost of all jobs (USD)")
        axes.grid(visible=True, which="both", alpha=0.25)
        axes.legend(fontsize=8, loc="upper right")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)


def _apart(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Return the names, from the cheapest point on, that can be written without one covering another."""
    width, height = (max(1e-9, max(axis) - min(axis)) for axis in zip(*points.values(), strict=True))
    written: list[str] = []
    for name, (x, y) in sorted(points.items(), key=lambda item: item[1][1]):
        others = [points[other] for other in written]
        if all(abs(x - u) > _ROOM[0] * width or abs(y - v) > _ROOM[1] * height for u, v in others):
            written.append(name)
    return written
