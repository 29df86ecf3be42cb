"""A thousand seeds of everything going wrong: nothing is lost, doubled, stale, over capacity or told wrongly."""

import pytest

from benchmarks.histories.checker import violations
from benchmarks.histories.journal import FileJournal
from benchmarks.histories.world import world_of

SEEDS, EACH = 1_000, 100


@pytest.mark.parametrize("first", range(0, SEEDS, EACH))
def test_no_seed_breaks_what_is_promised(first):
    for seed in range(first, first + EACH):
        found = violations(world_of(seed))
        assert not found, f"python -m benchmarks.histories {seed}: {found}"


def test_the_same_seed_gives_the_same_journal():
    heads = [world_of(seed).journal.head for seed in range(20)]
    assert [world_of(seed).journal.head for seed in range(20)] == heads
    assert len(set(heads)) == len(heads)


def test_the_journal_that_users_have_holds_the_same_as_the_one_in_memory(tmp_path):
    for seed in range(8):
        stored = world_of(seed, FileJournal(tmp_path / f"{seed}.sqlite"))
        assert stored.journal.head == world_of(seed).journal.head
        assert not violations(stored)


def test_seeds_do_what_they_are_for():
    worlds = [world_of(seed) for seed in range(60)]
    kinds = {type(event).__name__ for world in worlds for event in world.journal.replay()}
    assert kinds >= {"Resumed", "ResourceDown", "CancelRequested", "MigrateRequested", "InterruptionNotice"}
    assert sum(world.lives > 1 for world in worlds) > 20
    states = {told.end.state.name for world in worlds for told in world.told}
    assert states == {"SUCCEEDED", "FAILED", "CANCELLED"}
    assert any(told.end.parts for world in worlds for told in world.told)
