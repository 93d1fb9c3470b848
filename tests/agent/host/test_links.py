"""Interfaces as the kernel has them, compared with what ip shows."""

import struct
from collections.abc import Iterator

import pytest
from chaos_agent.host import links
from chaos_agent.host.links import Link
from chaos_agent.host.netlink import KernelRefused, Netlink, nested, text, u32

from tests.fakes.network import Host, pair


@pytest.fixture
def here() -> Iterator[Host]:
    with pair() as (here, _):
        yield here


def by_name(host: Host) -> dict[str, Link]:
    with host.inside(), Netlink() as netlink:
        return {link.name: link for link in links.links(netlink)}


def test_reads_what_ip_shows(here: Host) -> None:
    """Kind, state, alias, size and who stands on whom."""
    here.batch("link add br0 type bridge", "link set eth0 master br0 mtu 1400 alias some-alias")

    found = by_name(here)

    eth0 = found["eth0"]
    assert (eth0.kind, eth0.mtu, eth0.alias, eth0.up) == ("veth", 1400, "some-alias", True)
    assert eth0.master == found["br0"].index
    assert (found["br0"].kind, found["br0"].up, found["lo"].loopback) == ("bridge", False, True)


def test_reads_what_an_interface_stands_on() -> None:
    """A VLAN interface names its parent."""
    body = struct.pack("=BxHiII", 0, 1, 7, 1, 0) + text(3, "v7") + u32(5, 2) + nested(18, text(1, "vlan"))

    assert links.read_link(body) == Link(7, "v7", up=True, kind="vlan", lower=2)


def test_the_peer_in_another_namespace_is_not_below(here: Host) -> None:
    """A veth's link is an index of another namespace; here it would be anybody."""
    assert by_name(here)["eth0"].lower == 0


def test_counts_packets(here: Host) -> None:
    """The interface's counters move with what it sends."""
    before = by_name(here)["eth0"].counters["tx_packets"]

    here.ping("10.1.0.2", 5)

    assert by_name(here)["eth0"].counters["tx_packets"] >= before + 5


def default_routes(host: Host) -> set[int]:
    with host.inside(), Netlink() as netlink:
        return links.default_route_interfaces(netlink)


def test_default_routes_of_both_families(here: Host) -> None:
    """One interface with both is found once; one with IPv6 alone is found."""
    assert default_routes(here) == {by_name(here)["eth0"].index}

    here.batch("route del default")

    assert default_routes(here) == {by_name(here)["eth0"].index}


def test_default_routes_over_several_interfaces(here: Host) -> None:
    """All next hops of a multipath route carry it; other tables do not count."""
    here.batch(
        *(f"link add br{n} up type bridge" for n in (7, 8)),
        *(f"addr add 10.{n}.0.1/24 dev br{n}" for n in (7, 8)),
        "route replace default nexthop via 10.1.0.2 nexthop via 10.7.0.2",
        "route add default via 10.8.0.2 table 100",
    )

    found = by_name(here)

    assert default_routes(here) == {found["eth0"].index, found["br7"].index}


def test_an_ifb_bears_its_alias_and_is_quiet(here: Host) -> None:
    """It is made down, named, and without an IPv6 address that would make it speak."""
    with here.inside(), Netlink() as netlink:
        index = links.make_ifb(netlink, "ours", "some-alias")
        links.set_up(netlink, index)

    shown = here.run("ip", "-d", "link", "show", "ours")
    assert "alias some-alias" in shown
    assert "addrgenmode none" in shown
    assert by_name(here)["ours"] == Link(index, "ours", True, False, "ifb", "some-alias", 1500, 0, 0,
                                         by_name(here)["ours"].counters)  # fmt: skip
    assert by_name(here)["ours"].counters["tx_packets"] == 0


def test_deletes_by_index(here: Host) -> None:
    """What is deleted twice is absent the second time."""
    with here.inside(), Netlink() as netlink:
        index = links.make_ifb(netlink, "ours", "some-alias")
        links.delete_link(netlink, index)

        with pytest.raises(KernelRefused) as refused:
            links.delete_link(netlink, index)

        assert refused.value.absent
        assert links.link(netlink, index) is None


def test_the_speed_of_a_veth(here: Host) -> None:
    """A veth says 10 Gbit/s; loopback and what does not exist say nothing."""
    with here.inside():
        assert [links.speed_mbit(name) for name in ("eth0", "lo", "none")] == [10_000, None, None]
