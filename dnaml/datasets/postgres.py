"""PostgreSQL as the database of a journal: by URL, through psycopg; an advisory lock keeps a second engine out.

The lock belongs to the session, so it is free again when the engine's process or connection is gone.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError

from dnaml.core.errors import InputError, MissingExtra, StateFolderError, StateInUseError, StorageUnavailable
from dnaml.datasets.database import Durability

_LOCK = 0x646E616D6C  # "dnaml": a database holds one journal, so one number is enough
# Lock not available, query cancelled, disk full, read-only, too many connections: all of these may pass.
_PASSING = {"55P03", "57014", "53100", "25006", "53300", "40001", "40P01"}


def known_url(url: str) -> sa.URL:
    """Return the address that a URL of PostgreSQL names; raise InputError for any other."""
    try:
        address = sa.make_url(url)
    except ArgumentError:
        raise InputError("journal: must be a URL such as postgresql://user@host/database") from None
    if address.get_backend_name() != "postgresql":
        raise InputError(f"journal: must be a URL of PostgreSQL, got {address.get_backend_name()!r}")
    return address.set(drivername="postgresql+psycopg")


class PostgresDatabase:
    """One session on a PostgreSQL server."""

    mark = "%s"

    def __init__(self, url: str, *, durability: Durability) -> None:
        address = known_url(url)
        self.name = address.set(drivername="postgresql").render_as_string(hide_password=True)
        try:
            import psycopg
        except ImportError as error:
            raise MissingExtra("a journal on PostgreSQL needs psycopg: pip install 'dnaml[postgres]'") from error
        self.errors: tuple[type[Exception], ...] = (psycopg.Error,)
        self._engine = sa.create_engine(address, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 10})
        try:
            self.connection = self._engine.connect()
        except DBAPIError as error:
            raise StateFolderError(f"{self.name}: cannot open the journal: {error.orig}") from error
        level = "on" if durability is Durability.POWER else "off"
        self.connection.exec_driver_sql(f"SET synchronous_commit = {level}")
        self.connection.exec_driver_sql("SET lock_timeout = '250ms'")

    @property
    def driver(self) -> Any:  # Any: each driver has a class of its own
        """Return the driver's own connection."""
        return self.connection.connection.driver_connection

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Any]:
        """Hold one write transaction: committed at the end, rolled back by any exception."""
        with self.driver.transaction(), self.driver.cursor() as cursor:
            yield cursor

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        found: list[tuple[Any, ...]] = self.driver.execute(sql, values).fetchall()
        return found

    def refusal(self, error: Exception) -> StateFolderError:
        """Return what an error of the driver means: a lock, a full or a read-only disk may pass, others do not."""
        said = f"{self.name}: cannot write the journal: {error}"
        return StorageUnavailable(said) if getattr(error, "sqlstate", None) in _PASSING else StateFolderError(said)

    def has_tables(self) -> bool:
        """Say whether anything was ever made here."""
        return bool(self.rows("SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'meta'"))

    def lock(self) -> None:
        """Keep other engines out for as long as the session lives; raise StateInUseError when one is in."""
        if not self.rows("SELECT pg_try_advisory_lock(%s)", (_LOCK,))[0][0]:
            holder = ", ".join(str(pid) for pid in self._holders()) or "unknown"
            raise StateInUseError(f"{self.name} is in use by another engine (server process {holder})")

    def evict(self) -> None:
        """End the session that holds the lock: its engine was found dead or frozen."""
        for pid in self._holders():
            self.rows("SELECT pg_terminate_backend(%s, 5000)", (pid,))

    def _holders(self) -> list[int]:
        found = self.rows(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid()"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            " AND (classid::bigint << 32 | objid::bigint) = %s",
            (_LOCK,),
        )
        return [int(pid) for (pid,) in found]

    def close(self) -> None:
        """Give the lock and the connection back: the server may notice the end of a session a little later."""
        if not self.connection.closed:
            with contextlib.suppress(*self.errors):
                self.driver.execute("SELECT pg_advisory_unlock_all()")
        self.connection.close()
        self._engine.dispose()
