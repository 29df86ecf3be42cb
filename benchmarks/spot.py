"""Work with a deadline on spot machines, over measured availability: cost against an offline bound, and lateness.

A job of 48 h starts at many moments in each zone and must end by 52, 60 or 70 h; a start redoes some minutes and spot
costs 0.3 of on-demand. The bound knows the future and pays nothing for starts. Peers: on-demand alone, greedy, and
uniform progress, all through the same clock. The model of a zone has seen nothing but the zone's past.
"""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.report import Row, main
from dnaml.datasets.traces.series import spot as read_spot
from dnaml.schedule.spot import Mode, SpotModel, SpotPlan, SpotTerms, plan_spot, uniform_progress

DATA = Path(os.environ.get("DNAML_DATA", "../shared/data")) / "scheduling" / "spot"
DAY = "availability_1-node_aws-02-15-2023"
TICK_H, WORK_H, SPOT_USD, DEADLINES_H, RESTARTS_H = 1 / 12, 48.0, 0.3, (70.0, 60.0, 52.0), (0.05, 0.2)
STARTS, QUICK_STARTS = 20, 2
PEERS = ("on-demand", "greedy", "uniform progress")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What a rule is shown at each tick."""

    model: SpotModel
    available: bool
    mode: Mode
    undone_h: float
    past_h: float
    pending_h: float


Rule = Callable[[Moment], Mode]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How one job went."""

    cost: float
    late: bool
    starts: int


def measure(quick: bool) -> Sequence[Row]:
    """Return the rows of S11."""
    if not DATA.is_dir():
        return [Row(id="S11", metric="cost over the offline bound", value=None, unit="x", note=f"no data in {DATA}")]
    results: dict[str, list[tuple[float, Ended]]] = {}
    for path in sorted(DATA.glob(f"{DAY}_*.csv")):
        for rule, bound, ended in zone(path.stem, QUICK_STARTS if quick else STARTS):
            results.setdefault(rule, []).append((bound, ended))
    over = {rule: float(np.mean([ended.cost / bound for bound, ended in rows])) for rule, rows in results.items()}
    late = {rule: sum(ended.late for _, ended in rows) for rule, rows in results.items()}
    starts = {rule: float(np.mean([ended.starts for _, ended in rows])) for rule, rows in results.items()}
    jobs = len(results["dnaml"])
    peer, theirs = "uniform progress", over["uniform progress"]
    rows = [
        Row(
            id="S11",
            metric="cost over the offline bound",
            value=over["dnaml"],
            unit="x",
            bar=1.12,
            peer=peer,
            peer_value=theirs,
        ),
        Row(id="S11.late", metric=f"late of {jobs} jobs", value=late["dnaml"], unit="jobs", bar=0),
    ]
    for rule in PEERS:
        note = f"{late[rule]} late, {starts[rule]:.1f} starts a job (dnaml {starts['dnaml']:.1f})"
        rows.append(Row(id="S11.peer", metric=f"{rule}: cost over the bound", value=over[rule], unit="x", note=note))
    return rows


def zone(name: str, starts: int) -> list[tuple[str, float, Ended]]:
    """Return (rule, bound, how it went) of every job in one zone."""
    series = read_spot(DATA, name)
    ticks = int(series.at_s[-1] // 300)
    there = np.array([series.value_at(300.0 * tick) > 0 for tick in range(ticks)])
    known = [SpotModel.new()]
    for up in there:
        known.append(known[-1].seen(bool(up), TICK_H))
    plans: dict[tuple[int, float], SpotPlan] = {}
    rows = []
    for deadline_h in DEADLINES_H:  # the longest first: its start is the earliest, so its plan knows only the past
        length = round(deadline_h / TICK_H)
        for number, start in enumerate(np.linspace(0, ticks - length - 2, starts).astype(int)):
            future = there[start : start + length + 1]
            free_h = min(WORK_H, float(future[:length].sum()) * TICK_H)
            bound = free_h * SPOT_USD + WORK_H - free_h
            for restart_h in RESTARTS_H:
                key = (number, restart_h)
                if key not in plans:
                    terms = SpotTerms(spot_usd_per_h=SPOT_USD, on_demand_usd_per_h=1.0, restart_h=restart_h)
                    model = known[start].seen(bool(future[0]), TICK_H)
                    plans[key] = plan_spot(model, terms, work_h=WORK_H, left_h=deadline_h)
                for rule, choose in _rules(plans[key], deadline_h, restart_h).items():
                    rows.append((rule, bound, replayed(future, known[start], choose, deadline_h, restart_h)))
    return rows


def replayed(
    there: npt.NDArray[np.bool_], model: SpotModel, choose: Rule, deadline_h: float, restart_h: float
) -> Ended:
    """Return how a job of WORK_H went under a rule, tick by tick; work that the trace does not end is late."""
    done_h = cost = past_h = pending_h = 0.0
    mode, starts = Mode.NONE, 0
    for available in there.tolist():
        model = model.seen(available, TICK_H)
        if mode is Mode.SPOT and not available:
            mode = Mode.NONE
        moment = Moment(
            model=model,
            available=available,
            mode=mode,
            undone_h=WORK_H - done_h,
            past_h=past_h,
            pending_h=pending_h if mode is not Mode.NONE else 0.0,
        )
        wanted = choose(moment)
        if wanted is Mode.SPOT and not available:
            wanted = Mode.NONE
        if wanted is not mode:
            pending_h = restart_h if wanted is not Mode.NONE else 0.0
            starts += wanted is not Mode.NONE
            mode = wanted
        if mode is not Mode.NONE:
            cost += TICK_H * (1.0 if mode is Mode.ON_DEMAND else SPOT_USD)
            done_h += max(0.0, TICK_H - pending_h)
            pending_h = max(0.0, pending_h - TICK_H)
        past_h += TICK_H
        if done_h >= WORK_H - 1e-9:
            return Ended(cost=cost, late=past_h > deadline_h + 1e-6, starts=starts)
    return Ended(cost=cost, late=True, starts=starts)


def _rules(plan: SpotPlan, deadline_h: float, restart_h: float) -> dict[str, Rule]:
    def planned(now: Moment) -> Mode:
        return plan.mode(now.model, now.mode, now.undone_h + now.pending_h, deadline_h - now.past_h)

    def tight(now: Moment) -> bool:
        """Say whether the time left just suffices for on-demand, two ticks kept back."""
        start_h = now.pending_h if now.mode is Mode.ON_DEMAND else restart_h
        slack_h = deadline_h - now.past_h - now.undone_h - start_h - 2 * TICK_H
        return slack_h <= restart_h

    def greedy(now: Moment) -> Mode:
        return Mode.ON_DEMAND if tight(now) else Mode.SPOT if now.available else Mode.NONE

    def uniform(now: Moment) -> Mode:
        if tight(now):
            return Mode.ON_DEMAND
        return uniform_progress(
            now.available,
            now.mode,
            done_h=WORK_H - now.undone_h,
            work_h=WORK_H,
            past_h=now.past_h,
            deadline_h=deadline_h,
            restart_h=restart_h,
        )

    return {"dnaml": planned, "on-demand": lambda now: Mode.ON_DEMAND, "greedy": greedy, "uniform progress": uniform}


if __name__ == "__main__":
    sys.exit(main("spot", measure))
