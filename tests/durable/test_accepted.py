"""Whoever reads a state folder knows every job whose submission returned, before and after the journal holds it."""

import threading

import dnaml
from dnaml.core.attempt import JobState
from dnaml.core.resource import Resource
from dnaml.datasets.blobs import BlobLog
from dnaml.datasets.state import StateFolder
from dnaml.durable.accepted import accepted_since
from dnaml.engine import EngineSettings
from dnaml.execution.local import LocalBackend
from dnaml.history import History
from tests import work

POOL = [Resource(id="r0", price_usd_per_h=1.0)]


def held_back(gate):
    """Return the settings of an engine whose loop takes nothing in before the gate opens."""

    def open_backend(state, outlet, now_s):
        backend = LocalBackend(state.checkpoints, state.logs, outlet, now_s)
        events = backend.events

        def held():
            gate.wait()
            yield from events()

        backend.events = held
        return backend

    return EngineSettings(open_backend=open_backend)


def test_a_job_is_read_from_when_its_submission_returned(tmp_path):
    gate = threading.Event()
    with dnaml.Executor(POOL, state=tmp_path, settings=held_back(gate)) as executor:
        try:
            future = executor.submit(work.double, 4)
            view = History.read(tmp_path).jobs[future.job_id]
            assert (view.state, view.job.id, view.attempts) == (JobState.PENDING, future.job_id, [])
            assert future.record.job.id == future.job_id
        finally:
            gate.set()
        assert future.result(60) == 8
    assert History.read(tmp_path).jobs[future.job_id].state is JobState.SUCCEEDED
    assert list(accepted_since(StateFolder(tmp_path))({future.job_id})) == []


def test_nothing_is_missing_where_the_journal_holds_all_or_there_are_no_payloads(tmp_path):
    state = StateFolder(tmp_path)
    assert list(accepted_since(state)(())) == []
    with dnaml.Executor(POOL, state=tmp_path) as executor:
        executor.submit(work.double, 1).result(60)
    assert len(list(BlobLog(state.blobs, "payloads").frames())) == 1
    assert list(accepted_since(state)(())) == [], "the index says that the journal has it"
