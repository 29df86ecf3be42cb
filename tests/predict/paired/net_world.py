"""A made-up grid of machines and programs that nets of tests are trained on, and tasks for a machine left out."""

import numpy as np

from dnaml.predict.paired.grid import FloatArray, Grid, Members, Surprise, Task
from dnaml.predict.paired.sources import Sources

MACHINES, PROGRAMS = 30, 36
HELD_OUT = 4  # machines that no net learns from, the last ones


def world(seed: int = 0, *, entities: int = MACHINES, gaps: float = 0.1, telemetry: int = 0) -> Grid:
    """Return a grid whose ln seconds are effects, two interactions that descriptors half tell, and noise."""
    rng = np.random.default_rng(seed)
    entity_x, item_x = rng.normal(size=(entities, 4)), rng.normal(size=(PROGRAMS, 5))
    hidden = rng.normal(size=entities)
    speed = entity_x[:, 0] + 0.7 * hidden
    y = 3.0 + item_x[:, 0] - speed[:, None] + 0.5 * np.outer(np.tanh(entity_x[:, 1]), item_x[:, 1])
    y = y + 0.4 * np.outer(hidden, item_x[:, 2]) + rng.normal(scale=0.03, size=y.shape)
    y[rng.random(y.shape) < gaps] = np.nan
    told = np.repeat(hidden[:, None, None], PROGRAMS, axis=1) + rng.normal(scale=0.1, size=(*y.shape, telemetry))
    told = told[:, :, :telemetry]
    surprise = Surprise.of(told)
    return Grid(
        entities=Members.of(tuple(f"m{i:02}" for i in range(entities)), entity_x),
        items=Members.of(tuple(f"p{i:02}" for i in range(PROGRAMS)), item_x),
        y=y,
        telemetry=np.stack([surprise(of_entity, np.arange(PROGRAMS)) for of_entity in told]),
        surprise=surprise,
        group=np.arange(entities),
        scale_out=np.full(PROGRAMS, np.nan),
    )


def taught(grid: Grid) -> tuple[Sources, "np.ndarray[tuple[int], np.dtype[np.bool_]]"]:
    """Return the sources and the mask of all machines but the last ones."""
    use = np.arange(len(grid.entities)) < len(grid.entities) - HELD_OUT
    return Sources.of(grid, use), use


def task(grid: Grid, entity: int, probes: int, *, asked: int = 8, y: FloatArray | None = None) -> Task:
    """Return the question of a machine's measured programs: the first `probes` told, the next ones asked."""
    items = np.flatnonzero(grid.known[entity])[: probes + asked]
    told = grid.telemetry[entity, items[:probes]]
    return Task(
        y=grid.y[entity, items[:probes]] if y is None else y,
        item=items,
        item_x=grid.items.x[items],
        scale_out=grid.scale_out[items],
        entity_x=grid.entities.x[entity],
        telemetry=told.mean(axis=0) if probes else np.zeros(grid.telemetry.shape[2]),
    )


def truth(grid: Grid, entity: int, probes: int, *, asked: int = 8) -> FloatArray:
    """Return what was measured of the programs that `task` asks about."""
    items = np.flatnonzero(grid.known[entity])[: probes + asked]
    found: FloatArray = grid.y[entity, items[probes:]]
    return found
