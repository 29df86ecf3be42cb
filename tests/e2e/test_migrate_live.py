"""`dnaml migrate` moves a really running job: it goes on elsewhere from its newest checkpoint and ends once."""

import time

import pytest

import dnaml
from dnaml.cli.main import main
from dnaml.core.attempt import AttemptState
from dnaml.core.resource import Resource
from dnaml.history import History

POOL = (Resource(id="left", price_usd_per_h=1.0), Resource(id="right", price_usd_per_h=1.0))


def counts(steps: int, *, context: dnaml.Context) -> int:
    done = context.restore(default=0)
    while done < steps and not context.should_stop():
        time.sleep(0.05)
        done += 1
        context.save(done / steps, done)
    return int(done)


@pytest.mark.serial
def test_a_running_job_moves_to_the_resource_asked_for(tmp_path, capsys):
    state = tmp_path / "state"
    with dnaml.Executor(POOL, state=state, objective="min_latency") as executor:
        future = executor.submit(counts, 160)
        assert future.record.job.id == future.job_id
        until_s = time.monotonic() + 30
        while not History.read(state).jobs[future.job_id].attempts and time.monotonic() < until_s:
            time.sleep(0.05)
        source = History.read(state).jobs[future.job_id].attempts[0].placement.resource_id
        target = {"left": "right", "right": "left"}[source]
        assert main(["migrate", future.job_id, "--to", target, "--wait", "40", "--state", str(state)]) == 0
        assert f"runs on {target}" in capsys.readouterr().out
        assert future.result(60) == 160
    attempts = History.read(state).jobs[future.job_id].attempts
    assert [attempt.placement.resource_id for attempt in attempts] == [source, target]
    assert [attempt.state for attempt in attempts] == [AttemptState.STOPPED, AttemptState.DONE]
    assert attempts[0].checkpoints >= 1


def test_what_cannot_be_moved_is_refused_in_one_line(tmp_path, capsys):
    state = tmp_path / "state"
    with dnaml.Executor(POOL, state=state) as executor:
        done = executor.submit(pow, 2, 3)
        assert done.result() == 8
    assert main(["migrate", done.job_id, "--state", str(state)]) == 2
    assert "has already ended" in capsys.readouterr().err
