"""How hosts and people come in: a real CA, real tokens, the second listener."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from chaos_controller import daemon, setup
from chaos_controller.config import Config
from chaos_controller.states import Reason
from chaos_protocol import calling, enrolment, identity
from chaos_protocol.identity import CONTROLLER, CONTROLLER_NAME, Credentials, Identity
from chaos_protocol.problems import Refused
from chaos_protocol.v1 import controller_pb2, controller_pb2_grpc, options_pb2

from tests.controller.conftest import Caller
from tests.fakes.fake_agent import FakeAgent


@dataclasses.dataclass
class Site:
    """A controller with a CA of its own."""

    config: Config
    daemon: daemon.Daemon

    def token(self, text: str) -> str:
        """The token as if it had been made by a controller that knows its ports."""
        token = enrolment.read_token(text)
        token.enrol_address = f"127.0.0.1:{self.daemon.enrol_port}"
        return enrolment.write_token(token)

    def login(self, name: str, role: str = "operator") -> str:
        return self.token(setup.login_token(self.config, name, role, "1h"))

    @asynccontextmanager
    async def caller(self, folder: Path) -> AsyncIterator[Caller]:
        server = Identity("lab", CONTROLLER, CONTROLLER_NAME)
        address = f"127.0.0.1:{self.daemon.api_port}"
        async with calling.channel(address, Credentials.load(folder), server) as channel:
            yield Caller(controller_pb2_grpc.ControllerStub(channel))


@asynccontextmanager
async def site(folder: Path) -> AsyncIterator[Site]:
    config = Config("lab", "localhost", folder / "state", "127.0.0.1:0", "127.0.0.1:0")
    setup.init(config)
    running = daemon.prepare(config)
    async with asyncio.TaskGroup() as group:
        group.create_task(running.run())
        await running.started.wait()
        try:
            yield Site(config, running)
        finally:
            running.stop()


async def join(token: str, folder: Path, **more: str) -> Identity:
    return await asyncio.to_thread(enrolment.join, token, folder, **more)


async def test_a_person_comes_in_by_a_token_made_on_the_spot(tmp_path: Path) -> None:
    """The first operator: root on the controller's host makes the token, the controller need not know."""
    async with site(tmp_path) as here:
        who = await join(here.login("ada"), tmp_path / "ada")
        async with here.caller(tmp_path / "ada") as ada:
            status = await ada.call("GetStatus", controller_pb2.StatusRequest())

    assert who == Identity("lab", "operator", "ada")
    assert status.you == who.uri


async def test_a_host_comes_in_and_is_dialled_at_once(tmp_path: Path) -> None:
    """The token brings its labels; the controller reaches it where it said."""
    async with site(tmp_path) as here:
        await join(here.login("ada"), tmp_path / "ada")
        async with here.caller(tmp_path / "ada") as ada:
            request = controller_pb2.TokenRequest(name="web1", role=options_pb2.ROLE_AGENT, labels={"role": "web"})
            token = await ada.call("CreateToken", request)
            port = await free_port(tmp_path)
            await join(here.token(token.token), tmp_path / "web1", advertise=f"127.0.0.1:{port}", machine_id="m1")
            agent = FakeAgent("web1", tmp_path / "web1")
            agent.port = port
            await agent.start()
            await agent.until(lambda agent: agent.count("Hold"))
            hosts = await ada.call("ListHosts", controller_pb2.ListHostsRequest())
            await agent.close()

    assert [(host.name, dict(host.labels)) for host in hosts.hosts] == [("web1", {"role": "web"})]


async def free_port(folder: Path) -> int:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


async def test_a_token_is_good_once(tmp_path: Path) -> None:
    """The second use is refused and lets nobody in."""
    async with site(tmp_path) as here:
        token = here.login("ada")
        await join(token, tmp_path / "ada")
        with pytest.raises(Refused, match="was used already") as caught:
            await join(token, tmp_path / "eve")

    assert caught.value.reason == Reason.CALLER
    assert not (tmp_path / "eve/identity.crt").exists()


async def test_many_at_once_with_one_token_let_in_one(tmp_path: Path) -> None:
    """The last word is a conditional write."""
    async with site(tmp_path) as here:
        token = here.login("ada")
        tries = [join(token, tmp_path / f"try{number}") for number in range(5)]
        came = await asyncio.gather(*tries, return_exceptions=True)

    assert sum(isinstance(each, Identity) for each in came) == 1


async def test_an_expired_token_is_refused(tmp_path: Path) -> None:
    """By the controller's clock."""
    async with site(tmp_path) as here:
        token = here.token(setup.login_token(here.config, "ada", "operator", "1ns"))
        with pytest.raises(Refused, match="has expired"):
            await join(token, tmp_path / "ada")


async def test_a_token_of_another_fleet_is_refused(tmp_path: Path) -> None:
    """Its CA is not ours, so the bearer does not even speak to us."""
    other = Config("lab", "localhost", tmp_path / "other")
    setup.init(other)

    async with site(tmp_path) as here:
        stolen = enrolment.read_token(setup.login_token(other, "ada", "operator", "1h"))
        ours = enrolment.read_token(here.login("ada"))
        ours.secret = stolen.secret
        with pytest.raises(Refused, match="is not known"):
            await join(enrolment.write_token(ours), tmp_path / "ada")


async def test_the_door_serves_enrol_and_nothing_else(tmp_path: Path) -> None:
    """Without a certificate there is no API."""
    import grpc

    async with site(tmp_path) as here:
        token = enrolment.read_token(here.login("ada"))
        server = Identity("lab", CONTROLLER, CONTROLLER_NAME)

        def ask() -> grpc.StatusCode:
            ca = (here.config.identity / "ca.crt").read_bytes()
            with calling.bearer_channel(token.enrol_address, ca, server) as channel:
                try:
                    controller_pb2_grpc.ControllerStub(channel).GetStatus(controller_pb2.StatusRequest(), timeout=5)
                except grpc.RpcError as error:
                    return error.code()
            return grpc.StatusCode.OK

        code = await asyncio.to_thread(ask)

    assert code is grpc.StatusCode.UNIMPLEMENTED


async def test_an_agents_certificate_opens_nothing_here(tmp_path: Path) -> None:
    """It is for serving only: gRPC itself refuses it as a client's."""
    import grpc

    async with site(tmp_path) as here:
        await join(here.login("ada"), tmp_path / "ada")
        async with here.caller(tmp_path / "ada") as ada:
            request = controller_pb2.TokenRequest(name="web1", role=options_pb2.ROLE_AGENT)
            token = await ada.call("CreateToken", request)
        await join(here.token(token.token), tmp_path / "web1", advertise="127.0.0.1:1")
        async with here.caller(tmp_path / "web1") as web1:
            with pytest.raises(grpc.RpcError) as caught:
                await web1.call("ShowFence", controller_pb2.FenceRequest())

    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("advertise", ["controller.controller.lab.chaos:7070", "web2.agent.lab.chaos:7070"])
async def test_a_host_gets_no_name_but_its_own(tmp_path: Path, advertise: str) -> None:
    """Servers are known by the names in their certificates: who comes in as web1 must pass for nobody else."""
    from cryptography import x509

    async with site(tmp_path) as here:
        await join(here.login("ada"), tmp_path / "ada")
        async with here.caller(tmp_path / "ada") as ada:
            request = controller_pb2.TokenRequest(name="web1", role=options_pb2.ROLE_AGENT)
            token = await ada.call("CreateToken", request)
        await join(here.token(token.token), tmp_path / "web1", advertise=advertise)

    certificate = x509.load_pem_x509_certificate((tmp_path / "web1/identity.crt").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["web1.agent.lab.chaos"]


@pytest.mark.parametrize(
    "advertise", ["wéb1:7070", "unix:/run/x:7070", "a b:7070", "[]:7070", "*.example:7070", "web1"]
)
async def test_an_odd_address_is_refused_and_costs_no_token(tmp_path: Path, advertise: str) -> None:
    """What can't be dialled is said before anything is issued."""
    async with site(tmp_path) as here:
        await join(here.login("ada"), tmp_path / "ada")
        async with here.caller(tmp_path / "ada") as ada:
            request = controller_pb2.TokenRequest(name="web1", role=options_pb2.ROLE_AGENT)
            token = here.token((await ada.call("CreateToken", request)).token)
        with pytest.raises(Refused, match="advertise"):
            await join(token, tmp_path / "web1", advertise=advertise)
        await join(token, tmp_path / "web1", advertise="[fd00::4]:7070")


async def test_a_lax_key_is_refused(tmp_path: Path) -> None:
    """A CA whose key others can read issues nothing."""
    async with site(tmp_path) as here:
        (here.config.authority / "ca.key").chmod(0o644)
        with pytest.raises(Refused, match="0644"):
            await join(here.login("ada"), tmp_path / "ada")


async def test_our_own_certificate_follows_the_advertised_name(tmp_path: Path) -> None:
    """A new name in the configuration is in the certificate after the next start."""
    config = Config("lab", "localhost", tmp_path / "state", "127.0.0.1:0", "127.0.0.1:0")
    setup.init(config)
    before = (config.identity / "identity.crt").read_bytes()

    daemon.prepare(dataclasses.replace(config, advertise="chaos.example"))

    assert (config.identity / "identity.crt").read_bytes() != before


def test_identity_is_in_the_certificate(tmp_path: Path) -> None:
    """Exactly one URI, as the gate wants it."""
    config = Config("lab", "localhost", tmp_path / "state")
    setup.init(config)

    who = identity.of_certificate((config.identity / "identity.crt").read_bytes())

    assert who == Identity("lab", CONTROLLER, CONTROLLER_NAME)
