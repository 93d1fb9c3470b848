"""Made-up packets: built of named parts, as bytes on the wire, and matched by a reference in plain Python."""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from chaos_agent.network.selectors import ICMP, WITH_PORTS, Network, Selectors

EXTENSION_LENGTH = 8


@dataclass(frozen=True, slots=True)
class Packet:
    """What a matcher may ask of a packet. `part` is `first` and `later` for fragments."""

    source: str = "10.0.0.1"
    to: str = "10.0.0.2"
    protocol: int = 6
    from_port: int = 40000
    to_port: int = 80
    icmp_type: int = 8
    part: str = "whole"
    options: int = 0
    extensions: tuple[int, ...] = ()
    tags: tuple[int, ...] = ()
    cut: int = 0

    @property
    def version(self) -> int:
        return ip_address(self.to).version

    def ethernet(self) -> bytes:
        network = self._ipv4() if self.version == 4 else self._ipv6()
        types = [*self.tags, 0x0800 if self.version == 4 else 0x86DD]
        head = bytes(12) + struct.pack("!H", types[0])
        tags = b"".join(struct.pack("!HH", 7, inner) for inner in types[1:])
        whole = head + tags + network
        return whole[: len(whole) - self.cut]

    def _transport(self) -> bytes:
        if self.part == "later":
            return bytes([0, 22] * 16)  # what would be ports says nothing
        if self.protocol in WITH_PORTS:
            return struct.pack("!HH", self.from_port, self.to_port) + bytes(16)
        return bytes([self.icmp_type]) + bytes(19)

    def _ipv4(self) -> bytes:
        body = bytes([1] * self.options) + self._transport()
        fragment = {"whole": 0, "first": 0x2000, "later": 0x2010}[self.part]
        addresses = IPv4Address(self.source).packed + IPv4Address(self.to).packed
        first = 0x45 + self.options // 4
        return struct.pack("!BBHHHBBH", first, 0, 20 + len(body), 7, fragment, 64, self.protocol, 0) + addresses + body

    def _ipv6(self) -> bytes:
        following, body = self.protocol, self._transport()
        if self.part != "whole":
            body = struct.pack("!BBHI", following, 0, {"first": 1, "later": 0x81}[self.part], 7) + body
            following = 44
        for extension in reversed(self.extensions):
            body = struct.pack("!BB", following, 0) + bytes(EXTENSION_LENGTH - 2) + body
            following = extension
        addresses = IPv6Address(self.source).packed + IPv6Address(self.to).packed
        return struct.pack("!IHBB", 6 << 28, len(body), following, 64) + addresses + body


def matches(selectors: Selectors, packet: Packet) -> bool:
    """The rules of the matcher once more, for packets that are whole and not longer than they say."""
    numbers = selectors.protocol_numbers(packet.version)
    if not _addresses_match(selectors, packet) or (numbers and packet.protocol not in numbers):
        return False
    if packet.part == "later":
        return selectors.takes_fragment(packet.protocol)
    neighbours = packet.version == 6 and packet.protocol == ICMP[6] and packet.icmp_type in (*range(130, 138), 143)
    return not neighbours and _ports_match(selectors, packet)


def _addresses_match(selectors: Selectors, packet: Packet) -> bool:
    barred = selectors.protected.networks
    return all(
        not _within(address, (*barred, *excluded)) and (not wanted or _within(address, wanted))
        for address, wanted, excluded in (
            (packet.to, selectors.to, selectors.except_to),
            (packet.source, selectors.source, selectors.except_source),
        )
    )


def _within(address: str, networks: tuple[Network, ...]) -> bool:
    return any(ip_address(address) in network for network in networks)


def _ports_match(selectors: Selectors, packet: Packet) -> bool:
    if packet.protocol not in WITH_PORTS:
        return not selectors.by_port
    shut = selectors.protected.ports_of(packet.version, packet.protocol)
    if packet.from_port in shut or packet.to_port in shut:
        return False
    return all(
        not ranges or any(first <= port <= last for first, last in ranges)
        for port, ranges in ((packet.to_port, selectors.to_ports), (packet.from_port, selectors.from_ports))
    )
