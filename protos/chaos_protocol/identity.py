"""Who somebody is: one URI in a certificate, `chaos://FLEET/ROLE/NAME`, and the files that prove it."""

import base64
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from chaos_protocol.problems import Problem, Refused

AGENT, CONTROLLER, OPERATOR, VIEWER, LOCAL, BEARER = "agent", "controller", "operator", "viewer", "local", "bearer"
CERTIFIED = (AGENT, CONTROLLER, OPERATOR, VIEWER)
CONTROLLER_NAME = "controller"
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Identity:
    """A fleet, a role and a name within it."""

    fleet: str
    role: str
    name: str

    @property
    def uri(self) -> str:
        return f"chaos://{self.fleet}/{self.role}/{self.name}"

    @property
    def server_name(self) -> str:
        """The DNS name in the certificate of a server: what a caller checks, whatever address it dials."""
        return f"{self.name}.{self.role}.{self.fleet}.chaos"

    def __str__(self) -> str:
        return f"{self.role} {self.name}"

    @classmethod
    def parse(cls, uri: str) -> Self:
        """The identity behind a URI; `ValueError` when it is none."""
        scheme, _, rest = uri.partition("://")
        parts = rest.split("/")
        if scheme != "chaos" or len(parts) != 3 or parts[1] not in CERTIFIED:
            raise ValueError(f"{uri!r} is no identity; expected chaos://FLEET/ROLE/NAME")
        fleet, role, name = parts
        if problem := problem_of_name("fleet", fleet) or problem_of_name("name", name):
            raise ValueError(str(problem))
        return cls(fleet, role, name)


def of_certificate(pem: bytes) -> Identity:
    """Whose certificate it is; `ValueError` when it names nobody.

    The URI stands in the certificate as plain text, so the daemons need no X.509 library to know who they are.
    """
    body = b"".join(line for line in pem.splitlines() if not line.startswith(b"-----"))
    found = re.search(rb"chaos://[a-z0-9.-]+/[a-z]+/[a-z0-9.-]+", base64.b64decode(body))
    if not found:
        raise ValueError("the certificate names no identity")
    return Identity.parse(found.group().decode())


def problem_of_name(what: str, name: str) -> Problem | None:
    """Names of fleets, hosts and people are DNS labels, so that they mean the same in certificates, files and logs."""
    if _NAME.fullmatch(name):
        return None
    return Problem(what, ascii(name), "must be 1 to 63 of a-z, 0-9, '.' and '-', beginning and ending with a-z or 0-9")


@dataclass(frozen=True, slots=True)
class Credentials:
    """Key, certificate and CA, PEM."""

    key: bytes
    certificate: bytes
    ca: bytes

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads `identity.key`, `identity.crt` and `ca.crt`; raises `Refused` naming each file that can't be read."""
        found: dict[str, bytes] = {}
        problems = []
        for name in ("identity.key", "identity.crt", "ca.crt"):
            try:
                found[name] = (folder / name).read_bytes()
            except OSError as error:
                problems.append(Problem(str(folder / name), error.strerror or str(error), "enrol or log in first"))
        if problems:
            raise Refused(problems)
        return cls(found["identity.key"], found["identity.crt"], found["ca.crt"])
