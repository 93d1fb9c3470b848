"""Connections and transactions. A write of the daemon happens only while its term is the live one."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, exc, insert, select, update

from chaos_controller.store import tables

_BUSY_S = 5


class StoreUnavailableError(Exception):
    """The database could not be read or written: locked, full, gone. The message says which."""


class TermRetiredError(Exception):
    """Another controller has started on this store; this one must not write and must not go on."""


class Database:
    """One database. `term` is this controller's; without one (administration on the spot) nothing is conditional."""

    def __init__(self, url: str, term: int | None = None) -> None:
        self._writing = _engine(url, "BEGIN IMMEDIATE")
        self._reading = _engine(url, "BEGIN")
        self.term = term

    def create(self) -> None:
        """Make the tables and the ledger's row; the audit's triggers come with them."""
        with _mapped(), self._writing.begin() as connection:
            tables.metadata.create_all(connection)
            if connection.execute(select(tables.ledger)).first() is None:
                connection.execute(insert(tables.ledger).values(id=1, version=0, term=0, fence=0))

    def begin_term(self) -> int:
        """Retire every controller before this one; from here on writes are conditional on the new term."""
        term = tables.ledger.c.term
        with _mapped(), self._writing.begin() as connection:
            connection.execute(update(tables.ledger).values(term=term + 1))
            self.term = int(connection.execute(select(term)).scalar_one())
        return self.term

    def is_live(self) -> bool:
        """Whether no other controller has started since."""
        with self.read() as connection:
            return bool(connection.execute(select(tables.ledger.c.term)).scalar_one() == self.term)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that holds the ledger's row from its first statement: sums in it are true to the end."""
        with _mapped(), self._writing.begin() as connection:
            version, term = tables.ledger.c.version, tables.ledger.c.term
            counted = update(tables.ledger).values(version=version + 1)
            if self.term is not None:
                counted = counted.where(term == self.term)
            if connection.execute(counted).rowcount != 1:
                raise TermRetiredError
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that waits for no writer (SQLite in WAL mode, PostgreSQL)."""
        with _mapped(), self._reading.begin() as connection:
            yield connection

    def close(self) -> None:
        """Let the connections go."""
        self._writing.dispose()
        self._reading.dispose()


@contextmanager
def _mapped() -> Iterator[None]:
    try:
        yield
    except exc.DBAPIError as error:
        raise StoreUnavailableError(f"the store can't be used: {error.orig}") from error
    except sqlite3.Error as error:  # while a connection is prepared SQLAlchemy does not wrap it
        raise StoreUnavailableError(f"the store can't be used: {error}") from error


def _engine(url: str, begin: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, isolation_level="READ COMMITTED", pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": _BUSY_S})

    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # BEGIN is ours
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine
