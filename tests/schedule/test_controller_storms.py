"""Long storms of events under fixed seeds, repeated and stale ones among them: nothing is lost, committed twice, or
placed beyond capacity, and whoever reads the events again comes to the same."""

import random

import pytest

from dnaml.core.attempt import JobState
from dnaml.core.events import EndJob, StartAttempt
from tests.schedule.worlds import World, new_controller, world_after

STORMS, EACH = 16, 20
HAPPENINGS = (0, 0, 0, 1, 2, 3, 3, 4, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 11, 12, 13, 13, 14, 15, 16, 17, 18, 18, 19)


def storm(seed: int) -> tuple[list[tuple[int, int, int]], int]:
    """Return up to 160 things that happen, and the window of jobs."""
    drawn = random.Random(seed)
    count = drawn.randrange(20, 160)
    steps = [(drawn.choice(HAPPENINGS), drawn.randrange(8), drawn.randrange(8)) for _ in range(count)]
    return steps, drawn.choice((1, 2, 5, 64))


def check_the_end(world: World) -> None:
    """Check that every job ended once, and that nothing is left of what ran."""
    assert set(world.ends) == set(world.accepted)
    succeeded = {name for name, end in world.ends.items() if end.state is JobState.SUCCEEDED}
    assert world.commits() == dict.fromkeys(succeeded, 1)
    controller = world.controller
    assert (controller.ledger.open, controller.ledger.attempts, len(controller.ledger)) == ({}, {}, 0)
    assert (controller._dispatch.high_s, controller._dispatch.purposes) == ({}, {})
    assert controller._moves.handovers.open == {}
    assert all((lane.used, lane.running, lane.gangs) == (0, {}, {}) for lane in controller.pool.lanes.values())


def check_an_heir(world: World, window_jobs: int) -> None:
    """Check that stored events tell a new controller how each job stands."""
    world.begin_all()
    heir, ends = new_controller(window_jobs), {}
    for event in world.events:
        for command in heir.recover(event):
            assert not isinstance(command, StartAttempt)
            if isinstance(command, EndJob):
                ends[command.job_id] = command
    still_open, lived = heir.ledger.open, world.controller.ledger.open
    told = {name: end.state for name, end in ends.items() if name not in still_open}
    assert told == {name: end.state for name, end in world.ends.items()}
    assert set(still_open) == set(lived)
    for name, entry in still_open.items():
        other = lived[name]
        assert (entry.failures, entry.lost_on, entry.checkpoint) == (other.failures, other.lost_on, other.checkpoint)
        assert (entry.votes, entry.computation) == (other.votes, other.computation)


# Half of them find every branch; the others are the soak's.
FIRST = [pytest.param(n * EACH, marks=() if n < STORMS // 2 else pytest.mark.soak) for n in range(STORMS)]


@pytest.mark.parametrize("first", FIRST)
def test_whatever_happens_every_job_ends_once_within_capacity_and_can_be_told_again(first):
    for seed in range(first, first + EACH):
        steps, window_jobs = storm(seed)
        world = world_after(steps, window_jobs, out=True)  # checks capacity and copies after each event
        check_the_end(world)
        again = new_controller(window_jobs)
        assert [again.handle(event) for event in world.events] == world.answers
        check_an_heir(world_after(steps, window_jobs), window_jobs)
