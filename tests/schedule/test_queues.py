"""Queues: when placements start and end, copies, and the plan they make."""

import numpy as np
import pytest

from dnaml.schedule.queues import Board, completions, copies_of, figures, plan_of
from tests.contracts.problems import problem


def test_a_queue_runs_one_after_the_other_from_when_its_resource_is_free() -> None:
    wanted = problem([[2.0, 9.0], [3.0, 9.0], [9.0, 4.0]], free_in_s=[1.0, 0.0])
    runtime_s = np.array([[2.0, 9.0], [3.0, 9.0], [9.0, 4.0]])
    starts, ends = completions(wanted, [(0, 0), (1, 0), (2, 1)], runtime_s)
    assert starts == [1.0, 3.0, 0.0]
    assert ends == [3.0, 6.0, 4.0]


def test_slots_run_side_by_side() -> None:
    wanted = problem([[2.0], [3.0], [1.0]], resources=[{"slots": 2}])
    _, ends = completions(wanted, [(0, 0), (1, 0), (2, 0)], np.array([[2.0], [3.0], [1.0]]))
    assert ends == [2.0, 3.0, 3.0]


def test_a_board_can_start_from_other_free_times() -> None:
    board = Board(problem([[1.0]]), np.array([7.0]))
    assert board.start_s(0) == 7.0
    assert board.take(0, 2.0) == (7.0, 9.0)
    assert board.count == [1]


def test_copies_go_to_other_domains_first_then_where_they_end_soonest() -> None:
    wanted = problem(
        [[1.0, 1.0, 5.0, 6.0]],
        jobs=[{"resilience": _copies(4)}],
        resources=[{"domain": "a"}, {"domain": "a"}, {"domain": "b"}, {"domain": "b"}],
    )
    copies = copies_of(wanted, np.ones((1, 4), dtype=bool), wanted.prediction.runtime_s.mean(), [(0, 0)])
    assert copies == [(0, 2), (0, 1), (0, 3)]


def test_there_are_no_more_copies_than_resources_that_may_take_them() -> None:
    wanted = problem([[1.0, 1.0, 1.0]], jobs=[{"resilience": _copies(5)}])
    copies = copies_of(wanted, np.array([[True, False, True]]), np.ones((1, 3)), [(0, 0)])
    assert copies == [(0, 2)]


def test_nobody_who_wants_one_copy_gets_two() -> None:
    wanted = problem([[1.0, 1.0]])
    assert copies_of(wanted, np.ones((1, 2), dtype=bool), np.ones((1, 2)), [(0, 0)]) == []


@pytest.mark.parametrize(
    ("checkpointable", "checkpoint", "expected"), [(True, True, 30.0), (False, True, None), (True, False, None)]
)
def test_a_checkpoint_interval_is_kept_where_the_work_can_be_checkpointed(
    checkpointable: bool, checkpoint: bool, expected: float | None
) -> None:
    from dnaml.core.work import Resilience

    wanted = problem(
        [[1.0]],
        jobs=[{"resilience": Resilience(checkpoint=checkpoint, checkpoint_every_s=30.0)}],
        computations=[{"checkpointable": checkpointable}],
    )
    plan = plan_of(wanted, [(0, 0)], {}, score={})
    assert plan.placements[0].checkpoint_every_s == expected


def test_figures_leave_unknown_costs_out_and_bear_an_empty_plan() -> None:
    assert figures([1.0, 3.0], [0.5, float("nan")]) == {"mean_jct_s": 2.0, "makespan_s": 3.0, "cost_usd": 0.5}
    assert figures([], []) == {"mean_jct_s": 0.0, "makespan_s": 0.0, "cost_usd": 0}


def _copies(count: int) -> object:
    from dnaml.core.work import Resilience

    return Resilience(replicas=count)
