"""Qdiscs and filters as the kernel has them."""

from collections.abc import Iterator

import pytest
from chaos_agent.host import bpf, tc
from chaos_agent.host.netlink import KernelRefused, Netlink

from tests.fakes.network import Host, pair

ETH0 = 2
NO_MATCH = bytes.fromhex("b7000000000000009500000000000000")
COOKIE = bytes(range(16))


@pytest.fixture
def here() -> Iterator[Host]:
    with pair() as (here, _):
        yield here


@pytest.fixture
def netlink(here: Host) -> Iterator[Netlink]:
    with here.inside():
        made = Netlink()
    with made:
        tc.add_clsact(made, ETH0)
        yield made


@pytest.fixture
def filter_of_ours(netlink: Netlink) -> tc.Filter:
    with bpf.Program(NO_MATCH) as program:
        return tc.add_redirect(netlink, (ETH0, tc.EGRESS), 49153, program.descriptor, "chaos:x", COOKIE, 1)


def test_reads_a_root_qdisc(here: Host, netlink: Netlink) -> None:
    """The kind of an interface's root and what waits in it."""
    here.tc("qdisc", "add", "dev", "eth0", "root", "pfifo")

    found = tc.root_qdisc(netlink, ETH0)

    assert found is not None
    assert (found.kind, found.qlen) == ("pfifo", 0)


def test_tells_a_shared_block(here: Host, netlink: Netlink) -> None:
    """A clsact with a block says so."""
    tc.delete_clsact(netlink, ETH0)
    here.tc("qdisc", "add", "dev", "eth0", "egress_block", "7", "clsact")

    assert [qdisc.shared for qdisc in tc.qdiscs(netlink, ETH0) if qdisc.kind == "clsact"] == [True]


def test_a_second_clsact_is_refused(netlink: Netlink) -> None:
    """Making never takes over what is there."""
    with pytest.raises(KernelRefused):
        tc.add_clsact(netlink, ETH0)


def test_reads_back_the_filter_it_added(netlink: Netlink, filter_of_ours: tc.Filter) -> None:
    """Name, cookie and target are as given, and nothing has matched."""
    found = tc.read_back(netlink, filter_of_ours)

    assert found is not None
    assert (found.name, found.cookie, found.target, found.direct_action) == ("chaos:x", COOKIE, 1, False)
    assert (found.matched_packets, found.matched_bytes) == (0, 0)
    assert found in tc.filters(netlink, ETH0, tc.EGRESS)
    assert tc.filters(netlink, ETH0, tc.INGRESS) == []


def test_deletes_one_filter_and_no_other(here: Host, netlink: Netlink, filter_of_ours: tc.Filter) -> None:
    """The neighbour of the same kind stays."""
    with bpf.Program(NO_MATCH) as program:
        tc.add_redirect(netlink, (ETH0, tc.EGRESS), 49154, program.descriptor, "chaos:y", COOKIE, 1)

    tc.delete_filter(netlink, filter_of_ours)

    assert tc.read_back(netlink, filter_of_ours) is None
    assert "chaos:y" in here.tc("filter", "show", "dev", "eth0", "egress")


def test_a_filter_without_its_clsact_is_gone(netlink: Netlink, filter_of_ours: tc.Filter) -> None:
    """With the hook the filters went; asking is no failure."""
    tc.delete_clsact(netlink, ETH0)

    assert tc.read_back(netlink, filter_of_ours) is None
    assert tc.filters(netlink, ETH0, tc.EGRESS) == []


def test_lists_chains_of_others(here: Host, netlink: Netlink) -> None:
    """A chain that somebody made keeps clsact from being empty."""
    here.tc("chain", "add", "dev", "eth0", "ingress", "chain", "5")

    assert 5 in tc.chains(netlink, ETH0, tc.INGRESS)
    assert 5 not in tc.chains(netlink, ETH0, tc.EGRESS)


def test_tells_direct_action(here: Host, netlink: Netlink, tmp_path: object) -> None:
    """A program that decides by itself is told from a classifier: `tc` shows the same."""
    with bpf.Program(NO_MATCH) as program:
        made = tc.add_redirect(netlink, (ETH0, tc.EGRESS), 5, program.descriptor, "theirs", COOKIE, 1)

    assert "direct-action" not in here.tc("filter", "show", "dev", "eth0", "egress")
    assert [found.direct_action for found in tc.filters(netlink, ETH0, tc.EGRESS) if found.handle == made.handle] == [
        False
    ]
