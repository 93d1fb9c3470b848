"""Which packets a fault means, and whether two faults could mean the same one."""

import itertools
from ipaddress import ip_network

import pytest
from chaos_agent.network.selectors import Network, Protected, Selectors
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.packets import Packet, matches


def nets(*words: str) -> tuple[Network, ...]:
    return tuple(ip_network(word) for word in words)


HTTP, HTTPS = ((80, 80),), ((443, 443),)
SSH = Protected(frozenset({(6, 22)}))

# id: one, another, could the same packet match both
PAIRS = {
    "all-and-all": (Selectors(), Selectors(), True),
    "all-and-one": (Selectors(), Selectors(to=nets("10.0.0.1"), to_ports=HTTP), True),
    "two-ports": (Selectors(to_ports=HTTP), Selectors(to_ports=HTTPS), False),
    "ranges-that-touch": (Selectors(to_ports=((1, 80),)), Selectors(to_ports=((80, 90),)), True),
    "ranges-beside": (Selectors(to_ports=((1, 79),)), Selectors(to_ports=((80, 90),)), False),
    "source-and-destination-port": (Selectors(to_ports=HTTP), Selectors(from_ports=HTTPS), True),
    "two-networks": (Selectors(to=nets("10.0.0.0/9")), Selectors(to=nets("10.128.0.0/9")), False),
    "nested-networks": (Selectors(to=nets("10.0.0.0/8")), Selectors(to=nets("10.128.0.0/9")), True),
    "two-families": (Selectors(to=nets("0.0.0.0/0")), Selectors(to=nets("::/0")), False),
    "excepted": (Selectors(except_to=nets("10.1.0.0/16")), Selectors(to=nets("10.1.2.0/24")), False),
    "half-excepted": (Selectors(except_to=nets("10.1.0.0/17")), Selectors(to=nets("10.1.0.0/16")), True),
    "excepted-in-halves": (
        Selectors(except_to=nets("10.1.0.0/17", "10.1.128.0/17")),
        Selectors(to=nets("10.1.0.0/16")),
        False,
    ),
    "two-protocols": (Selectors(protocols=("tcp",)), Selectors(protocols=("udp", "icmp")), False),
    "common-protocol": (Selectors(protocols=("tcp", "udp")), Selectors(protocols=("udp",)), True),
    "ping-has-no-ports": (Selectors(protocols=("icmp",)), Selectors(to_ports=HTTP), False),
    "only-protected-in-common": (
        Selectors(to_ports=((20, 22),), protocols=("tcp",), protected=SSH),
        Selectors(to_ports=((22, 30),), protected=SSH),
        False,
    ),
    "protected-in-tcp-only": (
        Selectors(to_ports=((20, 22),), protected=SSH),
        Selectors(to_ports=((22, 30),), protected=SSH),
        True,
    ),
    "fragments-of-both": (
        Selectors(to_ports=HTTP, fragments=True),
        Selectors(to_ports=HTTPS, fragments=True),
        True,
    ),
    "fragments-of-one": (Selectors(to_ports=HTTP, fragments=True), Selectors(to_ports=HTTPS), False),
    "protected-network": (
        Selectors(to=nets("10.0.0.1"), protected=Protected(networks=nets("10.0.0.0/24"))),
        Selectors(),
        False,
    ),
}


@pytest.mark.parametrize(("one", "another", "expected"), PAIRS.values(), ids=PAIRS.keys())
def test_overlap(one: Selectors, another: Selectors, expected: bool) -> None:
    """Two faults overlap when one packet could match both, whichever is asked."""
    assert one.overlaps(another) == expected
    assert another.overlaps(one) == expected


# A world so small that every packet in it can be tried: two families, four addresses, three ports.
ADDRESSES = {4: [f"10.0.0.{n}" for n in range(4)], 6: [f"fd00::{n}" for n in range(4)]}
NETWORKS = [
    ip_network((base, length), strict=False)
    for version, addresses in ADDRESSES.items()
    for base in addresses
    for length in ((30, 31, 32) if version == 4 else (126, 127, 128))
]
PORTS = (1, 2, 3)
PROTOCOLS = {4: (6, 17, 1, 47), 6: (6, 17, 58, 47)}


def every_packet() -> list[Packet]:
    return [
        Packet(source, to, protocol, from_port, to_port, 128, part)
        for version, addresses in ADDRESSES.items()
        for source, to in itertools.product(addresses, addresses)
        for protocol in PROTOCOLS[version]
        for from_port, to_port, part in [
            *((first, second, "whole") for first, second in itertools.product(PORTS, PORTS)),
            (1, 1, "later"),
        ]
    ]


EVERY_PACKET = every_packet()
ports = st.sampled_from(PORTS)
ranges = st.lists(st.tuples(ports, ports).map(lambda pair: (min(pair), max(pair))), max_size=1).map(tuple)
networks = st.lists(st.sampled_from(NETWORKS), max_size=2).map(tuple)
WHOLE_WORLD = nets("10.0.0.0/30", "fd00::/126")


def inside_the_world(made: Selectors) -> Selectors:
    """What is not limited is limited to the world, or packets outside would meet unseen."""
    return Selectors(
        to=made.to or WHOLE_WORLD,
        source=made.source or WHOLE_WORLD,
        to_ports=made.to_ports and made.to_ports,
        from_ports=made.from_ports,
        protocols=made.protocols or ("tcp", "udp", "icmp", "gre"),
        except_to=made.except_to,
        except_source=made.except_source,
        fragments=made.fragments,
        protected=made.protected,
    )


some_selectors = st.builds(
    Selectors,
    to=networks,
    source=networks,
    to_ports=ranges,
    from_ports=ranges,
    protocols=st.lists(st.sampled_from(["tcp", "udp", "icmp"]), max_size=2, unique=True).map(tuple),
    except_to=networks,
    except_source=networks,
    fragments=st.booleans(),
    protected=st.builds(
        Protected,
        ports=st.frozensets(st.tuples(st.sampled_from([6, 17]), ports), max_size=2),
        networks=st.lists(st.sampled_from(NETWORKS), max_size=1).map(tuple),
    ),
).map(inside_the_world)


@settings(max_examples=200, deadline=None)
@given(some_selectors, some_selectors)
def test_overlap_is_what_trying_every_packet_says(one: Selectors, another: Selectors) -> None:
    """A packet that matches both means overlap, and overlap means that there is one."""
    found = any(matches(one, packet) and matches(another, packet) for packet in EVERY_PACKET)

    assert one.overlaps(another) == another.overlaps(one)
    assert found <= one.overlaps(another)
    if all(made.to_ports and made.from_ports for made in (one, another)):
        assert found == one.overlaps(another)


def test_mirrored_twice_is_itself() -> None:
    """Seen from the other side and back again, the conversations are the same."""
    made = Selectors(nets("10.0.0.1"), (), HTTP, HTTPS, ("tcp",), nets("10.0.0.2"), (), True, SSH)

    assert made.mirrored().mirrored() == made


def test_mirrored_swaps_what_is_to_and_from() -> None:
    """The answer of a packet to a port comes from that port."""
    made = Selectors(to=nets("10.0.0.1"), to_ports=HTTP, except_to=nets("10.0.0.2"))

    assert made.mirrored() == Selectors(source=nets("10.0.0.1"), from_ports=HTTP, except_source=nets("10.0.0.2"))


# id: selectors, how a plan puts it
WORDS = {
    "all": (Selectors(), "packets"),
    "some": (
        Selectors(to=nets("10.0.0.1", "fd00::/64"), to_ports=((80, 80), (8000, 8010)), protocols=("tcp", "udp")),
        "tcp/udp packets to 10.0.0.1, fd00::/64 to port 80, 8000-8010",
    ),
    "except": (Selectors(except_to=nets("10.0.0.0/8")), "packets except to 10.0.0.0/8"),
}


@pytest.mark.parametrize(("selectors", "expected"), WORDS.values(), ids=WORDS.keys())
def test_is_put_into_words(selectors: Selectors, expected: str) -> None:
    """A plan says what is matched in one line."""
    assert str(selectors) == expected
