"""Scale-out curves: the non-negative fit, curves borrowed from known entities, and what happens without them."""

from dataclasses import replace

import numpy as np
from scipy.optimize import nnls

from dnaml.predict.paired.ernest import ErnestExpert, non_negative
from dnaml.predict.paired.grid import FloatArray, Grid, Task
from dnaml.predict.paired.sources import Sources
from tests.predict.paired.net_world import world

MACHINES = np.array([1.0, 2, 3, 4, 6, 8, 12, 16, 24, 32])


def seconds(serial: float, parallel: float, joined: float) -> FloatArray:
    found: FloatArray = serial + parallel / MACHINES + joined * MACHINES
    return found


def curves(entities: int) -> tuple[Grid, FloatArray]:
    rng = np.random.default_rng(1)
    base = world(entities=entities)
    y = np.log([rng.uniform(10, 90) * seconds(rng.uniform(1, 2), rng.uniform(8, 14), 0.02) for _ in range(entities)])
    items = type(base.items).of(tuple(f"n{n:04.0f}" for n in MACHINES), np.log(MACHINES)[:, None])
    grid = replace(base, items=items, y=y, scale_out=MACHINES, telemetry=np.zeros((*y.shape, 0)))
    return grid, y


def asked(grid: Grid, y: FloatArray, probes: list[int]) -> Task:
    order = np.r_[probes, [i for i in range(len(MACHINES)) if i not in probes]].astype(np.int64)
    return Task(
        y=y[order[: len(probes)]],
        item=order,
        item_x=grid.items.x[order],
        scale_out=MACHINES[order],
        entity_x=grid.entities.x[-1],
        telemetry=np.zeros(0),
    )


def test_the_fit_is_the_non_negative_least_squares_one() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        rows, aims = rng.normal(size=(9, 4)), rng.normal(size=9)
        np.testing.assert_allclose(non_negative(rows.T @ rows, rows.T @ aims), nnls(rows, aims)[0], atol=1e-5)


def test_one_probe_is_enough_where_curves_are_known() -> None:
    grid, y = curves(12)
    use = np.arange(12) < 11
    expert = ErnestExpert().fit(grid, use, Sources.of(grid, use))
    assert expert is not None
    task = asked(grid, y[-1], [3])
    one = expert.answer(task, Sources.of(grid, use))
    three = expert.answer(asked(grid, y[-1], [0, 4, 9]), Sources.of(grid, use))
    assert one is not None
    assert three is not None
    assert np.abs(one.mean - y[-1][task.item[1:]]).mean() < 0.25
    assert np.abs(three.mean - y[-1][asked(grid, y[-1], [0, 4, 9]).item[3:]]).mean() < 0.08
    assert (one.sd > 0).all()
    assert expert.answer(asked(grid, y[-1], []), Sources.of(grid, use)) is None


def test_without_known_curves_three_probes_are_needed() -> None:
    grid, y = curves(6)
    use = np.arange(6) < 2
    sources = Sources.of(grid, use)
    expert = ErnestExpert().fit(grid, use, sources)
    assert expert is not None
    assert expert.answer(asked(grid, y[-1], [0, 9]), sources) is None
    task = asked(grid, y[-1], [0, 3, 5, 9])
    answer = expert.answer(task, sources)
    assert answer is not None
    assert np.abs(answer.mean - y[-1][task.item[4:]]).mean() < 0.1


def test_items_that_name_no_scale_out_have_no_curves() -> None:
    grid = world()
    use = np.ones(len(grid.entities), dtype=np.bool_)
    assert ErnestExpert().fit(grid, use, Sources.of(grid, use)) is None
