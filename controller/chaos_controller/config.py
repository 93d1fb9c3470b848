"""controller.yaml, read once. Unknown keys are refused; all problems come at once."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from chaos_protocol import yamlfile
from chaos_protocol.identity import problem_of_name
from chaos_protocol.problems import Problem, Refused


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of the daemon. `advertise` is the name or address by which others reach it."""

    fleet: str
    advertise: str
    state: Path = Path("/var/lib/chaos-controller")
    listen: str = "[::]:7443"
    enrol_listen: str = "[::]:7444"
    policy: Path | None = None
    database: str = ""  # SQLAlchemy URL; empty: SQLite in the state folder

    @property
    def identity(self) -> Path:
        return self.state / "identity"

    @property
    def authority(self) -> Path:
        return self.state / "ca"

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.state / 'controller.db'}"

    @property
    def own_names(self) -> list[str]:
        """Names and addresses in the controller's own certificate."""
        return list(dict.fromkeys((self.advertise, "localhost", "127.0.0.1", "::1")))

    @property
    def api_address(self) -> str:
        """Where people and schedulers reach the API."""
        return _joined(self.advertise, port_of(self.listen))

    @property
    def enrol_address(self) -> str:
        """Where tokens are used."""
        return _joined(self.advertise, port_of(self.enrol_listen))


def port_of(address: str) -> int:
    """The port of host:port; `ValueError` when there is none."""
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ValueError("must be host:port, as [::]:7443")
    return int(port)


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def load(path: Path) -> Config:
    """The configuration in a file; raises `Refused` with every problem."""
    return read(yamlfile.read(path))


def read(document: object) -> Config:
    """The configuration that a document describes; raises `Refused` with every problem."""
    if not isinstance(document, Mapping):
        raise Refused([Problem("configuration", str(document), "must be keys with values, at least fleet, advertise")])
    known = [field.name for field in fields(Config)]
    remedy = f"is not known here; known are {', '.join(known)}"
    problems = [Problem(str(key), "", remedy) for key in document if key not in known]
    given: dict[str, Any] = {key: value for key, value in document.items() if key in known}
    for key, value in given.items():
        if not isinstance(value, str) or not value:
            problems.append(Problem(key, str(value), "must be text"))
    problems += [Problem(key, "", "is required") for key in ("fleet", "advertise") if key not in given]
    problems += _problems_of_values(given) if not problems else []
    if problems:
        raise Refused(problems)
    given |= {key: Path(given[key]) for key in ("state", "policy") if key in given}
    return Config(**given)


def _problems_of_values(given: Mapping[str, str]) -> list[Problem]:
    problems = [problem] if (problem := problem_of_name("fleet", given["fleet"])) else []
    for key in ("listen", "enrol_listen"):
        try:
            port_of(given.get(key, "[::]:1"))
        except ValueError as error:
            problems.append(Problem(key, given[key], str(error)))
    if any(sign in given["advertise"] for sign in "/[] "):
        problems.append(Problem("advertise", given["advertise"], "must be a host name or an address, without port"))
    return problems
