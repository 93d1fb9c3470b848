"""Parameters into selectors, names into addresses, selectors into the undo and back."""

import json
from collections.abc import Mapping, Sequence
from ipaddress import ip_network

import pytest
from chaos_agent.network.parameters import (
    MOST_NETWORKS,
    Traffic,
    look_up,
    protected_from_json,
    protected_to_json,
    selectors_from_json,
    selectors_to_json,
)
from chaos_agent.network.selectors import Protected, Selectors

SSH = Protected(frozenset({(6, 22)}))


def phone_book(names: Sequence[str]) -> Mapping[str, Sequence[str]]:
    known = {"db1": ["10.0.0.5", "fd00::5"], "web": ["10.0.0.6"]}
    return {name: known[name] for name in names if name in known}


def nobody_asks(names: Sequence[str]) -> Mapping[str, Sequence[str]]:
    raise AssertionError(names)


def test_absent_parameters_are_no_limits() -> None:
    """Only what is given narrows the traffic."""
    assert Traffic.read({"delay_ns": 1}) == Traffic()


def test_reads_every_parameter() -> None:
    """Fields of the message become what the planner works with."""
    read = Traffic.read(
        {
            "direction": "both",
            "interface": ["eth0"],
            "to": ["db1"],
            "to_port": [{"first": 80, "last": 90}, {"first": 443, "last": 443}],
            "from_port": [{"first": 1, "last": 1}],
            "protocol": ["tcp", "icmp"],
            "except_to": ["10.0.0.1"],
            "fragments": True,
        }
    )

    assert read == Traffic(
        "both", ("eth0",), ("db1",), ("10.0.0.1",), ((80, 90), (443, 443)), ((1, 1),), ("tcp", "icmp"), True
    )


def test_a_name_becomes_its_addresses_of_both_families() -> None:
    """What a name became is in the facts, so that the plan shows who is hit."""
    reading = look_up(Traffic(to=("db1", "10.1.0.0/16")), SSH, phone_book)

    assert [str(network) for network in reading.selectors.to] == ["10.0.0.5/32", "fd00::5/128", "10.1.0.0/16"]
    assert reading.facts == {"to": "db1 = 10.0.0.5, fd00::5, 10.1.0.0/16"}


def test_addresses_are_not_looked_up() -> None:
    """An address is known without asking anybody, host bits and all."""
    reading = look_up(Traffic(to=("10.0.0.5/8", "fd00::5")), SSH, nobody_asks)

    assert [str(network) for network in reading.selectors.to] == ["10.0.0.0/8", "fd00::5/128"]


# id: traffic, culprits and values
PROBLEMS = {
    "unknown-name": (Traffic(to=("nowhere",)), [("to", "nowhere")]),
    "unknown-exception": (Traffic(except_to=("nowhere",)), [("except-to", "nowhere")]),
    "no-network": (Traffic(to=("10.0.0.0/64",)), [("to", "10.0.0.0/64")]),
    "too-many": (
        Traffic(to=tuple(f"10.0.{n // 256}.{n % 256}" for n in range(MOST_NETWORKS + 1))),
        [("to", f"{MOST_NETWORKS + 1} networks")],
    ),
    "ports-of-icmp": (Traffic(protocols=("icmp",), to_ports=((80, 80),)), [("protocol", "icmp")]),
    "only-protected": (Traffic(protocols=("tcp",), to_ports=((22, 22),)), [("to-port", "22")]),
    "protected-among-others": (Traffic(protocols=("tcp",), to_ports=((22, 23),)), []),
    "two-at-once": (Traffic(to=("a",), except_to=("b",)), [("to", "a"), ("except-to", "b")]),
}


@pytest.mark.parametrize(("traffic", "expected"), PROBLEMS.values(), ids=PROBLEMS.keys())
def test_names_what_cannot_be(traffic: Traffic, expected: list[tuple[str, str]]) -> None:
    """Each problem names the flag and the value."""
    found = look_up(traffic, SSH, phone_book).problems

    assert expected == [(problem.culprit, problem.value) for problem in found]


def test_selectors_survive_the_journal() -> None:
    """What is written to disk comes back the same."""
    made = Selectors(
        to=(ip_network("10.0.0.0/8"), ip_network("fd00::1")),
        to_ports=((80, 90),),
        protocols=("tcp", "icmp"),
        except_source=(ip_network("10.0.0.1"),),
        fragments=True,
        protected=Protected(frozenset({(6, 22), (17, 51820)}), (ip_network("10.9.0.0/16"),)),
    )

    stored = json.loads(json.dumps([selectors_to_json(made), protected_to_json(made.protected)]))

    assert made == selectors_from_json(stored[0], protected_from_json(stored[1]))
