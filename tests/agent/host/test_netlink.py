"""Netlink: attributes, acknowledged requests with the kernel's own words, dumps that are whole."""

import errno
import struct

import pytest
from chaos_agent.host.netlink import (
    KernelRefused,
    Netlink,
    as_int,
    as_text,
    attribute,
    attributes,
    each_attribute,
    each_message,
    nested,
    text,
    u32,
)
from hypothesis import given
from hypothesis import strategies as st

GETLINK, NEWQDISC = 18, 36
ANY_LINK = bytes(16)


@given(st.lists(st.tuples(st.integers(1, 0x3FFF), st.binary(max_size=50)), max_size=10))
def test_attributes_are_read_as_written(written: list[tuple[int, bytes]]) -> None:
    """Kinds and payloads come back in order, whatever their lengths."""
    encoded = b"".join(attribute(kind, payload) for kind, payload in written)

    assert written == list(each_attribute(encoded))
    assert len(encoded) % 4 == 0


@given(st.binary(max_size=60))
def test_reading_garbage_ends(garbage: bytes) -> None:
    """What is no attribute ends the reading, without an error and without going on for ever."""
    assert sum(len(payload) for _, payload in each_attribute(garbage)) <= len(garbage)
    assert len(list(each_message(garbage))) <= len(garbage) // 16


def test_nested_attributes_lose_their_flag() -> None:
    """The kernel wants a flag on nested kinds; who reads wants the kind."""
    found = attributes(nested(5, text(1, "eth0"), u32(2, 7)))

    inner = attributes(found[5])
    assert (as_text(inner, 1), as_int(inner, 2), as_int(inner, 3, 9)) == ("eth0", 7, 9)


def test_a_dump_has_everything() -> None:
    """Every namespace has at least a loopback interface."""
    with Netlink() as netlink:
        found = netlink.dump("list interfaces", GETLINK, ANY_LINK)

    assert "lo" in [as_text(attributes(body[16:]), 3) for body in found]


def test_one_that_is_not_there_is_none() -> None:
    """Asking for an interface that does not exist is no failure."""
    with Netlink() as netlink:
        assert netlink.get("read interface", GETLINK, struct.pack("=BxHiII", 0, 0, 10**6, 0, 0)) is None


def test_a_refusal_carries_number_and_words() -> None:
    """What was being done, the error, and the kernel's own explanation are all in the message."""
    message = struct.pack("=BxxxiIII", 0, 1, 0, 0xFFFFFFFF, 0) + text(1, "no-such-qdisc")

    with Netlink() as netlink, pytest.raises(KernelRefused, match=r"add a qdisc: .*unknown") as refused:
        netlink.request("add a qdisc", NEWQDISC, 0x600, message)

    assert refused.value.errno == errno.ENOENT
    assert refused.value.absent


class Torn(Netlink):
    """The kernel's tables change under the first dumps."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times, self.tries = times, 0

    def _receive(self) -> bytes:
        received = bytearray(super()._receive())
        kind = struct.unpack_from("=H", received, 4)[0]
        self.tries += kind == 3  # the end of a dump
        if kind == 3 and self.tries <= self.times:
            flags = struct.unpack_from("=H", received, 6)[0]
            struct.pack_into("=H", received, 6, flags | 0x10)
        return bytes(received)


def test_a_torn_dump_is_read_anew() -> None:
    """The kernel marks a dump during which something changed; it is repeated until one is whole."""
    with Torn(3) as netlink:
        found = netlink.dump("list interfaces", GETLINK, ANY_LINK)

    assert netlink.tries == 4
    assert len(found) == len({body[4:8] for body in found})


def test_a_dump_that_is_always_torn_is_given_up() -> None:
    """Rather an error than a picture that never was."""
    with Torn(10**6) as netlink, pytest.raises(KernelRefused, match="changes faster"):
        netlink.dump("list interfaces", GETLINK, ANY_LINK)
