"""What a journal needs of a database, and SQLite as one: a connection, its dialect's few words, which errors pass.

A write is one transaction of driver calls: the journal's path is hot, and rows of four columns need no mapper.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import sqlalchemy as sa

from dnaml.core.errors import StateFolderError, StorageUnavailable

_BUSY_S = 0.25  # what the driver waits for a lock by itself; longer waits are ours, with jitter


class Durability(Enum):
    """Says what a committed moment survives."""

    PROCESS = "process"  # SIGKILL of the engine; power loss may take the last moments, never half of one
    POWER = "power"  # power loss too: the disk is flushed before anybody is told


class Database(Protocol):
    """One connection to where a journal lies."""

    name: str
    mark: str  # placeholder of a value in its SQL
    errors: tuple[type[Exception], ...]  # what its driver raises
    connection: sa.Connection

    @property
    def driver(self) -> Any:  # Any: each driver has a class of its own
        """Return the driver's own connection."""
        ...

    def transaction(self) -> contextlib.AbstractContextManager[Any]:
        """Hold one write transaction: committed at the end, rolled back by any exception."""
        ...

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        ...

    def refusal(self, error: Exception) -> StateFolderError:
        """Return what an error of the driver means for whoever writes."""
        ...

    def has_tables(self) -> bool:
        """Say whether anything was ever made here."""
        ...

    def lock(self) -> None:
        """Keep other engines out for as long as the connection lives; raise StateInUseError when one is in."""
        ...

    def evict(self) -> None:
        """End the connection of whoever holds the lock, where the database can."""
        ...

    def close(self) -> None:
        """Give the connection back."""
        ...


class SqliteDatabase:
    """A file; the lock of the state folder around it keeps a second engine out."""

    mark = "?"
    errors: tuple[type[Exception], ...] = (sqlite3.Error,)

    def __init__(self, path: Path, *, read_only: bool, durability: Durability) -> None:
        self.name = str(path)
        mode = "ro" if read_only else "rwc"
        url = sa.URL.create("sqlite", database=f"file:{quote(str(path))}?mode={mode}", query={"uri": "true"})
        options = {"check_same_thread": False, "isolation_level": None, "timeout": _BUSY_S}
        self._engine = sa.create_engine(url, connect_args=options)
        self.connection = self._engine.connect()
        try:
            if not read_only:
                level = "FULL" if durability is Durability.POWER else "NORMAL"
                self.connection.exec_driver_sql("PRAGMA journal_mode=WAL")
                self.connection.exec_driver_sql(f"PRAGMA synchronous={level}")
        except BaseException:
            self.close()
            raise

    @property
    def driver(self) -> Any:  # Any: each driver has a class of its own
        """Return the driver's own connection."""
        return self.connection.connection.driver_connection

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Any]:
        """Hold one write transaction: committed at the end, rolled back by any exception."""
        driver = self.driver
        try:
            driver.execute("BEGIN IMMEDIATE")
            yield driver
            driver.execute("COMMIT")
        except BaseException:
            if driver.in_transaction:
                driver.execute("ROLLBACK")
            raise

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        found: list[tuple[Any, ...]] = self.driver.execute(sql, values).fetchall()
        return found

    def refusal(self, error: Exception) -> StateFolderError:
        """Return what an error of the driver means: a lock, a full or a read-only disk may pass, others do not."""
        said = f"{self.name}: cannot write the journal: {error}"
        code = getattr(error, "sqlite_errorcode", 0) or 0
        passing = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY}
        if code & 0xFF in passing or code == sqlite3.SQLITE_IOERR_WRITE or code & 0xFF == sqlite3.SQLITE_CANTOPEN:
            return StorageUnavailable(said)
        return StateFolderError(said)

    def has_tables(self) -> bool:
        """Say whether anything was ever made here."""
        return bool(self.rows("SELECT name FROM sqlite_master WHERE type = 'table'"))

    def lock(self) -> None:
        """Do nothing: whoever may write holds the lock of the state folder."""

    def evict(self) -> None:
        """Do nothing: the generation keeps a former engine from writing."""

    def close(self) -> None:
        """Give the connection back."""
        self.connection.close()
        self._engine.dispose()
