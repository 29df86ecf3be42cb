"""Every backend keeps the contract of the Backend seam: what it is told to do comes back as events, once, in order."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState
from dnaml.core.events import Event, StopAttempt
from tests.contracts.function_rig import FunctionRig
from tests.contracts.live_rig import LiveRig
from tests.contracts.ray_rig import RayRig
from tests.contracts.rigs import Rig, Scenario, SimulatedRig, Work, begins, ends, settled

on_ray = pytest.param(
    RayRig, marks=[pytest.mark.ray, pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")]
)
SAVING_RIGS = [SimulatedRig, LiveRig, on_ray]
RIGS = [*SAVING_RIGS, FunctionRig]
every_rig = pytest.mark.parametrize("new_rig", RIGS, ids=lambda rig: rig.__name__)
every_rig_that_saves = pytest.mark.parametrize("new_rig", SAVING_RIGS, ids=lambda rig: rig.__name__)
NewRig = Callable[[Path], Rig]


def attempt_events(log: list[Event], attempt_id: str) -> list[Event]:
    """Return what was said of one attempt, in order."""
    return [event for event in log if getattr(event, "attempt_id", None) == attempt_id]


def end_of(log: list[Event], attempt_id: str) -> ev.AttemptEnded:
    """Return the one end of an attempt."""
    (end,) = [event for event in log if isinstance(event, ev.AttemptEnded) and event.attempt_id == attempt_id]
    return end


def stop(attempt_id: str) -> StopAttempt:
    return StopAttempt(attempt_id=attempt_id, epoch=1, reason="asked to stop")


@every_rig
def test_an_attempt_begins_where_it_was_sent_and_ends_once(new_rig: NewRig, tmp_path: Path):
    scene = Scenario(new_rig(tmp_path))
    scene.once(settled, lambda: [scene.start(name, Work.QUICK, "r0") for name in "abc"])
    log = scene.play("r0", slots=3)
    for name in "abc":
        began, end = attempt_events(log, f"{name}.1")
        assert isinstance(began, ev.AttemptStarted)
        assert isinstance(end, ev.AttemptEnded)
        assert (began.job_id, began.epoch, began.placement.resource_id) == (name, 1, "r0")
        assert (end.epoch, end.outcome, end.error, end.began) == (1, AttemptState.DONE, None, True)
        assert end.usage.wall_s >= 0.0


@every_rig
def test_time_never_runs_backwards_and_every_moment_is_settled(new_rig: NewRig, tmp_path: Path):
    scene = Scenario(new_rig(tmp_path))
    scene.once(settled, lambda: [scene.start("a", Work.STEPS, "r0", every_s=0.05)])
    scene.once(ends("a.1"), lambda: [scene.start("b", Work.QUICK, "r0")])
    log = scene.play("r0")
    live = [event.at_s for event in log if not isinstance(event, ev.ResourceUp)]
    assert live == sorted(live)
    assert isinstance(log[-1], ev.Settled)
    assert [end_of(log, name).outcome for name in ("a.1", "b.1")] == [AttemptState.DONE] * 2


@every_rig
def test_a_failure_is_reported_with_its_error(new_rig: NewRig, tmp_path: Path):
    scene = Scenario(new_rig(tmp_path))
    scene.once(settled, lambda: [scene.start("a", Work.FAILING, "r0")])
    end = end_of(scene.play("r0"), "a.1")
    assert end.outcome is AttemptState.FAILED
    assert end.error is not None
    assert "ValueError: no luck" in end.error


@every_rig
def test_what_is_stopped_ends_as_stopped_and_says_nothing_more(new_rig: NewRig, tmp_path: Path):
    scene = Scenario(new_rig(tmp_path))
    scene.once(settled, lambda: [scene.start("a", Work.ENDLESS, "r0")])
    scene.once(begins("a.1"), lambda: [stop("a.1"), stop("a.1")])
    log = scene.play("r0")
    assert end_of(log, "a.1").outcome is AttemptState.STOPPED
    assert isinstance(attempt_events(log, "a.1")[-1], ev.AttemptEnded)


@every_rig
def test_stopping_what_is_unknown_or_over_does_nothing(new_rig: NewRig, tmp_path: Path):
    scene = Scenario(new_rig(tmp_path))
    scene.once(settled, lambda: [stop("never.1"), scene.start("a", Work.QUICK, "r0")])
    scene.once(ends("a.1"), lambda: [stop("a.1"), scene.start("b", Work.QUICK, "r0")])
    log = scene.play("r0")
    assert end_of(log, "a.1").outcome is AttemptState.DONE
    assert end_of(log, "b.1").outcome is AttemptState.DONE


@every_rig_that_saves
def test_progress_is_sealed_while_the_attempt_runs_and_only_rises(new_rig: NewRig, tmp_path: Path):
    scene = Scenario(new_rig(tmp_path))
    scene.once(settled, lambda: [scene.start("a", Work.STEPS, "r0", every_s=0.05)])
    began, *seals, end = attempt_events(scene.play("r0"), "a.1")
    assert isinstance(began, ev.AttemptStarted)
    assert isinstance(end, ev.AttemptEnded)
    progress = [seal.checkpoint.progress for seal in seals if isinstance(seal, ev.CheckpointSealed)]
    assert all(isinstance(said, ev.CheckpointSealed | ev.AttemptProgressed) for said in seals)
    assert progress
    assert progress == sorted(set(progress))
    assert all(0.0 < reached <= 1.0 for reached in progress)


@every_rig_that_saves
def test_an_attempt_goes_on_from_the_checkpoint_it_is_given(new_rig: NewRig, tmp_path: Path):
    scene, marks = Scenario(new_rig(tmp_path)), []

    def is_half_done(event: Event) -> bool:
        if isinstance(event, ev.CheckpointSealed) and event.checkpoint.progress >= 0.3:
            marks.append(event.checkpoint)
        return bool(marks)

    def go_on():
        return [scene.start("a", Work.STEPS, "r1", epoch=2, checkpoint=marks[-1], every_s=0.05)]

    scene.once(settled, lambda: [scene.start("a", Work.STEPS, "r0", every_s=0.05)])
    scene.once(is_half_done, lambda: [stop("a.1")])
    scene.once(ends("a.1"), go_on)
    log = scene.play("r0", "r1")
    assert end_of(log, "a.1").outcome is AttemptState.STOPPED
    assert end_of(log, "a.2").outcome is AttemptState.DONE
    first = [e.checkpoint.progress for e in log if isinstance(e, ev.CheckpointSealed) and e.epoch == 1]
    second = [e.checkpoint.progress for e in log if isinstance(e, ev.CheckpointSealed) and e.epoch == 2]
    assert second == sorted(set(second))
    assert all(progress > first[-1] - 1e-9 for progress in second)


@every_rig
def test_what_runs_on_a_resource_that_is_lost_ends_as_lost_and_the_rest_goes_on(new_rig: NewRig, tmp_path: Path):
    scene = Scenario(new_rig(tmp_path))

    def lose():
        scene.rig.lose("r0")
        return []

    scene.once(settled, lambda: [scene.start("a", Work.ENDLESS, "r0"), scene.start("b", Work.STEPS, "r1", every_s=9.0)])
    scene.once(begins("a.1", "b.1"), lose)
    log = scene.play("r0", "r1")
    end = end_of(log, "a.1")
    assert end.outcome is AttemptState.LOST
    assert end.error
    assert end_of(log, "b.1").outcome is AttemptState.DONE


@every_rig
def test_what_is_posted_joins_the_stream_in_order(new_rig: NewRig, tmp_path: Path):
    scene = Scenario(new_rig(tmp_path))
    models = [ev.ModelChanged(at_s=0.0, model=f"m{i}") for i in range(20)]

    def post():
        for event in models:
            scene.rig.backend.post(event)
        return []

    scene.once(begins("a.1"), post)
    scene.once(settled, lambda: [scene.start("a", Work.STEPS, "r0", every_s=9.0)])
    log = scene.play("r0")
    assert [event for event in log if isinstance(event, ev.ModelChanged)] == models


@pytest.mark.parametrize("new_rig", [SimulatedRig, LiveRig, FunctionRig], ids=lambda rig: rig.__name__)
def test_a_tick_that_was_asked_for_comes_though_nothing_runs(new_rig: NewRig, tmp_path: Path):
    scene = Scenario(new_rig(tmp_path))
    scene.once(settled, lambda: [ev.WakeAt(at_s=scene.log[-1].at_s + 0.2)])
    scene.once(lambda event: isinstance(event, ev.Tick), list)
    log = scene.play("r0")
    ticks = [event.at_s for event in log if isinstance(event, ev.Tick)]
    settled_s = next(event.at_s for event in log if isinstance(event, ev.Settled))
    assert ticks[0] >= settled_s + 0.2
