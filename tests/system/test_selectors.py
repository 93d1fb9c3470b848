"""Selectors: the packets that were named are later by what was asked, and no other, as programs with sockets see it."""

import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from chaosctl.exits import Exit

from tests.system.fleet import Fleet, latency, on
from tests.system.sockets import PING, TCP, UDP, Endpoint, Endpoints, Way, address, is_later, pings, ways

MS = 100.0
DELAY = "100ms"


@pytest.fixture
def web1(endpoints: Endpoints) -> Endpoint:
    """Programs on the host that is hit. The others answer."""
    return endpoints["web1"]


def names(chosen: list[Way]) -> set[str]:
    return {str(way) for way in chosen}


def test_a_port_is_delayed_over_both_families_and_nothing_else(
    fleet: Fleet, web1: Endpoint, endpoints: Endpoints
) -> None:
    """`--to-port 5432` delays what goes to that port over IPv4 and IPv6; no other port, no ping, no caller of ours."""
    fleet.run(latency(DELAY, to_port=["5432"]))

    late = web1.later(MS, [*ways("gw", 5431, 5432, 5433), *pings("gw")])
    callers = endpoints["gw"].later(MS, ways("web1", 5432))

    assert late == names(ways("gw", 5432))
    assert callers == set()


def test_ranges_reach_from_their_first_to_their_last_port(fleet: Fleet, web1: Endpoint) -> None:
    """`--to-port 6000-6100,80` takes both ends of the range, what is between, the single port, and nothing beside."""
    fleet.run(latency(DELAY, to_port=["6000-6100", "80"]))

    late = web1.later(MS, ways("gw", 80, 5999, 6000, 6050, 6100, 6101))

    assert late == names(ways("gw", 80, 6000, 6050, 6100))


def test_from_port_means_what_comes_from_it(fleet: Fleet, web1: Endpoint, endpoints: Endpoints) -> None:
    """`--from-port 8080` delays the answers of a server on that port, not what the host asks of others' port 8080."""
    fleet.run(latency(DELAY, from_port=["8080"]))

    late = endpoints["gw"].later(MS, ways("web1", 8080, 6000))
    asking = web1.later(MS, ways("gw", 8080, kinds=[TCP]))

    assert late == names(ways("web1", 8080))
    assert asking == set()


def test_an_address_means_that_address(fleet: Fleet, web1: Endpoint) -> None:
    """`--to` with an IPv4 address delays what goes there; the same machine's IPv6 address is another."""
    fleet.run(latency(DELAY, to=[address("gw", 4)]))

    late = web1.later(MS, [*ways("gw", 5432), *pings("gw"), *ways("db1", 5432)])

    assert late == names([Way(TCP, 4, "gw", 5432), Way(UDP, 4, "gw", 5432), Way(PING, 4, "gw")])


def test_exceptions_are_left_alone_within_a_network(fleet: Fleet, web1: Endpoint) -> None:
    """`--to` networks of both families, less `--except-to` one machine: all others in them are delayed."""
    fleet.run(latency(DELAY, to=["10.77.0.0/24", "fd77::/64"], except_to=["gw"]))

    late = web1.later(MS, [*ways("gw", 5432), *pings("gw"), *ways("db1", 5432), *pings("db1")])

    assert late == names([*ways("db1", 5432), *pings("db1")])


def test_exceptions_need_no_network(fleet: Fleet, web1: Endpoint) -> None:
    """`--except-to` alone delays everything but that."""
    fleet.run(latency(DELAY, except_to=[address("gw", 6)]))

    late = web1.later(MS, [*ways("gw", 5432, kinds=[TCP]), *ways("db1", 5432, kinds=[TCP])])

    assert late == {"tcp4 gw:5432", "tcp4 db1:5432", "tcp6 db1:5432"}


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[str]:
    """A name that only web1 knows; it means gw."""
    known = tmp_path / "hosts"
    known.write_text(Path("/etc/hosts").read_text() + "".join(f"{address('gw', n)} warehouse\n" for n in (4, 6)))
    on("web1", "mount", "--bind", str(known), "/etc/hosts")
    yield "warehouse"
    on("web1", "umount", "/etc/hosts")


def test_names_are_looked_up_on_the_host(fleet: Fleet, web1: Endpoint, warehouse: str) -> None:
    """A name is what the host takes it for, in both families, and what it became is reported."""
    experiment = fleet.run(latency(DELAY, to=[warehouse]))

    late = web1.later(MS, [*ways("gw", 5432), *ways("db1", 5432)])
    facts = fleet.client.show(experiment)["targets"][0]["facts"]

    assert late == names(ways("gw", 5432))
    assert facts["to"] == f"warehouse = {address('gw', 4)}, {address('gw', 6)}"


# protocol -> what of it is delayed
PROTOCOLS = {"tcp": ways("gw", 5432, kinds=[TCP]), "udp": ways("gw", 5432, kinds=[UDP]), "icmp": pings("gw")}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_protocol_means_that_protocol(fleet: Fleet, web1: Endpoint, protocol: str) -> None:
    """`--protocol` delays it over both families and no other; icmp means ICMPv6 as well."""
    fleet.run(latency(DELAY, protocol=[protocol]))

    late = web1.later(MS, [*ways("gw", 5432), *pings("gw")])

    assert late == names(PROTOCOLS[protocol])


def test_selectors_of_different_kinds_must_all_hold(fleet: Fleet, web1: Endpoint) -> None:
    """Address and protocol and port together mean packets that have all three."""
    fleet.run(latency(DELAY, to=["gw"], protocol=["tcp"], to_port=["5432", "8080"]))

    late = web1.later(MS, [*ways("gw", 5432, 5433, 8080), *ways("db1", 5432)])

    assert late == names(ways("gw", 5432, 8080, kinds=[TCP]))


def each_way(web1: Endpoint, to: Way) -> tuple[bool, bool]:
    """Whether datagrams of web1 are late, and whether their answers are."""

    def legs(number: int) -> list[float]:
        return [trip[number] for trip in web1.one_ways(to)]

    return is_later(partial(legs, 0), MS), is_later(partial(legs, 1), MS)


def test_ingress_delays_what_comes_in(fleet: Fleet, web1: Endpoint) -> None:
    """`--direction ingress --from-port 5432` delays answers from that port on their way in, and what goes out not."""
    fleet.run(latency(DELAY, direction="ingress", from_port=["5432"]))

    late = web1.later(MS, [*ways("gw", 5432, 5433), *pings("gw")])
    there_and_back = {each_way(web1, way) for way in ways("gw", 5432, kinds=[UDP])}

    assert late == names(ways("gw", 5432))
    assert there_and_back == {(False, True)}


def test_both_directions_mean_the_same_conversations(fleet: Fleet, web1: Endpoint, endpoints: Endpoints) -> None:
    """`--direction both --to-port 5432` delays what goes there and its answers, and no caller of our own 5432."""
    fleet.run(latency(DELAY, direction="both", to_port=["5432"]))

    late = web1.later(2 * MS, ways("gw", 5432, 5433))
    there_and_back = {each_way(web1, way) for way in ways("gw", 5432, kinds=[UDP])}
    callers = endpoints["gw"].later(MS, ways("web1", 5432))

    assert late == names(ways("gw", 5432))
    assert there_and_back == {(True, True)}
    assert callers == set()


# Three fragments of one datagram in both families: whether later ones are taken along -> which arrive first.
FRAGMENTS = {False: [1, 2, 0], True: [0, 1, 2]}


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("fragments", FRAGMENTS)
def test_later_fragments_are_taken_along_only_when_asked(
    fleet: Fleet, web1: Endpoint, endpoints: Endpoints, fragments: bool, family: int
) -> None:
    """Later fragments carry no port: `--to-port` leaves them alone, and with `--fragments` takes them along."""
    fleet.run(latency(DELAY, to_port=["5432"], protocol=["udp"], fragments=fragments))
    gateway = endpoints["gw"]

    gateway.ask("tap")
    there, _ = web1.one_ways(Way(UDP, family, "gw", 5432), size=4000)[0]
    seen = gateway.ask("tapped", 3)

    offsets = [offset for offset, _ in seen]
    last_ms = seen[-1][1]
    assert [sorted(offsets).index(offset) for offset in offsets] == FRAGMENTS[fragments]
    assert (last_ms > MS * 0.9) is not fragments
    assert there >= MS


@pytest.mark.parametrize("first_to_end", [0, 1], ids=["older-first", "newer-first"])
def test_two_disjoint_faults_are_exact_and_end_in_any_order(fleet: Fleet, web1: Endpoint, first_to_end: int) -> None:
    """Two faults on one interface with different ports each add their own delay; one ends, the other stays exact."""
    delays = {5432: 60.0, 8080: 120.0}
    running = [fleet.run(latency(f"{delay:.0f}ms", to_port=[str(port)])) for port, delay in delays.items()]
    ended, staying = (list(delays)[number] for number in (first_to_end, 1 - first_to_end))
    for port, delay in delays.items():
        assert web1.later(delay, ways("gw", port)) == names(ways("gw", port))
    assert web1.later(60, ways("gw", 5433)) == set()

    fleet.end(running[first_to_end])

    assert web1.later(delays[staying], ways("gw", staying)) == names(ways("gw", staying))
    assert web1.later(min(delays.values()), ways("gw", ended, 5433)) == set()


# What could match a packet that `--to-port 5432 --protocol tcp` matches, and what can't.
OVERLAPPING: dict[str, dict[str, Any]] = {
    "everything": {},
    "a-range-over-it": {"to_port": ["5000-6000"]},
    "a-machine": {"to": ["gw"]},
    "the-other-direction-too": {"direction": "both"},
}


@pytest.mark.parametrize("more", OVERLAPPING.values(), ids=OVERLAPPING.keys())
def test_a_fault_on_the_same_packets_is_refused(fleet: Fleet, web1: Endpoint, more: dict[str, Any]) -> None:
    """A second fault that could match the same packets is refused by name of the first, which stays exact."""
    first = fleet.run(latency("60ms", to_port=["5432"], protocol=["tcp"]))
    injection = fleet.client.show(first)["targets"][0]["injection_id"]

    refused = fleet.refused(latency(DELAY, **more))

    assert any(injection in problem for problem in refused), refused
    assert web1.later(60, ways("gw", 5432, 5433)) == names(ways("gw", 5432, kinds=[TCP]))


def test_the_refusal_of_an_overlap_has_its_exit_code(fleet: Fleet) -> None:
    """`chaosctl inject` ends with 3, names the first fault, and has nothing to say on stdout."""
    first = fleet.run(latency("60ms", to_port=["5432"]))
    injection = fleet.client.show(first)["targets"][0]["injection_id"]

    words = ["chaosctl", "inject", "latency", "--hosts", "web1", "--delay", DELAY, "--to", "gw", "--duration", "5s"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (Exit.LIMIT, "")
    assert injection in done.stderr
