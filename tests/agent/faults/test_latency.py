"""Latency: what it would do, before it does it."""

from collections.abc import Iterator

import pytest
from chaos_agent.contract import Fault, Settings, Verdict
from chaos_agent.faults.latency import FAULT, Latency
from chaos_agent.host.links import Link
from chaos_agent.network.parameters import Traffic

from tests.fakes.network import Host, pair

ID = "11111111-2222-3333-4444-555555555555"
MILLISECOND = 10**6
MIB = 1024 * 1024


@pytest.fixture
def here() -> Iterator[Host]:
    with pair() as (here, _):
        yield here


def check(host: Host, **parameters: object) -> Verdict:
    with host.inside():
        return FAULT.read({"delay_ns": 100 * MILLISECOND, **parameters}).check(ID, Settings(agent_port=7443))


def test_is_a_fault() -> None:
    """It has every method of the contract."""
    fault: Fault = FAULT(1)

    assert fault.read({"delay_ns": 7}) == Latency(7)


def test_reads_its_parameters() -> None:
    """What is absent has its default."""
    assert FAULT.read({"delay_ns": 7}) == Latency(7, 0, True, Traffic())
    assert FAULT.read({"delay_ns": 7, "jitter_ns": 3, "reorder": "allow", "direction": "both"}) == Latency(
        7, 3, False, Traffic("both")
    )


# jitter -> what is said of it
JITTERS = [
    (0, []),
    (100 * MILLISECOND, []),
    (101 * MILLISECOND, [("jitter", "101000000 ns")]),
]


@pytest.mark.parametrize(("jitter_ns", "expected"), JITTERS)
def test_jitter_is_at_most_the_delay(here: Host, jitter_ns: int, expected: list[tuple[str, str]]) -> None:
    """A packet can't come before it was sent."""
    found = check(here, jitter_ns=jitter_ns).problems

    assert expected == [(problem.culprit, problem.value) for problem in found]


def test_jitter_is_at_most_what_netem_can_keep(here: Host) -> None:
    """Beyond 31 bits of nanoseconds netem would vary by something else."""
    found = check(here, delay_ns=10 * 1000 * MILLISECOND, jitter_ns=2**31).problems

    assert [problem.culprit for problem in found] == ["jitter"]


# delay and jitter in ms, MTU, cap in MiB -> packets; a veth says 10 Gbit/s, lo does not know and counts the same
CAPACITIES = {
    "short": (1, 0, 1500, 256, 1041),
    "as-the-link-carries": (100, 0, 1500, 256, 104166),
    "with-jitter": (100, 100, 1500, 1024, 208333),
    "jumbo": (100, 0, 9000, 256, 17361),
    "as-the-host-allows": (10_000, 0, 1500, 256, 178956),
    "never-under-a-thousand": (1, 0, 65536, 1, 1000),
}


@pytest.mark.parametrize(
    ("delay_ms", "jitter_ms", "mtu", "cap_mib", "expected"), CAPACITIES.values(), ids=CAPACITIES.keys()
)
def test_room_for_what_the_link_carries(delay_ms: int, jitter_ms: int, mtu: int, cap_mib: int, expected: int) -> None:
    """Netem's own 1000 packets would turn a delay into loss."""
    fault = Latency(delay_ms * MILLISECOND, jitter_ms * MILLISECOND)

    assert fault.capacity(Link(1, "lo", mtu=mtu), cap_mib * MIB) == expected


def test_says_from_which_rate_on_it_loses(here: Host) -> None:
    """The plan names the rate above which the delay becomes loss."""
    assert any("12500 Mbit/s" in note and "loss" in note for note in check(here).notes)


def test_the_undo_is_whole(here: Host) -> None:
    """Everything the worker and the undo need is in it: no file of the host is read again."""
    undo = check(here, direction="both", to=["10.1.0.2"]).undo

    assert undo["id"] == ID
    legs = undo["legs"]
    assert isinstance(legs, list)
    assert [(leg["direction"], leg["index"], leg["limit"]) for leg in legs] == [
        ("egress", 2, 104166),
        ("ingress", 2, 104166),
    ]
    assert [leg["selectors"]["to" if leg["direction"] == "egress" else "source"] for leg in legs] == [["10.1.0.2"]] * 2
    assert undo["protected"] == {"ports": [[6, 7443]], "networks": []}


def test_checking_touches_nothing(here: Host) -> None:
    """A plan leaves no trace."""
    before = here.picture("eth0")

    check(here, direction="both")

    assert before == here.picture("eth0")
