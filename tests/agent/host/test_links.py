"""Interfaces as the kernel has them, compared with what ip shows."""

from collections.abc import Iterator

import pytest
from chaos_agent.host import links
from chaos_agent.host.links import Link
from chaos_agent.host.netlink import KernelRefused, Netlink
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
    here.batch(
        "link add link eth0 name v7 type vlan id 7",
        "link add br0 type bridge",
        "link set v7 master br0 mtu 1400 alias some-alias",
    )

    found = by_name(here)

    vlan = found["v7"]
    assert (vlan.kind, vlan.mtu, vlan.alias, vlan.up) == ("vlan", 1400, "some-alias", False)
    assert (vlan.lower, vlan.master) == (found["eth0"].index, found["br0"].index)
    assert (found["lo"].loopback, found["eth0"].up, found["eth0"].kind) == (True, True, "veth")


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
        "link add link eth0 name v7 type vlan id 7",
        "link add link eth0 name v8 type vlan id 8",
        *(f"link set v{n} up" for n in (7, 8)),
        *(f"addr add 10.{n}.0.1/24 dev v{n}" for n in (7, 8)),
        "route replace default nexthop via 10.1.0.2 nexthop via 10.7.0.2",
        "route add default via 10.8.0.2 table 100",
    )

    found = by_name(here)

    assert default_routes(here) == {found["eth0"].index, found["v7"].index}


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
