"""What the policy is shown of a simulation: the active jobs at one moment, with predictions instead of truth."""

from dataclasses import dataclass

import numpy as np

from dnaml.schedule.rounds.round import NONE, FloatArray, IntArray, Round
from dnaml.schedule.rounds.together import ALONE, Together
from dnaml.simulation.settings import Settings
from dnaml.simulation.table import JobTable


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """What a moment shows beside the jobs: the pools, the policy's own memory, and measured pairs [Q, Q, K] if any."""

    round_s: float
    pool: IntArray
    capacity: IntArray
    price_usd_per_h: FloatArray
    settings: Settings
    memory: object
    kept: FloatArray | None = None


def look(table: JobTable, rows: IntArray, now_s: float, frame: Frame) -> Round:
    """Return the active jobs as a policy sees them; what a job held for a while is known of it from now on."""
    held = table.held[rows]
    running = held >= 0
    since_s = table.since_s[rows]
    if frame.settings.disturbances.learns:
        ran = running & (since_s < now_s)
        table.told[rows[ran], held[ran]] = 1.0
    undone = table.undone_of(rows, now_s)
    told = table.told[rows]
    whole_s = table.runtime_s[rows] * told
    left_s = undone[:, None] * whole_s
    speed = 1.0 / whole_s
    if table.phased:
        _show_phases(table, rows, undone, left_s, speed)
    served_s = table.served_s[rows]
    on = running.nonzero()[0]
    served_s[on, held[on]] += now_s - since_s[on]
    return Round(
        at_s=now_s,
        round_s=frame.round_s,
        numbers=table.number[rows],
        left_s=left_s,
        whole_s=whole_s,
        speed=speed,
        units=table.units[rows],
        pool=frame.pool,
        capacity=frame.capacity,
        price_usd_per_h=frame.price_usd_per_h,
        held=held,
        arrived_s=table.arrived_s[rows],
        deadline_s=table.deadline_s[rows],
        weight=table.weight[rows],
        restart_s=table.restart_s[rows],
        starts=table.starts[rows],
        restarting=running & (table.ready_s[rows] > now_s),
        served_s=served_s,
        objective=frame.settings.objective,
        seed=frame.settings.seed,
        memory=frame.memory,
        log_sd=np.where(told == 1.0, 0.0, error_sd) if (error_sd := frame.settings.disturbances.error_sd) else None,
        together=None if frame.kept is None else _together(table, rows, frame.kept),
    )


def _together(table: JobTable, rows: IntArray, kept: FloatArray) -> Together:
    """Return who shares now, by number, and of which measured class each job is."""
    partner = table.partner[rows]
    numbers = np.where(partner != NONE, table.number[partner], ALONE)
    return Together(kept=kept, kind=table.kind[rows], partner=numbers, fill=table.fill[rows])


def _show_phases(table: JobTable, rows: IntArray, undone: FloatArray, left_s: FloatArray, speed: FloatArray) -> None:
    """Write what jobs with phases have left, and how fast they are at their present point."""
    for i, row in enumerate(rows):
        job = table.jobs[row]
        if job is not None and job.phases is not None:
            done = 1.0 - float(undone[i])
            left_s[i] = job.phases.left_at(done) * table.told[row]
            speed[i] = job.phases.speed_at(done) / table.told[row]
