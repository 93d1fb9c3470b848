"""Where a fault would be put, and what stands against it: read from a real kernel, nothing touched."""

import pytest
from chaos_agent.contract import Settings
from chaos_agent.host.links import Link
from chaos_agent.network.parameters import Traffic
from chaos_agent.network.planning import Plan, choose_interfaces, plan_diversion
from chaos_protocol.problems import Problem

from tests.fakes.latencies import Latencies
from tests.fakes.network import Host
from tests.fakes.nftables import add_ingress_chain

LINKS = [
    Link(1, "lo", loopback=True),
    Link(2, "eth0"),
    Link(3, "eth1"),
    Link(4, "chaos1234567890", kind="ifb", alias="chaos:1234"),
]
KNOWN = "eth0, eth1, lo"

# id: names asked for, indexes with a default route, chosen, complaints
CHOICES = {
    "default": ([], {2}, ["eth0"], []),
    "two-defaults": ([], {2, 3}, ["eth0", "eth1"], []),
    "never-loopback": ([], {1, 3}, ["eth1"], []),
    "named": (["eth1"], {2}, ["eth1"], []),
    "loopback-named": (["lo"], {2}, ["lo"], []),
    "named-twice": (["eth1", "eth1"], {2}, ["eth1"], []),
    "no-default": (
        [],
        set[int](),
        [],
        [Problem("interface", "", f"no interface carries a default route; name one of: {KNOWN}")],
    ),
    "unknown": (
        ["eth9", "eth0"],
        {2},
        ["eth0"],
        [Problem("interface", "eth9", f"is not on this host; there are: {KNOWN}")],
    ),
    "ours": (
        ["chaos1234567890"],
        {2},
        [],
        [Problem("interface", "chaos1234567890", f"is not on this host; there are: {KNOWN}")],
    ),
}


@pytest.mark.parametrize(("names", "default", "chosen", "problems"), CHOICES.values(), ids=CHOICES.keys())
def test_chooses_interfaces(names: list[str], default: set[int], chosen: list[str], problems: list[Problem]) -> None:
    """Those that are named, else those of the default routes; what is not there is named with what is."""
    found, complaints = choose_interfaces(names, LINKS, default)

    assert ([link.name for link in found], complaints) == (chosen, problems)


def plan(host: Host, **wanted: object) -> Plan:
    with host.inside():
        return plan_diversion(Traffic(**wanted), Settings(agent_port=7443))  # type: ignore[arg-type]


def said(made: Plan) -> list[tuple[str, str]]:
    return [(problem.culprit, problem.value) for problem in made.problems]


def test_a_bare_interface_has_nothing_against_it(here: Host) -> None:
    """The interface of both default routes is chosen once, and the leg says that clsact would be made."""
    made = plan(here)

    assert said(made) == []
    assert made.facts["interface"] == "eth0"
    assert [(leg["interface"], leg["direction"], leg["makes_clsact"]) for leg in made.legs] == [
        ("eth0", "egress", True)
    ]


def test_an_old_style_ingress_qdisc_bars_egress(here: Host) -> None:
    """It sits in clsact's place; ingress faults may use it."""
    here.tc("qdisc", "add", "dev", "eth0", "ingress")

    assert said(plan(here, direction="egress")) == [("eth0", "qdisc ingress")]
    assert said(plan(here, direction="both")) == [("eth0", "qdisc ingress")]
    assert said(plan(here, direction="ingress")) == []


def test_an_old_style_ingress_qdisc_carries_an_ingress_fault(here: Host, latencies: Latencies) -> None:
    """The fault joins it and leaves it."""
    here.tc("qdisc", "add", "dev", "eth0", "ingress")
    before = here.picture("eth0")
    running = latencies.inject(here, direction="ingress")

    here.ping("10.1.0.2", 4)

    assert running.held.observe().values["matched_packets"] == 4
    latencies.end()
    assert before == here.picture("eth0")


def test_a_shared_block_bars_every_fault(here: Host) -> None:
    """Filters in it would hit other interfaces too."""
    here.tc("qdisc", "add", "dev", "eth0", "ingress_block", "22", "clsact")

    assert said(plan(here)) == [("eth0", "clsact with a shared block")]


def test_an_nftables_ingress_chain_bars_ingress(here: Host) -> None:
    """Delayed packets would not pass that firewall."""
    with here.inside():
        add_ingress_chain("guard", "early", "eth0")

    assert said(plan(here, direction="ingress")) == [("eth0", "nftables chain guard early")]
    assert said(plan(here, direction="egress")) == []


def test_a_filter_behind_ours_is_mentioned(here: Host) -> None:
    """It will not act on what is delayed, so the plan says so."""
    here.tc("qdisc", "add", "dev", "eth0", "clsact")
    words = ("protocol", "ip", "u32", "match", "ip", "dst", "10.1.0.9/32", "flowid", "1:1")
    here.tc("filter", "add", "dev", "eth0", "egress", "pref", "60000", *words)

    made = plan(here)

    assert said(made) == []
    assert any("60000" in note for note in made.notes)


# direction -> what is matched, in words
MATCHED = {
    "egress": ["egress of eth0: tcp packets to 10.9.0.1 to port 80"],
    "ingress": ["ingress of eth0: tcp packets to 10.9.0.1 to port 80"],
    "both": [
        "egress of eth0: tcp packets to 10.9.0.1 to port 80",
        "ingress of eth0: tcp packets from 10.9.0.1 from port 80",
    ],
}


@pytest.mark.parametrize("direction", MATCHED)
def test_says_what_is_matched(here: Host, direction: str) -> None:
    """One direction is taken at its word; both are the same conversations, so ingress is mirrored."""
    made = plan(here, direction=direction, to=("10.9.0.1",), to_ports=((80, 80),), protocols=("tcp",))

    assert [note for note in made.notes if note.startswith(("egress", "ingress of"))] == MATCHED[direction]


def test_all_problems_come_at_once(here: Host) -> None:
    """A wrong interface, a wrong network and an impossible port are named together."""
    made = plan(here, interfaces=("eth9",), to=("10.0.0.0/99",), to_ports=((7443, 7443),), protocols=("tcp",))

    assert said(made) == [("to", "10.0.0.0/99"), ("to-port", "7443"), ("interface", "eth9")]


def test_a_second_fault_on_the_same_packets_overlaps(here: Host) -> None:
    """Claims of two plans are compared without a kernel."""
    first, second = plan(here, to=("10.1.0.0/16",)), plan(here, to=("10.1.0.2",))
    third = plan(here, to=("10.2.0.0/16",))

    assert first.claims[0].overlaps(second.claims[0])
    assert not first.claims[0].overlaps(third.claims[0])
