"""The service Enrolment of a fake controller: single-use tokens, certificates from the fake CA."""

import grpc
import grpc.aio
from chaos_protocol import catalogue, enrolment, serving
from chaos_protocol.identity import Credentials, Identity
from chaos_protocol.problems import Problem, Refused
from chaos_protocol.serving import Caller
from chaos_protocol.v1 import agent_pb2, controller_pb2, options_pb2

from tests.fakes.fake_ca import FakeCa


class FakeDoor:
    """`used`: every token is refused. `failing`: it answers with an error that is no refusal."""

    def __init__(self, ca: FakeCa) -> None:
        self.fleet = ca.fleet
        self.used = False
        self.failing = False
        self.api_address = ""
        self.port = 0
        self._ca = ca
        self._known: dict[bytes, Identity] = {}

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def is_revoked(self, fingerprint: str) -> bool:
        return False

    def token(self, name: str, role: options_pb2.Role.ValueType) -> str:
        """A token that this door takes."""
        secret = name.encode()
        self._known[secret] = Identity(self.fleet, catalogue.word_of(options_pb2.Role.DESCRIPTOR, role), name)
        return enrolment.write_token(
            controller_pb2.Token(
                ca_der=self._ca.der,
                fleet=self.fleet,
                role=role,
                name=name,
                enrol_address=self.address,
                api_address=self.api_address,
                secret=secret,
            )
        )

    async def start(self, keys: Credentials) -> grpc.aio.Server:
        """Open it: TLS with the server's certificate alone."""
        server = grpc.aio.server(options=serving.OPTIONS)
        service = controller_pb2.DESCRIPTOR.services_by_name["Enrolment"]
        server.add_generic_rpc_handlers((serving.handlers(service, self, self),))
        credentials = grpc.ssl_server_credentials([(keys.key, keys.certificate)])
        self.port = server.add_secure_port(f"127.0.0.1:{self.port}", credentials)
        await server.start()
        return server

    async def Enrol(self, request: controller_pb2.EnrolRequest, _: Caller) -> controller_pb2.EnrolReply:
        if self.failing:
            raise RuntimeError("the door is broken, as the test wished")
        if self.used or request.secret not in self._known:
            raise Refused([Problem("token", "", "was used already; ask for a new one")], agent_pb2.REFUSED_CALLER)
        certificate = self._ca.sign(request.csr_der, self._known[request.secret])
        return controller_pb2.EnrolReply(certificate_der=certificate, ca_der=self._ca.der)
