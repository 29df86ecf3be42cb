"""Which worker takes what: nothing waits long behind work that does not end, and no worker is waited for."""

import selectors
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState
from dnaml.core.events import Command, StartAttempt
from dnaml.core.resource import Resource
from dnaml.execution import messages, pickling
from dnaml.execution.crew import Crew
from dnaml.execution.process import Given
from tests import work
from tests.contracts.live_rig import LiveRig
from tests.contracts.rigs import Scenario, settled
from tests.execution.test_local import BRISK, calling, end_of, scene_of

SOON = replace(BRISK, give_back_after_s=0.05)
LATE = replace(BRISK, give_back_after_s=60.0)


def expecting(command: StartAttempt, expected_s: float) -> StartAttempt:
    return replace(command, decision=replace(command.decision, runtime_p50_s=(expected_s,)))


def holding(scene: Scenario, rig: LiveRig, gate: Path) -> StartAttempt:
    """Return the start of an attempt that runs until the gate is there."""
    return calling(scene, rig, "holds", work.waits_for, str(gate), 600.0)


def opening(gate: Path) -> Callable[[], list[Command]]:
    def opens() -> list[Command]:
        gate.touch()
        return []

    return opens


def results(rig: LiveRig) -> list[object]:
    return [pickling.loads(messages.decode_outcome(outcome).result) for outcome in rig.outcomes]


def test_what_stands_behind_work_that_takes_long_is_given_back_before_that_ends(tmp_path: Path) -> None:
    scene, rig = scene_of(tmp_path, SOON)
    gate = tmp_path / "gate"
    behind = [f"b{n}" for n in range(3)]
    scene.once(settled, lambda: [holding(scene, rig, gate), *(calling(scene, rig, n, work.double, 1) for n in behind)])
    scene.once(lambda event: scene.open == {"holds.1"}, opening(gate))
    log = scene.play("r0")
    for name in behind:
        end = end_of(log, f"{name}.1")
        assert (end.outcome, end.began) == (AttemptState.STOPPED, False)
        assert end.error == "given back: what ran before it takes longer than foreseen"
    assert end_of(log, "holds.1").outcome is AttemptState.DONE


def test_an_attempt_goes_where_it_can_begin_first_not_where_fewest_stand(tmp_path: Path) -> None:
    scene, rig = scene_of(tmp_path, LATE)
    gate = tmp_path / "gate"

    def four() -> list[Command]:
        brief = [expecting(calling(scene, rig, f"b{n}", work.double, n), 0.001) for n in range(3)]
        return [expecting(holding(scene, rig, gate), 60.0), *brief]

    scene.once(settled, four)
    scene.once(lambda event: scene.open == {"holds.1"}, opening(gate))
    log = scene.play("r0", slots=2)
    pids = {event.attempt_id: event.pid for event in log if isinstance(event, ev.AttemptStarted)}
    assert pids["b0.1"] == pids["b1.1"] == pids["b2.1"] != pids["holds.1"]


def test_large_arguments_and_large_results_of_one_worker_pass_each_other(tmp_path: Path) -> None:
    scene, rig = scene_of(tmp_path, LATE)
    large = [bytes([n]) * (1 << 22) for n in range(4)]
    scene.once(settled, lambda: [calling(scene, rig, f"a{n}", bytes, body) for n, body in enumerate(large)])
    log = scene.play("r0")
    assert {end_of(log, f"a{n}.1").outcome for n in range(4)} == {AttemptState.DONE}
    assert results(rig) == large


def test_the_loop_goes_on_while_a_worker_takes_nothing(tmp_path: Path) -> None:
    scene, rig = scene_of(tmp_path, LATE)
    gate = tmp_path / "gate"

    def both() -> list[Command]:
        return [holding(scene, rig, gate), calling(scene, rig, "large", len, bytes(1 << 22))]

    scene.once(settled, both)
    scene.once(lambda event: isinstance(event, ev.Tick), opening(gate))
    log = scene.play("r0")
    assert end_of(log, "large.1").outcome is AttemptState.DONE
    assert results(rig)[-1] == 1 << 22


def test_results_wait_for_each_other_only_where_every_worker_has_more_to_do(tmp_path: Path) -> None:
    selector = selectors.DefaultSelector()
    crew = Crew(selector, tmp_path, tmp_path, BRISK)
    one, other = (crew.worker(Resource(id=name)) for name in ("one", "other"))
    try:
        assert crew.rest_s() == 0.0
        for number in range(3):
            one.attempts[f"a{number}"] = Given(f"a{number}", 1, b"")
        assert crew.rest_s() == 0.0  # nothing ended yet: who knows how long they take
        one.last_s = 0.01
        assert crew.rest_s() == pytest.approx(0.01)
        one.last_s = 10.0
        assert crew.rest_s() == pytest.approx(0.02)
        one.last_s = 0.0001
        assert crew.rest_s() == 0.0
        one.last_s, other.last_s = 0.01, 0.01
        other.attempts["b"] = Given("b", 1, b"")
        assert crew.rest_s() == 0.0
    finally:
        crew.shut_down()
        selector.close()
