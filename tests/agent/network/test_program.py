"""The matcher, run by the kernel itself on made-up packets."""

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network

import pytest
from chaos_agent.host.bpf import Program, Value
from chaos_agent.network.program import COUNTERS, MATCH, NO_MATCH, PASSED_OVER, SEEN, build
from chaos_agent.network.selectors import Network, Protected, Selectors
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.packets import Packet, matches

OPEN, SHUT = 2**63, 0
SSH, AGENT = (6, 22), (6, 7443)
V6 = Packet("fd00::1", "fd00::2")


def nets(*words: str) -> tuple[Network, ...]:
    return tuple(ip_network(word) for word in words)


class Matcher:
    """A loaded program with its two maps."""

    def __init__(self, selectors: Selectors, gate: int = OPEN, returning_from: int = 0) -> None:
        self.gate, self.counters = Value(1), Value(COUNTERS)
        self.gate.write(gate)
        self.program = Program(build(selectors, self.gate.descriptor, self.counters.descriptor, returning_from))

    def __call__(self, packet: Packet | bytes) -> bool:
        answer = self.program.run(packet.ethernet() if isinstance(packet, Packet) else packet)
        assert answer in (MATCH, NO_MATCH)
        return answer == MATCH

    def __enter__(self) -> "Matcher":
        return self

    def __exit__(self, *_: object) -> None:
        for held in (self.program, self.gate, self.counters):
            held.close()


@pytest.fixture(scope="module")
def everything() -> Iterator[Matcher]:
    with Matcher(Selectors(protected=Protected(frozenset({SSH, AGENT}), nets("10.9.0.0/16", "fd09::/16")))) as made:
        yield made


# id: packet, matched by a fault for all traffic
ALL_TRAFFIC = {
    "tcp": (Packet(), True),
    "udp": (Packet(protocol=17), True),
    "sctp": (Packet(protocol=132), True),
    "ping": (Packet(protocol=1), True),
    "gre": (Packet(protocol=47), True),
    "ipv6-tcp": (V6, True),
    "ipv6-ping": (replace(V6, protocol=58, icmp_type=128), True),
    "to-ssh": (Packet(to_port=22), False),
    "from-ssh": (Packet(from_port=22), False),
    "ipv6-to-ssh": (replace(V6, to_port=22), False),
    "ssh-behind-options": (Packet(to_port=22, options=40), False),
    "ssh-behind-extensions": (replace(V6, to_port=22, extensions=(0, 60, 43)), False),
    "ssh-in-vlan": (Packet(to_port=22, tags=(0x8100,)), False),
    "to-agent": (Packet(to_port=7443), False),
    "from-agent": (replace(V6, from_port=7443), False),
    "udp-22": (Packet(protocol=17, to_port=22), True),
    "dhcp-client": (Packet(protocol=17, from_port=68, to_port=67), False),
    "dhcp-server": (Packet(protocol=17, from_port=67, to_port=68), False),
    "dhcpv6": (replace(V6, protocol=17, from_port=546, to_port=547), False),
    "dhcp-ports-in-ipv6": (replace(V6, protocol=17, to_port=67), True),
    "protected-destination": (Packet(to="10.9.1.1"), False),
    "protected-source": (Packet(source="10.9.1.1"), False),
    "protected-ipv6": (Packet(source="fd00::1", to="fd09::1"), False),
    "arp": (bytes(12) + b"\x08\x06" + bytes(46), False),
    "lldp": (bytes(12) + b"\x88\xcc" + bytes(46), False),
    "spanning-tree": (bytes(12) + b"\x00\x26" + bytes(46), False),
    "no-ip-inside": (bytes(12) + b"\x08\x00" + b"\x65" + bytes(60), False),
    "short-header-length": (bytes(12) + b"\x08\x00" + b"\x44" + bytes(60), False),
    "later-udp-fragment": (Packet(protocol=17, part="later"), True),
    "later-tcp-fragment": (Packet(part="later"), False),
    "first-tcp-fragment": (Packet(part="first"), True),
    "first-ssh-fragment": (Packet(part="first", to_port=22), False),
    "ipv6-later-tcp-fragment": (replace(V6, part="later"), False),
    "ipv6-first-ssh-fragment": (replace(V6, part="first", to_port=22), False),
    "tcp-without-ports": (Packet(cut=18), False),
    "ipv6-eight-extensions": (replace(V6, extensions=(0, 60, 60, 60, 60, 60, 60, 60)), True),
    "ipv6-nine-extensions": (replace(V6, extensions=(0, 60, 60, 60, 60, 60, 60, 60, 60)), False),
    "vlan": (Packet(tags=(0x8100,)), True),
    "vlan-in-vlan": (Packet(tags=(0x88A8, 0x8100)), True),
    "three-tags": (Packet(tags=(0x8100, 0x8100, 0x8100)), False),
    **{f"icmpv6-{kind}": (replace(V6, protocol=58, icmp_type=kind), False) for kind in (*range(130, 138), 143)},
    **{f"icmpv6-{kind}": (replace(V6, protocol=58, icmp_type=kind), True) for kind in (1, 2, 129, 138, 142, 144)},
}


@pytest.mark.parametrize(("packet", "expected"), ALL_TRAFFIC.values(), ids=ALL_TRAFFIC.keys())
def test_all_traffic_but_what_is_protected(everything: Matcher, packet: Packet | bytes, expected: bool) -> None:
    """A fault without selectors takes every IP packet, except what keeps the host reachable and on the network."""
    assert everything(packet) == expected


PORT_80 = Selectors(to_ports=((80, 80),))
# id: selectors, packet, matched
SELECTED = {
    "port": (PORT_80, Packet(), True),
    "port-below": (PORT_80, Packet(to_port=79), False),
    "port-above": (PORT_80, Packet(to_port=81), False),
    "port-of-source": (PORT_80, Packet(from_port=80, to_port=81), False),
    "port-byte-order": (PORT_80, Packet(to_port=80 << 8), False),
    "port-behind-options": (PORT_80, Packet(options=12), True),
    "port-behind-extensions": (PORT_80, replace(V6, extensions=(0, 43, 60, 135)), True),
    "port-behind-authentication": (PORT_80, replace(V6, extensions=(51,)), True),
    "port-of-ping": (PORT_80, Packet(protocol=1), False),
    "port-first-fragment": (PORT_80, Packet(part="first"), True),
    "port-later-fragment": (PORT_80, Packet(part="later"), False),
    "port-and-fragments": (Selectors(to_ports=((80, 80),), fragments=True), Packet(part="later"), True),
    "fragments-of-ping": (Selectors(to_ports=((80, 80),), fragments=True), Packet(part="later", protocol=1), False),
    "ipv6-fragments": (Selectors(to_ports=((80, 80),), fragments=True), replace(V6, part="later"), True),
    "range-begin": (Selectors(to_ports=((80, 90),)), Packet(to_port=80), True),
    "range-end": (Selectors(to_ports=((80, 90),)), Packet(to_port=90), True),
    "second-range": (Selectors(to_ports=((1, 2), (80, 90))), Packet(to_port=85), True),
    "highest-port": (Selectors(to_ports=((65535, 65535),)), Packet(to_port=65535), True),
    "from-port": (Selectors(from_ports=((40000, 40000),)), Packet(), True),
    "both-ports": (Selectors(from_ports=((1, 1),), to_ports=((80, 80),)), Packet(), False),
    "network": (Selectors(to=nets("10.0.0.0/30")), Packet(), True),
    "network-beside": (Selectors(to=nets("10.0.0.4/30")), Packet(), False),
    "second-network": (Selectors(to=nets("10.1.0.0/16", "10.0.0.2/32")), Packet(), True),
    "network-of-source": (Selectors(to=nets("10.0.0.1/32")), Packet(), False),
    "source": (Selectors(source=nets("10.0.0.1/32")), Packet(), True),
    "everything-v4": (Selectors(to=nets("0.0.0.0/0")), Packet(), True),
    "v4-leaves-v6": (Selectors(to=nets("0.0.0.0/0")), V6, False),
    "v6-network": (Selectors(to=nets("fd00::/64")), V6, True),
    "v6-address": (Selectors(to=nets("fd00::2")), V6, True),
    "v6-beside": (Selectors(to=nets("fd00::3")), V6, False),
    "v6-odd-length": (Selectors(to=nets("fd00::2/127")), V6, True),
    "excepted": (Selectors(to=nets("10.0.0.0/8"), except_to=nets("10.0.0.2")), Packet(), False),
    "not-excepted": (Selectors(to=nets("10.0.0.0/8"), except_to=nets("10.0.0.3")), Packet(), True),
    "v6-excepted": (Selectors(except_to=nets("fd00::/16")), V6, False),
    "protocol": (Selectors(protocols=("udp", "tcp")), Packet(), True),
    "other-protocol": (Selectors(protocols=("udp",)), Packet(), False),
    "icmp": (Selectors(protocols=("icmp",)), Packet(protocol=1), True),
    "icmp-is-icmpv6": (Selectors(protocols=("icmp",)), replace(V6, protocol=58, icmp_type=128), True),
    "icmpv6-number-in-v4": (Selectors(protocols=("icmp",)), Packet(protocol=58), False),
    "and-between-kinds": (Selectors(to=nets("10.0.0.2"), to_ports=((81, 81),)), Packet(), False),
}


@pytest.mark.parametrize(("selectors", "packet", "expected"), SELECTED.values(), ids=SELECTED.keys())
def test_selects(selectors: Selectors, packet: Packet, expected: bool) -> None:
    """A packet matches when each kind that is given has an entry for it and no exclusion does."""
    with Matcher(selectors) as matcher:
        assert matcher(packet) == expected
        assert matches(selectors, packet) == expected


ADDRESSES = {4: [f"10.0.0.{n}" for n in range(8)], 6: [f"fd00::{n}" for n in range(8)]}
NETWORKS = [
    ip_network((base, length), strict=False)
    for version, addresses in ADDRESSES.items()
    for base in addresses
    for length in ((29, 30, 31, 32) if version == 4 else (125, 126, 127, 128))
]
PORTS = st.integers(1, 5)
ranges = st.lists(st.tuples(PORTS, PORTS).map(lambda pair: (min(pair), max(pair))), max_size=2).map(tuple)
networks = st.lists(st.sampled_from(NETWORKS), max_size=3).map(tuple)
protected = st.builds(
    Protected,
    ports=st.frozensets(st.tuples(st.sampled_from([6, 17]), PORTS), max_size=2),
    networks=st.lists(st.sampled_from(NETWORKS), max_size=1).map(tuple),
)
any_selectors = st.builds(
    Selectors,
    to=networks,
    source=networks,
    to_ports=ranges,
    from_ports=ranges,
    protocols=st.lists(st.sampled_from(["tcp", "udp", "icmp", "sctp"]), max_size=2, unique=True).map(tuple),
    except_to=networks,
    except_source=networks,
    fragments=st.booleans(),
    protected=protected,
)


@st.composite
def any_packet(draw: st.DrawFn) -> Packet:
    version = draw(st.sampled_from([4, 6]))
    return Packet(
        source=draw(st.sampled_from(ADDRESSES[version])),
        to=draw(st.sampled_from(ADDRESSES[version])),
        protocol=draw(st.sampled_from([6, 17, 132, 47, 1 if version == 4 else 58])),
        from_port=draw(PORTS),
        to_port=draw(PORTS),
        icmp_type=draw(st.sampled_from([8, 128, 135])),
        part=draw(st.sampled_from(["whole", "first", "later"])),
        options=draw(st.sampled_from([0, 4, 40])),
        extensions=tuple(draw(st.lists(st.sampled_from([0, 43, 60]), max_size=3))) if version == 6 else (),
        tags=tuple(draw(st.lists(st.sampled_from([0x8100, 0x88A8]), max_size=2))),
    )


@settings(max_examples=100, deadline=None)
@given(any_selectors, st.lists(any_packet(), min_size=20, max_size=20))
def test_does_what_the_rules_say(selectors: Selectors, packets: list[Packet]) -> None:
    """Whatever the selectors, the program loads and answers as the rules in plain Python do."""
    with Matcher(selectors) as matcher:
        assert [matcher(packet) for packet in packets] == [matches(selectors, packet) for packet in packets]


def test_a_closed_gate_matches_nothing() -> None:
    """Past the expiry no packet matches; written anew, it matches again."""
    with Matcher(Selectors(), SHUT) as matcher:
        assert not matcher(Packet())
        matcher.gate.write(OPEN)
        assert matcher(Packet())
        matcher.gate.write(1)
        assert not matcher(Packet())


def test_notes_that_it_was_asked() -> None:
    """The program leaves a trace when it is asked at all, also by a packet that does not match."""
    with Matcher(PORT_80) as matcher:
        assert not matcher.counters.read()[SEEN // 8]
        matcher(Packet(to_port=1))
        assert matcher.counters.read()[SEEN // 8]


def test_counts_fragments_it_leaves_alone() -> None:
    """Later fragments that a port fault passes over are counted; those of other addresses or protocols are not."""
    with Matcher(Selectors(to=nets("10.0.0.2"), to_ports=((80, 80),), protocols=("udp",))) as matcher:
        for packet in (Packet(protocol=17, part="later"), Packet(protocol=17, part="later", to="10.0.0.3"),
                       Packet(part="later"), Packet(protocol=17)):  # fmt: skip
            matcher(packet)

        assert matcher.counters.read()[PASSED_OVER // 8] == 1
