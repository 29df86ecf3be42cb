"""Every journal keeps the contract of the Journal seam: all events, in order, equal, durable once settled."""

from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnaml.core import events as ev
from dnaml.core.events import Event
from dnaml.core.protocols import Journal
from dnaml.datasets.journal import SqlJournal
from tests.datasets.every_event import EVERY_KIND


class Shelf(Protocol):
    """A place where a journal can be closed and opened again."""

    def open(self) -> Journal: ...

    def close(self, journal: Journal) -> None: ...


class SqliteShelf:
    """Keeps an SqlJournal in a file of its own."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "journal.sqlite"

    def open(self) -> Journal:
        return SqlJournal(self._path)

    def close(self, journal: Journal) -> None:
        assert isinstance(journal, SqlJournal)
        journal.close()


every_shelf = pytest.mark.parametrize("new_shelf", [SqliteShelf])


@every_shelf
def test_a_new_journal_is_empty(new_shelf, tmp_path):
    shelf = new_shelf(tmp_path)
    journal = shelf.open()
    assert list(journal.replay()) == []
    shelf.close(journal)


@every_shelf
@settings(max_examples=25, deadline=None)
@given(sessions=st.lists(st.lists(st.sampled_from(EVERY_KIND), max_size=12), max_size=4))
def test_events_come_back_equal_and_in_order_over_any_number_of_reopenings(new_shelf, tmp_path_factory, sessions):
    shelf, told = new_shelf(tmp_path_factory.mktemp("shelf")), []
    for session in sessions:
        journal = shelf.open()
        for event in session:
            journal.append(event)
            told.append(event)
        shelf.close(journal)
    journal = shelf.open()
    assert list(journal.replay()) == told
    assert list(journal.replay()) == told
    shelf.close(journal)


@every_shelf
def test_what_is_settled_can_be_replayed_by_another_while_the_first_goes_on(new_shelf, tmp_path):
    shelf = new_shelf(tmp_path)
    first, told = shelf.open(), []
    for at_s in range(3):
        moment: list[Event] = [ev.Tick(at_s=float(at_s)), ev.Settled(at_s=float(at_s))]
        for event in moment:
            first.append(event)
        told += moment
        second = shelf.open()
        assert list(second.replay()) == told
        shelf.close(second)
    shelf.close(first)
