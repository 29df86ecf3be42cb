"""Seeded small grids, run tables and tasks: too few entities for a net, so that a fit takes seconds, not minutes."""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd

from dnaml.predict.paired.direction import Direction
from dnaml.predict.paired.grid import Grid, Members, Surprise, Task
from dnaml.predict.paired.learned import Learned

NOISE_SD = 0.03
HIDDEN_SD = 0.5  # of what descriptors do not tell of an entity's speed


def grid(entities=5, items=12, *, seed=0, gaps=0.0, described=True, telemetry=0):
    """Return a grid of effects that descriptors tell, one interaction that they half tell, and noise."""
    rng = np.random.default_rng(seed)
    entity_x, item_x = rng.normal(size=(entities, 2)), rng.normal(size=(items, 3))
    speed = entity_x[:, :1] + HIDDEN_SD * rng.normal(size=(entities, 1))
    y = 1.0 + item_x[:, 0] - speed + 0.4 * np.outer(entity_x[:, 1], item_x[:, 1])
    y = y + rng.normal(0, NOISE_SD, y.shape)
    y[rng.random(y.shape) < gaps] = np.nan
    told = np.repeat(entity_x[:, None, 1:], items, axis=1)[:, :, :telemetry]
    surprise = Surprise.of(told)
    return Grid(
        entities=Members.of(tuple(f"r{i}" for i in range(entities)), entity_x[:, : 2 * described]),
        items=Members.of(tuple(f"c{i:02}" for i in range(items)), item_x[:, : 3 * described]),
        y=y,
        telemetry=np.stack([surprise(row, np.arange(items)) for row in told]),
        surprise=surprise,
        group=np.arange(entities),
        scale_out=np.full(items, np.nan),
    )


def task(of, entity, probes, *, asked=None):
    """Return the question about one entity: its first items are probes, the next ones asked about."""
    items = np.arange(len(of.items))[: None if asked is None else probes + asked]
    return Task(
        y=of.y[entity, :probes],
        item=items,
        item_x=of.items.x[items],
        scale_out=of.scale_out[items],
        entity_x=of.entities.x[entity],
        telemetry=of.telemetry[entity, :probes].mean(axis=0) if probes else np.zeros(of.telemetry.shape[2]),
    )


def unseen(of):
    """Return a task whose items asked about were never seen."""
    return replace(of, item=np.where(np.arange(len(of.item)) < of.probes, of.item, -1))


def only(of, place):
    """Return a task that asks about one of its items alone."""
    kept = np.r_[np.arange(of.probes), of.probes + place]
    return replace(of, item=of.item[kept], item_x=of.item_x[kept], scale_out=of.scale_out[kept])


def frame(resources=4, computations=5, *, seed=0, repeats=1, sizes=(), telemetry=False, prices=True):
    """Return a run table in which every computation (at every size) ran on every resource."""
    speed = np.random.default_rng([seed, 1]).normal(0, 0.5, resources)
    work = np.random.default_rng([seed, 2]).normal(1, 0.8, computations)
    rows = []
    for r in range(resources):
        rng = np.random.default_rng([seed, 3, r])
        for c in range(computations):
            for n in sizes or (1.0,):
                for _ in range(repeats):
                    row = {
                        "resource_id": f"r{r}",
                        "computation_id": f"c{c}",
                        "runtime_s": np.exp(work[c] - speed[r] + np.log(n) + rng.normal(0, NOISE_SD)),
                        "r_clock_hz": 1e9 * np.exp(speed[r]),
                        "c_flop": np.exp(work[c]),
                    }
                    row |= {"s_n": n} if sizes else {}
                    row |= {"t_load": speed[r] + rng.normal(0, 0.1), "t_bytes": 1000.0**r} if telemetry else {}
                    row |= {"price_usd_per_s": 0.001 * (1 + r)} if prices else {}
                    rows.append(row)
    return pd.DataFrame(rows)


def one_sided():
    """Return a run table in which no computation ran on enough resources to be held out, but every resource ran."""
    runs = frame(3, 5)
    computation = runs["computation_id"].str[1].astype(int)
    return runs[runs["resource_id"].str[1].astype(int) != computation % 3].reset_index(drop=True)


FRAME = frame()
PAIRS = FRAME.drop(columns="runtime_s")


@cache
def direction():
    """Return the direction of five entities over twelve items, fitted once for all tests."""
    found = Direction.fit(grid())
    assert found is not None
    return found


@cache
def learned():
    """Return the learned model of FRAME, fitted once for all tests."""
    found = Learned.fit(FRAME)
    assert found is not None
    return found
