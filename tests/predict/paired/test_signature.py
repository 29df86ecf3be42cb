"""Rows regressed on signatures: what probes and their telemetry tell of an entity that others resemble."""

from dataclasses import replace

import numpy as np
import pytest

from dnaml.predict.paired import signature
from dnaml.predict.paired.signature import Signatures
from dnaml.predict.paired.sources import Sources
from tests.predict.paired.grids import grid, only, task, unseen

MEMBERS, ITEMS, HELD = 30, 12, 5


@pytest.fixture(scope="module")
def known():
    """Return a grid whose telemetry tells an interaction, the entities learned from, and their sources."""
    whole = grid(MEMBERS, ITEMS, telemetry=1)
    use = np.arange(MEMBERS) >= HELD
    return whole, use, Sources.of(whole, use)


def _error(expert, whole, sources, probes):
    found = []
    for entity in range(HELD):
        answer = expert.answer(task(whole, entity, probes), sources)
        found.append(np.abs(answer.mean - whole.y[entity, probes:]).mean())
    return float(np.mean(found))


def test_telemetry_of_one_probe_tells_more_than_its_time(known):
    whole, use, sources = known
    blind = replace(whole, telemetry=whole.telemetry[:, :, :0])
    # Without descriptions telemetry alone tells how items part.
    anonymous = replace(sources, x=sources.x[:, :0])
    with_it, without = (Signatures.fit(of, use, anonymous) for of in (whole, blind))
    told = [replace(task(of, e, 1), entity_x=np.zeros(0)) for of in (whole, blind) for e in range(HELD)]
    errors = [
        np.abs(expert.answer(asked, anonymous).mean - whole.y[e % HELD, 1:]).mean()
        for e, (expert, asked) in enumerate(zip([with_it] * HELD + [without] * HELD, told, strict=True))
    ]
    assert np.mean(errors[:HELD]) < 0.7 * np.mean(errors[HELD:])


def test_more_probes_make_the_answer_better(known):
    whole, use, sources = known
    expert = Signatures.fit(whole, use, sources)
    assert _error(expert, whole, sources, 6) < _error(expert, whole, sources, 1)


def test_weights_are_shares_of_the_kernels_that_foretell_groups_left_out(known):
    whole, use, sources = known
    expert = Signatures.fit(whole, use, sources)
    assert expert.weights.sum(axis=1) == pytest.approx(1.0)
    assert ((expert.weights > 0).sum(axis=1) <= signature.COUNTED).all()
    assert (expert.sd > 0).all()
    assert expert.sd.shape == (len(signature.PROBED), ITEMS)


def test_one_pair_at_a_time_gives_the_same_answer(known):
    whole, use, sources = known
    expert = Signatures.fit(whole, use, sources)
    asked = task(whole, 0, 2)
    together, alone = expert.answer(asked, sources), expert.answer(only(asked, 3), sources)
    assert alone.mean[0] == pytest.approx(together.mean[3])
    assert alone.sd[0] == pytest.approx(together.sd[3])


def test_an_item_never_seen_is_answered_by_guessed_rows(known):
    whole, use, sources = known
    asked = unseen(task(whole, 0, 3))
    answer = Signatures.fit(whole, use, sources).answer(asked, sources)
    assert np.isfinite(answer.mean).all()
    assert (answer.sd > 0).all()


def test_a_known_entity_is_not_told_by_its_own_row(known):
    whole, use, sources = known
    expert, entity = Signatures.fit(whole, use, sources), HELD
    others = use.copy()
    others[entity] = False
    asked = task(whole, entity, 3)
    among_others = replace(expert, telemetry=whole.telemetry[others])
    without = replace(sources, rows=sources.rows[1:], x=sources.x[1:])
    found = expert.answer(asked, sources).mean
    assert found == pytest.approx(among_others.answer(asked, without).mean)
    assert np.abs(found - whole.y[entity, 3:]).max() > 1e-3


def test_it_says_nothing_without_a_probe_of_a_known_item_or_with_many(known, monkeypatch):
    whole, use, sources = known
    expert = Signatures.fit(whole, use, sources)
    assert expert.answer(task(whole, 0, 0), sources) is None
    asked = task(whole, 0, 3)
    assert expert.answer(replace(asked, item=np.full(len(asked.item), -1)), sources) is None
    monkeypatch.setattr(signature, "MOST_PROBES", 2)
    assert expert.answer(asked, sources) is None


def test_of_many_entities_the_nearest_answer_and_a_drawn_part_weighs_kernels(known, monkeypatch):
    whole, use, sources = known
    every = Signatures.fit(whole, use, sources)
    monkeypatch.setattr(signature, "MOST_KIN", 15)
    monkeypatch.setattr(signature, "MOST_LEFT_OUT", 15)
    some = Signatures.fit(whole, use, sources)
    assert _error(some, whole, sources, 6) < 2.0 * _error(every, whole, sources, 6)
    asked = task(whole, 0, 6)
    assert some.answer(asked, sources).mean != pytest.approx(every.answer(asked, sources).mean)


def test_few_entities_or_a_single_item_cannot_teach_it():
    few = grid(signature.FEWEST_SOURCES - 1, ITEMS)
    use = np.ones(len(few.entities), dtype=bool)
    assert Signatures.fit(few, use, Sources.of(few, use)) is None
    single = grid(MEMBERS, 1)
    use = np.ones(MEMBERS, dtype=bool)
    assert Signatures.fit(single, use, Sources.of(single, use)) is None


def test_twins_of_one_answer_leave_too_few_to_ask():
    whole = grid(signature.FEWEST_SOURCES, ITEMS)
    twins = replace(whole, y=np.repeat(whole.y[:1], len(whole.y), axis=0))
    use = np.ones(len(twins.y), dtype=bool)
    sources = Sources.of(twins, use)
    expert = Signatures.fit(twins, use, sources)
    assert expert is not None
    assert np.isfinite(expert.weights).all()
    assert expert.answer(task(twins, 0, 2), sources) is None
