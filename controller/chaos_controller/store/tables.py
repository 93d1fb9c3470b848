"""The tables. Instants are ns since 1970; the audit log can't be changed, and says so itself."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
)

metadata = MetaData()
_Sequence = BigInteger().with_variant(Integer, "sqlite")

# One row. Every write of a controller begins by counting `version` up where `term` is its own.
ledger = Table(
    "ledger",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("term", BigInteger, nullable=False),
    Column("fence", Integer, nullable=False),  # how many aborts are up
)
hosts = Table(
    "hosts",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("id", String(36), nullable=False),
    Column("labels", JSON, nullable=False),
    Column("address", Text, nullable=False),
    Column("machine_id", Text, nullable=False),
    Column("enrolled_at", BigInteger, nullable=False),
    Column("last_contact", BigInteger),
    Column("retired_at", BigInteger),
    Column("revoked_at", BigInteger),  # its certificate; it is not dialled until it enrols again
    Column("note", Text, nullable=False),
)
tokens = Table(
    "tokens",
    metadata,
    Column("hash", String(64), primary_key=True),  # SHA-256 of the secret, hex
    Column("role", String(16), nullable=False),
    Column("name", String(63), nullable=False),
    Column("labels", JSON, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
)
certificates = Table(
    "certificates",
    metadata,
    Column("fingerprint", String(64), primary_key=True),  # SHA-256 of the DER, hex
    Column("role", String(16), nullable=False),
    Column("name", String(63), nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)
plans = Table(
    "plans",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("spec", LargeBinary, nullable=False),
    Column("targets", JSON, nullable=False),  # [[name, id], …]
    Column("catalogue", String(64), nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)
experiments = Table(
    "experiments",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("by", Text, nullable=False),
    Column("idempotency_key", Text),
    Column("state", Integer, nullable=False),
    Column("spec", LargeBinary, nullable=False),
    Column("plan_hash", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("details", JSON, nullable=False),
    UniqueConstraint("by", "idempotency_key"),
)
injections = Table(
    "injections",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("experiment_id", String(36), nullable=False, index=True),
    Column("position", Integer, nullable=False),
    Column("host", String(63), nullable=False),
    Column("state", Integer, nullable=False),
    Column("details", JSON, nullable=False),
    Index("injections_by_state", "state"),
)
aborts = Table(
    "aborts",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("reason", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("raised_at", BigInteger, nullable=False),
    Column("lifted_at", BigInteger),
)
audit = Table(
    "audit",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
    Column("from", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("hosts", JSON, nullable=False),
    Column("result", Text, nullable=False),
)

_REFUSE = "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
_APPEND_ONLY = {
    "sqlite": [
        f"CREATE TRIGGER audit_no_{verb} BEFORE {verb.upper()} ON audit {_REFUSE}" for verb in ("update", "delete")
    ],
    "postgresql": [
        """CREATE OR REPLACE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$""",
        """CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
        FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()""",
    ],
}


@event.listens_for(audit, "after_create")
def _forbid_changes(_table: object, connection: Connection, **_: object) -> None:
    for statement in _APPEND_ONLY.get(connection.dialect.name, ()):
        connection.exec_driver_sql(statement)
