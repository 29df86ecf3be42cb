"""What must hold whatever happens in whatever order: no loss, one commit, capacity, determinism, recovery."""

from hypothesis import given, settings
from hypothesis import strategies as st

from dnaml.core.attempt import JobState
from dnaml.core.events import EndJob, StartAttempt
from tests.schedule.worlds import STEPS, new_controller, world_after

WINDOWS = st.sampled_from([1, 2, 5, 64])


@given(steps=STEPS, window_jobs=WINDOWS)
@settings(max_examples=150, deadline=None)
def test_every_accepted_job_ends_exactly_once_and_has_at_most_one_result(steps, window_jobs):
    world = world_after(steps, window_jobs, out=True)
    assert set(world.ends) == set(world.accepted)
    succeeded = {name for name, end in world.ends.items() if end.state is JobState.SUCCEEDED}
    assert world.commits() == dict.fromkeys(succeeded, 1)
    ledger = world.controller.ledger
    assert (ledger.open, ledger.attempts, len(ledger)) == ({}, {}, 0)
    assert ledger.ended == len(world.accepted)


@given(steps=STEPS, window_jobs=WINDOWS)
@settings(max_examples=50, deadline=None)
def test_capacity_is_kept_and_nothing_ends_twice_at_every_moment(steps, window_jobs):
    world_after(steps, window_jobs)  # checks after each event


@given(steps=STEPS, window_jobs=WINDOWS)
@settings(max_examples=50, deadline=None)
def test_equal_events_give_equal_commands(steps, window_jobs):
    world = world_after(steps, window_jobs, out=True)
    again = new_controller(window_jobs)
    assert [again.handle(event) for event in world.events] == world.answers


@given(steps=STEPS, window_jobs=WINDOWS)
@settings(max_examples=50, deadline=None)
def test_an_attempt_never_starts_before_the_checkpoint_that_was_sealed_last(steps, window_jobs):
    world = world_after(steps, window_jobs, out=True)
    reached: dict[str, float] = {}
    for commands in world.answers:
        for command in commands:
            if isinstance(command, StartAttempt):
                progress = command.checkpoint.progress if command.checkpoint else 0.0
                assert progress >= reached.get(command.job.id, 0.0)
                reached[command.job.id] = progress


@given(steps=STEPS, window_jobs=WINDOWS)
@settings(max_examples=150, deadline=None)
def test_stored_events_tell_a_new_controller_how_each_job_stands(steps, window_jobs):
    world = world_after(steps, window_jobs)
    world.begin_all()  # an attempt of which no event tells yet is not known to whoever reads the events
    heir = new_controller(window_jobs)
    ends: dict[str, EndJob] = {}
    for event in world.events:
        for command in heir.recover(event):
            assert not isinstance(command, StartAttempt)
            if isinstance(command, EndJob):
                ends[command.job_id] = command
    still_open = heir.ledger.open
    assert {name: end.state for name, end in ends.items() if name not in still_open} == {
        name: end.state for name, end in world.ends.items()
    }
    assert set(still_open) == set(world.controller.ledger.open)
    for name, entry in still_open.items():
        lived = world.controller.ledger.open[name]
        assert (entry.failures, entry.lost_on, entry.checkpoint) == (lived.failures, lived.lost_on, lived.checkpoint)
