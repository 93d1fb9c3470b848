"""How a host or a person gets an identity: a key made here, a certificate for it from the controller's CA.

The key never leaves the folder. The token brings the CA's certificate, so that the controller is known before the
first byte is sent to it. `cryptography` is imported late; daemons never import this module.
"""

import base64
import binascii
import os
from pathlib import Path

import grpc

from chaos_protocol import calling, catalogue, refusals
from chaos_protocol.identity import CONTROLLER, CONTROLLER_NAME, Identity, problem_of_name
from chaos_protocol.problems import Problem, Refused
from chaos_protocol.v1 import controller_pb2, controller_pb2_grpc, options_pb2

_PREFIX = "chaos1."
_CONNECT_WITHIN_S, _ANSWER_WITHIN_S = 5, 15


def write_token(token: controller_pb2.Token) -> str:
    """A token as people copy it."""
    return _PREFIX + base64.urlsafe_b64encode(token.SerializeToString()).decode().rstrip("=")


def read_token(text: str) -> controller_pb2.Token:
    """The token behind the text; `Refused` when it is none or was cut."""
    text = text.strip()
    body = text.removeprefix(_PREFIX)
    try:
        if body == text:
            raise ValueError
        token = controller_pb2.Token.FromString(base64.b64decode(body + "=" * (-len(body) % 4), b"-_", validate=True))
        if not (token.ca_der and token.secret and token.enrol_address) or problem_of_name("name", token.name):
            raise ValueError
    except (ValueError, binascii.Error, Exception) as error:
        remedy = f"is no whole token; copy it again, it begins with {_PREFIX}"
        raise Refused([Problem("token", f"{text[:12]}…", remedy)]) from error
    return token


def identity_of(token: controller_pb2.Token) -> Identity:
    """Who the bearer of a token becomes."""
    return Identity(token.fleet, catalogue.word_of(options_pb2.Role.DESCRIPTOR, token.role), token.name)


def join(text: str, folder: Path, advertise: str = "", machine_id: str = "") -> Identity:
    """Use a token: make a key, have it certified, store key, certificate and CA in `folder` (mode 0700).

    `advertise` is the host:port at which the controller reaches an agent. Raises `Refused`; nothing is stored then.
    """
    token = read_token(text)
    who = identity_of(token)
    key, csr = _key_and_request(who)
    reply = _ask(token, csr, advertise, machine_id)
    _store(folder, key, _pem(reply.certificate_der), _pem(reply.ca_der))
    return who


def _key_and_request(who: Identity) -> tuple[bytes, bytes]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(who.uri)])
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(names, critical=True)
    signed = request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()), signed


def _ask(token: controller_pb2.Token, csr: bytes, advertise: str, machine_id: str) -> controller_pb2.EnrolReply:
    controller = Identity(token.fleet, CONTROLLER, CONTROLLER_NAME)
    request = controller_pb2.EnrolRequest(secret=token.secret, csr_der=csr, advertise=advertise, machine_id=machine_id)
    with calling.bearer_channel(token.enrol_address, _pem(token.ca_der), controller) as channel:
        try:
            grpc.channel_ready_future(channel).result(_CONNECT_WITHIN_S)
            return controller_pb2_grpc.EnrolmentStub(channel).Enrol(request, timeout=_ANSWER_WITHIN_S)
        except (grpc.RpcError, grpc.FutureTimeoutError) as error:
            raise refusals.unpack(error) or _unreachable(token, error) from None


def _unreachable(token: controller_pb2.Token, error: Exception) -> Refused:
    detail = error.details() if isinstance(error, grpc.Call) else f"no connection within {_CONNECT_WITHIN_S} s"
    remedy = f"the controller's enrolment door does not answer ({detail}); is it running and reachable from here?"
    return Refused([Problem("controller", token.enrol_address, remedy)])


def _store(folder: Path, key: bytes, certificate: bytes, ca: bytes) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    # The certificate last: its new time stamp is what running servers look at.
    for name, content in (("identity.key", key), ("ca.crt", ca), ("identity.crt", certificate)):
        draft = folder / f".{name}.new"
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(folder / name)


def _pem(der: bytes) -> bytes:
    body = base64.encodebytes(der)
    return b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n"
