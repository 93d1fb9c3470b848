"""Hosts, the tokens by which they and people come in, and certificates."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, insert, select, update

from chaos_controller.store import tables
from chaos_controller.store.database import Database

AGENT = "agent"


@dataclass(frozen=True, slots=True)
class HostRecord:
    """An enrolled host. Labels belong to the controller, not to the host."""

    name: str
    id: str
    address: str
    enrolled_at: int
    labels: Mapping[str, str] = field(default_factory=dict)
    machine_id: str = ""
    last_contact: int | None = None
    retired_at: int | None = None
    revoked_at: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """What a single-use token allows; `hash` is the SHA-256 of its secret, hex."""

    hash: str
    role: str
    name: str
    expires_at: int
    labels: Mapping[str, str] = field(default_factory=dict)
    used_at: int | None = None


@dataclass(frozen=True, slots=True)
class CertificateRecord:
    """A certificate that the CA issued."""

    fingerprint: str
    role: str
    name: str
    expires_at: int


class Inventory:
    """Reads and writes of the inventory; each write is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def hosts(self) -> list[HostRecord]:
        """Every host ever enrolled, retired ones too."""
        with self._database.read() as connection:
            rows = connection.execute(select(tables.hosts).order_by(tables.hosts.c.name)).mappings()
            return [HostRecord(**row) for row in rows]

    def add_token(self, token: TokenRecord) -> None:
        """Remember a token."""
        with self._database.write() as connection:
            connection.execute(insert(tables.tokens).values(_columns(token)))

    def token(self, token_hash: str) -> TokenRecord | None:
        """The token with this hash."""
        with self._database.read() as connection:
            row = connection.execute(select(tables.tokens).where(tables.tokens.c.hash == token_hash)).mappings().first()
            return TokenRecord(**row) if row else None

    def use_token(
        self, token: TokenRecord, certificate: CertificateRecord, address: str, machine_id: str, now: int
    ) -> list[str] | None:
        """Spend the token and write down whom it let in; older certificates of a host's name are revoked with it.

        Returns the fingerprints revoked, or None when the token was spent or has expired meanwhile.
        """
        t = tables.tokens.c
        with self._database.write() as connection:
            spend = update(tables.tokens).where(t.hash == token.hash, t.used_at.is_(None), t.expires_at > now)
            if connection.execute(spend.values(used_at=now)).rowcount != 1:
                return None
            revoked = _revoke(connection, AGENT, token.name, now) if token.role == AGENT else []
            connection.execute(insert(tables.certificates).values(_columns(certificate)))
            if token.role == AGENT:
                _enrol(connection, token, address, machine_id, now)
            return revoked

    def change_host(self, name: str, **values: object) -> None:
        """Set columns of one host."""
        with self._database.write() as connection:
            connection.execute(update(tables.hosts).where(tables.hosts.c.name == name).values(**values))

    def touch(self, contacts: Mapping[str, int]) -> None:
        """Write down when hosts were last heard."""
        with self._database.write() as connection:
            for name, at in contacts.items():
                connection.execute(update(tables.hosts).where(tables.hosts.c.name == name).values(last_contact=at))

    def revoke(self, role: str, name: str, now: int) -> list[str]:
        """Revoke every certificate of this role and name; returns the fingerprints."""
        with self._database.write() as connection:
            return _revoke(connection, role, name, now)

    def revoked(self, now: int) -> frozenset[str]:
        """Fingerprints of revoked certificates that would be valid else."""
        c = tables.certificates.c
        with self._database.read() as connection:
            wanted = select(c.fingerprint).where(c.revoked_at.is_not(None), c.expires_at > now)
            return frozenset(connection.execute(wanted).scalars())


def _columns(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__slots__}


def _revoke(connection: Connection, role: str, name: str, now: int) -> list[str]:
    c = tables.certificates.c
    which = (c.role == role, c.name == name, c.revoked_at.is_(None))
    found = list(connection.execute(select(c.fingerprint).where(*which)).scalars())
    connection.execute(update(tables.certificates).where(*which).values(revoked_at=now))
    return found


def _enrol(connection: Connection, token: TokenRecord, address: str, machine_id: str, now: int) -> None:
    """A name that enrols again keeps its id as long as it is the same machine."""
    h = tables.hosts.c
    known = connection.execute(select(h.id, h.machine_id).where(h.name == token.name)).first()
    same = known is not None and known.machine_id == machine_id
    values = {
        "id": known.id if known is not None and same else str(uuid.uuid4()),
        "labels": dict(token.labels),
        "address": address,
        "machine_id": machine_id,
        "enrolled_at": now,
        "retired_at": None,
        "revoked_at": None,
        "note": "",
    }
    if known is None:
        connection.execute(insert(tables.hosts).values(name=token.name, **values))
    else:
        connection.execute(update(tables.hosts).where(h.name == token.name).values(**values))
