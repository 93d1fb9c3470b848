"""Selectors as one BPF program: returning packets, the gate, what is excluded, what is meant. Pure.

    back from our ifb? ─▶ match        (the kernel skips the action and clears its mark on the packet)
    IPv4 / IPv6        ─▶ excluded address? ─▶ no match; not among the addresses? ─▶ no match
    later fragment     ─▶ taken along, or counted and left alone
    transport          ─▶ protocol, protected ports and ICMPv6 types, ports
    gate closed?       ─▶ no match; open ─▶ match

Headers are read relative to the network header, so that it is the same with and without an Ethernet header. A tag that
is still in the packet is passed by counting from the Ethernet header instead: where the network header then points
differs between kernels and senders.
"""

import socket
import sys
from collections.abc import Sequence

from chaos_agent.network.assembler import (
    BOOT_TIME,
    FRAME,
    FROM_MAC,
    FROM_NETWORK,
    LOAD_RELATIVE,
    PULL_DATA,
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R9,
    Assembler,
)
from chaos_agent.network.selectors import WITH_PORTS, Network, Ports, Selectors, of

NO_MATCH, MATCH = 0, -1
SEEN, PASSED_OVER = 0, 8  # offsets in the counters: when a packet was first looked at, fragments left alone
COUNTERS = 2

_PROTOCOL, _INGRESS_INTERFACE, _LENGTH = 16, 36, 0  # offsets in struct __sk_buff
_HEADER, _SCRATCH = -64, -72  # where on the stack the IP header and smaller reads go
_VLAN = (0x8100, 0x88A8)
_ETHERTYPE = {4: 0x0800, 6: 0x86DD}
_TAGS, _EXTENSIONS = 2, 8  # how many of them are passed
_EXTENSION_HEADERS = (0, 43, 60, 135, 139, 140)
_FRAGMENT, _AUTHENTICATION, _ICMPV6, _TCP, _UDP = 44, 51, 58, 6, 17
_NEIGHBOURS = ((130, 137), (143, 143))  # MLD, router and neighbour discovery, redirect
_LINEAR = 256  # bytes of a packet that are made readable, where they are not


def build(selectors: Selectors, gate: int, counters: int, returning_from: int = 0) -> bytes:
    """The program's instructions; `gate` and `counters` are descriptors of maps, `returning_from` our ifb's index."""
    code = Assembler()
    code.copy(R6, R1)
    if returning_from:
        code.load(4, R2, R6, _INGRESS_INTERFACE)
        code.jump_if(R2, "==", returning_from, "returned")
    _note(code, counters)
    _choose_family(code, selectors)
    for version in (4, 6):
        if selectors.reaches(version):
            _Family(code, selectors, version, counters).write()
    code.label("match")
    _gate(code, gate)
    code.label("returned")
    code.put(R0, MATCH)
    code.leave()
    code.label("no match")
    code.put(R0, NO_MATCH)
    code.leave()
    _reader(code)
    return code.assemble()


def _gate(code: Assembler, gate: int) -> None:
    # Last, because bystanders need not pay for it: 75 ns a packet instead of 115 (Linux 6.18, JIT).
    code.call(BOOT_TIME)
    code.map_value(R1, gate)
    code.load(8, R2, R1, 0)
    code.jump_if_register(R0, ">=", R2, "no match")


def _note(code: Assembler, counters: int) -> None:
    code.map_value(R1, counters)
    code.load(4, R2, R1, SEEN)
    code.jump_if(R2, "!=", 0, "family")  # written once, so that processors do not fight for it
    code.put(R2, 1)
    code.store(8, R1, SEEN, R2)


def _choose_family(code: Assembler, selectors: Selectors) -> None:
    """Leaves the family's header at R8 bytes from R9 on."""
    code.label("family")
    code.put(R8, 0)
    code.put(R9, FROM_NETWORK)
    code.load(4, R7, R6, _PROTOCOL)
    _to_family(code, selectors)
    code.put(R9, FROM_MAC)
    for tag in range(_TAGS):
        inside = code.fresh("tag")
        for ethertype in _VLAN:
            code.jump_if(R7, "==", socket.htons(ethertype), inside)
        code.jump("no match")
        code.label(inside)
        code.put(R8, 18 + 4 * tag)
        code.put(R2, 16 + 4 * tag)
        _read(code, _SCRATCH, 2)
        code.load(2, R7, FRAME, _SCRATCH)
        _to_family(code, selectors)
    code.jump("no match")


def _to_family(code: Assembler, selectors: Selectors) -> None:
    for version, ethertype in _ETHERTYPE.items():
        target = f"v{version}" if selectors.reaches(version) else "no match"
        code.jump_if(R7, "==", socket.htons(ethertype), target)


def _read(code: Assembler, to: int, length: int) -> None:
    """`length` bytes at R2 from R9 on, to the stack. A packet that has not so many does not match."""
    code.copy(R1, R6)
    code.copy(R3, FRAME)
    code.add_address(R3, to)
    code.put(R4, length)
    code.copy(R5, R9)
    code.call_local("read")
    code.jump_if(R0, "!=", 0, "no match")


def _reader(code: Assembler) -> None:
    """The one function: read; where the bytes are in a fragment of the buffer, pull them in and read again."""
    code.label("read")
    for register, argument in ((R6, R1), (R7, R2), (R8, R3), (R9, R4)):
        code.copy(register, argument)
    code.store(8, FRAME, -8, R5)
    code.call(LOAD_RELATIVE)
    code.jump_if(R0, "==", 0, "read it")
    code.load(4, R2, R6, _LENGTH)
    code.jump_if(R2, "<=", _LINEAR, "pull")
    code.put(R2, _LINEAR)
    code.label("pull")
    code.copy(R1, R6)
    code.call(PULL_DATA)
    for register, argument in ((R6, R1), (R7, R2), (R8, R3), (R9, R4)):
        code.copy(argument, register)
    code.load(8, R5, FRAME, -8)
    code.call(LOAD_RELATIVE)
    code.label("read it")
    code.leave()


class _Family:
    """The part of the program for one family. In it R7 is the protocol, R8 the offset of what follows."""

    def __init__(self, code: Assembler, selectors: Selectors, version: int, counters: int) -> None:
        self._code, self._selectors, self._version, self._counters = code, selectors, version, counters
        self._protocols = selectors.protocol_numbers(version)
        self._source, self._destination = (12, 16) if version == 4 else (8, 24)

    def write(self) -> None:
        self._code.label(f"v{self._version}")
        self._read_header()
        self._addresses()
        if self._version == 4:
            self._pass_options()
        else:
            self._pass_extensions()
        self._fragment()
        self._transport()

    def _label(self, name: str) -> str:
        return f"v{self._version} {name}"

    def _read_header(self) -> None:
        code = self._code
        code.copy(R2, R8)
        _read(code, _HEADER, 20 if self._version == 4 else 40)
        code.load(1, R1, FRAME, _HEADER)
        code.compute(R1, ">>", 4)
        code.jump_if(R1, "!=", self._version, "no match")

    def _addresses(self) -> None:
        selectors, barred = self._selectors, self._selectors.protected.networks
        for at, excluded in ((self._destination, selectors.except_to), (self._source, selectors.except_source)):
            for network in of(self._version, (*barred, *excluded)):
                self._jump_if_in(network, at, "no match")
        for at, wanted in ((self._destination, selectors.to), (self._source, selectors.source)):
            if wanted:
                found = self._code.fresh("address")
                for network in of(self._version, wanted):
                    self._jump_if_in(network, at, found)
                self._code.jump("no match")
                self._code.label(found)

    def _jump_if_in(self, network: Network, at: int, target: str) -> None:
        mask, address = network.netmask.packed, network.network_address.packed
        beyond = self._code.fresh("outside")
        words = [word for word in range(0, len(mask), 4) if any(mask[word : word + 4])]
        for word in words:
            bits = int.from_bytes(mask[word : word + 4], sys.byteorder)
            self._code.load(4, R1, FRAME, _HEADER + at + word)
            if bits != 0xFFFFFFFF:
                self._code.compute(R1, "&", bits)
            last = word == words[-1]
            value = int.from_bytes(address[word : word + 4], sys.byteorder)
            self._code.jump_if(R1, "==" if last else "!=", value, target if last else beyond)
        if not words:
            self._code.jump(target)
        self._code.label(beyond)

    def _pass_options(self) -> None:
        code = self._code
        code.load(1, R7, FRAME, _HEADER + 9)
        code.load(1, R1, FRAME, _HEADER)
        code.compute(R1, "&", 15)
        code.jump_if(R1, "<", 5, "no match")
        code.compute(R1, "<<", 2)
        code.add(R8, R1)
        self._jump_if_later_fragment(_HEADER + 6, 0x1FFF)
        code.jump(self._label("transport"))

    def _jump_if_later_fragment(self, at: int, mask: int) -> None:
        self._code.load(2, R1, FRAME, at)
        self._code.to_host_order(R1, 16)
        self._code.compute(R1, "&", mask)
        self._code.jump_if(R1, "!=", 0, self._label("fragment"))

    def _pass_extensions(self) -> None:
        code = self._code
        code.load(1, R7, FRAME, _HEADER + 6)
        code.compute(R8, "+", 40)
        for _ in range(_EXTENSIONS):
            self._pass_extension()
        for extension in (*_EXTENSION_HEADERS, _FRAGMENT, _AUTHENTICATION):
            code.jump_if(R7, "==", extension, "no match")  # more of them than anybody sends in earnest
        code.jump(self._label("transport"))

    def _pass_extension(self) -> None:
        code, here = self._code, self._code.fresh("extension")
        for extension in (*_EXTENSION_HEADERS, _FRAGMENT, _AUTHENTICATION):
            code.jump_if(R7, "==", extension, here)
        code.jump(self._label("transport"))
        code.label(here)
        code.copy(R2, R8)
        _read(code, _SCRATCH, 4)
        code.load(1, R2, FRAME, _SCRATCH + 1)
        code.copy(R1, R7)
        code.load(1, R7, FRAME, _SCRATCH)
        code.jump_if(R1, "==", _FRAGMENT, f"{here} fragment")
        code.compute(R2, "+", 1)
        code.jump_if(R1, "==", _AUTHENTICATION, f"{here} authentication")
        code.compute(R2, "<<", 3)
        code.jump(f"{here} end")
        code.label(f"{here} authentication")
        code.compute(R2, "+", 1)
        code.compute(R2, "<<", 2)
        code.jump(f"{here} end")
        code.label(f"{here} fragment")
        self._jump_if_later_fragment(_SCRATCH + 2, 0xFFF8)
        code.put(R2, 8)
        code.label(f"{here} end")
        code.add(R8, R2)

    def _fragment(self) -> None:
        """A later fragment: addresses and protocol are known, ports are not."""
        code, selectors = self._code, self._selectors
        code.label(self._label("fragment"))
        self._only_chosen_protocols()
        for protocol in sorted(WITH_PORTS):
            taken = "match" if selectors.takes_fragment(protocol) else self._label("passed over")
            code.jump_if(R7, "==", protocol, taken)
        code.jump("match" if not selectors.by_port else "no match")
        code.label(self._label("passed over"))
        code.map_value(R1, self._counters)
        code.put(R2, 1)
        code.count_up(R1, PASSED_OVER, R2)
        code.jump("no match")

    def _only_chosen_protocols(self) -> None:
        if self._protocols:
            chosen = self._code.fresh("protocol")
            for protocol in self._protocols:
                self._code.jump_if(R7, "==", protocol, chosen)
            self._code.jump("no match")
            self._code.label(chosen)

    def _transport(self) -> None:
        code, without_ports = self._code, "no match" if self._selectors.by_port else "match"
        code.label(self._label("transport"))
        self._only_chosen_protocols()
        if self._version == 6:
            self._neighbours_left_alone(without_ports)
        with_ports = self._label("ports")
        for protocol in sorted(WITH_PORTS):
            code.jump_if(R7, "==", protocol, with_ports)
        code.jump(without_ports)
        code.label(with_ports)
        code.copy(R2, R8)
        _read(code, _SCRATCH, 4)
        code.load(2, R3, FRAME, _SCRATCH)
        code.load(2, R4, FRAME, _SCRATCH + 2)
        code.to_host_order(R3, 16)
        code.to_host_order(R4, 16)
        self._protected_ports()
        self._only_chosen_ports(R4, self._selectors.to_ports)
        self._only_chosen_ports(R3, self._selectors.from_ports)
        code.jump("match")

    def _neighbours_left_alone(self, otherwise: str) -> None:
        code, beyond = self._code, self._label("not icmp")
        code.jump_if(R7, "!=", _ICMPV6, beyond)
        code.copy(R2, R8)
        _read(code, _SCRATCH, 1)
        code.load(1, R1, FRAME, _SCRATCH)
        for ports in _NEIGHBOURS:
            self._jump_if_between(R1, ports, "no match")
        code.jump(otherwise)
        code.label(beyond)

    def _protected_ports(self) -> None:
        protected = self._selectors.protected
        for protocol in sorted({number for number, _ in protected.ports} | {_UDP}):
            beyond = self._code.fresh("unprotected")
            self._code.jump_if(R7, "!=", protocol, beyond)
            for port in protected.ports_of(self._version, protocol):
                self._code.jump_if(R3, "==", port, "no match")
                self._code.jump_if(R4, "==", port, "no match")
            self._code.label(beyond)

    def _only_chosen_ports(self, register: int, ranges: Sequence[Ports]) -> None:
        if ranges:
            chosen = self._code.fresh("port")
            for ports in ranges:
                self._jump_if_between(register, ports, chosen)
            self._code.jump("no match")
            self._code.label(chosen)

    def _jump_if_between(self, register: int, ports: Ports, target: str) -> None:
        below = self._code.fresh("below")
        self._code.jump_if(register, "<", ports[0], below)
        self._code.jump_if(register, "<=", ports[1], target)
        self._code.label(below)
