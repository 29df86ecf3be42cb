"""The pool: slots, cores of a domain, attempts handed over ahead, and when each resource is free again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnaml.core.resource import Resource, Site
from dnaml.schedule.pool import Pool

LONG_S = 10.0


def pool_of(*resources: Resource, **cores: int) -> Pool:
    pool = Pool(cores)
    for resource in resources:
        pool.up(resource)
    return pool


def room(pool: Pool) -> dict[str, bool]:
    return {name: pool.has_room(lane) for name, lane in pool.lanes.items()}


def test_a_lane_has_room_until_its_slots_are_taken():
    pool = pool_of(Resource(id="r0", slots=2))
    for attempt in ("a", "b"):
        assert room(pool) == {"r0": True}
        pool.start("r0", attempt, 0.0, LONG_S)
    assert room(pool) == {"r0": False}
    pool.end("r0", "a", lost=False)
    assert room(pool) == {"r0": True}


def test_resources_of_one_domain_share_its_cores():
    pool = pool_of(*(Resource(id=f"r{i}", domain="here") for i in range(3)), Resource(id="far", domain="there"), here=2)
    pool.start("r0", "a", 0.0, LONG_S)
    assert room(pool) == {"r0": False, "r1": True, "r2": True, "far": True}
    pool.start("r1", "b", 0.0, LONG_S)
    assert room(pool) == {"r0": False, "r1": False, "r2": False, "far": True}
    pool.end("r0", "a", lost=False)
    assert room(pool) == {"r0": True, "r1": False, "r2": True, "far": True}


def test_a_domain_without_a_stated_limit_has_none():
    pool = pool_of(*(Resource(id=f"r{i}") for i in range(50)))
    for i in range(50):
        assert pool.has_room(pool.lanes[f"r{i}"])
        pool.start(f"r{i}", f"a{i}", 0.0, LONG_S)


def test_a_resource_that_goes_gives_its_cores_back_and_late_ends_change_nothing():
    pool = pool_of(Resource(id="r0"), Resource(id="r1"), local=1)
    pool.start("r0", "a", 0.0, LONG_S)
    pool.down("r0")
    assert room(pool) == {"r1": True}
    pool.end("r0", "a", lost=True)
    pool.start("r1", "b", 0.0, LONG_S)
    assert room(pool) == {"r1": False}


def test_a_resource_may_go_before_it_was_ever_planned_for():
    pool = pool_of(Resource(id="r0"))
    pool.down("r0")
    pool.down("r0")
    assert pool.resources == ()


def test_a_resource_that_came_back_owes_nothing_to_its_former_life():
    pool = pool_of(Resource(id="r0"), local=1)
    pool.start("r0", "a", 0.0, LONG_S)
    pool.down("r0")
    pool.up(Resource(id="r0"))
    assert room(pool) == {"r0": True}
    pool.end("r0", "a", lost=True)
    assert pool.error_rate("r0") is None


def test_a_new_description_keeps_what_runs_and_its_place_in_order():
    pool = pool_of(Resource(id="r0"), Resource(id="r1"))
    pool.start("r0", "a", 0.0, LONG_S)
    pool.up(Resource(id="r0", slots=2, price_usd_per_h=3.0))
    assert [(r.id, r.price_usd_per_h) for r in pool.resources] == [("r0", 3.0), ("r1", None)]
    assert list(pool.lanes["r0"].running) == ["a"]
    assert room(pool) == {"r0": True, "r1": True}


def test_a_resource_that_moves_to_another_domain_takes_its_cores_along():
    pool = pool_of(Resource(id="r0", domain="old"), Resource(id="r1", domain="old"), old=1, new=1)
    pool.start("r0", "a", 0.0, LONG_S)
    pool.up(Resource(id="r0", domain="new", slots=2))
    assert room(pool) == {"r0": False, "r1": True}
    pool.end("r0", "a", lost=False)
    assert room(pool) == {"r0": True, "r1": True}


def test_an_unknown_resource_takes_nothing():
    pool = pool_of(Resource(id="r0"), local=1)
    pool.start("gone", "a", 0.0, LONG_S)
    pool.end("gone", "a", lost=True)
    pool.end("r0", "never started", lost=True)
    assert room(pool) == {"r0": True}
    assert pool.error_rate("r0") is None


def test_the_error_rate_is_the_share_of_ended_attempts_that_were_lost():
    pool = pool_of(Resource(id="r0", slots=4))
    assert pool.error_rate("r0") is None
    assert pool.error_rate("gone") is None
    for attempt, lost in (("a", True), ("b", False), ("c", False), ("d", False)):
        pool.start("r0", attempt, 0.0, LONG_S)
        pool.end("r0", attempt, lost=lost)
    assert pool.error_rate("r0") == 0.25


def test_a_resource_is_free_when_its_first_attempt_is_predicted_to_end():
    pool = pool_of(Resource(id="r0", slots=2), Resource(id="r1"))
    pool.start("r0", "a", 0.0, 10.0)
    np.testing.assert_array_equal(pool.free_in_s(2.0), [0.0, 0.0])
    pool.start("r0", "b", 1.0, 4.0)
    np.testing.assert_array_equal(pool.free_in_s(2.0), [3.0, 0.0])


def test_what_runs_longer_than_predicted_is_expected_to_take_as_long_again():
    pool = pool_of(Resource(id="r0"))
    pool.start("r0", "a", 5.0, 10.0)
    np.testing.assert_array_equal([pool.free_in_s(at_s)[0] for at_s in (15.0, 16.0, 25.0)], [0.0, 11.0, 20.0])


def test_a_lane_is_overdue_when_everything_in_its_slots_should_have_ended_long_ago():
    pool = pool_of(Resource(id="r0", slots=2))
    lane = pool.lanes["r0"]
    pool.start("r0", "a", 0.0, 1.0)
    assert not lane.is_overdue(99.0)
    pool.start("r0", "b", 2.0, 1.0)
    assert not lane.is_overdue(2.6)
    assert not lane.is_overdue(4.5)
    assert lane.is_overdue(4.6)


def test_lanes_take_turns_by_who_started_longest_ago_or_by_their_own_clocks():
    for own_clocks, order in ((False, ["r1", "r0"]), (True, ["r0", "r1"])):
        pool = Pool({}, own_clocks=own_clocks)
        for name, runtime_s in (("r1", 9.0), ("r0", 2.0)):
            pool.up(Resource(id=name))
            pool.start(name, f"on {name}", 0.0, 1.0)
            pool.end(name, f"on {name}", lost=False, runtime_s=runtime_s)
        assert [lane.resource.id for lane in sorted(pool.lanes.values(), key=pool.turn)] == order


def test_on_their_own_clocks_lanes_wait_for_what_they_ran_longer_than_the_others():
    pool = Pool({}, own_clocks=True)
    assert pool.free_in_s(0.0).shape == (0,)
    pool.up(Resource(id="r0", slots=2))
    pool.up(Resource(id="r1"))
    pool.start("r0", "a", 0.0, 1.0)
    pool.end("r0", "a", lost=False, runtime_s=6.0)
    pool.start("r1", "b", 0.0, 1.0)
    np.testing.assert_array_equal(pool.free_in_s(0.0), [2.0, 0.0])
    pool.end("r1", "b", lost=False, runtime_s=5.0)
    np.testing.assert_array_equal(pool.free_in_s(0.0), [0.0, 2.0])
    pool.reset_clocks()
    np.testing.assert_array_equal(pool.free_in_s(0.0), [0.0, 0.0])


@pytest.mark.parametrize(
    ("predicted_s", "ahead"), [(1.0, 0), (0.041, 0), (0.031, 1), (0.014, 2), (0.0101, 3), (0.001, 4), (1e-9, 31)]
)
def test_very_short_attempts_are_handed_over_ahead(predicted_s, ahead):
    pool = pool_of(Resource(id="r0"), local=1)
    handed = 0
    while pool.has_room(pool.lanes["r0"]):
        pool.start("r0", f"a{handed}", 0.0, predicted_s)
        handed += 1
    assert handed == 1 + ahead


def test_what_is_handed_over_ahead_takes_no_core_of_its_own():
    pool = pool_of(Resource(id="r0"), Resource(id="r1"), local=2)
    for i in range(5):
        pool.start("r0", f"a{i}", 0.0, 0.001)
    assert pool.has_room(pool.lanes["r1"])
    for i in range(4):
        pool.end("r0", f"a{i}", lost=False)
    pool.start("r1", "b", 0.0, LONG_S)
    pool.up(Resource(id="r2"))
    assert not pool.has_room(pool.lanes["r2"])
    pool.end("r0", "a4", lost=False)
    assert pool.has_room(pool.lanes["r2"])


STEPS = st.lists(
    st.tuples(st.sampled_from(["up", "down", "start", "end"]), st.integers(0, 2), st.integers(1, 3), st.booleans()),
    max_size=40,
)


@given(steps=STEPS, cores=st.integers(1, 3))
def test_neither_slots_nor_cores_are_ever_exceeded(steps, cores):
    pool, number = Pool({"here": cores}), 0
    for what, which, slots, far in steps:
        name = f"r{which}"
        lane = pool.lanes.get(name)
        if what == "up" and (lane is None or len(lane.running) <= slots):
            pool.up(Resource(id=name, slots=slots, domain="there" if far else "here"))
        elif what == "down":
            pool.down(name)
        elif what == "start" and lane is not None and pool.has_room(lane):
            number += 1
            pool.start(name, f"a{number}", 0.0, LONG_S)
        elif what == "end" and lane is not None and lane.running:
            pool.end(name, next(iter(lane.running)), lost=far)
        for each in pool.lanes.values():
            assert len(each.running) <= each.resource.slots
    for each in pool.lanes.values():  # with everything gone, every core is free again
        for attempt in list(each.running):
            pool.end(each.resource.id, attempt, lost=False)
    pool.up(Resource(id="new", slots=9, domain="here"))
    free = 0
    while pool.has_room(pool.lanes["new"]):
        pool.start("new", f"n{free}", 0.0, LONG_S)
        free += 1
    assert free == cores


def test_where_resources_are_rented_by_the_call_work_begins_after_a_start():
    pool = Pool({})
    pool.up(Resource(id="fn", site=Site.SERVERLESS, startup_s=2.0))
    pool.up(Resource(id="new", site=Site.SERVERLESS))
    pool.up(Resource(id="here", startup_s=5.0))
    assert pool.free_in_s(0.0).tolist() == [2.0, 0.0, 0.0]


def test_a_closed_lane_has_no_room():
    pool = pool_of(Resource(id="r0", slots=2))
    pool.lanes["r0"].closed = "it is leaving"
    assert room(pool) == {"r0": False}
