"""Admission: what was accepted is there after a restart, once under one key, and nothing is told before it is true."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dnaml.client import default_policy, default_predictor
from dnaml.core.errors import FencedError, RepeatedKeyError, StateFolderError, StorageUnavailable
from dnaml.core.work import Computation, Job, Objective
from dnaml.durable.replay_index import read_index
from dnaml.durable.settings import StorageSettings
from dnaml.durable.store import INDEX
from dnaml.engine import Engine, EngineSettings, Watcher
from dnaml.execution import messages

FIT = Computation(id="fit", kernel="fit")


def engine(folder: Path, **settings) -> Engine:
    return Engine(folder, default_policy(), default_predictor(), Objective(), Watcher(), EngineSettings(**settings))


def job(name: str, key: str | None = None, tenant: str = "") -> Job:
    return Job(id=name, computation_id="fit", submitted_at_s=1.0, idempotency_key=key, tenant=tenant)


def payload(digest: str = "d") -> messages.Payload:
    return messages.Payload(b"", b"f", "", b"a", b"{}", False, (), digest)


@pytest.fixture
def one(tmp_path):
    opened = engine(tmp_path)
    yield opened
    opened.close()


def test_a_repeated_request_finds_its_job_and_another_one_under_its_key_is_refused(one):
    assert one.submit_once(job("a", "k"), FIT, payload()) == "a"
    assert one.submit_once(job("b", "k"), FIT, payload()) == "a"
    with pytest.raises(RepeatedKeyError, match="idempotency key 'k' was used by job a"):
        one.submit_once(job("c", "k"), FIT, payload("other"))
    assert one.submit_once(job("d", "k", tenant="t"), FIT, payload("other")) == "d"
    assert one.submit_once(job("e"), FIT, payload()) == "e"
    assert one.submit_once(job("f"), FIT, payload()) == "f"


@pytest.mark.parametrize("settled", [True, False])
def test_keys_survive_a_restart_and_a_kill(tmp_path, settled):
    script = (
        "import os, signal, sys; from pathlib import Path;"
        "from tests.durable.test_admission import *;"
        "one = engine(Path(sys.argv[1])); one.submit_once(job('a', 'k'), FIT, payload(), durable=True);"
        "one.close() if sys.argv[2] == 'True' else os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path), str(settled)], check=False)
    assert ended.returncode == (0 if settled else -signal.SIGKILL)
    for _ in range(2):
        again = engine(tmp_path)
        assert again.submit_once(job("b", "k"), FIT, payload()) == "a"
        with pytest.raises(RepeatedKeyError):
            again.submit_once(job("c", "k"), FIT, payload("other"))
        again.close()


def test_many_threads_with_one_key_get_one_job_and_it_is_journaled_once(one, tmp_path):
    found: list[str] = []

    def ask(number: int) -> None:
        found.append(one.submit_once(job(f"j{number}", "k"), FIT, payload(), durable=True))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16
    assert len(set(found)) == 1


def test_nothing_is_accepted_while_the_storage_refuses(tmp_path):
    from dnaml.durable.settings import StorageSettings

    one = engine(tmp_path, storage=StorageSettings(admission_patience_s=0.05))
    one.store.admission.refuse(StorageUnavailable("the disk is full"))
    with pytest.raises(StorageUnavailable, match=r"nothing is accepted now .* the disk is full") as caught:
        one.submit((job("a"), FIT, payload()))
    assert caught.value.retry_after_s > 0
    one.store.admission.admit()
    one.submit((job("b"), FIT, payload()))
    one.close()


def test_an_engine_that_was_taken_over_accepts_nothing(tmp_path):
    one = engine(tmp_path)
    os.pwrite(os.open(tmp_path / "engine.life", os.O_RDWR), (99).to_bytes(8, "little"), 0)
    with pytest.raises(FencedError, match="another engine took over"):
        one.submit((job("a"), FIT, payload()))
    one.close()


def test_after_a_flush_that_failed_everything_is_refused(tmp_path, monkeypatch):
    one = engine(tmp_path)
    one.submit((job("a"), FIT, payload()), durable=True)
    real = os.fdatasync

    def fails(fd: int) -> None:
        monkeypatch.setattr(os, "fdatasync", real)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fails)
    for number in range(3):
        with pytest.raises(StateFolderError, match="the disk did not confirm"):
            one.submit((job(f"b{number}"), FIT, payload()), durable=True)
    one.close()
    again = engine(tmp_path)
    assert "a" in again.controller.ledger.open
    again.close()


def test_jobs_that_no_event_names_are_taken_in_at_a_restart_with_and_without_an_index(tmp_path):
    one = engine(tmp_path)
    one.submit(*((job(f"j{i}"), FIT, payload()) for i in range(5)))
    one.close()
    for index in (True, False):
        lost = engine(tmp_path)
        lost.store.admission.accept([(job(f"late-{index}"), FIT, payload())])  # stored, never posted
        lost.close()
        if not index:
            (tmp_path / "replay.index").unlink()
        again = engine(tmp_path)
        again.close()
        final = engine(tmp_path)
        assert {f"j{i}" for i in range(5)} | {f"late-{index}"} <= set(final.controller.ledger.open)
        assert all(final.store.admission.payload(job_id) for job_id in list(final.controller.ledger.open))
        final.close()


def test_an_index_written_at_the_start_knows_which_jobs_behind_a_missed_one_are_in_the_journal(tmp_path):
    script = (
        "import os, sys, time; from pathlib import Path;"
        "from tests.durable.test_admission import *;"
        "one = engine(Path(sys.argv[1]));"
        "one.store.admission.accept([(job('missed'), FIT, payload())], durable=False);"
        "one.submit((job('told'), FIT, payload()));"
        "end_s = time.monotonic() + 60;"
        "stored = lambda: [type(event).__name__ for event in one.store._open_journal(read_only=True).replay()];"
        "[time.sleep(0.01) for _ in iter(lambda: 'Submitted' in stored() or time.monotonic() > end_s, True)];"
        "os._exit(0)"
    )
    assert subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False).returncode == 0
    again = engine(tmp_path, storage=StorageSettings(index_every_events=8))
    index = read_index(tmp_path / INDEX)
    again.close()
    assert index is not None
    assert index.beyond == ["told"]
    assert set(again.controller.ledger.open) == {"missed", "told"}
