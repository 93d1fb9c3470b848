"""Two injections may not hold the same packets, also where one interface stands on the other."""

import pytest
from chaos_agent.host.links import Link
from chaos_agent.network.claims import PacketsClaim, stands_on
from chaos_agent.network.selectors import Selectors

LINKS = [
    Link(1, "lo"),
    Link(2, "eth0", master=5),
    Link(3, "eth1", master=5),
    Link(4, "eth2"),
    Link(5, "bond0", kind="bond"),
    Link(6, "bond0.7", kind="vlan", lower=5),
    Link(7, "bond0.8", kind="vlan", lower=5),
    Link(8, "tun0", kind="ipip", lower=4),
]
BY_NAME = {link.name: link.index for link in LINKS}
PORT_80, PORT_81 = Selectors(to_ports=((80, 80),)), Selectors(to_ports=((81, 81),))


def claim(interface: str, direction: str = "egress", selectors: Selectors = PORT_80) -> PacketsClaim:
    index = BY_NAME[interface]
    return PacketsClaim(f"{direction} of {interface}", index, direction, stands_on(index, LINKS), selectors)


# id: one, another, same packets
PAIRS = {
    "same": (claim("eth0"), claim("eth0"), True),
    "other-direction": (claim("eth0"), claim("eth0", "ingress"), False),
    "other-port": (claim("eth0"), claim("eth0", selectors=PORT_81), False),
    "other-interface": (claim("eth0"), claim("eth2"), False),
    "slave-of-bond": (claim("bond0"), claim("eth1"), True),
    "vlan-and-slave": (claim("bond0.7"), claim("eth1"), True),
    "vlan-and-other-port": (claim("bond0.7"), claim("eth1", selectors=PORT_81), False),
    "two-vlans": (claim("bond0.7"), claim("bond0.8"), False),
    "two-slaves": (claim("eth0"), claim("eth1"), False),
    "tunnel-hides-headers": (claim("tun0"), claim("eth2"), False),
}


@pytest.mark.parametrize(("one", "another", "expected"), PAIRS.values(), ids=PAIRS.keys())
def test_overlap(one: PacketsClaim, another: PacketsClaim, expected: bool) -> None:
    """The same packet in the same direction, on one interface or on one above the other, is an overlap."""
    assert one.overlaps(another) == expected
    assert another.overlaps(one) == expected


def test_says_what_it_holds() -> None:
    """A refusal names the interface, the direction and the packets."""
    assert str(claim("eth0")) == "egress of eth0: packets to port 80"
