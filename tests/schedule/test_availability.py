"""A resource that says it is not available takes no new work until it says that it is."""

from dnaml.core import events as ev
from dnaml.core.events import Command
from dnaml.core.resource import ResourceState
from tests.schedule.doubles import Desk, reasons, starts, where


def refreshed(desk: Desk, name: str, *, available: bool) -> list[Command]:
    state = ResourceState(resource_id=name, at_s=desk.at_s, available=available)
    return desk.tell(ev.ResourceRefreshed(at_s=desk.at_s, state=state))


def test_a_resource_that_says_it_is_not_available_takes_no_new_work_until_it_is():
    desk = Desk()
    desk.up("r0")
    refreshed(desk, "r0", available=False)
    refreshed(desk, "r0", available=False)
    said = desk.submit("a")
    assert starts(said) == []
    assert any("says that it is not available" in reason for _, reason in reasons(said))
    desk.up("r0")
    assert starts(desk.said) == []
    assert where(refreshed(desk, "r0", available=True)) == [("a.1", "r0")]


def test_the_word_of_a_resource_that_is_down_waits_until_it_comes():
    desk = Desk()
    refreshed(desk, "r0", available=False)
    desk.up("r1")
    refreshed(desk, "r0", available=True)
    assert where(desk.submit("a")) == [("a.1", "r1")]


def test_a_resource_that_rests_and_is_away_opens_when_both_are_over():
    desk = Desk()
    desk.up("r0")
    refreshed(desk, "r0", available=False)
    for _ in range(3):
        desk.after(1.0).down("r0")
        desk.after(1.0).up("r0")
    refreshed(desk, "r0", available=False)
    refreshed(desk, "r0", available=True)
    assert starts(desk.submit("a")) == []
    desk.after(5000.0)
    assert where(desk.tell(ev.Tick(at_s=desk.at_s))) == [("a.1", "r0")]


def test_a_notice_that_never_comes_true_ends_a_minute_later():
    desk = Desk()
    desk.up("r0")
    said = desk.tell(ev.InterruptionNotice(at_s=0.0, resource_id="r0", gone_at_s=30.0, reason="spot"))
    assert ev.WakeAt(at_s=90.0) in said
    assert starts(desk.submit("a")) == []
    assert starts(desk.after(80.0).tell(ev.Tick(at_s=80.0))) == []
    assert where(desk.after(10.0).tell(ev.Tick(at_s=90.0))) == [("a.1", "r0")]


def test_a_resource_that_rests_stays_closed_when_its_notice_ends():
    desk = Desk()
    for _ in range(3):
        desk.after(1.0).up("r0")
        desk.after(1.0).down("r0")
    desk.up("r0")
    desk.tell(ev.InterruptionNotice(at_s=desk.at_s, resource_id="r0", gone_at_s=desk.at_s, reason="spot"))
    desk.after(61.0)
    assert desk.controller.pool.lanes["r0"].closed
    desk.tell(ev.Tick(at_s=desk.at_s))
    assert desk.controller.pool.lanes["r0"].closed
