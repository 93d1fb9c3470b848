"""What root does on the controller's host, on the state folder itself: set up, login tokens, revocation."""

import contextlib
import time
from collections.abc import Iterator

from chaos_protocol import values
from chaos_protocol.problems import Problem, Refused

from chaos_controller import ca, tokens, units
from chaos_controller.config import Config
from chaos_controller.store.database import Database, StoreUnavailableError
from chaos_controller.store.inventory import Inventory
from chaos_controller.store.records import AuditRecord, Records

_LONGEST_NS = 720 * 3600 * 10**9


def init(config: Config) -> None:
    """Make CA, identity and store; raises `Refused` naming each that is there already."""
    there = [path for path in (config.authority, config.identity, config.state / "controller.db") if path.exists()]
    if there:
        raise Refused([Problem(str(path), "", "is there already; nothing was changed") for path in there])
    config.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    config.state.chmod(0o700)
    with _open(config) as database:
        database.create()
    ca.create(config.authority, config.fleet)
    ca.Authority(config.authority, config.fleet).make_controller(config.identity, config.own_names)


def login_token(config: Config, name: str, role: str, valid: str) -> str:
    """The text of a new token for a person."""
    try:
        valid_ns = values.parse(units.DURATION, valid)
    except ValueError as error:
        raise Refused([Problem("--valid", valid, str(error))]) from None
    if not 0 < valid_ns <= _LONGEST_NS:
        raise Refused([Problem("--valid", valid, "must be more than 0s and at most 720h")])
    _require_init(config)
    now = time.time_ns()
    token = tokens.make(config, ca.authority_pem(config.authority), role, name, {}, now + valid_ns)
    with _open(config) as database:
        Inventory(database).add_token(token.record)
        Records(database).write_audit([AuditRecord(now, "root", "console", f"create {role} token", name)])
    return token.text


def revoke(config: Config, name: str, role: str) -> list[str]:
    """Revoke the certificates of a name; returns them."""
    _require_init(config)
    now = time.time_ns()
    with _open(config) as database:
        revoked = Inventory(database).revoke(role, name, now)
        Records(database).write_audit([AuditRecord(now, "root", "console", f"revoke {role}", name)])
    return revoked


def _require_init(config: Config) -> None:
    if not config.identity.exists():
        raise Refused([Problem("state", str(config.state), "is not initialised; run `chaos-controller init` first")])


@contextlib.contextmanager
def _open(config: Config) -> Iterator[Database]:
    database = Database(config.database_url)
    try:
        yield database
    except StoreUnavailableError as error:
        raise Refused([Problem("store", config.database_url, str(error))]) from None
    finally:
        database.close()
