"""Recorded runs give the same commands for ever, and a simulation that is made again gives the same record."""

from collections import Counter

import pytest

from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState
from tests.replay.recording import RECORDS, SIMULATED, eventful_run, new_controller, plain, read, record

RECORDED = [(SIMULATED, new_controller)]
every_record = pytest.mark.parametrize(("path", "new"), RECORDED, ids=[path.stem for path, _ in RECORDED])


@every_record
def test_a_recorded_run_gives_equal_commands(path, new):
    controller = new()
    for number, step in enumerate(read(path), start=1):
        assert plain(controller.handle(step.event)) == step.commands, f"{path.name}:{number} {step.event}"


@every_record
def test_a_recorded_run_tells_a_restart_how_each_job_ended(path, new):
    controller, then, now = new(), {}, {}
    for step in read(path):
        then |= {c["job_id"]: c["state"] for c in step.commands if c["kind"] == "EndJob"}
        now |= {c["job_id"]: c["state"] for c in plain(controller.recover(step.event)) if c["kind"] == "EndJob"}
    assert now == then


def test_every_record_is_replayed():
    assert {path for path, _ in RECORDED} == set(RECORDS.glob("*.jsonl"))


def test_the_simulation_made_again_gives_the_record():
    assert list(record(new_controller(), eventful_run())) == list(read(SIMULATED))


def test_the_record_holds_what_it_was_made_for():
    steps = list(read(SIMULATED))
    outcomes = Counter(step.event.outcome for step in steps if isinstance(step.event, ev.AttemptEnded))
    assert outcomes[AttemptState.LOST] >= 1
    assert outcomes[AttemptState.FAILED] == 2
    assert outcomes[AttemptState.STOPPED] >= 2
    commands = [command for step in steps for command in step.commands]
    ends = Counter(command["state"] for command in commands if command["kind"] == "EndJob")
    submitted = sum(isinstance(step.event, ev.Submitted) for step in steps)
    assert ends.total() == submitted
    assert ends["CANCELLED"] == 3
    assert ends["FAILED"] == 1
    resumed = [c for c in commands if c["kind"] == "StartAttempt" and c["checkpoint"] and c["attempt"]["epoch"] > 1]
    assert {"train0.2", "copied.2"} <= {command["attempt"]["id"] for command in resumed}
    assert {command["job_id"] for command in commands if command["kind"] == "Explain"} == {"nowhere"}
