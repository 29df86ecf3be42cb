"""Opens the journal of a state folder for an engine, migrating one of an earlier version after a backup of it."""

import logging
import sqlite3
from pathlib import Path

import sqlalchemy as sa

from dnaml.core.errors import StateFolderError
from dnaml.datasets import schema
from dnaml.datasets.database import Durability
from dnaml.datasets.journal import SqlJournal, journal_url
from dnaml.datasets.postgres import known_url
from dnaml.datasets.state import StateFolder

_log = logging.getLogger(__name__)


def open_journal(
    state: StateFolder, url: str | None = None, *, read_only: bool = False, durability: Durability = Durability.PROCESS
) -> SqlJournal:
    """Open the journal of a state folder: in the database that `url` or `$DNAML_JOURNAL` names, else in its file.

    A writer must hold the folder's lock: a journal of an earlier version is migrated here, after a backup.
    """
    where = journal_url(url) or state.journal
    witness = state.root / "journal.head"
    try:
        return SqlJournal(where, read_only=read_only, durability=durability, witness=witness)
    except schema.OlderSchemaError:
        if read_only:
            raise
    _migrate(where, state)
    return SqlJournal(where, durability=durability, witness=witness)


def _migrate(where: Path | str, state: StateFolder) -> None:
    if isinstance(where, Path):
        copy = _free_name(where)
        _copy(where, copy)
        _log.warning("%s is migrated to schema version %d; a copy is kept as %s", where, schema.SCHEMA_VERSION, copy)
    engine = _engine(where)
    try:
        with engine.begin() as connection:
            stored = connection.scalar(sa.text("SELECT value FROM meta WHERE key = 'schema_version'"))
            if not isinstance(where, Path):
                _keep_tables(connection, f"_v{stored}")
            schema.upgrade(connection, int(stored or 0))
    except sa.exc.SQLAlchemyError as error:
        raise StateFolderError(f"{state.root}: the journal cannot be migrated: {error}") from error
    finally:
        engine.dispose()


def _engine(where: Path | str) -> sa.Engine:
    """Return an engine whose transactions hold tables too: by itself, SQLite's driver begins one at the first row."""
    if not isinstance(where, Path):
        return sa.create_engine(known_url(where))
    address = sa.URL.create("sqlite", database=str(where))
    engine = sa.create_engine(address, connect_args={"isolation_level": None})
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _keep_tables(connection: sa.Connection, ending: str) -> None:
    """Copy the tables of a database that has no file to copy."""
    for table in ("events", "meta"):
        connection.execute(sa.text(f"CREATE TABLE IF NOT EXISTS {table}{ending} AS TABLE {table}"))


def _free_name(path: Path) -> Path:
    number = 1
    while (copy := path.with_name(f"{path.stem}.before-migration-{number}{path.suffix}")).exists():
        number += 1
    return copy


def _copy(path: Path, copy: Path) -> None:
    """Copy an SQLite file, write-ahead log and all, as one consistent state."""
    source, target = sqlite3.connect(path), sqlite3.connect(copy)
    try:
        source.backup(target)
    except sqlite3.Error as error:
        copy.unlink(missing_ok=True)
        raise StateFolderError(f"{path}: cannot be backed up before its migration: {error}") from error
    finally:
        source.close()
        target.close()
