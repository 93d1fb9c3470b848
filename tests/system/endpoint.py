"""One process on a machine of the lab that answers on ports and times its own calls: `endpoint.py PORT…`.

It stands for the programs whose packets a fault hits: sockets, and the clock that all machines of the lab share. Each
line on stdin is a call, [name, argument…] in JSON; its answer is a line on stdout. It lives long and imports little,
because a process is dear in User-mode Linux.
"""

import contextlib
import json
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterable, Iterator

STAMP = struct.Struct("=QQ")
"""Ahead of every datagram: its number in a flow, or 0 for one to be answered, and when it was sent. An answer has the
time of arrival for a number."""
PATIENCE_S = 15.0
_SO_RCVBUFFORCE, _SO_TIMESTAMPNS = 33, 35  # not in Python's socket
_TIMESPEC = struct.Struct("@qq")
_IPV4, _IPV6, _UDP, _FRAGMENT = 0x0800, 0x86DD, 17, 44


class Endpoint:
    """Answers on every port: TCP and UDP, both families. Datagrams of a flow are noted instead."""

    def __init__(self, ports: Iterable[int]) -> None:
        self._flow: list[tuple[int, float]] = []
        self._listeners = [
            socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
            for port in ports
        ]
        self._receivers = [_receiver(listener.getsockname()[1]) for listener in self._listeners]
        self._tap: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def connect(self, address: str, port: int, count: int) -> list[float]:
        """Milliseconds that it takes to connect."""
        return [_connecting_ms(address, port) for _ in range(count)]

    def echo(self, address: str, port: int, count: int, size: int) -> list[tuple[float, float]]:
        """Milliseconds that a datagram takes there, and its answer back."""
        with _sender(address, port) as one:
            return [_echoing_ms(one, size) for _ in range(count)]

    def flow(self, address: str, port: int, gap_s: float) -> int:
        """Send numbered datagrams, one each `gap_s`, until the next line on stdin; how many they were."""
        number, due = 0, time.monotonic()
        with _sender(address, port) as one:
            while not select.select([sys.stdin], [], [], max(0.0, due - time.monotonic()))[0]:
                number += 1
                one.send(STAMP.pack(number, time.monotonic_ns()) + bytes(48))
                due += gap_s
        sys.stdin.readline()
        return number

    def arrived(self) -> list[tuple[int, float]]:
        """The flow's datagrams in the order of arrival: number, milliseconds on the way."""
        seen, self._flow = self._flow, []
        return seen

    def tap(self) -> None:
        """Begin to look at the fragments that come in on eth0."""
        for ethertype in (_IPV4, _IPV6):
            tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ethertype))
            tap.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            tap.bind(("eth0", ethertype))
            self._tap.append(tap)

    def tapped(self, count: int) -> list[tuple[int, float]]:
        """The first so many fragments of UDP in the order of arrival: offset, milliseconds after the first of them."""
        seen = list(_fragments(self._tap, count))
        while self._tap:
            self._tap.pop().close()
        return [(offset, (at - seen[0][1]) / 1e6) for offset, at in seen]

    def _serve(self) -> None:
        sockets = {one.fileno(): one for one in (*self._listeners, *self._receivers)}
        poll = select.poll()
        for descriptor in sockets:
            poll.register(descriptor, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                one = sockets[descriptor]
                if one.type == socket.SOCK_STREAM:
                    one.accept()[0].close()
                else:
                    self._receive(one)

    def _receive(self, one: socket.socket) -> None:
        data, sender = one.recvfrom(65536)
        arrived = time.monotonic_ns()
        number, sent = STAMP.unpack_from(data)
        if number:
            self._flow.append((number, (arrived - sent) / 1e6))
        else:
            one.sendto(STAMP.pack(arrived, sent), sender)


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _receiver(port: int) -> socket.socket:
    one = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    one.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 22)  # what is lost is lost on the way
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind(("::", port))
    return one


@contextlib.contextmanager
def _sender(address: str, port: int) -> Iterator[socket.socket]:
    with socket.socket(_family(address), socket.SOCK_DGRAM) as one:
        one.connect((address, port))
        one.settimeout(PATIENCE_S)
        yield one


def _connecting_ms(address: str, port: int) -> float:
    with socket.socket(_family(address), socket.SOCK_STREAM) as one:
        one.settimeout(PATIENCE_S)
        began = time.monotonic_ns()
        one.connect((address, port))
        return (time.monotonic_ns() - began) / 1e6


def _echoing_ms(one: socket.socket, size: int) -> tuple[float, float]:
    sent = time.monotonic_ns()
    one.send(STAMP.pack(0, sent).ljust(size, b"\0"))
    arrived, _ = STAMP.unpack(one.recv(STAMP.size))
    return (arrived - sent) / 1e6, (time.monotonic_ns() - arrived) / 1e6


def _fragments(taps: list[socket.socket], count: int) -> Iterator[tuple[int, int]]:
    while count:
        for tap in select.select(taps, [], [], PATIENCE_S)[0]:
            packet, ancillary, _, _ = tap.recvmsg(65536, 256)
            seconds, nanoseconds = _TIMESPEC.unpack(ancillary[0][2])  # when it came, not when it was asked for
            offset = _offset_in_datagram(packet)
            if offset is not None and count:
                count -= 1
                yield offset, seconds * 10**9 + nanoseconds


def _offset_in_datagram(packet: bytes) -> int | None:
    """Where in a UDP datagram this fragment of it belongs; None when it is none."""
    if packet[0] >> 4 == 4:
        flags = int.from_bytes(packet[6:8], "big")
        return (flags & 0x1FFF) * 8 if packet[9] == _UDP and flags & 0x3FFF else None
    return int.from_bytes(packet[42:44], "big") & 0xFFF8 if packet[6] == _FRAGMENT and packet[40] == _UDP else None


def main(ports: list[int]) -> None:
    endpoint = Endpoint(ports)
    print("ready", flush=True)
    for line in iter(sys.stdin.readline, ""):
        name, *arguments = json.loads(line)
        print(json.dumps(getattr(endpoint, name)(*arguments)), flush=True)


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]])
