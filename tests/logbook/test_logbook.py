"""Everything that runs is tracked, in pages, curves and a table; the work never waits for a store, however it fails."""

import contextlib
import json
import socket
import threading
import time

import numpy as np
import pytest

import dnaml
from dnaml import logbook, tracking
from dnaml.core.errors import InputError
from dnaml.core.resource import Resource
from dnaml.engine import Watcher
from dnaml.logbook.logged import FOLDER, LoggedWatcher
from dnaml.logbook.pages import MOST_STEPS, SESSION, curves, own_pages
from dnaml.logbook.sender import Sender
from dnaml.logbook.spool import Spool, read
from tests import work
from tests.speed import least

POOL = (Resource(id="a", price_usd_per_h=1.0, environment={"SECRET": "x"}), Resource(id="b", power_w=30.0))


@pytest.fixture
def tracked():
    """Switch tracking on by a call, and off at the end."""
    yield dnaml.autolog
    dnaml.autolog(disable=True)


def run_row(number, **changed):
    row = {"kind": "run", "at_s": 1.0 + number, "job_id": f"j{number}", "name": "", "runtime_s": 1.0, "wait_s": 0.0}
    row |= {"computation_id": "f", "kernel": "f", "resource_id": "a", "policy": "p", "path": "runs", "outcome": "done"}
    return {**row, "candidates": ["a", "b"], **changed}


def client_of(store):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=store.uri)
    return client, client.get_experiment_by_name(tracking.EXPERIMENT).experiment_id


@pytest.mark.slow
def test_runs_are_tracked_with_decisions_resources_and_hardware(tmp_path, tracked, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    uri = f"sqlite:///{tmp_path / 'mlflow.sqlite'}"
    tracking.write_pages([], store=tracking.store_at(uri))  # makes the tables
    tracked(uri, own_run_s=1e-9, send_every_s=60)
    with dnaml.Executor(POOL, state=tmp_path / "state") as executor:
        job_ids = {executor.submit(work.double, number).job_id for number in range(3)}
        failed = executor.submit(work.raises, "no")
        assert failed.exception() is not None
    client, experiment = client_of(tracking.store_at(uri))
    runs = {run.data.tags["dnaml.kind"]: run for run in client.search_runs([experiment])}
    session = runs["session"]
    assert session.info.status == "FINISHED"
    assert {"dnaml.dna.a", "dnaml.resource.b", "hw.cpu.model"} <= set(session.data.tags)
    assert "SECRET" not in session.data.tags["dnaml.resource.a"]
    assert {"runtime_s", "runtime_p50_s", "inside_share"} <= set(session.data.metrics)
    pages = client.search_runs([experiment], "tags.`dnaml.kind` = 'run'")
    assert {page.data.tags["dnaml.job_id"] for page in pages} == job_ids
    assert all(page.data.tags["mlflow.parentRunId"] == session.info.run_id for page in pages)
    (part,) = client.list_artifacts(session.info.run_id, "runs")
    lines = (tmp_path / "mlflow-artifacts" / session.info.run_id / "artifacts" / part.path).read_text().splitlines()
    rows = [json.loads(line) for line in lines[1:]]
    assert {row["job_id"] for row in rows} == job_ids | {failed.job_id}
    assert all(row["candidates"] == ["a", "b"] for row in rows)
    assert not list((tmp_path / "state" / FOLDER).glob("*.jsonl"))


def test_a_store_that_is_down_leaves_the_rows_in_the_spool(tmp_path, tracked):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    tracked(f"http://127.0.0.1:{port}", send_every_s=60)
    with dnaml.Executor(POOL, state=tmp_path / "state") as executor:
        assert executor.submit(work.double, 4).result() == 8
    (part,) = (tmp_path / "state" / FOLDER).glob("*.jsonl")
    header, (row,) = read(part)
    assert header["tags"][SESSION] == header["session"]
    assert row["outcome"] == "done"


@contextlib.contextmanager
def silent_server():
    """Open a port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = []

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    held.append(server.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        for connection in held:
            connection.close()


@pytest.mark.serial
def test_scheduling_is_as_quick_with_a_silent_store(tmp_path, tracked):
    def cpu_of_tasks_s(folder):
        with dnaml.Executor([Resource(id="a")], state=folder, cores=1) as executor:
            list(executor.map(work.double, range(50)))
            began_s = time.process_time()
            list(executor.map(work.double, range(600)))
            return time.process_time() - began_s

    plain, logged = [], []

    def ratio():
        plain.append(cpu_of_tasks_s(tmp_path / f"plain-{len(plain)}"))
        tracked(f"http://127.0.0.1:{port}")
        logbook._chosen[0] = logbook.LogSettings(uri=f"http://127.0.0.1:{port}", close_s=0.1)
        logged.append(cpu_of_tasks_s(tmp_path / f"logged-{len(logged)}"))
        tracked(disable=True)
        return min(logged) / min(plain) if len(plain) > 2 else np.inf

    with silent_server() as port:
        assert least(ratio, 1.25) <= 1.25


def test_the_spool_keeps_within_its_bytes_and_counts_what_it_dropped(tmp_path):
    spool = Spool(tmp_path / "spool", "s", {"session": "s", "tags": {}}, limit_bytes=2000)
    for number in range(20):
        assert spool.add([run_row(number)]) is not None
    kept = spool.parts()
    assert sum(part.stat().st_size for part in kept) <= 2000
    assert spool.dropped == 20 - len(kept)
    assert read(kept[-1])[1][0]["job_id"] == "j19"


def test_a_spool_that_cannot_be_written_counts_and_goes_on(tmp_path):
    (tmp_path / "file").write_text("")
    spool = Spool(tmp_path / "file" / "spool", "s", {}, limit_bytes=2000)
    assert spool.add([run_row(1), run_row(2)]) is None
    assert spool.dropped == 2


def test_a_damaged_part_is_told_from_a_sound_one(tmp_path):
    for body in (b"", b"{", b"{}\nnot json\n"):
        (tmp_path / "part.jsonl").write_bytes(body)
        with pytest.raises(ValueError, match="is no part"):
            read(tmp_path / "part.jsonl")


def test_curves_have_a_point_for_each_row_or_means_of_many():
    few = curves([run_row(number) for number in range(3)], first_step=10)
    assert [(step, value) for name, value, _, step in few if name == "runtime_s"] == [(10, 1.0), (11, 1.0), (12, 1.0)]
    many = curves([run_row(number, runtime_s=float(number)) for number in range(1000)], first_step=0)
    means = [value for name, value, _, _ in many if name == "runtime_s"]
    assert len(means) == MOST_STEPS
    assert means[0] == 4.5
    assert not curves([], 0)


def test_only_long_runs_get_a_page_and_it_knows_its_own_resource_alone():
    header = {"tags": {"dnaml.dna.a": "[1]", "dnaml.dna.b": "[2]", "hw.cpu.model": "x"}}
    (long,) = own_pages(header, [run_row(1, runtime_s=20.0), run_row(2)], parent="p", own_run_s=10.0)
    assert long.tags == {"dnaml.dna.a": "[1]", "hw.cpu.model": "x", "dnaml.kind": "run", "dnaml.job_id": "j1"}
    assert long.parent == "p"


def test_the_queue_is_bounded_and_counts(tmp_path, monkeypatch):
    monkeypatch.setattr("dnaml.logbook.sender.MOST_WAITING", 5)
    store = tracking.store_at("http://127.0.0.1:9")
    spool = Spool(tmp_path, "s", {"session": "s", "tags": {}}, limit_bytes=1 << 20)
    sender = Sender(spool, store, logbook.LogSettings(close_s=0.01, send_every_s=60))
    for number in range(8):
        sender.put(lambda number=number: run_row(number))
    assert sender.dropped == 3
    sender.close()


def test_the_watcher_hands_everything_on(tmp_path):
    heard = []

    class Heard(Watcher):
        def explained(self, command):
            heard.append(command)

        def ended(self, command, outcome, parts=()):
            heard.append(command)

        def broke(self, error):
            heard.append(error)

        def replayed(self, event, commands):
            heard.append(event)

    watcher = LoggedWatcher(Heard(), tmp_path, tracking.store_at("http://127.0.0.1:9"), logbook.LogSettings(close_s=1))
    watcher.explained("why")
    watcher.ended("end", None)
    watcher.broke("broken")
    watcher.replayed("stored", ())
    watcher.close()
    assert heard == ["why", "end", "broken", "stored"]


def test_off_is_off_and_senseless_settings_are_refused(tmp_path):
    watcher = Watcher()
    assert logbook.watching(watcher, tmp_path)[0] is watcher
    with pytest.raises(InputError, match="send_every_s must be positive"):
        dnaml.autolog(send_every_s=0)
