"""The way in stays open: SSH and the control channel are fast while the host's only interface is slowed beyond use."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.system.fleet import Fleet, latency, states
from tests.system.sockets import Endpoint, Endpoints, address, at, ways

DELAY_MS = 5000.0
AGENT_PORT = 7070
DOORS = {22: 4, 2222: 6}
"""Ports of sshd, each tried over one family."""


class Door:
    """A real sshd on web1 with keys of its own."""

    def __init__(self, folder: Path) -> None:
        self._key, self._known, host_key = folder / "person", folder / "known", folder / "host"
        for key in (self._key, host_key):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        public = host_key.with_suffix(".pub").read_text()
        self._known.write_text("".join(f"[{address('web1', DOORS[port])}]:{port} {public}" for port in DOORS))
        self._known.write_text(self._known.read_text() + f"{address('web1', DOORS[22])} {public}")
        self._users = folder / "passwd"
        self._users.write_text("root:x:0:0:root:/:/bin/sh\nsshd:x:103:65534::/run/sshd:/usr/sbin/nologin\n")
        self._config = folder / "sshd_config"
        lines = [*(f"Port {port}" for port in DOORS), f"HostKey {host_key}", f"AuthorizedKeysFile {self._key}.pub",
                 "StrictModes no", "UsePAM no", "PidFile none", "PrintMotd no", "UseDNS no"]  # fmt: skip
        self._config.write_text("\n".join(lines) + "\n")

    def open(self) -> "subprocess.Popen[str]":
        """The server, once it listens on both ports, over both families."""
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        # Where root's shell reads no profile: what the machine's own does there is none of ours, and takes its time.
        script = f"mount --bind {self._users} /etc/passwd; exec /usr/sbin/sshd -D -e -f {self._config}"
        command = at("web1", "unshare", "--mount", "sh", "-ec", script)
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert process.stderr
        for _ in range(2 * len(DOORS)):
            line = process.stderr.readline()
            assert "listening" in line, line
        return process

    def enter(self, port: int) -> "Visit":
        """A session from gw."""
        options = ["BatchMode=yes", f"UserKnownHostsFile={self._known}", "StrictHostKeyChecking=yes"]
        words = [word for option in options for word in ("-o", option)]
        to = f"root@{address('web1', DOORS[port])}"
        return Visit(at("gw", "ssh", "-F", "none", "-i", str(self._key), "-p", str(port), *words, to, "cat"))


class Visit(AbstractContextManager["Visit"]):
    """An SSH session that gives back every line."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def echo_s(self) -> float:
        """Seconds until a line is back."""
        assert self._process.stdin and self._process.stdout
        began = time.monotonic()
        print("knock", file=self._process.stdin, flush=True)
        assert self._process.stdout.readline() == "knock\n"
        return time.monotonic() - began


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    door = Door(tmp_path_factory.mktemp("ssh"))
    with door.open() as server:
        yield door
        server.terminate()


@pytest.fixture
def slowed(endpoints: Endpoints) -> Endpoint:
    """Programs on gw that speak to web1, the host whose only interface is slowed."""
    return endpoints["gw"]


def send_datagram(gateway: Endpoint) -> None:
    """Let an ordinary packet feel the fault meanwhile; its time is the endpoint's next answer."""
    gateway.say("echo", address("web1", 4), 9000, 1, 64)


def test_ssh_stays_fast(fleet: Fleet, door: Door, slowed: Endpoint) -> None:
    """While every other packet takes 5 s, a line over SSH is back within 1 s and a new login needs less than one delay,
    on port 22 and on another."""
    visits = {port: door.enter(port) for port in DOORS}
    for visit in visits.values():
        visit.echo_s()

    experiment = fleet.run(latency("5s", direction="both", duration="60s"))
    send_datagram(slowed)
    echoes = [visit.echo_s() for visit in visits.values() for _ in range(5)]
    logins = []
    for port in DOORS:
        began = time.monotonic()
        with door.enter(port) as another:
            another.echo_s()
            logins.append(time.monotonic() - began)
    ((there, back),) = slowed.answer()
    fleet.end(experiment)

    assert there >= DELAY_MS and back >= DELAY_MS
    assert max(echoes) < 1, echoes
    assert max(logins) < DELAY_MS / 1000, logins
    for visit in visits.values():
        visit.__exit__()


def test_the_control_channel_stays_fast(fleet: Fleet, slowed: Endpoint, endpoints: Endpoints) -> None:
    """While every other packet takes 5 s, a lease of 8 s is renewed all the time, the agent answers questions and
    accepts connections at once."""
    experiment = fleet.run(latency("5s", direction="both", lease="8s", duration="60s"))
    send_datagram(slowed)

    connects = endpoints["controller"].ask("connect", address("web1", 6), AGENT_PORT, 4)
    began = time.monotonic()
    fleet.client.plan(latency("1ms", "web1", direction="both"))
    planning_s = time.monotonic() - began
    ((there, back),) = slowed.answer()  # 10 s later

    assert there >= DELAY_MS and back >= DELAY_MS
    assert states(fleet.client.show(experiment)) == {"active"}
    assert max(connects) < 1000, connects
    assert planning_s < DELAY_MS / 1000
    fleet.end(experiment)


def test_an_abort_gets_through(fleet: Fleet, slowed: Endpoint) -> None:
    """While every other packet takes 5 s, an abort has the host's receipt within a second: inert, and it is."""
    experiment = fleet.run(latency("5s", direction="both", duration="60s"))
    send_datagram(slowed)
    receipts: dict[str, float] = {}

    began = time.monotonic()
    for report in fleet.client.abort(experiment):
        for receipt in report["receipts"]:
            for moment in ("inert", "clean"):
                if receipt.get(moment):
                    receipts.setdefault(moment, time.monotonic() - began)
    ((there, _),) = slowed.answer()

    assert there >= DELAY_MS  # it was inside, and came out
    assert receipts["inert"] < 1
    assert receipts["clean"] < DELAY_MS / 1000 + 1 + 1
    assert slowed.later(DELAY_MS, ways("web1", 80)) == set()
