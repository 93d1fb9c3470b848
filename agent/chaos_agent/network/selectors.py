"""Which packets a network fault means: values, and whether two faults could mean the same packet."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Self

Network = IPv4Network | IPv6Network
Ports = tuple[int, int]
"""First and last port of a range, both of them in it."""

ANY_PORT: Ports = (0, 65535)
WITH_PORTS = frozenset({6, 17, 33, 132, 136})  # TCP, UDP, DCCP, SCTP, UDP-Lite
ICMP = {4: 1, 6: 58}
PROTOCOLS = {
    "tcp": 6, "udp": 17, "sctp": 132, "dccp": 33, "udplite": 136,
    "gre": 47, "esp": 50, "ipip": 4, "igmp": 2, "vrrp": 112, "ospf": 89,
}  # fmt: skip
_DHCP = {4: (67, 68), 6: (546, 547)}
_OTHER = 255  # stands for every protocol that is in neither fault's list
_EVERYTHING: dict[int, Network] = {4: IPv4Network("0.0.0.0/0"), 6: IPv6Network("::/0")}


@dataclass(frozen=True, slots=True)
class Protected:
    """What no fault touches: `ports` as (protocol, port), as source and as destination, and `networks` likewise."""

    ports: frozenset[tuple[int, int]] = frozenset()
    networks: tuple[Network, ...] = ()

    def ports_of(self, version: int, protocol: int) -> tuple[int, ...]:
        own = {port for number, port in self.ports if number == protocol}
        return tuple(sorted(own | set(_DHCP[version] if protocol == PROTOCOLS["udp"] else ())))

    def hides_in_fragments(self, protocol: int) -> bool:
        """Whether a fragment without ports could belong to protected traffic. DHCP fits into one packet."""
        return any(number == protocol for number, _ in self.ports)


@dataclass(frozen=True, slots=True)
class Selectors:
    """A packet matches when every kind that is given has an entry for it, and no exclusion does.

    Named from the packet's view: `to` is its destination. An empty kind lets every packet through.
    """

    to: tuple[Network, ...] = ()
    source: tuple[Network, ...] = ()
    to_ports: tuple[Ports, ...] = ()
    from_ports: tuple[Ports, ...] = ()
    protocols: tuple[str, ...] = ()
    except_to: tuple[Network, ...] = ()
    except_source: tuple[Network, ...] = ()
    fragments: bool = False
    protected: Protected = Protected()

    def mirrored(self) -> Self:
        """The same conversations, seen in the other direction."""
        return type(self)(
            to=self.source,
            source=self.to,
            to_ports=self.from_ports,
            from_ports=self.to_ports,
            protocols=self.protocols,
            except_to=self.except_source,
            except_source=self.except_to,
            fragments=self.fragments,
            protected=self.protected,
        )

    @property
    def by_port(self) -> bool:
        return bool(self.to_ports or self.from_ports)

    def reaches(self, version: int) -> bool:
        """Whether packets of this family can match at all."""
        wanted = (of(version, self.to), of(version, self.source))
        return bool((wanted[0] or not self.to) and (wanted[1] or not self.source))

    def protocol_numbers(self, version: int) -> tuple[int, ...]:
        """Empty: every protocol."""
        return tuple(ICMP[version] if name == "icmp" else number_of(name) for name in self.protocols)

    def takes_fragment(self, protocol: int) -> bool:
        """Whether a later fragment, which carries no ports, is taken along."""
        if protocol not in WITH_PORTS:
            return not self.by_port
        return self.fragments or not (self.by_port or self.protected.hides_in_fragments(protocol))

    def overlaps(self, other: Self) -> bool:
        """Whether one packet could match both."""
        return any(_meet(self, other, version) for version in (4, 6))

    def __str__(self) -> str:
        return _in_words(self)


def number_of(protocol: str) -> int:
    return int(protocol) if protocol.isdigit() else PROTOCOLS[protocol]


def of(version: int, networks: Iterable[Network]) -> tuple[Network, ...]:
    return tuple(network for network in networks if network.version == version)


def _meet(one: Selectors, two: Selectors, version: int) -> bool:
    if not (one.reaches(version) and two.reaches(version)):
        return False
    barred = (*one.protected.networks, *two.protected.networks)
    return (
        _addresses_meet(version, one.to, two.to, (*one.except_to, *two.except_to, *barred))
        and _addresses_meet(version, one.source, two.source, (*one.except_source, *two.except_source, *barred))
        and any(_protocol_meets(one, two, version, protocol) for protocol in _common_protocols(one, two, version))
    )


def _common_protocols(one: Selectors, two: Selectors, version: int) -> set[int]:
    first, second = set(one.protocol_numbers(version)), set(two.protocol_numbers(version))
    if first and second:
        return first & second
    return first or second or {*WITH_PORTS, ICMP[version], _OTHER}


def _protocol_meets(one: Selectors, two: Selectors, version: int, protocol: int) -> bool:
    if one.takes_fragment(protocol) and two.takes_fragment(protocol):
        return True
    if protocol not in WITH_PORTS:
        return not (one.by_port or two.by_port)
    shut = {*one.protected.ports_of(version, protocol), *two.protected.ports_of(version, protocol)}
    return _ports_meet(one.to_ports, two.to_ports, shut) and _ports_meet(one.from_ports, two.from_ports, shut)


def _ports_meet(one: Sequence[Ports], two: Sequence[Ports], shut: set[int]) -> bool:
    for first in one or (ANY_PORT,):
        for second in two or (ANY_PORT,):
            low, high = max(first[0], second[0]), min(first[1], second[1])
            if low <= high and high - low + 1 > sum(low <= port <= high for port in shut):
                return True
    return False


def _addresses_meet(version: int, one: Iterable[Network], two: Iterable[Network], barred: Iterable[Network]) -> bool:
    everything = (_EVERYTHING[version],)
    barred = of(version, barred)
    for first in of(version, one) or everything:
        for second in of(version, two) or everything:
            narrower = first if first.prefixlen >= second.prefixlen else second
            if first.overlaps(second) and not _covered(narrower, barred):
                return True
    return False


def _covered(network: Network, by: Sequence[Network]) -> bool:
    """Whether every address of `network` is in one of `by`."""
    by = [one for one in by if one.overlaps(network)]
    if any(one.prefixlen <= network.prefixlen for one in by):
        return True
    return bool(by) and all(_covered(half, by) for half in network.subnets())


def _in_words(selectors: Selectors) -> str:
    parts = [
        (f"{'/'.join(selectors.protocols)} " if selectors.protocols else "") + "packets",
        _listed("from", selectors.source),
        _listed("to", selectors.to),
        _ports_listed("from", selectors.from_ports),
        _ports_listed("to", selectors.to_ports),
        _listed("except to", selectors.except_to),
        _listed("except from", selectors.except_source),
    ]
    return " ".join(part for part in parts if part)


def _listed(word: str, networks: Sequence[Network]) -> str:
    return f"{word} {', '.join(short(network) for network in networks)}" if networks else ""


def _ports_listed(word: str, ports: Sequence[Ports]) -> str:
    ranges = (str(first) if first == last else f"{first}-{last}" for first, last in ports)
    return f"{word} port {', '.join(ranges)}" if ports else ""


def short(network: Network) -> str:
    """An address as one types it, a network as CIDR."""
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)
