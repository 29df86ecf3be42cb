"""Rounds to decide on: small ones written by hand, and drawn ones."""

import numpy as np

from dnaml.core.work import Objective
from dnaml.schedule.rounds.round import Round


def a_round(left_s, *, units=1, pool=None, capacity=(1, 1), price=(2.0, 1.0), **given):
    """Return a round of jobs with these seconds left [J, K]; what is not given is plain."""
    left_s = np.asarray(left_s, dtype=float)
    jobs, columns = left_s.shape
    with np.errstate(divide="ignore"):
        speed = np.where(left_s > 0, 1.0 / left_s, 0.0)
    fields = {
        "at_s": 0.0,
        "round_s": 60.0,
        "numbers": np.arange(jobs),
        "left_s": left_s,
        "whole_s": left_s.copy(),
        "speed": speed,
        "units": np.broadcast_to(np.asarray(units, dtype=np.int64), (jobs, columns)).copy(),
        "pool": np.arange(columns) if pool is None else np.asarray(pool),
        "capacity": np.asarray(capacity, dtype=np.int64),
        "price_usd_per_h": np.asarray(price, dtype=float),
        "held": np.full(jobs, -1),
        "arrived_s": np.zeros(jobs),
        "deadline_s": np.full(jobs, np.inf),
        "weight": np.ones(jobs),
        "restart_s": np.zeros(jobs),
        "starts": np.zeros(jobs, dtype=np.int64),
        "restarting": np.zeros(jobs, dtype=bool),
        "served_s": np.zeros((jobs, columns)),
        "objective": Objective.of("balanced"),
    }
    for name, value in given.items():
        fields[name] = np.asarray(value) if isinstance(value, list) else value
    return Round(**fields)


def drawn(seed, *, jobs=12, elastic=False):
    """Return an unlike lot of jobs on three pools, some impossible, some held; equal for an equal seed."""
    rng = np.random.default_rng(seed)
    capacity, price = np.array([4, 6, 8]), np.array([2.5, 1.5, 0.4])
    pool = np.repeat(np.arange(3), 3) if elastic else np.arange(3)
    count = len(pool)
    gang = np.tile([1, 2, 4], 3)[None, :].repeat(jobs, 0) if elastic else rng.choice([1, 2, 4], (jobs, 1)).repeat(3, 1)
    speed = np.array([4.0, 2.0, 1.0])[pool] * gang**0.7
    left_s = rng.exponential(3600.0, (jobs, 1)) * rng.uniform(0.7, 1.4, (jobs, count)) * 8 / speed
    left_s[rng.random((jobs, count)) < 0.1] = np.inf
    arrived_s = np.sort(rng.uniform(0.0, 900.0, jobs))
    held = np.full(jobs, -1)
    free = capacity.copy()
    for j in range(jobs // 3):
        options = np.flatnonzero(np.isfinite(left_s[j]) & (gang[j] <= free[pool]))
        if len(options):
            held[j] = rng.choice(options)
            free[pool[held[j]]] -= gang[j, held[j]]
    served_s = np.zeros((jobs, count))
    on = np.flatnonzero(held >= 0)
    served_s[on, held[on]] = 60.0
    return a_round(
        left_s,
        units=gang,
        pool=pool,
        capacity=capacity,
        price=price,
        at_s=1000.0,
        held=held,
        arrived_s=arrived_s,
        deadline_s=np.where(rng.random(jobs) < 0.4, arrived_s + rng.uniform(1000.0, 20000.0, jobs), np.inf),
        restart_s=np.full(jobs, 30.0),
        starts=(held >= 0).astype(np.int64),
        restarting=(held >= 0) & (rng.random(jobs) < 0.3),
        served_s=served_s,
    )
