"""The local back end on real processes: what seals, progresses, overruns, freezes, runs out of memory or is a spare."""

import itertools
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState, Cause, Placement
from dnaml.core.errors import InputError
from dnaml.core.events import Command, Event, SealCheckpoint, StartAttempt
from dnaml.core.resource import Resource
from dnaml.execution import messages, pickling
from dnaml.execution.settings import LocalSettings
from tests import work
from tests.contracts.live_rig import LiveRig
from tests.contracts.rigs import Scenario, Work, begins, ends, settled
from tests.execution import calls

BRISK = LocalSettings(beat_every_s=0.1, dead_after_s=1.0, tick_every_s=0.1, overrun_grace_s=0.5, spare_after_s=None)


def scene_of(folder: Path, settings: LocalSettings = BRISK) -> tuple[Scenario, LiveRig]:
    rig = LiveRig(folder, settings)
    return Scenario(rig), rig


def calling(
    scene: Scenario, rig: LiveRig, name: str, call: Callable[..., object], *args: object, context: bool = False
) -> StartAttempt:
    """Return the command that starts a call as a job."""
    command = scene.start(name, Work.STEPS if context else Work.QUICK, "r0")
    rig.bring_call(name, call, *args, wants_context=context)
    return command


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def end_of(log: list[Event], attempt_id: str) -> ev.AttemptEnded:
    (end,) = [event for event in log if isinstance(event, ev.AttemptEnded) and event.attempt_id == attempt_id]
    return end


def seen(kind: type[Event], log: list[Event]) -> list[Event]:
    return [event for event in log if isinstance(event, kind)]


def reaches(progress: float) -> Callable[[Event], bool]:
    return lambda event: isinstance(event, ev.AttemptProgressed) and event.progress >= progress


def test_progress_is_told_with_the_attempts_own_clock_and_only_when_it_changes(tmp_path: Path) -> None:
    scene, rig = scene_of(tmp_path)
    scene.once(settled, lambda: [calling(scene, rig, "a", calls.counts_slowly, 60, context=True)])
    told = [event for event in scene.play("r0") if isinstance(event, ev.AttemptProgressed)]
    assert len(told) >= 3
    assert all(before.progress < after.progress for before, after in itertools.pairwise(told))
    assert all(before.used_s < after.used_s for before, after in itertools.pairwise(told))
    assert {(event.attempt_id, event.epoch) for event in told} == {("a.1", 1)}


def test_work_without_a_context_tells_no_progress(tmp_path: Path) -> None:
    scene, rig = scene_of(tmp_path)
    scene.once(settled, lambda: [calling(scene, rig, "a", time.sleep, 0.5)])
    assert not seen(ev.AttemptProgressed, scene.play("r0"))


def test_a_checkpoint_is_sealed_on_request_where_none_would_be_due(tmp_path: Path) -> None:
    scene, rig = scene_of(tmp_path)
    scene.once(settled, lambda: [calling(scene, rig, "a", calls.counts_slowly, 60, context=True)])
    scene.once(reaches(0.2), lambda: [SealCheckpoint(attempt_id="a.1", epoch=1)])
    log = scene.play("r0")
    (sealed,) = [event for event in log if isinstance(event, ev.CheckpointSealed)]
    assert 0.2 <= sealed.checkpoint.progress < 1.0
    assert sealed.write_s is not None
    assert 0.0 < sealed.write_s < 5.0
    assert end_of(log, "a.1").outcome is AttemptState.DONE


def test_a_checkpoint_that_is_asked_for_before_its_attempt_begins_is_sealed_at_the_first_save(tmp_path: Path) -> None:
    scene, rig = scene_of(tmp_path)
    seal = SealCheckpoint(attempt_id="a.1", epoch=1)
    scene.once(settled, lambda: [calling(scene, rig, "a", calls.counts_slowly, 20, context=True), seal])
    (sealed,) = [event for event in scene.play("r0") if isinstance(event, ev.CheckpointSealed)]
    assert sealed.checkpoint.progress <= 0.1


def test_sealing_what_is_over_or_unknown_does_nothing(tmp_path: Path) -> None:
    scene, rig = scene_of(tmp_path)
    scene.once(settled, lambda: [SealCheckpoint(attempt_id="x.1", epoch=1), calling(scene, rig, "a", work.double, 2)])
    scene.once(ends("a.1"), lambda: [SealCheckpoint(attempt_id="a.1", epoch=1)])
    assert not seen(ev.CheckpointSealed, scene.play("r0"))


def overrunning(scene: Scenario, rig: LiveRig, call: Callable[..., object], *args: object, context: bool = False):
    """Start a call that may use 1 s, and return how it ended."""
    scene.once(settled, lambda: [replace(calling(scene, rig, "a", call, *args, context=context), kill_after_s=1.0)])
    return end_of(scene.play("r0"), "a.1")


def test_what_uses_more_than_it_may_is_told_first_and_may_tidy_up(tmp_path: Path) -> None:
    end = overrunning(*scene_of(tmp_path), calls.tidies_up, str(tmp_path))
    assert (end.outcome, end.cause) == (AttemptState.FAILED, Cause.OVERRAN)
    assert end.error is not None
    assert "was allowed 1.0 s" in end.error
    assert (tmp_path / "tidied").exists()


def test_a_computation_with_a_context_may_save_before_it_overruns_for_good(tmp_path: Path) -> None:
    scene, rig = scene_of(tmp_path)
    end = overrunning(scene, rig, calls.saves_when_told, context=True)
    assert (end.outcome, end.cause) == (AttemptState.FAILED, Cause.OVERRAN)
    assert len(seen(ev.CheckpointSealed, scene.log)) == 1


def test_what_ignores_sigterm_is_killed_with_everything_it_started(tmp_path: Path) -> None:
    end = overrunning(*scene_of(tmp_path), calls.stubborn_with_child, str(tmp_path))
    assert (end.outcome, end.cause) == (AttemptState.FAILED, Cause.OVERRAN)
    assert not alive(int((tmp_path / "child").read_text()))


def test_waiting_behind_another_attempt_uses_nothing(tmp_path: Path) -> None:
    scene, rig = scene_of(tmp_path, replace(BRISK, give_back_after_s=60.0))

    def both() -> list[Command]:
        first = calling(scene, rig, "a", time.sleep, 0.8)
        return [first, replace(calling(scene, rig, "b", work.double, 1), kill_after_s=0.3)]

    scene.once(settled, both)
    assert end_of(scene.play("r0"), "b.1").outcome is AttemptState.DONE


def freeze(rig: LiveRig, attempt_id: str) -> list[Command]:
    os.kill(rig.pids[attempt_id], signal.SIGSTOP)
    return []


@pytest.mark.parametrize("call", [time.sleep, calls.burns])
def test_a_frozen_worker_is_lost_as_silent_and_its_resource_goes_on(tmp_path: Path, call) -> None:
    scene, rig = scene_of(tmp_path)
    scene.once(settled, lambda: [calling(scene, rig, "a", call, 60.0)])
    scene.once(begins("a.1"), lambda: freeze(rig, "a.1"))
    scene.once(ends("a.1"), lambda: [calling(scene, rig, "b", work.double, 4)])
    log = scene.play("r0")
    end = end_of(log, "a.1")
    assert (end.outcome, end.cause) == (AttemptState.LOST, Cause.SILENT)
    assert end_of(log, "b.1").outcome is AttemptState.DONE


def test_code_that_holds_the_interpreters_lock_is_alive(tmp_path: Path) -> None:
    scene, rig = scene_of(tmp_path, replace(BRISK, dead_after_s=0.4))
    scene.once(settled, lambda: [calling(scene, rig, "a", calls.holds_the_lock, 3 * 10**8)])
    end = end_of(scene.play("r0"), "a.1")
    assert end.outcome is AttemptState.DONE, end
    assert end.usage.wall_s > 0.8


def test_a_worker_killed_from_outside_died(tmp_path: Path) -> None:
    scene, rig = scene_of(tmp_path)

    def kill() -> list[Command]:
        os.kill(rig.pids["a.1"], signal.SIGTERM)
        return []

    scene.once(settled, lambda: [calling(scene, rig, "a", time.sleep, 60.0)])
    scene.once(begins("a.1"), kill)
    end = end_of(scene.play("r0"), "a.1")
    assert (end.outcome, end.cause) == (AttemptState.LOST, Cause.DIED)


def test_a_resource_that_is_taken_away_interrupts_what_runs_on_it(tmp_path: Path) -> None:
    scene, rig = scene_of(tmp_path)

    def withdraw() -> list[Command]:
        rig.backend.post(ev.ResourceDown(at_s=0.0, resource_id="r0", reason="spot"))
        return []

    scene.once(settled, lambda: [calling(scene, rig, "a", time.sleep, 60.0)])
    scene.once(begins("a.1"), withdraw)
    end = end_of(scene.play("r0"), "a.1")
    assert (end.outcome, end.cause) == (AttemptState.LOST, Cause.INTERRUPTED)


@pytest.mark.parametrize("call", ["fills", "raises"])
def test_memory_that_does_not_suffice_is_classified(tmp_path: Path, call: str) -> None:
    scene, rig = scene_of(tmp_path)
    short = {"fills": (work.fills_memory, 1 << 30), "raises": (calls.short_of_memory,)}
    rig.backend.post(ev.ResourceUp(at_s=0.0, resource=Resource(id="r0", memory_bytes=200 << 20)))
    scene.once(settled, lambda: [calling(scene, rig, "a", *short[call])])
    scene.once(ends("a.1"), lambda: [calling(scene, rig, "b", work.double, 4)])
    log = scene.play()
    assert (end_of(log, "a.1").outcome, end_of(log, "a.1").cause) == (AttemptState.FAILED, Cause.OUT_OF_MEMORY)
    assert end_of(log, "b.1").outcome is AttemptState.DONE


def test_a_part_gets_its_slice_and_the_whole_job_its_all(tmp_path: Path) -> None:
    scene, rig = scene_of(tmp_path)

    def parts() -> list[Command]:
        commands: list[Command] = [calling(scene, rig, "w", calls.which_part, list(range(7)))]
        for part in range(3):
            command = calling(scene, rig, f"p{part}", calls.which_part, list(range(7)))
            third = Placement(job_id=f"p{part}", resource_id="r0", part=part, parts=3, start=part / 3, share=1 / 3)
            commands.append(replace(command, attempt=replace(command.attempt, placement=third)))
        return commands

    scene.once(settled, parts)
    scene.play("r0")
    results = [pickling.loads(messages.decode_outcome(outcome).result) for outcome in rig.outcomes]
    assert results == [
        (list(range(7)), "0", "1"),
        ([0, 1], "0", "3"),
        ([2, 3, 4], "1", "3"),
        ([5, 6], "2", "3"),
    ]


def test_a_spare_worker_takes_over_at_once_and_knows_the_function(tmp_path: Path) -> None:
    scene, rig = scene_of(tmp_path, replace(BRISK, spare_after_s=0.2))
    spares: list[int] = []

    def is_spared(event: Event) -> bool:
        spares[:] = [int(path.name.split("-")[1]) for path in (tmp_path / "logs").glob("spare-*")]
        return isinstance(event, ev.Tick) and bool(spares)

    def kill() -> list[Command]:
        os.kill(rig.pids["a.1"], signal.SIGKILL)
        return []

    scene.once(settled, lambda: [calling(scene, rig, "a", time.sleep, 60.0)])
    scene.once(is_spared, kill)
    scene.once(ends("a.1"), lambda: [calling(scene, rig, "b", os.getpid)])
    log = scene.play("r0")
    (began,) = [event for event in log if isinstance(event, ev.AttemptStarted) and event.attempt_id == "b.1"]
    assert began.log is not None
    assert began.log.startswith("r0-")
    assert not list((tmp_path / "logs").glob("spare-*"))
    assert pickling.loads(messages.decode_outcome(rig.outcomes[-1]).result) == began.pid


def test_beats_must_be_more_frequent_than_deaths() -> None:
    with pytest.raises(InputError, match="below"):
        LocalSettings(beat_every_s=5.0, dead_after_s=5.0)
