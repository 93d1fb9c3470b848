"""Nobody gets in without a certificate for that role: asked of the real daemons, with real certificates and tokens."""

import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import grpc
import pytest
from chaos_protocol import calling, refusals
from chaos_protocol.identity import AGENT, CONTROLLER, CONTROLLER_NAME, OPERATOR, VIEWER, Credentials, Identity
from chaos_protocol.v1 import agent_pb2, agent_pb2_grpc, controller_pb2, controller_pb2_grpc
from chaosctl.__main__ import main
from chaosctl.client import Client
from chaosctl.session import Session
from chaosctl.stop import Stop
from chaosctl.terminal import Terminal

from tests.fakes.fake_ca import FakeCa
from tests.system.fleet import LAB, Fleet, agent_of, latency, states, wait_until
from tests.system.fleet import OPERATOR as HOME

REFUSED, FORBIDDEN = 2, 3
Typed = Callable[..., tuple[int, str]]
Login = Callable[[str], Path]


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str]) -> Typed:
    """Type a command as whoever is at home in a folder: exit code, and what it says on stderr."""

    def type_it(home: Path, *words: str) -> tuple[int, str]:
        code = main(words, Session(home=home, terminal=Terminal({})))
        return code, capsys.readouterr().err

    return type_it


@pytest.fixture
def login(whole_fleet: Fleet, tmp_path: Path, typed: Typed) -> Iterator[Login]:
    """Somebody new in a role, logged in with a token; their folder. Their certificates are taken back afterwards."""
    made: list[tuple[str, str]] = []

    def log_in(role: str) -> Path:
        name = f"{role}-{uuid.uuid4().hex[:8]}"
        home = tmp_path / name
        token = whole_fleet.client.create_token(name, role, {})["token"]
        assert typed(home, "login", token)[0] == 0
        made.append((name, role))
        return home

    yield log_in
    for name, role in made:
        with suppress(Stop):  # a test may have done so
            whole_fleet.client.revoke(name, role)


def mixed(folder: Path, key_and_certificate: Path) -> Path:
    """Somebody else's key and certificate with the CA of this fleet: what a stranger who knows us would try."""
    folder.mkdir()
    for name in ("identity.key", "identity.crt"):
        shutil.copy(key_and_certificate / name, folder / name)
    for name in ("ca.crt", "config.yaml"):
        shutil.copy(HOME / name, folder / name)
    return folder


def code_at_controller(keys: Credentials | None) -> grpc.StatusCode:
    """How a call to the controller fails."""
    server = Identity("lab", CONTROLLER, CONTROLLER_NAME)
    with _channel("controller:7443", keys, server) as channel, pytest.raises(grpc.RpcError) as failed:
        controller_pb2_grpc.ControllerStub(channel).GetStatus(controller_pb2.StatusRequest(), timeout=5)
    return _code(failed.value)


def code_at_agent(keys: Credentials | None) -> grpc.StatusCode:
    """How a call to an agent fails."""
    with _channel("web1:7070", keys, Identity("lab", AGENT, "web1")) as channel, pytest.raises(grpc.RpcError) as failed:
        agent_pb2_grpc.AgentStub(channel).List(agent_pb2.ListRequest(), timeout=5)
    return _code(failed.value)


def _channel(address: str, keys: Credentials | None, server: Identity) -> grpc.Channel:
    if keys is None:
        return calling.bearer_channel(address, (HOME / "ca.crt").read_bytes(), server)
    return calling.sync_channel(address, keys, server)


def _code(error: grpc.RpcError) -> grpc.StatusCode:
    assert isinstance(error, grpc.Call)
    return error.code()


# who -> their key and certificate
STRANGERS: dict[str, Callable[[Path], Path | None]] = {
    "nobody": lambda folder: None,
    "an operator of another fleet's CA": lambda folder: FakeCa().issue(folder / "foreign", OPERATOR, "lab"),
    "a controller of another fleet's CA": lambda folder: FakeCa().issue(
        folder / "foreign", CONTROLLER, CONTROLLER_NAME
    ),
    "a host with its own certificate": lambda folder: LAB / "web2/state/identity",
}


@pytest.mark.parametrize("who", STRANGERS)
def test_strangers_cannot_even_connect(who: str, tmp_path: Path) -> None:
    """Without a certificate, with a foreign one or with a stolen one of a host there is no connection to any daemon."""
    stranger = STRANGERS[who](tmp_path)
    keys = Credentials.load(mixed(tmp_path / "mixed", stranger)) if stranger else None

    assert (code_at_controller(keys), code_at_agent(keys)) == (grpc.StatusCode.UNAVAILABLE,) * 2


def test_plain_text_is_not_spoken() -> None:
    """Neither daemon answers a call without TLS."""
    for address in ("controller:7443", "controller:7444", "web1:7070"):
        with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as failed:
            agent_pb2_grpc.AgentStub(channel).List(agent_pb2.ListRequest(), timeout=5)
        assert _code(failed.value) in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


# what is wrong with the caller's folder -> how to make it so, and what chaosctl says
HOMES: dict[str, tuple[Callable[[Path], Path], list[str]]] = {
    "not logged in": (lambda folder: folder, ["chaosctl login TOKEN"]),
    "a foreign certificate": (
        lambda folder: mixed(folder / "home", FakeCa().issue(folder / "foreign", OPERATOR, "ann")),
        ["identity.crt", "was not issued by the CA in ca.crt", "chaosctl login TOKEN"],
    ),
    "an expired certificate": (
        lambda folder: mixed(folder / "home", FakeCa().issue(folder / "old", OPERATOR, "ann", -48, -24)),
        ["identity.crt", "expired", "chaosctl login TOKEN"],
    ),
    "a host's certificate": (
        lambda folder: mixed(folder / "home", LAB / "web1/state/identity"),
        ["identity.crt", "agent", "certificate of a daemon"],
    ),
}


@pytest.mark.parametrize(("make", "said"), HOMES.values(), ids=HOMES.keys())
def test_chaosctl_says_what_is_wrong_with_its_own_certificate(
    typed: Typed, tmp_path: Path, make: Callable[[Path], Path], said: list[str]
) -> None:
    """The server only closes the socket, so chaosctl looks at its own files: culprit and remedy, exit 2."""
    home = make(tmp_path)

    code, err = typed(home, "--controller", "controller:7443", "status")

    assert code == REFUSED
    assert [each for each in said if each not in err] == [], err


def test_the_real_command_without_a_login(tmp_path: Path) -> None:
    """The same as a process of its own."""
    environment = os.environ | {"CHAOSCTL_HOME": str(tmp_path)}

    done = subprocess.run(["chaosctl", "hosts"], env=environment, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (REFUSED, "")
    assert "chaosctl login TOKEN" in done.stderr


def test_a_viewer_reads_and_aborts_and_starts_nothing(fleet: Fleet, login: Login, typed: Typed) -> None:
    """A viewer may see everything and end everything, but `inject` is refused with exit 3."""
    home = login(VIEWER)
    experiment = fleet.run(latency("100ms"))

    read = typed(home, "hosts")
    refused = typed(home, "inject", "latency", "--hosts", "web2", "--delay", "100ms")
    aborted = typed(home, "abort", experiment)

    assert (read[0], refused[0], aborted[0]) == (0, FORBIDDEN, 0)
    assert "viewer" in refused[1] and "may not call Run" in refused[1]
    assert states(fleet.client.show(experiment)) == {"clean"}


def test_an_operator_cannot_order_an_agent_to_start(fleet: Fleet) -> None:
    """People may end things on an agent directly; a start goes through the controller, its policy and its audit."""
    with agent_of("web1") as controller:
        order = fleet.order(controller, str(uuid.uuid4()))

    with agent_of("web1", HOME) as agent, pytest.raises(grpc.RpcError) as refused:
        agent.Inject(order, timeout=10)

    refusal = refusals.unpack(refused.value)
    assert refusal and refusal.reason == agent_pb2.REFUSED_CALLER
    assert "may not call Inject; it takes controller" in str(refusal)


def test_a_revoked_certificate_is_refused_everywhere_at_once(fleet: Fleet, login: Login, typed: Typed) -> None:
    """After `revoke` the very next call is refused, by the controller and by every agent, on open connections too."""
    home = login(OPERATOR)
    name = home.name
    with Client.connect(home) as client, agent_of("web1", home) as agent:
        client.status()
        agent.List(agent_pb2.ListRequest(), timeout=10)

        code, err = typed(HOME, "revoke", name, "--role", OPERATOR)
        assert (err, code) == ("", 0)
        with pytest.raises(Stop) as refused:
            client.status()
        wait_until(lambda: _is_refused(agent), 5)

    assert refused.value.code == FORBIDDEN
    assert name in str(refused.value) and "its certificate was revoked; ask for a new one" in str(refused.value)


def _is_refused(agent: agent_pb2_grpc.AgentStub) -> bool:
    try:
        agent.List(agent_pb2.ListRequest(), timeout=10)
    except grpc.RpcError as error:
        refused = refusals.unpack(error)
        return refused is not None and "revoked" in str(refused)
    return False


# --- tokens -----------------------------------------------------------------------------------------------------------


def expired(fleet: Fleet, role: str) -> str:
    """A token whose second is over."""
    made = fleet.client.create_token("late", role, {}, "1s")
    ends = datetime.fromisoformat(made["expires"]).timestamp()
    wait_until(lambda: time.time() > ends)
    return str(made["token"])


def test_a_token_logs_in_once(fleet: Fleet, typed: Typed, tmp_path: Path) -> None:
    """A login token is used up by its first use; the second is refused, and nothing is stored."""
    token = fleet.client.create_token("once", OPERATOR, {})["token"]

    first = typed(tmp_path / "first", "login", token)
    second = typed(tmp_path / "second", "login", token)

    assert (first[0], second[0]) == (0, FORBIDDEN)
    assert "TOKEN" in second[1] and "for once was used already; ask for a new one" in second[1]
    assert not (tmp_path / "second").exists()
    assert typed(tmp_path / "first", "hosts")[0] == 0


def test_an_expired_token_is_refused(fleet: Fleet, typed: Typed, tmp_path: Path) -> None:
    """A login token ends by itself."""
    code, err = typed(tmp_path / "home", "login", expired(fleet, OPERATOR))

    assert code == FORBIDDEN
    assert "for late has expired; ask for a new one" in err
    assert not (tmp_path / "home").exists()


def test_a_mangled_token_is_refused(fleet: Fleet, typed: Typed, tmp_path: Path) -> None:
    """A token that was cut, and one with another secret, are refused for what they are."""
    token = fleet.client.create_token("cut", OPERATOR, {})["token"]

    cut = typed(tmp_path / "home", "login", token[:-40])
    other = typed(tmp_path / "home", "login", "chaos2." + token)

    assert (cut[0], other[0]) == (REFUSED, REFUSED)
    assert "is no whole token; copy it again, it begins with chaos1." in other[1]
    assert not (tmp_path / "home").exists()


@pytest.fixture
def spare(tmp_path: Path) -> Path:
    """The settings of an agent that is not enrolled."""
    config = tmp_path / "agent.yaml"
    config.write_text(f"state: {tmp_path}/state\nlisten: '[::]:7071'\nadvertise: gw:7071\n")
    return config


def enroll(config: Path, token: str) -> "subprocess.CompletedProcess[str]":
    """`chaos-agent enroll` as an administrator types it."""
    words = ["chaos-agent", "--config", str(config), "enroll", token]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)


def test_a_host_joins_once_with_a_token(fleet: Fleet, spare: Path) -> None:
    """An enrolment token makes a host a member; used again it is refused, and the host keeps what it has."""
    token = fleet.client.create_token("spare", AGENT, {"role": "spare"})["token"]
    try:
        first = enroll(spare, token)
        certificate = (spare.parent / "state/identity/identity.crt").read_bytes()
        second = enroll(spare, token)
    finally:
        fleet.client.retire_host("spare", "the test is over")

    assert (first.returncode, second.returncode) == (0, REFUSED)
    assert "spare has joined fleet lab" in first.stdout
    assert "token" in second.stderr and "was used already; ask for a new one" in second.stderr
    assert certificate == (spare.parent / "state/identity/identity.crt").read_bytes()


def test_a_host_cannot_join_with_a_wrong_token(fleet: Fleet, spare: Path) -> None:
    """An expired token and one for a person are refused, and nothing is stored."""
    late = enroll(spare, expired(fleet, AGENT))
    personal = enroll(spare, fleet.client.create_token("ann", OPERATOR, {})["token"])

    assert (late.returncode, personal.returncode) == (REFUSED, REFUSED)
    assert "for late has expired; ask for a new one" in late.stderr
    assert "is for a person; `chaosctl login` takes it" in personal.stderr
    assert not (spare.parent / "state/identity").exists()
