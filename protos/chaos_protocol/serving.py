"""The one gate of every gRPC method: who may call it, what is refused unread, what an error becomes.

Rules come from the descriptors: a service with a method without roles does not start. Interceptors of grpc.aio do not
see the peer, so each handler is wrapped where it is registered.
"""

from __future__ import annotations  # grpc is generic in its stubs alone

import base64
import hashlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import grpc
import grpc.aio
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from chaos_protocol import catalogue, checking, identity, refusals
from chaos_protocol.identity import Credentials, Identity
from chaos_protocol.problems import Problem, Refused
from chaos_protocol.v1 import agent_pb2, options_pb2

log = logging.getLogger(__name__)
Context = grpc.aio.ServicerContext[Any, Any]
_TLS_ACCEPTED = {b"TLSv1.3", "TLSv1.3"}
OPTIONS = (
    *refusals.OPTIONS,
    ("grpc.so_reuseport", 0),  # a second daemon on the port is an error, not a share of the calls
    ("grpc.max_receive_message_length", 1024 * 1024),
    ("grpc.max_concurrent_streams", 256),
    ("grpc.server_handshake_timeout_ms", 5000),  # who connects and says nothing is not kept for two minutes
    ("grpc.keepalive_permit_without_calls", 1),
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: by certificate, by the local socket, or with a token in the request."""

    identity: Identity
    fingerprint: str
    address: str

    def __str__(self) -> str:
        return str(self.identity)


class Gate(Protocol):
    """What the daemon behind the gate knows of callers."""

    @property
    def fleet(self) -> str: ...
    def is_revoked(self, fingerprint: str) -> bool: ...


@dataclass(frozen=True)
class _Method:
    descriptor: MethodDescriptor
    roles: frozenset[str]
    ignore_unknown: bool
    gate: Gate

    def admit(self, context: Context) -> Caller:
        """Who calls; raises `Refused` when that one may not."""
        caller = _caller_of(context, identity.BEARER in self.roles)
        who = caller.identity
        if who.role not in self.roles:
            raise _stranger(str(who), f"may not call {self.descriptor.name}; it takes {', '.join(sorted(self.roles))}")
        if who.role in identity.CERTIFIED and who.fleet != self.gate.fleet:
            raise _stranger(who.uri, f"belongs to another fleet than {self.gate.fleet!r}")
        if caller.fingerprint and self.gate.is_revoked(caller.fingerprint):
            raise _stranger(who.uri, "its certificate was revoked; ask for a new one")
        return caller

    def parse(self, body: bytes) -> Message:
        """The message in a call's body. Not left to gRPC: the caller is admitted first, and gets an answer."""
        kind = GetMessageClass(self.descriptor.input_type)
        try:
            return kind.FromString(body)
        except DecodeError:
            remedy = f"is no {self.descriptor.input_type.name}"
            raise Refused([Problem("request", f"{len(body)} bytes", remedy)]) from None

    def inspect(self, request: Message) -> None:
        """Refuse what the descriptors forbid."""
        if problems := checking.check(request, unknown=not self.ignore_unknown):
            raise Refused(problems)


def handlers(service: ServiceDescriptor, implementation: object, gate: Gate) -> grpc.GenericRpcHandler:
    """Handlers for every method of a service; `implementation` has a coroutine (or async generator) of each name.

    They are called with the request (or the stream of requests) and the `Caller`.
    """
    built = {method.name: _handler(_rules_of(method, gate), implementation) for method in service.methods}
    return grpc.method_handlers_generic_handler(service.full_name, built)


def _rules_of(method: MethodDescriptor, gate: Gate) -> _Method:
    access = method.GetOptions().Extensions[options_pb2.access]
    roles = frozenset(catalogue.word_of(options_pb2.Role.DESCRIPTOR, role) for role in access.roles)
    if not roles:
        raise RuntimeError(f"{method.full_name} has no rule for roles")
    return _Method(method, roles, access.ignore_unknown, gate)


def _handler(method: _Method, implementation: object) -> grpc.RpcMethodHandler[Any, Any]:
    call = getattr(implementation, method.descriptor.name)
    shapes: dict[tuple[bool, bool], tuple[Any, Any]] = {
        (False, False): (grpc.unary_unary_rpc_method_handler, _unary(method, call)),
        (False, True): (grpc.unary_stream_rpc_method_handler, _streaming(method, call)),
        (True, True): (grpc.stream_stream_rpc_method_handler, _bidirectional(method, call)),
    }
    kind, wrapped = shapes[method.descriptor.client_streaming, method.descriptor.server_streaming]
    handler: grpc.RpcMethodHandler[Any, Any] = kind(
        wrapped,
        response_serializer=GetMessageClass(method.descriptor.output_type).SerializeToString,
    )
    return handler


def _unary(method: _Method, call: Callable[..., Any]) -> Callable[..., Any]:
    async def handle(body: bytes, context: Context) -> Message | None:
        try:
            caller = method.admit(context)
            request = method.parse(body)
            method.inspect(request)
            reply: Message = await call(request, caller)
            return reply
        except Exception as error:
            await _fail(context, method, error)
            return None

    return handle


def _streaming(method: _Method, call: Callable[..., Any]) -> Callable[..., Any]:
    async def handle(body: bytes, context: Context) -> AsyncIterator[Message]:
        try:
            caller = method.admit(context)
            request = method.parse(body)
            method.inspect(request)
            async for reply in call(request, caller):
                yield reply
        except Exception as error:
            await _fail(context, method, error)

    return handle


def _bidirectional(method: _Method, call: Callable[..., Any]) -> Callable[..., Any]:
    async def handle(bodies: AsyncIterator[bytes], context: Context) -> AsyncIterator[Message]:
        try:
            caller = method.admit(context)
            async for reply in call(_Requests(method, aiter(bodies)), caller):
                yield reply
        except Exception as error:
            await _fail(context, method, error)

    return handle


@dataclass(frozen=True, slots=True)
class _Requests:
    """What a caller streams. No generator: its reader may be another task than its opener, and either may end first."""

    method: _Method
    bodies: AsyncIterator[bytes]

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        return self.method.parse(await anext(self.bodies))


async def _fail(context: Context, method: _Method, error: Exception) -> None:
    if isinstance(error, Refused):
        status = refusals.STATUS[agent_pb2.Refused.ValueType(error.reason)]
        await context.abort(status, _detail(error), trailing_metadata=refusals.pack(error))
    if isinstance(error, grpc.RpcError | grpc.aio.AbortError):
        raise error
    log.error("%s failed", method.descriptor.name, exc_info=error)
    await context.abort(grpc.StatusCode.INTERNAL, f"{method.descriptor.name} failed; the daemon's log says why")


def _detail(error: Refused) -> str:
    # Goes into an HTTP/2 header: short and printable.
    return ascii(str(error))[1:-1][:500]


def _caller_of(context: Context, bearer: bool) -> Caller:
    address = context.peer()
    if address.startswith("unix:"):
        return Caller(Identity("", identity.LOCAL, "root"), "", "local socket")
    proof = context.auth_context()
    if not _TLS_ACCEPTED.intersection(proof.get("ssl_tls_version", _TLS_ACCEPTED)):
        raise _stranger(address, "must speak TLS 1.3")
    if bearer:
        return Caller(Identity("", identity.BEARER, "bearer"), "", address)
    uris = [uri.decode() for uri in proof.get("peer_uri", ())]
    if len(uris) != 1:
        raise _stranger(address, "must show a certificate with exactly one chaos:// URI")
    try:
        who = Identity.parse(uris[0])
    except ValueError as error:
        raise _stranger(uris[0], str(error)) from None
    return Caller(who, fingerprint_of(next(iter(proof["x509_pem_cert"]))), address)


def _stranger(who: str, remedy: str) -> Refused:
    return Refused([Problem("caller", who, remedy)], agent_pb2.REFUSED_CALLER)


def fingerprint_of(pem: bytes) -> str:
    """SHA-256 of a certificate, hex; without `cryptography`, for the daemons do not carry it."""
    body = b"".join(line for line in pem.splitlines() if not line.startswith(b"-----"))
    return hashlib.sha256(base64.b64decode(body)).hexdigest()


def server_credentials(folder: Path) -> grpc.ServerCredentials:
    """mTLS with the identity in `folder`; renewed files are taken up without a restart."""
    seen: list[float] = [_changed(folder)]

    def configuration() -> grpc.ServerCertificateConfiguration:
        mine = Credentials.load(folder)
        return grpc.ssl_server_certificate_configuration([(mine.key, mine.certificate)], root_certificates=mine.ca)

    def newer() -> grpc.ServerCertificateConfiguration | None:
        if (changed := _changed(folder)) == seen[0]:
            return None
        seen[0] = changed
        return configuration()

    # The stub of grpc forgets that None means unchanged.
    return grpc.dynamic_ssl_server_credentials(configuration(), newer, require_client_authentication=True)  # type: ignore[arg-type]


def _changed(folder: Path) -> float:
    return (folder / "identity.crt").stat().st_mtime
