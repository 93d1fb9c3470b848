"""Tokens by which a host or a person comes in: the secret is shown once, its hash is kept."""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from chaos_protocol import catalogue
from chaos_protocol.identity import AGENT, OPERATOR, VIEWER, problem_of_name
from chaos_protocol.problems import Problem, Refused
from chaos_protocol.v1 import controller_pb2, options_pb2

from chaos_controller import labels as label_rules
from chaos_controller.config import Config
from chaos_controller.store.inventory import TokenRecord

ROLES = (AGENT, OPERATOR, VIEWER)
_SECRET_BYTES = 16


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token as its bearer gets it, and as it is kept."""

    text: str
    record: TokenRecord


def hash_of(secret: bytes) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret).hexdigest()


def make(config: Config, ca_pem: bytes, role: str, name: str, labels: Mapping[str, str], expires_at: int) -> NewToken:
    """A new token; raises `Refused` with every problem of role, name and labels."""
    from chaos_protocol.enrolment import write_token

    problems = [problem] if (problem := problem_of_name("name", name)) else []
    if role not in ROLES:
        problems.append(Problem("role", role, f"must be one of {', '.join(ROLES)}"))
    problems += label_rules.problems_of(labels)
    if labels and role in (OPERATOR, VIEWER):
        problems.append(Problem("labels", ", ".join(labels), "only hosts have labels"))
    if problems:
        raise Refused(problems)
    secret = secrets.token_bytes(_SECRET_BYTES)
    token = controller_pb2.Token(
        ca_der=der_of(ca_pem),
        fleet=config.fleet,
        role=options_pb2.Role.ValueType(catalogue.number_of(options_pb2.Role.DESCRIPTOR, role) or 0),
        name=name,
        enrol_address=config.enrol_address,
        api_address=config.api_address,
        secret=secret,
    )
    return NewToken(write_token(token), TokenRecord(hash_of(secret), role, name, expires_at, dict(labels)))


def der_of(pem: bytes) -> bytes:
    """The certificate in a PEM file with one."""
    return base64.b64decode(b"".join(line for line in pem.splitlines() if not line.startswith(b"-----")))
