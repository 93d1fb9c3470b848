"""Netlink over a socket: requests that are acknowledged, dumps that are repeated when the kernel's tables moved under
them, attributes. Links, traffic control and nftables are read and written through it, with nothing but the standard
library, because the undo must work on a host out of memory and processes."""

import errno
import os
import socket
import struct
from collections.abc import Iterator, Mapping
from typing import Self

from chaos_agent.contract import FaultFailed

ROUTE, NETFILTER = 0, 12  # netlink protocols

REQUEST, MULTI, ACK, DUMP_INTR = 0x1, 0x2, 0x4, 0x10
REPLACE, EXCL, CREATE, DUMP = 0x100, 0x200, 0x400, 0x300
CAPPED, ACK_TLVS = 0x100, 0x200

_NOOP, _ERROR, _DONE = 1, 2, 3
_SOL_NETLINK, _CAP_ACK, _EXT_ACK = 270, 10, 11
_MESSAGE_ATTRIBUTE = 1  # NLMSGERR_ATTR_MSG
_NESTED, _KIND_MASK = 0x8000, 0x3FFF
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_PATIENCE_S = 5
_DUMP_TRIES = 20


class KernelRefused(FaultFailed):
    """The kernel answered with an error; `errno` says which, the text what was being done and what the kernel said."""

    def __init__(self, doing: str, number: int, said: str = "") -> None:
        self.errno = number
        reason = os.strerror(number) if number else "no answer"
        super().__init__(f"{doing}: {reason}" + (f" ({said})" if said else ""))

    @property
    def absent(self) -> bool:
        """Whether what was asked for is simply not there."""
        return self.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ESRCH)


def attribute(kind: int, payload: bytes = b"") -> bytes:
    length = _ATTRIBUTE.size + len(payload)
    return _ATTRIBUTE.pack(length, kind) + payload + b"\0" * (-length % 4)


def nested(kind: int, *children: bytes) -> bytes:
    return attribute(kind | _NESTED, b"".join(children))


def text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def u32(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def each_attribute(payload: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and payload of each attribute, in order; a list repeats its kind. Stops at what is not an attribute."""
    offset = 0
    while offset + _ATTRIBUTE.size <= len(payload):
        length, kind = _ATTRIBUTE.unpack_from(payload, offset)
        if length < _ATTRIBUTE.size or offset + length > len(payload):
            return
        yield kind & _KIND_MASK, payload[offset + _ATTRIBUTE.size : offset + length]
        offset += length + (-length % 4)


def attributes(payload: bytes) -> dict[int, bytes]:
    return dict(each_attribute(payload))


def as_text(found: Mapping[int, bytes], kind: int) -> str:
    return found.get(kind, b"").split(b"\0", 1)[0].decode(errors="replace")


def as_int(found: Mapping[int, bytes], kind: int, default: int = 0) -> int:
    payload = found.get(kind)
    return int.from_bytes(payload, "little" if struct.pack("=H", 1)[0] else "big") if payload else default


class Netlink:
    """One socket. Every failure leaves it as `KernelRefused`."""

    def __init__(self, protocol: int = ROUTE) -> None:
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        except OSError as error:
            raise KernelRefused("open netlink", error.errno or 0) from error
        self._socket.settimeout(_PATIENCE_S)
        self._socket.bind((0, 0))
        for option in (_CAP_ACK, _EXT_ACK):
            self._socket.setsockopt(_SOL_NETLINK, option, 1)
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def request(self, doing: str, kind: int, flags: int, body: bytes) -> None:
        """Have something done; returns when the kernel acknowledged it."""
        for _ in self._exchange(doing, kind, flags | ACK, body):
            pass

    def get(self, doing: str, kind: int, body: bytes) -> bytes | None:
        """The body of one object, `None` where the kernel has no such thing."""
        found: bytes | None = None
        try:
            for _, answer, _ in self._exchange(doing, kind, ACK, body):
                found = answer
        except KernelRefused as refused:
            if not refused.absent:
                raise
        return found

    def dump(self, doing: str, kind: int, body: bytes) -> list[bytes]:
        """The bodies of all objects of a kind, as they were at one moment: interrupted dumps are begun anew."""
        for _ in range(_DUMP_TRIES):
            found, torn = [], False
            for _, answer, flags in self._exchange(doing, kind, DUMP, body):
                found.append(answer)
                torn = torn or bool(flags & DUMP_INTR)
            if not torn and not self._torn_at_end:
                return found
        raise KernelRefused(doing, errno.EINTR, "the table changes faster than it can be read")

    def _exchange(self, doing: str, kind: int, flags: int, body: bytes) -> Iterator[tuple[int, bytes, int]]:
        self._sequence += 1
        header = _HEADER.pack(_HEADER.size + len(body), kind, flags | REQUEST, self._sequence, 0)
        try:
            self._socket.send(header + body)
            yield from self._answers(doing)
        except OSError as error:
            raise KernelRefused(doing, error.errno or 0) from error

    def _answers(self, doing: str) -> Iterator[tuple[int, bytes, int]]:
        self._torn_at_end = False
        while True:
            for kind, flags, sequence, body in each_message(self._receive()):
                if sequence != self._sequence or kind == _NOOP:
                    continue  # left over from an exchange that was broken off
                if kind == _ERROR:
                    _raise_if_refused(doing, flags, body)
                    return
                if kind == _DONE:
                    self._torn_at_end = bool(flags & DUMP_INTR)
                    _raise_if_refused(doing, 0, body)
                    return
                yield kind, body, flags

    def _receive(self) -> bytes:
        size = self._socket.recv_into(bytearray(1), 1, socket.MSG_PEEK | socket.MSG_TRUNC)
        return self._socket.recv(max(size, 4096))


def each_message(received: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Kind, flags, sequence and body of each message in one datagram."""
    offset = 0
    while offset + _HEADER.size <= len(received):
        length, kind, flags, sequence, _ = _HEADER.unpack_from(received, offset)
        if length < _HEADER.size:
            return
        yield kind, flags, sequence, received[offset + _HEADER.size : offset + length]
        offset += length + (-length % 4)


def _raise_if_refused(doing: str, flags: int, body: bytes) -> None:
    number = -struct.unpack_from("=i", body)[0] if len(body) >= 4 else 0
    if number <= 0:
        return
    said = ""
    if flags & ACK_TLVS:
        start = 4 + _HEADER.size
        if not flags & CAPPED:
            start = 4 + struct.unpack_from("=I", body, 4)[0]
        said = as_text(attributes(body[start:]), _MESSAGE_ATTRIBUTE)
    raise KernelRefused(doing, number, said)
