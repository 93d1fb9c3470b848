"""Programs on machines of the lab, as tests see them: how long their packets take, and which of them arrive.

Each machine has one process, `endpoint.py`, for the whole session.
"""

import json
import re
import socket
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from tests.system.fleet import LAB, on

PORTS = (80, 5431, 5432, 5433, 5999, 6000, 6050, 6100, 6101, 8080, 9000)
"""Where every machine answers."""
TCP, UDP, PING = "tcp", "udp", "ping"
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_EARLY_MS, _LATE_MS = 0.2, 1.0
_TRIES, _ROUNDS = 4, 8
_ENDPOINT = Path(__file__).with_name("endpoint.py")


@dataclass(frozen=True)
class Way:
    """Something that packets can be sent for: `tcp6 gw:5432`."""

    kind: str
    family: int
    to: str
    port: int = 0

    def __str__(self) -> str:
        return f"{self.kind}{self.family} {self.to}" + (f":{self.port}" if self.port else "")


def ways(to: str, *ports: int, kinds: Iterable[str] = (TCP, UDP)) -> list[Way]:
    """To these ports of a machine by every kind, over both families."""
    return [Way(kind, family, to, port) for kind in kinds for family in FAMILIES for port in ports]


def pings(to: str) -> list[Way]:
    """An echo over both families."""
    return [Way(PING, family, to) for family in FAMILIES]


def address(machine: str, family: int) -> str:
    """An address of a machine."""
    return str(socket.getaddrinfo(machine, None, FAMILIES[family])[0][4][0])


def at(machine: str, *command: str) -> list[str]:
    """A command line that runs on a machine: `lab on` without its shell, so that its process is the command's."""
    holder = (LAB / machine / "holder").read_text().strip()
    return ["nsenter", "--target", holder, "--net", "--uts", "--mount", "--", *command]


class Endpoint(AbstractContextManager["Endpoint"]):
    """The process of one machine."""

    def __init__(self, machine: str) -> None:
        self.machine = machine
        command = at(machine, sys.executable, "-IS", str(_ENDPOINT), *map(str, PORTS))
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._hear() == "ready\n"

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def trips(self, way: Way) -> list[float]:
        """Round trips, in milliseconds."""
        to = address(way.to, way.family)
        if way.kind == PING:
            said = on(self.machine, "ping", "-n", "-c", str(_TRIES), "-i", "0.02", to)
            return [float(time) for time in re.findall(r"time=([\d.]+) ms", said)]
        if way.kind == TCP:
            return list(self.ask("connect", to, way.port, _TRIES))
        return [there + back for there, back in self.one_ways(way)]

    def one_ways(self, way: Way, size: int = 64) -> list[tuple[float, float]]:
        """Datagrams there, their answers back, in milliseconds."""
        answers = self.ask("echo", address(way.to, way.family), way.port, _TRIES, size)
        return [(there, back) for there, back in answers]

    def later(self, by_ms: float, among: Sequence[Way]) -> set[str]:
        """Which of these ways take longer by exactly so much; all others must take not nearly so long."""
        return {str(way) for way in among if is_later(partial(self.trips, way), by_ms)}

    def ask(self, *call: object) -> Any:
        self.say(*call)
        return self.answer()

    def say(self, *call: object) -> None:
        assert self._process.stdin
        print(json.dumps(call), file=self._process.stdin, flush=True)

    def answer(self) -> Any:
        return json.loads(self._hear())

    def _hear(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline()


def is_later(measure: Callable[[], Sequence[float]], by_ms: float) -> bool:
    """Whether trips take longer by exactly so much, all of them. A busy machine adds to some: the quickest tells, and
    where even that one was held up, it is asked again."""
    trips = list(measure())
    if min(trips) < by_ms - _EARLY_MS:
        assert statistics.median(trips) < by_ms * 0.9, f"some of them are {by_ms} ms late: {trips}"
        return False
    for _ in range(_ROUNDS):
        if min(trips) <= by_ms + _LATE_MS:
            break
        trips += measure()
    assert by_ms - _EARLY_MS <= min(trips) <= by_ms + _LATE_MS, f"late, but not by {by_ms} ms: {trips}"
    return True


Endpoints = dict[str, Endpoint]
"""By machine."""


@dataclass(frozen=True, repr=False)
class Arrivals:
    """A flow of datagrams: how many were sent, their numbers in the order of arrival, and how long each took."""

    sent: int
    numbers: Sequence[int]
    delays: Sequence[float]

    def __repr__(self) -> str:
        steps = zip(self.numbers, self.numbers[1:], strict=False)
        return f"sent {self.sent}, lost {self.lost}, out of order: {[pair for pair in steps if pair[1] < pair[0]]}"

    @property
    def lost(self) -> set[int]:
        return set(range(1, self.sent + 1)) - set(self.numbers)

    @property
    def overtaken(self) -> int:
        """How many came after one that was sent later."""
        highest, late = 0, 0
        for number in self.numbers:
            late += number < highest
            highest = max(highest, number)
        return late


class Flow(AbstractContextManager["Flow"]):
    """Numbered datagrams from one machine to another, some milliseconds apart, while something happens."""

    def __init__(self, sender: Endpoint, receiver: Endpoint, gap_ms: float = 2, port: int = 9000) -> None:
        self._sender, self._receiver = sender, receiver
        self._call = ("flow", address(receiver.machine, 4), port, gap_ms / 1000)

    def __enter__(self) -> Self:
        self._sender.say(*self._call)
        return self

    def __exit__(self, *_: object) -> None:
        self._sender.say("enough")
        self._sent = int(self._sender.answer())

    def arrivals(self) -> Arrivals:
        """What arrived; to be asked for when nothing is under way any more."""
        # Both share a clock and a wire, so an answer to a last datagram says that all before it are there.
        self._sender.ask("echo", self._call[1], self._call[2], 1, 64)
        seen = self._receiver.ask("arrived")
        return Arrivals(self._sent, [number for number, _ in seen], [took for _, took in seen])
