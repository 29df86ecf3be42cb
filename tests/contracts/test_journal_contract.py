"""Every journal keeps the contract of the Journal seam: all events, in order, equal, durable once settled."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dnaml.client import Executor
from dnaml.core import events as ev
from dnaml.core.errors import FencedError, StateFolderError, StateInUseError, StorageUnavailable
from dnaml.core.events import Event
from dnaml.datasets.journal import SqlJournal
from dnaml.datasets.pages import PAGE_ROWS
from dnaml.durable.settings import StorageSettings
from dnaml.engine import EngineSettings
from tests.contracts.postgres_server import new_database, server
from tests.datasets.every_event import EVERY_KIND


class Shelf(Protocol):
    """A place where a journal can be closed and opened again."""

    def open(self, *, read_only: bool = False) -> SqlJournal: ...


class SqliteShelf:
    """Keeps an SqlJournal in a file of its own."""

    def __init__(self, folder: Path, _: str) -> None:
        self._path = folder / "journal.sqlite"

    def open(self, *, read_only: bool = False) -> SqlJournal:
        return SqlJournal(self._path, read_only=read_only)


class PostgresShelf:
    """Keeps an SqlJournal in a database of its own on a real server."""

    def __init__(self, _: Path, url: str) -> None:
        self._url = new_database(url, f"d{next(_numbers)}")

    def open(self, *, read_only: bool = False) -> SqlJournal:
        return SqlJournal(self._url, read_only=read_only)


_numbers = itertools.count()
NewShelf = Callable[[Path], Shelf]


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def new_shelf(request: pytest.FixtureRequest) -> NewShelf:
    """Give what makes an empty shelf in a folder."""
    if request.param == "sqlite":
        return lambda folder: SqliteShelf(folder, "")
    url = request.getfixturevalue("postgres")
    return lambda folder: PostgresShelf(folder, url)


def test_a_new_journal_is_empty(new_shelf, tmp_path):
    journal = new_shelf(tmp_path).open()
    assert list(journal.replay()) == []
    journal.close()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sessions=st.lists(st.lists(st.sampled_from(EVERY_KIND), max_size=12), max_size=4))
def test_events_come_back_equal_and_in_order_over_any_number_of_reopenings(new_shelf, tmp_path_factory, sessions):
    shelf, told = new_shelf(tmp_path_factory.mktemp("shelf")), []
    for session in sessions:
        journal = shelf.open()
        for event in session:
            journal.append(event)
            told.append(event)
        journal.close()
    journal = shelf.open()
    assert list(journal.replay()) == told
    assert list(journal.replay()) == told
    assert list(journal.replay(after=len(told) // 2)) == told[len(told) // 2 :]
    chosen = list(range(1, len(told) + 1, 3))
    assert [event for _, event in journal.chosen(chosen)] == [told[seq - 1] for seq in chosen]
    assert journal.check() == len(told)
    journal.close()


def test_packed_rows_are_read_as_before_by_everyone(new_shelf, tmp_path):
    shelf, told = new_shelf(tmp_path), [ev.Tick(at_s=float(number)) for number in range(2 * PAGE_ROWS + 500)]
    journal = shelf.open()
    for event in told:
        journal.append(event)
    journal.flush()
    reader = shelf.open(read_only=True)
    reading = reader.replay()
    chains = {seq: journal.chain_at(seq) for seq in (1, PAGE_ROWS, PAGE_ROWS + 1, 2 * PAGE_ROWS + 1)}
    assert next(reading) == told[0]
    assert [journal.pack(2 * PAGE_ROWS + 400) for _ in range(3)] == [True, True, False]
    assert [*reading] == told[1:]
    assert journal.packed == 2 * PAGE_ROWS
    assert {seq: journal.chain_at(seq) for seq in chains} == chains
    for after in (0, 7, PAGE_ROWS - 1, PAGE_ROWS, 2 * PAGE_ROWS, 2 * PAGE_ROWS + 1, len(told)):
        assert list(reader.replay(after)) == told[after:]
    seqs = [1, 5, PAGE_ROWS, PAGE_ROWS + 1, 2 * PAGE_ROWS, 2 * PAGE_ROWS + 1, len(told)]
    assert list(reader.chosen(seqs)) == [(seq, told[seq - 1]) for seq in seqs]
    assert reader.check() == len(told)
    reader.abandon()
    journal.close()
    again = shelf.open()
    again.append(ev.Settled(at_s=1e6))
    assert list(again.replay()) == [*told, ev.Settled(at_s=1e6)]
    again.close()


def test_an_earlier_generation_packs_nothing(tmp_path):
    shelf = SqliteShelf(tmp_path, "")
    first = shelf.open()
    for number in range(PAGE_ROWS):
        first.append(ev.Tick(at_s=float(number)))
    first.flush()
    second = shelf.open()
    second.take_over()
    with pytest.raises(FencedError):
        first.pack(PAGE_ROWS)
    assert second.packed == 0
    first.abandon()
    second.close()


def test_what_is_settled_can_be_replayed_by_another_while_the_first_goes_on(new_shelf, tmp_path):
    shelf = new_shelf(tmp_path)
    first, told = shelf.open(), []
    for at_s in range(3):
        moment: list[Event] = [ev.Tick(at_s=float(at_s)), ev.Settled(at_s=float(at_s))]
        for event in moment:
            first.append(event)
        told += moment
        second = shelf.open(read_only=True)
        assert list(second.replay()) == told
        second.close()
    first.close()


def test_an_earlier_generation_commits_nothing_more(new_shelf, tmp_path):
    shelf = new_shelf(tmp_path)
    first = shelf.open()
    assert first.take_over() == 1
    first.append(ev.Tick(at_s=1.0))
    first.append(ev.Settled(at_s=1.0))
    second = shelf.open()
    assert second.take_over(evict=True) == 2
    first.append(ev.Tick(at_s=2.0))
    with pytest.raises(StateFolderError):  # FencedError in a file; on a server its session is over
        first.append(ev.Settled(at_s=2.0))
    second.append(ev.Tick(at_s=3.0))
    second.append(ev.Settled(at_s=3.0))
    assert [event.at_s for event in second.replay()] == [1.0, 1.0, 3.0, 3.0]
    second.close()


def test_an_idempotency_key_is_kept_with_the_moment_it_came_in(new_shelf, tmp_path):
    shelf = new_shelf(tmp_path)
    journal = shelf.open()
    journal.claim("tenant\0key \ud800", "job-1", "digest-1")
    assert journal.key("tenant\0key \ud800") == ("job-1", "digest-1")
    other = shelf.open(read_only=True)
    assert other.key("tenant\0key \ud800") is None
    journal.append(ev.Settled(at_s=1.0))
    assert other.key("tenant\0key \ud800") == ("job-1", "digest-1")
    assert other.key("tenant\0another") is None
    other.abandon()
    journal.close()
    again = shelf.open()
    assert again.key("tenant\0key \ud800") == ("job-1", "digest-1")
    again.close()


def test_a_second_engine_on_one_server_is_refused_while_the_first_lives(postgres, tmp_path):
    shelf = PostgresShelf(tmp_path, postgres)
    first, second = shelf.open(), shelf.open()
    first.take_over()
    with pytest.raises(StateInUseError, match="in use by another engine"):
        second.take_over()
    first.close()
    assert second.take_over() == 2
    second.close()


def test_a_lock_held_by_others_is_told_apart_and_what_was_refused_is_stored_later(new_shelf, tmp_path):
    shelf = new_shelf(tmp_path)
    journal, other = shelf.open(), shelf.open()
    with other._db.transaction() as driver:
        if isinstance(shelf, PostgresShelf):
            driver.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        journal.append(ev.Tick(at_s=1.0))
        with pytest.raises(StorageUnavailable, match="cannot write the journal"):
            journal.append(ev.Settled(at_s=1.0))
    journal.flush()
    assert [event.at_s for event in journal.replay()] == [1.0, 1.0]
    other.abandon()
    journal.close()


def test_an_engine_runs_on_a_server_and_its_next_one_knows(postgres, tmp_path):
    shelf = PostgresShelf(tmp_path, postgres)
    options = EngineSettings(storage=StorageSettings(journal_url=shelf._url))
    for number in range(2):
        with Executor(state=tmp_path, settings=options, cores=1) as executor:
            assert executor.submit(pow, 2, 10 + number).result(30) == 1 << (10 + number)
    assert not (tmp_path / "journal.sqlite").exists()
    events = list(shelf.open(read_only=True).replay())
    assert sum(isinstance(event, ev.AttemptEnded) for event in events) == 2
    assert sum(isinstance(event, ev.Resumed) for event in events) == 1


def test_a_password_is_in_no_message(tmp_path):
    with pytest.raises(StateFolderError) as caught:
        SqlJournal("postgresql://user:s3cret@127.0.0.1:1/none")
    assert "s3cret" not in str(caught.value)
