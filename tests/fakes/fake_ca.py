"""A certificate authority for tests: issues good certificates, and any kind of bad one."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from chaos_protocol.identity import AGENT, CONTROLLER, Identity
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_SERVER, _CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


class FakeCa:
    """Keys and certificates in the layout of `chaos_protocol.identity.Credentials`."""

    def __init__(self, fleet: str = "lab") -> None:
        self.fleet = fleet
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"chaos CA of {fleet}")])
        now = datetime.now(UTC)
        builder = self._builder(self._key.public_key(), self._name, now - timedelta(days=1), now + timedelta(days=30))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.certificate = builder.sign(self._key, hashes.SHA256())

    def _builder(
        self, key: ec.EllipticCurvePublicKey, subject: x509.Name, begins: datetime, ends: datetime
    ) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key)
        return builder.serial_number(x509.random_serial_number()).not_valid_before(begins).not_valid_after(ends)

    def issue(self, folder: Path, role: str, name: str, begins_h: float = -1, ends_h: float = 24) -> Path:
        """A folder with key, certificate and CA of somebody; validity in hours from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._certificate(key.public_key(), Identity(self.fleet, role, name), begins_h, ends_h)
        folder.mkdir(parents=True, exist_ok=True)
        form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        (folder / "identity.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
        (folder / "identity.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (folder / "ca.crt").write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        return folder

    @property
    def der(self) -> bytes:
        """The CA's own certificate."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def sign(self, csr_der: bytes, who: Identity) -> bytes:
        """A certificate for a request, DER."""
        key = x509.load_der_x509_csr(csr_der).public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        return self._certificate(key, who, -1, 24).public_bytes(serialization.Encoding.DER)

    def _certificate(
        self, key: ec.EllipticCurvePublicKey, who: Identity, begins_h: float, ends_h: float
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        uses = {CONTROLLER: [_SERVER, _CLIENT], AGENT: [_SERVER]}.get(who.role, [_CLIENT])
        names = [x509.UniformResourceIdentifier(who.uri), x509.DNSName(who.server_name)]
        builder = self._builder(key, x509.Name([]), now + timedelta(hours=begins_h), now + timedelta(hours=ends_h))
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
        return builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False).sign(self._key, hashes.SHA256())
