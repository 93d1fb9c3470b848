"""The caller's own key and certificate: who they say we are, and what is wrong with them.

A server that refuses a certificate just closes the socket, so what can be known is found out here, on this side.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from chaos_protocol.identity import CONTROLLER, CONTROLLER_NAME, OPERATOR, VIEWER, Credentials, Identity
from chaos_protocol.problems import Problem, Refused

from chaosctl.exits import Exit
from chaosctl.stop import Stop, refuse

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_AGAIN = "log in again with `chaosctl login TOKEN` (an operator makes one by `chaosctl login-token NAME`)"


def load(home: Path) -> tuple[Credentials, Identity]:
    """Key, certificate and CA, and who they make us."""
    try:
        credentials = Credentials.load(home)
    except Refused as refused:
        problems = [Problem(problem.culprit, problem.value, _AGAIN) for problem in refused.problems]
        raise Stop(Exit.INPUT, problems, "not logged in; the controller was not asked") from None
    return credentials, identity_of(credentials.certificate, home / "identity.crt")


def identity_of(pem: bytes, path: Path) -> Identity:
    """The one URI in a certificate. Read without `cryptography`, whose import would double a command's time."""
    import ssl

    try:
        der = ssl.PEM_cert_to_DER_cert(pem.decode("ascii"))
        # A URI is an IA5String there: its length in one byte, then its letters.
        found = [der[match.start() : match.start() + der[match.start() - 1]] for match in re.finditer(b"chaos://", der)]
        (uri,) = found
        return Identity.parse(uri.decode("ascii"))
    except (ValueError, IndexError):
        raise refuse(str(path), "", f"is no certificate of a fleet; {_AGAIN}") from None


def controller_of(fleet: str) -> Identity:
    """The controller that a member of a fleet speaks to."""
    return Identity(fleet, CONTROLLER, CONTROLLER_NAME)


def examine(home: Path, now: datetime | None = None) -> list[Problem]:
    """What is wrong with the files in `home`: dates, issuer, key, role."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    own, ca = home / "identity.crt", home / "ca.crt"
    try:
        certificate = x509.load_pem_x509_certificate(own.read_bytes())
        issuer = x509.load_pem_x509_certificate(ca.read_bytes())
        key = load_pem_private_key((home / "identity.key").read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        return [Problem(str(home), "", f"holds a file that can't be read ({error}); {_AGAIN}")]
    problems = [*_dates(own, certificate, now or datetime.now(UTC)), *_dates(ca, issuer, now or datetime.now(UTC))]
    if not _issued(certificate, issuer):
        problems.append(Problem(str(own), "", f"was not issued by the CA in {ca.name}; {_AGAIN}"))
    if key.public_key() != certificate.public_key():
        problems.append(Problem(str(home / "identity.key"), "", f"does not belong to {own.name}; {_AGAIN}"))
    role = identity_of(own.read_bytes(), own).role
    if role not in (OPERATOR, VIEWER):
        problems.append(Problem(str(own), role, "is the certificate of a daemon; people log in as operator or viewer"))
    return problems


def _dates(path: Path, certificate: Certificate, now: datetime) -> list[Problem]:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now > ends:
        return [Problem(str(path), f"expired {ends:%Y-%m-%d %H:%MZ}", _AGAIN)]
    if now < begins:
        return [Problem(str(path), f"valid from {begins:%Y-%m-%d %H:%MZ}", "is not valid yet; is this clock right?")]
    return []


def _issued(certificate: Certificate, issuer: Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
