"""Jobs that ask for a probability of completion run as few copies as reach it, across failure domains."""

import pytest

from dnaml.core.attempt import AttemptState, JobState
from dnaml.core.errors import InputError
from dnaml.core.resource import Resource
from dnaml.core.work import Constraints, Resilience
from tests.schedule.doubles import Desk, StatedPredictor, ends, starts

HOUR_S = 3600.0
RACKS = (
    Resource(id="a0", domain="rack-a"),
    Resource(id="a1", domain="rack-a"),
    Resource(id="b0", domain="rack-b"),
    Resource(id="c0", domain="rack-c"),
)


def desk_of(hazard_per_h, **seconds):
    seconds = {one.id: HOUR_S for one in RACKS} | seconds
    desk = Desk(predictor=StatedPredictor(seconds=seconds, hazard_per_h=hazard_per_h))
    desk.up(*RACKS)
    return desk


def places(said):
    return {start.attempt.placement.resource_id for start in starts(said)}


def test_where_nothing_fails_one_copy_is_enough():
    assert len(places(desk_of(0.0).submit("j", completion=0.999))) == 1


def test_the_fewest_copies_run_and_no_two_in_one_domain_while_others_are_there():
    # An hour at 0.1 losses an hour fails with 9.5 %, two independent ones with 0.9 %, three with 0.09 %.
    assert len(places(desk_of(0.1).submit("j", completion=0.9))) == 1
    two = places(desk_of(0.1).submit("j", completion=0.99))
    assert len(two) == 2
    assert len({one.domain for one in RACKS if one.id in two}) == 2
    three = places(desk_of(0.1).submit("j", completion=0.999))
    assert len(three) == 3
    assert len({one.domain for one in RACKS if one.id in three}) == 3


def test_a_short_run_is_safer_and_chosen_where_it_saves_a_copy():
    assert places(desk_of(0.1, b0=60.0).submit("j", completion=0.99)) == {"b0"}


def test_the_safest_set_runs_where_none_is_safe_enough():
    assert len(places(desk_of(3.0).submit("j", completion=0.999999))) == len(RACKS)


def test_more_copies_by_name_are_kept():
    assert len(places(desk_of(0.0).submit("j", completion=0.9, replicas=2))) == 2


def test_a_lost_copy_leaves_the_job_to_the_others_and_the_first_result_wins():
    desk = desk_of(0.1)
    copies = starts(desk.submit("j", completion=0.99))
    desk.began(*copies)
    assert starts(desk.ended(copies[0], AttemptState.LOST)) == []
    assert ends(desk.done(copies[1])) == [("j", JobState.SUCCEEDED)]


def test_when_all_copies_are_lost_they_are_chosen_anew():
    desk = desk_of(0.1)
    copies = starts(desk.submit("j", completion=0.99))
    desk.began(*copies)
    desk.ended(copies[0], AttemptState.LOST)
    assert len(places(desk.ended(copies[1], AttemptState.LOST))) == 2


def test_a_job_that_fits_nowhere_waits_as_any_other():
    desk = desk_of(0.1)
    assert starts(desk.submit("j", completion=0.99, constraints=Constraints(resource_ids=("elsewhere",)))) == []


@pytest.mark.parametrize("wrong", [0.0, 1.0, -1.0, float("nan")])
def test_a_probability_lies_between_0_and_1(wrong):
    with pytest.raises(InputError, match="completion must lie between 0 and 1"):
        Resilience(completion=wrong)


def test_a_vote_counts_its_replicas_by_itself():
    with pytest.raises(InputError, match="exclude each other"):
        Resilience(completion=0.9, replicas=3, vote=True)
