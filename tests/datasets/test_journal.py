"""The journal: every kind of event comes back, the chain goes on after a reopen, and no damage goes unnoticed."""

import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from dnaml.core import events as ev
from dnaml.core.errors import CorruptError, StateFolderError, StorageUnavailable
from dnaml.core.events import Event
from dnaml.datasets.journal import SqlJournal, decode_event, encode_event
from tests.datasets.every_event import EVERY_KIND


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def stored(path: Path, *events: Event) -> None:
    journal = SqlJournal(path)
    for event in events:
        journal.append(event)
    journal.close()


def read(path: Path) -> list[Event]:
    journal = SqlJournal(path, read_only=True)
    try:
        return list(journal.replay())
    finally:
        journal.close()


def change(path: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(path)
    with connection:
        assert connection.execute(statement, values).rowcount > 0
    connection.close()


@pytest.mark.parametrize("event", EVERY_KIND, ids=lambda event: type(event).__name__)
def test_an_event_comes_back_equal(event):
    assert decode_event(type(event).__name__, encode_event(event)) == event


def test_the_list_above_has_every_kind_of_event():
    assert {type(event) for event in EVERY_KIND} == set(get_args(Event))


def test_events_come_back_in_order_also_while_another_process_writes(path):
    writer = SqlJournal(path)
    for event in EVERY_KIND:
        writer.append(event)
    assert len(writer) == len(EVERY_KIND)
    assert read(path) == list(EVERY_KIND)
    writer.append(ev.Tick(at_s=9.0))
    assert read(path) == list(EVERY_KIND)
    writer.close()
    assert read(path) == [*EVERY_KIND, ev.Tick(at_s=9.0)]


def test_what_was_appended_before_settled_survives_a_kill(path):
    script = (
        "import os, signal, sys; from pathlib import Path;"
        "from dnaml.core.events import Settled, Tick; from dnaml.datasets.journal import SqlJournal;"
        "journal = SqlJournal(Path(sys.argv[1]));"
        "[journal.append(Tick(at_s=float(i))) for i in range(50)]; journal.append(Settled(at_s=50.0));"
        "journal.append(Tick(at_s=51.0)); os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert ended.returncode == -9
    assert read(path) == [*(ev.Tick(at_s=float(i)) for i in range(50)), ev.Settled(at_s=50.0)]


def test_a_reopened_journal_continues_the_chain(path):
    for event in EVERY_KIND:
        stored(path, event)
    assert read(path) == list(EVERY_KIND)
    journal = SqlJournal(path)
    assert len(journal) == len(EVERY_KIND)
    journal.close()


def test_a_path_may_hold_what_means_something_in_an_address(tmp_path):
    folder = tmp_path / "50% a?b#c&mode=memory"
    folder.mkdir()
    stored(folder / "journal.sqlite", ev.Tick(at_s=1.0))
    assert {file.name for file in folder.iterdir()} == {"journal.sqlite", "journal.head"}
    assert read(folder / "journal.sqlite") == [ev.Tick(at_s=1.0)]


def test_closing_twice_or_flushing_nothing_is_no_error(path):
    journal = SqlJournal(path)
    journal.flush()
    journal.close()
    journal.close()
    assert read(path) == []


# -- what cannot be used ---------------------------------------------------------------------------------------------


def test_reading_needs_a_journal(path):
    with pytest.raises(StateFolderError, match="there is no journal here"):
        SqlJournal(path, read_only=True)
    assert not path.exists()


def test_a_file_that_is_no_database_is_refused(path):
    path.write_bytes(b"this is not a database, it only has its name" * 100)
    with pytest.raises(StateFolderError, match="cannot open the journal: file is not a database"):
        SqlJournal(path)


def test_another_schema_version_is_refused_naming_both(path):
    stored(path, ev.Tick(at_s=1.0))
    change(path, "UPDATE meta SET value = '99' WHERE key = 'schema_version'")
    for read_only in (False, True):
        with pytest.raises(StateFolderError, match="has schema version 99, this dnaml writes 3"):
            SqlJournal(path, read_only=read_only)


def test_an_event_of_an_unknown_kind_is_refused_by_name():
    with pytest.raises(CorruptError, match="unknown kind 'Teleported'; this version knows"):
        decode_event("Teleported", b"{}")


@pytest.mark.parametrize("body", [b"", b"{", b'{"at_s": "soon"}', b'{"at_s": null}', b"{}", b"\xff\xfe"])
def test_a_body_that_does_not_fit_its_kind_is_refused(body):
    with pytest.raises(CorruptError, match="holds a Tick event that does not fit its schema"):
        decode_event("Tick", body)


def test_an_event_that_cannot_be_stored_leaves_no_gap(path):
    journal = SqlJournal(path)
    journal.append(ev.Tick(at_s=1.0))
    with pytest.raises(UnicodeEncodeError):
        journal.append(ev.ModelChanged(at_s=2.0, model="\ud800"))
    journal.append(ev.Tick(at_s=3.0))
    journal.close()
    assert read(path) == [ev.Tick(at_s=1.0), ev.Tick(at_s=3.0)]


# -- damage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seq", range(1, len(EVERY_KIND) + 1))
@pytest.mark.parametrize("column", ["kind", "body", "chain"])
def test_a_changed_byte_in_any_row_is_found(path, seq, column):
    stored(path, *EVERY_KIND)
    if column == "chain":
        change(path, "UPDATE events SET chain = chain + 1 WHERE seq = ?", seq)
    elif column == "kind":
        change(path, "UPDATE events SET kind = 'Tick2' WHERE seq = ?", seq)
    else:
        body = bytearray(encode_event(EVERY_KIND[seq - 1]))
        body[seq % len(body)] ^= 1
        change(path, "UPDATE events SET body = ? WHERE seq = ?", bytes(body), seq)
    with pytest.raises(CorruptError, match=rf"event {seq} .*breaks the checksum chain"):
        read(path)


@pytest.mark.parametrize("seq", range(1, len(EVERY_KIND) + 1))
def test_a_deleted_row_is_found_also_the_last(path, seq):
    stored(path, *EVERY_KIND)
    change(path, "DELETE FROM events WHERE seq = ?", seq)
    lost = f"ends with event {len(EVERY_KIND) - 1}, but {len(EVERY_KIND)} were stored"
    with pytest.raises(CorruptError, match=f"breaks the checksum chain|{lost}"):
        read(path)


def test_swapped_rows_are_found(path):
    stored(path, *EVERY_KIND)
    for statement in ("SET seq = 99 WHERE seq = 3", "SET seq = 3 WHERE seq = 7", "SET seq = 7 WHERE seq = 99"):
        change(path, f"UPDATE events {statement}")
    with pytest.raises(CorruptError, match=r"event 3 .*breaks the checksum chain"):
        read(path)


def test_a_row_that_was_put_in_is_found(path):
    stored(path, *EVERY_KIND)
    change(path, "INSERT INTO events SELECT 99, at_s, kind, body, chain FROM events WHERE seq = 2")
    with pytest.raises(CorruptError, match=r"event 99 .*breaks the checksum chain"):
        read(path)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE events SET body = 'text' WHERE seq = 2", "event 2 holds other types"),
        ("UPDATE events SET kind = x'ff00' WHERE seq = 2", "event 2 holds other types"),
        ("UPDATE events SET kind = CAST(x'ff00' AS TEXT) WHERE seq = 2", "cannot be read"),
        ("UPDATE meta SET value = 'many' WHERE key = 'head'", "head cannot be read"),
    ],
)
def test_values_of_other_types_are_found(path, statement, said):
    stored(path, *EVERY_KIND)
    change(path, statement)
    with pytest.raises(CorruptError, match=said):
        read(path)


def test_no_flipped_bit_of_the_file_changes_what_is_read_in_silence(path):
    stored(path, *EVERY_KIND)
    whole, found, rng = path.read_bytes(), 0, random.Random(6)
    places = [i for i, byte in enumerate(whole) if byte]
    for place in rng.sample(places, 200):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        try:
            assert read(path) == list(EVERY_KIND), f"byte {place} was changed and nobody noticed"
        except (CorruptError, StateFolderError):
            found += 1
    assert found > 50


# -- a disk that refuses ---------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a folder on a file system of 256 KiB; skip where none may be mounted."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    made = subprocess.run(command, capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"no file system can be mounted here: {made.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_is_reported_and_what_was_stored_stays(small_disk):
    path = small_disk / "journal.sqlite"
    journal = SqlJournal(path)
    kept = []

    def fill() -> None:
        for i in range(10_000):
            journal.append(ev.ModelChanged(at_s=float(i), model="x" * 500))
            journal.append(ev.Settled(at_s=float(i)))
            kept.append(i)

    with pytest.raises(StateFolderError, match=r"cannot write the journal: .*full"):
        fill()
    assert 10 < len(kept) < 1000
    with pytest.raises(StateFolderError, match="cannot write the journal"):
        journal.close()
    assert len(read(path)) == 2 * len(kept)


def test_a_moment_is_committed_once_where_its_witness_can_be_written_only_later(tmp_path):
    path, witness = tmp_path / "journal.sqlite", tmp_path / "later" / "journal.head"
    journal = SqlJournal(path, witness=witness)
    journal.append(ev.ModelChanged(at_s=1.0, model="one"))
    with pytest.raises(StorageUnavailable, match="later"):
        journal.append(ev.Settled(at_s=1.0))
    with pytest.raises(StorageUnavailable, match="later"):
        journal.flush()
    witness.parent.mkdir()
    journal.flush()
    assert witness.stat().st_size > 0
    journal.append(ev.Settled(at_s=2.0))
    journal.close()
    assert len(read(path)) == 3


def test_a_disk_that_became_read_only_is_reported(small_disk):
    path = small_disk / "journal.sqlite"
    stored(path, *EVERY_KIND)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(StateFolderError, match="cannot open the journal"):
        SqlJournal(path)


def test_a_journal_that_another_process_is_about_to_make_reads_as_empty(path):
    sqlite3.connect(path).close()
    path.touch()
    assert read(path) == []


@pytest.mark.parametrize("name", ["meta", "events"])
def test_a_table_whose_name_was_damaged_is_not_taken_for_a_new_journal(path, name):
    stored(path, *EVERY_KIND)
    path.write_bytes(path.read_bytes().replace(name.encode(), name[:-1].encode() + b"_"))
    with pytest.raises((CorruptError, StateFolderError), match=r"no such table|malformed"):
        read(path)


def test_a_second_writer_that_comes_too_late_is_refused_and_changes_nothing(path):
    first, late = SqlJournal(path), SqlJournal(path)
    first.append(ev.Tick(at_s=1.0))
    first.flush()
    late.append(ev.Tick(at_s=9.0))
    with pytest.raises(StateFolderError, match="cannot write the journal: UNIQUE constraint failed"):
        late.flush()
    first.append(ev.Tick(at_s=2.0))
    first.close()
    assert read(path) == [ev.Tick(at_s=1.0), ev.Tick(at_s=2.0)]
    with pytest.raises(StateFolderError, match="cannot write the journal"):
        late.close()
