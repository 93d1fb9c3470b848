"""The fleet's certificate authority. `cryptography` is imported late: only issuing needs it, and it is slow to load.

Extended key usage is a wall that gRPC enforces: agents only serve, people only call, the controller does both.
"""

import datetime
import hashlib
import ipaddress
import json
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chaos_protocol.identity import AGENT, CONTROLLER, CONTROLLER_NAME, Identity
from chaos_protocol.problems import Problem, Refused

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

_YEAR_DAYS = 365
_CA_DAYS = 10 * _YEAR_DAYS
_SKEW = datetime.timedelta(minutes=5)
_KEY, _CERTIFICATE = "ca.key", "ca.crt"
_ISSUED = "issued.json"


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate just issued. `expires_at` in ns since 1970."""

    der: bytes
    pem: bytes
    fingerprint: str
    expires_at: int


def create(folder: Path, fleet: str) -> None:
    """Make the CA: its key (mode 0600) in `folder` (mode 0700) and its certificate."""
    from cryptography.hazmat.primitives.asymmetric import ec

    _private_folder(folder)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate_of_ca(key, fleet)
    _write_private(folder / _KEY, _key_pem(key))
    _write_private(folder / _CERTIFICATE, _pem(certificate))


def authority_pem(folder: Path) -> bytes:
    """The CA's certificate."""
    return (folder / _CERTIFICATE).read_bytes()


class Authority:
    """Issues certificates with the key in `folder`. Raises `Refused` when others could read the key."""

    def __init__(self, folder: Path, fleet: str) -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization

        _refuse_lax(folder, 0o700)
        _refuse_lax(folder / _KEY, 0o600)
        self._fleet = fleet
        self._key: Any = serialization.load_pem_private_key((folder / _KEY).read_bytes(), None)
        self._certificate = x509.load_pem_x509_certificate((folder / _CERTIFICATE).read_bytes())

    def certify(self, who: Identity, csr_der: bytes) -> Issued:
        """A certificate for the key in a request; nothing else in the request counts."""
        from cryptography import x509

        try:
            request = x509.load_der_x509_csr(csr_der)
            good = request.is_signature_valid
        except ValueError:
            good = False
        if not good:
            raise Refused([Problem("csr", f"{len(csr_der)} bytes", "must be a signed PKCS #10 request (DER)")])
        return self._issue(who, _elliptic(request.public_key()))

    def make_controller(self, folder: Path, names: Sequence[str]) -> None:
        """A new key and certificate of the controller itself in `folder`, good for these names."""
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        issued = self._issue(Identity(self._fleet, CONTROLLER, CONTROLLER_NAME), key.public_key(), names)
        _private_folder(folder)
        _write_private(folder / "identity.key", _key_pem(key))
        _write_private(folder / "ca.crt", _pem(self._certificate))
        _write_private(folder / "identity.crt", issued.pem)
        facts = {"names": sorted(names), "expires_at": issued.expires_at}
        _write_private(folder / _ISSUED, json.dumps(facts).encode())

    def _issue(self, who: Identity, key: "EllipticCurvePublicKey", names: Sequence[str] = ()) -> Issued:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.x509.oid import ExtendedKeyUsageOID as Usage

        now = datetime.datetime.now(datetime.UTC)
        until = min(now + datetime.timedelta(days=_YEAR_DAYS), self._certificate.not_valid_after_utc)
        usages = {AGENT: [Usage.SERVER_AUTH], CONTROLLER: [Usage.SERVER_AUTH, Usage.CLIENT_AUTH]}
        serves = who.role in usages
        sans: list[x509.GeneralName] = [x509.UniformResourceIdentifier(who.uri)]
        sans += [_general_name(name) for name in (who.server_name, *names)] if serves else []
        signed = (
            x509.CertificateBuilder()
            .subject_name(_name(f"{who.role} {who.name}"))
            .issuer_name(self._certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _SKEW)
            .not_valid_after(until)
            .add_extension(x509.SubjectAlternativeName(sans), critical=False)
            .add_extension(x509.ExtendedKeyUsage(usages.get(who.role, [Usage.CLIENT_AUTH])), critical=True)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        der = signed.public_bytes(serialization.Encoding.DER)
        return Issued(der, _pem(signed), hashlib.sha256(der).hexdigest(), int(until.timestamp()) * 10**9)


def renew_controller(authority: Path, identity: Path, fleet: str, names: Sequence[str], now: int) -> bool:
    """Make the controller a new certificate when the names have changed or a third of its time is left; whether so."""
    facts = json.loads((identity / _ISSUED).read_bytes())
    third = _YEAR_DAYS * 86400 * 10**9 // 3
    if facts["names"] == sorted(names) and facts["expires_at"] - now > third:
        return False
    Authority(authority, fleet).make_controller(identity, names)
    return True


def _elliptic(key: object) -> "EllipticCurvePublicKey":
    from cryptography.hazmat.primitives.asymmetric import ec

    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Refused([Problem("csr", type(key).__name__, "the key must be EC P-256")])
    return key


def _certificate_of_ca(key: Any, fleet: str) -> "x509.Certificate":
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    now = datetime.datetime.now(datetime.UTC)
    name = _name(f"chaos CA of {fleet}")
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + datetime.timedelta(days=_CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _key_usage(signs_certificates: bool) -> "x509.KeyUsage":
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> "x509.Name":
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common[:64])])


def _general_name(name: str) -> "x509.GeneralName":
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: "x509.Certificate") -> bytes:
    from cryptography.hazmat.primitives import serialization

    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    form = serialization.PrivateFormat.PKCS8
    pem: bytes = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return pem


def _private_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)


def _write_private(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)


def _refuse_lax(path: Path, mode: int) -> None:
    try:
        found = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise Refused([Problem(str(path), error.strerror or "", "run `chaos-controller init` first")]) from None
    if found & ~mode:
        raise Refused([Problem(str(path), f"mode {found:04o}", f"others could read the CA's key: chmod {mode:o} it")])
