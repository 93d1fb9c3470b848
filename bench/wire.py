"""What packets really do, by ping and by plain sockets: nothing of the product looks at itself here.

python -m bench.wire send ADDRESS COUNT GAP_US PORT…     numbered datagrams to each port in turn
python -m bench.wire receive PORT…                       what came, until 3 s bring nothing: JSON
"""

import json
import re
import select
import signal
import socket
import struct
import sys
import time
from dataclasses import dataclass
from typing import Self

from tests.system.fleet import on, spawn

_NUMBERED = struct.Struct("=Id")
_SO_RCVBUFFORCE = 33
_SILENCE_S = 3


def ping(target: str, count: int, interval: float = 0.02) -> list[float]:
    """Round trips in ms, asked for by the bystander `gw`."""
    said = on("gw", "ping", "-n", "-c", str(count), "-i", str(interval), "-W", "3", target)
    return [float(ms) for ms in re.findall(r"time=([\d.]+)", said)]


@dataclass(frozen=True)
class Echo:
    """One ping: when it was sent (seconds since 1970) and how long the answer took."""

    sent: float
    ms: float


class Pings:
    """A ping that goes on from `gw` while something happens."""

    def __init__(self, target: str, interval: float) -> None:
        self._process = spawn("gw", "ping", "-n", "-D", "-i", str(interval), target)

    def end(self) -> list[Echo]:
        """Everything that was answered, in the order of sending."""
        time.sleep(0.3)  # for the last answers
        self._process.send_signal(signal.SIGINT)
        said, _ = self._process.communicate(timeout=30)
        found = re.findall(r"\[([\d.]+)\].* time=([\d.]+)", said)
        return sorted((Echo(float(at) - float(ms) / 1e3, float(ms)) for at, ms in found), key=lambda echo: echo.sent)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


@dataclass(frozen=True)
class Datagram:
    """One that arrived; times are of CLOCK_MONOTONIC, which both ends share."""

    number: int
    sent: float
    received: float


class Flow:
    """Datagrams from one host to another on several ports, `gap_us` apart on each."""

    def __init__(self, source: str, sink: str, address: str, ports: list[int], count: int, gap_us: int) -> None:
        self._ports, self.count = ports, count
        words = [str(port) for port in ports]
        self._receiver = spawn(sink, sys.executable, "-m", "bench.wire", "receive", *words)
        assert self._receiver.stdout and "ready" in self._receiver.stdout.readline()
        self._sender = spawn(
            source, sys.executable, "-m", "bench.wire", "send", address, str(count), str(gap_us), *words
        )
        assert self._sender.stdout and "ready" in self._sender.stdout.readline()

    def arrived(self) -> dict[int, list[Datagram]]:
        """By port, in the order of arrival."""
        self._sender.communicate(timeout=120)
        said, _ = self._receiver.communicate(timeout=120)
        return {int(port): [Datagram(*each) for each in came] for port, came in json.loads(said).items()}


def late(came: list[Datagram]) -> int:
    """How many arrived after one that was sent later."""
    highest, found = -1, 0
    for datagram in came:
        found += datagram.number < highest
        highest = max(highest, datagram.number)
    return found


def _send(address: str, count: int, gap_us: int, ports: list[int]) -> None:
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    print("ready", flush=True)
    due = time.monotonic()
    for number in range(count):
        for port in ports:
            sender.sendto(_NUMBERED.pack(number, time.monotonic()), (address, port))
        due += gap_us / 1e6
        time.sleep(max(0.0, due - time.monotonic()))


def _receive(ports: list[int]) -> None:
    came: dict[int, list[tuple[int, float, float]]] = {port: [] for port in ports}
    sockets = {}
    for port in ports:
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 16 * 2**20)
        receiver.bind(("0.0.0.0", port))
        receiver.setblocking(False)
        sockets[receiver] = came[port]
    print("ready", flush=True)
    silence: float | None = None  # none before the first
    while readable := select.select(list(sockets), [], [], silence)[0]:
        silence = _SILENCE_S
        for receiver in readable:
            number, sent = _NUMBERED.unpack(receiver.recv(64))
            sockets[receiver].append((number, sent, time.monotonic()))
    print(json.dumps(came))


if __name__ == "__main__":
    if sys.argv[1] == "send":
        _send(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), [int(port) for port in sys.argv[5:]])
    else:
        _receive([int(port) for port in sys.argv[2:]])
