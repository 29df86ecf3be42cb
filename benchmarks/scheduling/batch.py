"""S2 to S4b: one batch of gangs on twelve units of each of three types, every objective with its own last hour."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.report import Row
from benchmarks.scheduling import folder
from benchmarks.scheduling.workload import HOUR_S, NO_BARS, Bars, three
from dnaml.core.work import Objective
from dnaml.datasets.traces import gavel
from dnaml.datasets.traces.trace import Trace
from dnaml.schedule.rounds.registry import by_name
from dnaml.simulation import Report, Settings, replay

_SPARE_H = 0.5
"""the last end is asked for so much earlier than the bar, so that a round that ends late still keeps it"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What one row asks of the batch: an objective, the hour by which all must have ended, and its bars."""

    row: str
    objective: str
    end_h: float
    bars: Bars
    peer: str


BALANCED = "balanced"
GOALS = (
    Goal(row="S2", objective="min_latency", end_h=217.0, bars=(31.5, 217.0, 7700.0), peer="srpt"),
    Goal(row="S3", objective="min_latency", end_h=160.0, bars=(37.0, 160.0, None), peer="gavel_makespan"),
    Goal(row="S4", objective="min_cost", end_h=215.0, bars=(42.0, 215.0, 6550.0), peer="gavel_cost"),
    Goal(row="S4b", objective=BALANCED, end_h=183.0, bars=(34.2, 183.0, 7050.0), peer="gavel_max_min"),
)


def trace() -> Trace:
    """Return the batch without deadlines."""
    loaded = gavel.load(folder() / "gavel", "static_multi_100_s0")
    return replace(loaded, jobs=[replace(job, deadline_s=np.inf) for job in loaded.jobs])


def played(jobs: Trace, goal: Goal, settings: Settings) -> Report:
    """Return what dnaml's policy makes of the batch under a goal."""
    wanted = replace(settings, objective=Objective.of(goal.objective))
    return replay(jobs.with_deadline((goal.end_h - _SPARE_H) * HOUR_S), by_name("dnaml"), wanted)


def batch_rows(quick: bool) -> list[Row]:
    """Return every goal and the balanced preset on it, with restarts that are free and that take 30 s.

    Only the goal with free restarts carries a bar.
    """
    jobs = trace()
    peers: Mapping[str, Report] = {name: replay(jobs, by_name(name)) for name in {goal.peer for goal in GOALS}}
    rows: list[Row] = []
    for goal in GOALS:
        for restart_s in (0.0,) if quick else (0.0, 30.0):
            settings = Settings(restart_s=restart_s)
            bars = NO_BARS if restart_s else goal.bars
            rows += three(f"{goal.row}.{restart_s:.0f}s", played(jobs, goal, settings), bars, peers[goal.peer])
        if goal.objective != BALANCED:
            balanced = played(jobs, replace(goal, objective=BALANCED), Settings())
            rows += three(f"{goal.row}.{BALANCED}", balanced, NO_BARS, peers[goal.peer])
    return rows
