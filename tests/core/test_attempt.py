"""Attempts: the table of allowed moves, and the clock that a run is charged by."""

import pytest

from dnaml.core.attempt import MOVES, AttemptState, Usage, check_move
from dnaml.core.errors import TransitionError

ENDS = {
    AttemptState.DONE,
    AttemptState.FAILED,
    AttemptState.LOST,
    AttemptState.STOPPED,
    AttemptState.CANCELLED,
}


def test_every_state_has_its_row_in_the_table_of_moves():
    assert set(MOVES) == set(AttemptState)


@pytest.mark.parametrize("old", AttemptState)
@pytest.mark.parametrize("new", AttemptState)
def test_a_move_is_returned_if_the_table_has_it_and_raises_otherwise(old, new):
    if new in MOVES[old]:
        assert check_move("job.1", old, new) is new
    else:
        with pytest.raises(TransitionError, match=f"attempt job.1: {old.value} -> {new.value} is not allowed"):
            check_move("job.1", old, new)


def test_ends_have_no_move_and_everything_else_can_reach_an_end():
    assert {state for state, moves in MOVES.items() if not moves} == ENDS
    for state in set(AttemptState) - ENDS:
        reached = {state}
        while grown := {new for old in reached for new in MOVES[old]} - reached:
            reached |= grown
        assert reached & ENDS


def test_nothing_moves_back_to_planned_or_from_running_to_cancelled():
    assert not any(AttemptState.PLANNED in moves for moves in MOVES.values())
    assert AttemptState.CANCELLED not in MOVES[AttemptState.RUNNING]


def test_a_run_is_charged_by_cpu_plus_blocked_time_where_both_are_known():
    assert Usage(wall_s=9.0, cpu_s=2.0, blocked_s=0.5).runtime_s == 2.5


@pytest.mark.parametrize("known", [{}, {"cpu_s": 2.0}, {"blocked_s": 0.5}])
def test_a_run_is_charged_by_wall_time_where_one_of_them_is_unknown(known):
    assert Usage(wall_s=9.0, **known).runtime_s == 9.0
