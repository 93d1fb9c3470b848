"""A real daemon on loopback: who gets in, what is refused, what a session says."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from chaos_agent.ledger import Ledger
from chaos_protocol import calling, catalogue, refusals
from chaos_protocol.identity import Credentials, Identity
from chaos_protocol.v1 import agent_pb2, agent_pb2_grpc, faults_pb2, options_pb2
from google.protobuf.message_factory import GetMessageClass

from tests.fakes.fake_ca import FakeCa

METHODS = [method for service in agent_pb2.DESCRIPTOR.services_by_name.values() for method in service.methods]
SERVER = Identity("lab", "agent", "web1")
PATIENCE_S = 20


@dataclass
class Daemon:
    """A running `chaos-agent run`, and certificates for whoever calls it."""

    address: str
    ca: FakeCa
    folder: Path
    process: subprocess.Popen[bytes]

    def channel(self, role: str, ca: FakeCa | None = None, ends_h: float = 24) -> grpc.Channel:
        who = (ca or self.ca).issue(self.folder / f"{role}-{id(ca)}-{ends_h}", role, "ann", ends_h=ends_h)
        credentials = Credentials.load(who)
        mine = Credentials(
            credentials.key, credentials.certificate, Credentials.load(self.folder / "state/identity").ca
        )
        return calling.sync_channel(self.address, mine, SERVER)

    def call(self, method: object, channel: grpc.Channel) -> None:
        """Call a method with an empty request; raises `grpc.RpcError`."""
        name = f"/{method.containing_service.full_name}/{method.name}"  # type: ignore[attr-defined]
        request = GetMessageClass(method.input_type)()  # type: ignore[attr-defined]
        if method.client_streaming:  # type: ignore[attr-defined]
            next(
                channel.stream_stream(name, type(request).SerializeToString, bytes)(iter([request]), timeout=PATIENCE_S)
            )
        else:
            channel.unary_unary(name, type(request).SerializeToString, bytes)(request, timeout=PATIENCE_S)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("agent")
    ca = FakeCa()
    ca.issue(folder / "state/identity", "agent", "web1")
    config = folder / "agent.yaml"
    config.write_text(f'state: {folder}/state\nlisten: "127.0.0.1:17070"\nlimits: {{longest_duration: 2m}}\n')
    with subprocess.Popen(
        [sys.executable, "-m", "chaos_agent", "--config", str(config), "run"], stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if b"listens on" in line:
                break
        yield Daemon("127.0.0.1:17070", ca, folder, process)
        os.kill(process.pid, signal.SIGTERM)


def roles_of(method: object) -> set[str]:
    access = method.GetOptions().Extensions[options_pb2.access]  # type: ignore[attr-defined]
    return {catalogue.word_of(options_pb2.Role.DESCRIPTOR, role) for role in access.roles}


@pytest.mark.parametrize("role", ["controller", "operator", "viewer", "agent"])
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_method_takes_its_roles_and_no_other(daemon: Daemon, method: object, role: str) -> None:
    """Whoever's certificate has no right to a method is told so; nobody else is refused as a caller."""
    with daemon.channel(role) as channel:
        try:
            daemon.call(method, channel)
            let_in = True
        except grpc.RpcError as error:
            refusal = refusals.unpack(error)
            # An agent's certificate is none for clients: it does not even get a connection.
            let_in = bool(refusal and refusal.reason != agent_pb2.REFUSED_CALLER)

    assert let_in is (role in roles_of(method))


@pytest.mark.parametrize(
    ("ca", "ends_h"),
    [
        # whose certificate, valid for so many hours
        pytest.param(FakeCa(), 24, id="another CA"),
        pytest.param(None, -0.5, id="expired"),
    ],
)
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_certificate_that_does_not_hold_gets_no_connection(
    daemon: Daemon, method: object, ca: FakeCa | None, ends_h: float
) -> None:
    """A certificate of a foreign CA, or one that has expired, is not even heard."""
    with daemon.channel("controller", ca, ends_h) as channel, pytest.raises(grpc.RpcError) as caught:
        daemon.call(method, channel)

    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE


def test_unknown_fields_that_shape_a_fault_are_refused(daemon: Daemon) -> None:
    """A filter that this agent does not know would hit everything if it were dropped."""
    request = agent_pb2.CheckRequest(fleet="lab", duration_ns=10**9)
    request.faults.append(faults_pb2.Fault.FromString(b"\x0a\x08\x08\x80\xc2\xd7\x2f\xf8\x07\x01"))

    with daemon.channel("controller") as channel, pytest.raises(grpc.RpcError) as caught:
        agent_pb2_grpc.AgentStub(channel).Check(request, timeout=PATIENCE_S)

    refusal = refusals.unpack(caught.value)
    assert refusal and [problem.value for problem in refusal.problems] == ["field number 127"]


def test_unknown_fields_that_end_a_fault_are_ignored(daemon: Daemon) -> None:
    """A newer controller must always be able to stop an older agent."""
    request = agent_pb2.RevertRequest.FromString(b"\x0a\x03abc\xf8\x07\x01")

    with daemon.channel("viewer") as channel:
        reply = agent_pb2_grpc.AgentStub(channel).Revert(request, timeout=PATIENCE_S)

    assert reply.outcome == agent_pb2.OUTCOME_NO_TRACE


def test_the_plan_already_shows_the_hosts_own_law(daemon: Daemon) -> None:
    """Check refuses what agent.yaml forbids, so that a plan says it before anything starts."""
    fault = faults_pb2.Fault(latency=faults_pb2.Latency(delay_ns=10**8))
    request = agent_pb2.CheckRequest(fleet="lab", faults=[fault], duration_ns=300 * 10**9)

    with daemon.channel("controller") as channel:
        reply = agent_pb2_grpc.AgentStub(channel).Check(request, timeout=PATIENCE_S)

    assert [problem.remedy for problem in reply.verdicts[0].problems] == ["this host's agent.yaml allows at most 2m"]
    assert reply.verdicts[0].reason == agent_pb2.REFUSED_LAW


def test_a_second_daemon_on_the_folder_is_refused(daemon: Daemon) -> None:
    """One daemon a state folder: the second says so and ends."""
    command = [sys.executable, "-m", "chaos_agent", "--config", str(daemon.folder / "agent.yaml"), "run"]

    second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)

    assert (second.returncode, "another chaos-agent runs" in second.stderr) == (2, True)


def test_the_console_speaks_to_the_daemon_by_its_socket(daemon: Daemon) -> None:
    """`chaos-agent abort` keeps everything out until `resume`."""

    def console(*words: str) -> str:
        command = [sys.executable, "-m", "chaos_agent", "--config", str(daemon.folder / "agent.yaml"), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE_S).stdout

    console("abort", "--reason", "drill")
    assert "by root on the host: drill" in console("status")
    console("resume")
    assert "drill" not in console("status")


def test_an_abort_at_the_console_holds_though_the_daemon_is_frozen(tmp_path: Path) -> None:
    """A daemon that does not answer is ended: it would wake up, know of no abort and write its standing over ours.

    Nothing is as urgent about a resume: that one is refused.
    """
    FakeCa().issue(tmp_path / "state/identity", "agent", "web1")
    config = tmp_path / "agent.yaml"
    config.write_text(f'state: {tmp_path}/state\nlisten: "127.0.0.1:17071"\n')
    command = [sys.executable, "-m", "chaos_agent", "--config", str(config)]
    with subprocess.Popen([*command, "run"], stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if b"listens on" in line)
        process.send_signal(signal.SIGSTOP)

        resumed = subprocess.run([*command, "resume"], capture_output=True, check=False, timeout=PATIENCE_S)
        subprocess.run([*command, "abort", "--reason", "drill"], check=True, timeout=4 * PATIENCE_S)

        assert (resumed.returncode, b"runs and does not answer" in resumed.stderr) == (2, True)
        assert process.wait(PATIENCE_S) == -signal.SIGKILL
    assert [order.reason for order in Ledger(tmp_path / "state").standing().up] == ["drill"]


def test_a_hold_begins_with_hello_and_is_welcomed(daemon: Daemon) -> None:
    """The welcome carries what a guard needs; a term once passed is never in charge again."""
    with daemon.channel("controller") as channel:
        hold = agent_pb2_grpc.AgentStub(channel).Hold
        newer, older = (agent_pb2.HoldDown(hello=agent_pb2.Hello(fleet="lab", term=term)) for term in (8, 7))

        welcome = next(hold(iter([newer]), timeout=PATIENCE_S)).welcome

        assert welcome.generation >= 1 and welcome.tick > 0
        with pytest.raises(grpc.RpcError) as caught:
            next(hold(iter([older]), timeout=PATIENCE_S))
        refusal = refusals.unpack(caught.value)
        assert refusal and refusal.reason == agent_pb2.REFUSED_STALE


@pytest.mark.parametrize("role", ["controller", "viewer"])
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_body_that_is_no_message_is_refused(daemon: Daemon, method: object, role: str) -> None:
    """Garbage is the caller's mistake, not the daemon's: it is said so, and only to whoever may call at all."""
    name = f"/{method.containing_service.full_name}/{method.name}"  # type: ignore[attr-defined]

    with daemon.channel(role) as channel, pytest.raises(grpc.RpcError) as caught:
        if method.client_streaming:  # type: ignore[attr-defined]
            next(channel.stream_stream(name, bytes, bytes)(iter([b"\xff" * 9]), timeout=PATIENCE_S))
        else:
            channel.unary_unary(name, bytes, bytes)(b"\xff" * 9, timeout=PATIENCE_S)

    refusal = refusals.unpack(caught.value)
    entitled = role in roles_of(method)
    assert refusal and refusal.reason == (agent_pb2.REFUSED_INPUT if entitled else agent_pb2.REFUSED_CALLER)


def test_a_refusal_of_very_much_still_arrives(daemon: Daemon) -> None:
    """What was sent comes back in the refusal, and must not grow beyond what a caller takes."""
    request = agent_pb2.AgentAbortRequest(injection_ids=["\x01" * 3500] * 280)

    with daemon.channel("viewer") as channel, pytest.raises(grpc.RpcError) as caught:
        agent_pb2_grpc.AgentStub(channel).Abort(request, timeout=PATIENCE_S)

    refusal = refusals.unpack(caught.value)
    assert refusal and refusal.reason == agent_pb2.REFUSED_INPUT and len(refusal.problems) > 10


@pytest.mark.parametrize(
    ("injection_id", "digest"),
    [
        ("../../x", "d"),
        ("", "d"),
        ("a/b", "d"),
        (".", "d"),
        ("é", "d"),
        ("web1", "d"),
        ("00000000-0000-4000-8000-00000000000a", ""),
    ],
)
def test_an_id_that_is_no_uuid_starts_nothing(daemon: Daemon, injection_id: str, digest: str) -> None:
    """Ids become files of root's and marks in the kernel; without a digest one call can't be told from another."""
    fault = faults_pb2.Fault(latency=faults_pb2.Latency(delay_ns=10**8))
    request = agent_pb2.InjectRequest(
        id=injection_id, digest=digest, fault=fault, duration_ns=10**9, lease_ns=15 * 10**9
    )

    with daemon.channel("controller") as channel, pytest.raises(grpc.RpcError) as caught:
        agent_pb2_grpc.AgentStub(channel).Inject(request, timeout=PATIENCE_S)

    refusal = refusals.unpack(caught.value)
    assert refusal and refusal.reason == agent_pb2.REFUSED_INPUT
    assert [problem.culprit for problem in refusal.problems] == ["id" if digest else "digest"]


@pytest.mark.parametrize(
    ("role", "by"),
    [("viewer", "viewer ann"), ("operator", "operator ann"), ("controller", "operator bob")],
)
def test_an_abort_is_in_the_name_of_who_ordered_it(daemon: Daemon, role: str, by: str) -> None:
    """Only a controller may say for whom it speaks: the name ends in the audit log."""
    order = agent_pb2.AbortOrder(abort_id=f"by-{role}", by="operator bob", host_only=True)

    with daemon.channel(role) as channel, daemon.channel("controller") as controller:
        agent_pb2_grpc.AgentStub(channel).Abort(agent_pb2.AgentAbortRequest(order=order), timeout=PATIENCE_S)
        up = agent_pb2_grpc.AgentStub(controller).List(agent_pb2.ListRequest(), timeout=PATIENCE_S).aborts_up
        lift = agent_pb2.LiftRequest(abort_ids=[order.abort_id])
        after = agent_pb2_grpc.AgentStub(controller).Lift(lift, timeout=PATIENCE_S).up

    assert [each.by for each in up] == [by]
    assert not after


def test_an_operator_lifts_what_is_up_and_leaves_nothing_else_behind(daemon: Daemon) -> None:
    """Lifted ids stay for good and are told with every tick: made-up ones would grow until no controller hears us."""
    lift = agent_pb2.LiftRequest(abort_ids=["made-up"])
    hello = agent_pb2.HoldDown(hello=agent_pb2.Hello(fleet="lab", term=9))

    with daemon.channel("operator") as operator, daemon.channel("controller") as controller:
        agent_pb2_grpc.AgentStub(operator).Lift(lift, timeout=PATIENCE_S)
        welcome = next(agent_pb2_grpc.AgentStub(controller).Hold(iter([hello]), timeout=PATIENCE_S)).welcome

    assert "made-up" not in welcome.aborts_lifted
