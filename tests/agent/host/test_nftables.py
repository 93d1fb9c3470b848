"""What nftables hangs at an interface's ingress, as the kernel tells it."""

from collections.abc import Iterator

import pytest
from chaos_agent.host.netlink import NETFILTER, Netlink, attribute, nested, text
from chaos_agent.host.nftables import flowtables, ingress_hooks

from tests.fakes.network import Host, pair
from tests.fakes.nftables import INET, NETDEV, add_ingress_chain


@pytest.fixture
def here() -> Iterator[Host]:
    with pair() as (here, _):
        yield here


def test_nothing_where_nothing_hangs(here: Host) -> None:
    """A host without such chains has none."""
    with here.inside():
        assert ingress_hooks() == []


@pytest.mark.parametrize("family", [NETDEV, INET])
def test_an_ingress_chain(here: Host, family: int) -> None:
    """Chains of both families that can hook an interface's ingress are found, once each."""
    with here.inside():
        add_ingress_chain("guard", "early", "eth0", family)

        assert ingress_hooks() == [("eth0", "nftables chain guard early")]


class Recorded(Netlink):
    """Answers a dump with what is given."""

    def __init__(self, *bodies: bytes) -> None:
        super().__init__(NETFILTER)
        self.bodies = list(bodies)

    def dump(self, doing: str, kind: int, body: bytes) -> list[bytes]:
        return self.bodies


def test_a_flowtable() -> None:
    """Every device of a flowtable has its packets taken at ingress. (No kernel of the workshop has flowtables.)"""
    devices = nested(3, text(1, "eth0"), text(1, "eth1"))
    hook = nested(3, attribute(1, bytes(4)), attribute(2, bytes(4)), devices)
    body = bytes(4) + text(1, "guard") + text(2, "fast") + hook

    with Recorded(body) as netlink:
        found = list(flowtables(netlink))

    assert found == [("eth0", "nftables flowtable guard fast"), ("eth1", "nftables flowtable guard fast")]
