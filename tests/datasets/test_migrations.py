"""State folders of earlier versions: migrated after a backup, whole or not at all; never read in part."""

import itertools
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dnaml.client import Executor
from dnaml.core.attempt import JobState
from dnaml.core.errors import StateFolderError
from dnaml.core.resource import Resource
from dnaml.datasets import schema
from dnaml.datasets.journal import SqlJournal
from dnaml.datasets.migrations import open_journal
from dnaml.datasets.state import StateFolder
from dnaml.durable.settings import StorageSettings
from dnaml.engine import EngineSettings
from dnaml.history import History
from tests.contracts.postgres_server import new_database, server

RECORDED = Path(__file__).with_name("schema_1.sql")
POOL = (Resource(id="r0", price_usd_per_h=1.0),)
JOBS = {"d11e418f-1": JobState.SUCCEEDED, "d11e418f-2": JobState.FAILED, "d11e418f-3": JobState.SUCCEEDED}


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    """Give a state folder as an engine of version 1 left it."""
    state = StateFolder(tmp_path / "state")
    state.prepare()
    with closing(sqlite3.connect(state.journal)) as db:
        db.executescript(RECORDED.read_text())
    return state


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        return list(db.iterdump())


def test_a_folder_of_version_1_is_backed_up_migrated_and_goes_on(state):
    before = dump(state.journal)
    with Executor(POOL, state=state.root, cores=1) as executor:
        future = executor.submit(pow, 2, 5)
        assert future.result(60) == 32
    assert dump(state.root / "journal.before-migration-1.sqlite") == before
    jobs = History.read(state.root).jobs
    assert {name: view.state for name, view in jobs.items()} == {**JOBS, future.job_id: JobState.SUCCEEDED}
    journal = SqlJournal(state.journal, read_only=True)
    assert journal.check() > 19
    journal.abandon()
    with Executor(POOL, state=state.root, cores=1):
        assert not (state.root / "journal.before-migration-2.sqlite").exists()


def test_who_only_reads_is_refused_with_both_versions_and_changes_nothing(state):
    before = dump(state.journal)
    said = f"has schema version 1, this dnaml writes {schema.SCHEMA_VERSION}; it is migrated when an engine opens it"
    with pytest.raises(StateFolderError, match=said):
        History.read(state.root)
    assert dump(state.journal) == before


def test_a_migration_that_breaks_off_leaves_the_old_version_whole(state, monkeypatch):
    before = dump(state.journal)

    def breaks(_: object) -> None:
        raise RuntimeError("power loss")

    with monkeypatch.context() as patch:
        patch.setitem(schema._STEPS, 2, breaks)
        with pytest.raises(RuntimeError):
            open_journal(state)
    assert dump(state.journal) == before
    journal = open_journal(state)
    assert len(list(journal.replay())) == 19
    journal.close()
    assert dump(state.root / "journal.before-migration-2.sqlite") == before


def test_a_step_lies_between_any_earlier_version_and_the_next():
    assert sorted(schema._STEPS) == list(range(1, schema.SCHEMA_VERSION))


def test_tables_of_version_2_on_a_server_are_kept_under_another_name_and_migrated(tmp_path):
    with server() as url:
        address = new_database(url, "older")
        state, options = StateFolder(tmp_path), EngineSettings(storage=StorageSettings(journal_url=address))
        state.prepare()
        with Executor(POOL, state=tmp_path, settings=options, cores=1) as executor:
            first = executor.submit(pow, 2, 5)
            assert first.result(60) == 32
        journal = SqlJournal(address)
        before = list(journal.replay())
        with journal._db.transaction() as driver:  # back to what version 2 had
            driver.execute("DROP TABLE pages")
            driver.execute("UPDATE meta SET value = '2' WHERE key = 'schema_version'")
        journal.abandon()
        with pytest.raises(StateFolderError, match="has schema version 2, this dnaml writes"):
            SqlJournal(address, read_only=True)
        with Executor(POOL, state=tmp_path, settings=options, cores=1) as executor:
            assert executor.submit(pow, 2, 6).result(60) == 64
        journal = SqlJournal(address, read_only=True)
        assert list(itertools.islice(journal.replay(), len(before))) == before
        assert journal._db.rows("SELECT COUNT(*) FROM events_v2")[0][0] == len(before)
        journal.abandon()
