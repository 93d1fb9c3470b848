"""The second listener, where hosts and people without a certificate come in by a token. It serves `Enrol` only."""

import asyncio
import ipaddress
import logging
import re
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import grpc
from chaos_protocol import serving
from chaos_protocol.identity import AGENT, Credentials, Identity
from chaos_protocol.problems import Problem, Refused
from chaos_protocol.v1 import controller_pb2

from chaos_controller import tokens
from chaos_controller.ca import Issued
from chaos_controller.config import Config, port_of
from chaos_controller.office import Desk
from chaos_controller.states import Reason
from chaos_controller.store.inventory import CertificateRecord, Inventory, TokenRecord
from chaos_controller.store.records import AuditRecord
from chaos_controller.timing import Now

log = logging.getLogger(__name__)
_HOST_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")


class Enrolment:
    """Service `chaos.v1.Enrolment`. `entered`: a host came in, replacing these certificates."""

    def __init__(
        self,
        config: Config,
        inventory: Inventory,
        desk: Desk,
        audit: Callable[[AuditRecord], None],
        entered: Callable[[str, list[str]], Awaitable[None]],
        now: Now,
    ) -> None:
        self._config = config
        self._inventory = inventory
        self._desk = desk
        self._audit = audit
        self._entered = entered
        self._now = now

    async def Enrol(self, request: controller_pb2.EnrolRequest, caller: serving.Caller) -> controller_pb2.EnrolReply:
        token: TokenRecord | None = None
        try:
            token = await self._desk.read(partial(self._inventory.token, tokens.hash_of(request.secret)))
            reply = await self._enrol(request, self._valid(token))
        except Refused as refused:
            name = token.name if token else "unknown"
            self._audit(AuditRecord(self._now(), "bearer", caller.address, "enrol", name, (), f"refused: {refused}"))
            raise
        assert token is not None
        hosts = [token.name] if token.role == AGENT else []
        who = f"{token.role} {token.name}"
        self._audit(AuditRecord(self._now(), who, caller.address, "enrol", token.name, hosts))
        return reply

    def _valid(self, token: TokenRecord | None) -> TokenRecord:
        if token is None:
            raise _refused("is not known; it was issued by another controller, or mistyped")
        if token.used_at is not None:
            raise _refused(f"for {token.name} was used already; ask for a new one")
        if token.expires_at <= self._now():
            raise _refused(f"for {token.name} has expired; ask for a new one")
        return token

    async def _enrol(self, request: controller_pb2.EnrolRequest, token: TokenRecord) -> controller_pb2.EnrolReply:
        if token.role == AGENT:
            _require_address(request.advertise)
        issued, ca_pem = await asyncio.to_thread(self._certify, token, request.csr_der)
        certificate = CertificateRecord(issued.fingerprint, token.role, token.name, issued.expires_at)
        use = partial(self._inventory.use_token, token, certificate, request.advertise, request.machine_id, self._now())
        revoked = await self._desk.write(use)
        if revoked is None:
            raise _refused(f"for {token.name} was used already; ask for a new one")
        log.info("enrolled: %s %s", token.role, token.name)
        if token.role == AGENT:
            await self._entered(token.name, revoked)
        return controller_pb2.EnrolReply(certificate_der=issued.der, ca_der=tokens.der_of(ca_pem))

    def _certify(self, token: TokenRecord, csr: bytes) -> tuple[Issued, bytes]:
        # In a thread: the first time `cryptography` is loaded, which takes a second on a slow machine.
        from chaos_controller import ca

        who = Identity(self._config.fleet, token.role, token.name)
        issued = ca.Authority(self._config.authority, self._config.fleet).certify(who, csr)
        return issued, ca.authority_pem(self._config.authority)


def _refused(remedy: str) -> Refused:
    return Refused([Problem("token", "", remedy)], Reason.CALLER)


def _require_address(advertise: str) -> None:
    """It is dialled and shown, nothing more: the certificate has the names that the token gives, and no other."""
    try:
        port_of(advertise)
        host = advertise.rpartition(":")[0]
        if not _HOST_NAME.fullmatch(host):
            bracketed = host.startswith("[") and host.endswith("]")
            ipaddress.IPv6Address(host[1:-1] if bracketed else "")
    except ValueError:
        remedy = "must be host:port, as web1.example:7070 or [fd00::4]:7070"
        raise Refused([Problem("advertise", advertise, remedy)]) from None


def credentials(identity: Path) -> grpc.ServerCredentials:
    """TLS with our certificate; none is asked of the caller."""
    mine = Credentials.load(identity)
    return grpc.ssl_server_credentials([(mine.key, mine.certificate)])
