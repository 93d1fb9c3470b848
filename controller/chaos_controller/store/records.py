"""Aborts that are up or lifted, and the audit log."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select, update

from chaos_controller.store import tables
from chaos_controller.store.database import Database

_a = tables.aborts.c
_MOST_LIFTED = 1000


@dataclass(frozen=True, slots=True)
class AbortRecord:
    """An abort of the whole fleet; it is up until it is lifted."""

    id: str
    reason: str
    by: str
    raised_at: int


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """Who did what, from where, on which hosts, and what came of it."""

    at: int
    who: str
    origin: str
    what: str
    subject: str = ""
    hosts: Sequence[str] = ()
    result: str = "done"
    seq: int = 0


class Records:
    """Reads and writes of aborts and audit."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def raise_abort(self, record: AbortRecord) -> None:
        """Put an abort up; again is harmless, and one that was lifted stays lifted."""
        with self._database.write() as connection:
            if connection.execute(select(_a.id).where(_a.id == record.id)).first() is None:
                values = {"id": record.id, "reason": record.reason, "by": record.by, "raised_at": record.raised_at}
                connection.execute(insert(tables.aborts).values(values))
            _count_up(connection)

    def lift_aborts(self, ids: Iterable[str], now: int) -> None:
        """Lift these aborts."""
        with self._database.write() as connection:
            connection.execute(update(tables.aborts).where(_a.id.in_(list(ids))).values(lifted_at=now))
            _count_up(connection)

    def aborts_up(self) -> list[AbortRecord]:
        """Aborts that are up."""
        with self._database.read() as connection:
            wanted = select(_a.id, _a.reason, _a.by, _a.raised_at).where(_a.lifted_at.is_(None))
            return [AbortRecord(*row) for row in connection.execute(wanted)]

    def aborts_lifted(self) -> list[str]:
        """Ids of lifted aborts, the newest first; the oldest are forgotten."""
        with self._database.read() as connection:
            wanted = select(_a.id).where(_a.lifted_at.is_not(None)).order_by(_a.lifted_at.desc()).limit(_MOST_LIFTED)
            return list(connection.execute(wanted).scalars())

    def write_audit(self, records: Iterable[AuditRecord]) -> None:
        """Append to the audit log."""
        with self._database.write() as connection:
            for record in records:
                connection.execute(insert(tables.audit).values(_audit_values(record)))

    def read_audit(self, limit: int) -> list[AuditRecord]:
        """The newest entries, the newest first."""
        a = tables.audit.c
        with self._database.read() as connection:
            wanted = select(a.at, a.who, a["from"], a.what, a.subject, a.hosts, a.result, a.seq)
            return [AuditRecord(*row) for row in connection.execute(wanted.order_by(a.seq.desc()).limit(limit))]


def _count_up(connection: Connection) -> None:
    up = select(func.count()).select_from(tables.aborts).where(_a.lifted_at.is_(None)).scalar_subquery()
    connection.execute(update(tables.ledger).values(fence=up))


def _audit_values(record: AuditRecord) -> dict[str, object]:
    return {
        "at": record.at,
        "who": record.who,
        "from": record.origin,
        "what": record.what,
        "subject": record.subject,
        "hosts": list(record.hosts),
        "result": record.result,
    }
