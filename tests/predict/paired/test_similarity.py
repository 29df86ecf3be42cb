"""Items alike for known entities: what the target's probes say of one is said of the other."""

from dataclasses import replace

import numpy as np

from dnaml.predict.paired.similarity import SimilarityExpert
from dnaml.predict.paired.sources import Sources
from tests.predict.paired.net_world import MACHINES, task, taught, truth, world

HELD = MACHINES - 1


def test_probes_make_the_answer_better() -> None:
    grid = world()
    sources, _ = taught(grid)
    prepared = SimilarityExpert().prepare(sources)
    assert prepared is not None
    errors = [
        np.mean([np.abs(prepared.answer(task(grid, e, k), sources).mean - truth(grid, e, k)).mean() for e in (26, 29)])
        for k in (0, 3, 12)
    ]
    assert errors[2] < errors[1] < errors[0]


def test_one_pair_at_a_time_gives_the_same_answer() -> None:
    grid = world()
    sources, _ = taught(grid)
    prepared = SimilarityExpert().prepare(sources)
    assert prepared is not None
    whole = task(grid, HELD, 5)
    kept = np.r_[np.arange(5), 5 + 2]
    alone = replace(whole, item=whole.item[kept], item_x=whole.item_x[kept], scale_out=whole.scale_out[kept])
    together, single = prepared.answer(whole, sources), prepared.answer(alone, sources)
    np.testing.assert_allclose(single.mean, together.mean[2], atol=1e-9)
    np.testing.assert_allclose(single.sd, together.sd[2], atol=1e-9)


def test_an_item_never_seen_and_two_known_entities_are_enough_and_one_is_not() -> None:
    grid = world(entities=8)
    few = Sources.of(grid, np.arange(8) < 2)
    prepared = SimilarityExpert().prepare(few)
    assert prepared is not None
    asked = task(grid, 7, 3)
    item = asked.item.copy()
    item[3:] = -1
    answer = prepared.answer(replace(asked, item=item), few)
    assert np.isfinite(answer.mean).all()
    assert (answer.sd > 0).all()
    assert SimilarityExpert().prepare(Sources.of(grid, np.arange(8) < 1)) is None
