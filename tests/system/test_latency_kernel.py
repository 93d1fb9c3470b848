"""Latency in a real kernel with netem (User-mode Linux): what packets really do, measured by ping and by counting."""

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from chaos_agent.host import needs

from tests.fakes.latencies import MILLISECOND, SECOND, Latencies, now
from tests.fakes.network import Host, pair

Pair = tuple[Host, Host]
TOLERANCE_MS = 1.0

COUNTER = """
    import socket, struct, sys
    mode, family, address, port, count, gap_us = sys.argv[1:7]
    family = socket.AF_INET6 if family == "6" else socket.AF_INET
    plain = socket.socket(family, socket.SOCK_DGRAM)
    if mode == "send":
        import time
        due = time.monotonic()
        for number in range(int(count)):
            plain.sendto(struct.pack("=I", number) + bytes(60), (address, int(port)))
            due += int(gap_us) / 1e6
            time.sleep(max(0, due - time.monotonic()))
    else:
        plain.bind((address, int(port)))
        plain.settimeout(3)
        print("ready", flush=True)
        highest, late, seen = -1, 0, 0
        try:
            while seen < int(count):
                number = struct.unpack_from("=I", plain.recv(100))[0]
                late, highest, seen = late + (number < highest), max(highest, number), seen + 1
        except TimeoutError:
            pass
        print(seen, late, flush=True)
"""


@pytest.fixture(scope="module", autouse=True)
def tunnels() -> None:
    """The first tunnel of a kernel brings a device into every namespace that is there; better before than during."""
    subprocess.run(["modprobe", "ipip"], capture_output=True, check=False)


@pytest.fixture
def two() -> Iterator[Pair]:
    with pair() as joined:
        yield joined


@pytest.fixture
def latencies(tmp_path: Path, two: Pair) -> Iterator[Latencies]:
    made = Latencies(tmp_path)
    before = [host.picture("eth0") for host in two]
    yield made
    made.end()
    assert before == [host.picture("eth0") for host in two], "a host is not as it was found"


def flow(two: Pair, count: int, gap_us: int) -> tuple["subprocess.Popen[str]", "subprocess.Popen[str]"]:
    """A receiver that counts, and a sender that is under way: numbered datagrams, one each `gap_us`."""
    here, there = two
    words = ("10.1.0.2", "9000", str(count), str(gap_us))
    receiver = there.start(sys.executable, "-c", textwrap.dedent(COUNTER), "receive", "4", *words)
    assert receiver.stdout and receiver.stdout.readline() == "ready\n"
    return receiver, here.start(sys.executable, "-c", textwrap.dedent(COUNTER), "send", "4", *words)


def arrived(processes: tuple["subprocess.Popen[str]", "subprocess.Popen[str]"]) -> tuple[int, int]:
    """How many came, and how many of them after one that was sent later."""
    receiver, sender = processes
    sender.communicate()
    seen, late = receiver.communicate()[0].split()
    return int(seen), int(late)


@pytest.mark.parametrize("address", ["10.1.0.2", "fd01::2"])
def test_delays_both_families_exactly(two: Pair, latencies: Latencies, address: str) -> None:
    """A delay of 100 ms makes a round trip 100 ms longer, within a millisecond, with IPv4 and with IPv6."""
    here, _ = two
    before = here.ping(address)

    latencies.inject(here, 100)

    during = here.ping(address, 10)
    assert during.lost == 0
    assert during.median_ms - before.median_ms == pytest.approx(100, abs=TOLERANCE_MS)


# direction -> how much longer the round trip
DIRECTIONS = {"egress": 40, "ingress": 40, "both": 80}


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_delays_in_the_direction_asked_for(two: Pair, latencies: Latencies, direction: str) -> None:
    """One direction adds the delay once to a round trip, both add it twice."""
    here, _ = two

    latencies.inject(here, 40, direction=direction)

    for address in ("10.1.0.2", "fd01::2"):
        assert here.ping(address, 10).median_ms == pytest.approx(DIRECTIONS[direction], abs=TOLERANCE_MS)


def test_the_gate_closes_without_any_process(two: Pair, latencies: Latencies) -> None:
    """When nobody holds the fault any more, it is gone at its expiry, and no packet is lost over it."""
    here, _ = two
    running = latencies.inject(here, 50, lasts_s=2)

    running.held.release()

    pings = here.ping("10.1.0.2", 80)
    delayed = [time for time in pings.times_ms if time > 40]
    assert pings.lost == 0
    assert len(delayed) > 10
    assert max(pings.times_ms[-20:]) < 2
    assert sorted(pings.times_ms[: len(delayed)]) == sorted(delayed)


def test_an_orderly_end_neither_loses_nor_reorders(two: Pair, latencies: Latencies) -> None:
    """Fading lets a steady flow end its delay without a packet lost or overtaken."""
    here, _ = two
    counted = flow(two, 1500, 2000)
    running = latencies.inject(here, 100)

    running.fade(SECOND)
    running.held.close()
    reverted = running.revert()

    assert arrived(counted) == (1500, 0)
    assert (reverted.result, reverted.left, reverted.dropped) == ("reverted", "", 0)


def test_an_abort_loses_nothing(two: Pair, latencies: Latencies) -> None:
    """An end in a hurry lets what is inside come out: nothing is lost, though later packets overtake it."""
    here, _ = two
    counted = flow(two, 1000, 2000)
    running = latencies.inject(here, 100)
    here.ping("10.1.0.2", 10)

    running.held.close()
    reverted = running.revert()

    seen, late = arrived(counted)
    assert seen == 1000
    assert 0 < late < 100
    assert reverted.dropped == 0


def test_jitter_keeps_the_order(two: Pair, latencies: Latencies) -> None:
    """Jitter does not let packets overtake each other."""
    here, _ = two
    counted = flow(two, 800, 2000)

    latencies.inject(here, 50, jitter_ns=20 * MILLISECOND)

    assert arrived(counted) == (800, 0)


def test_reordering_can_be_allowed(two: Pair, latencies: Latencies) -> None:
    """Whoever asks for it gets netem's jitter with overtaking."""
    here, _ = two
    counted = flow(two, 800, 2000)

    latencies.inject(here, 50, jitter_ns=20 * MILLISECOND, reorder="allow")

    seen, late = arrived(counted)
    assert seen == 800
    assert late > 80


def test_two_faults_hold_at_once(two: Pair, latencies: Latencies) -> None:
    """Two faults with different traffic are both exact on one interface, and one ends without the other."""
    here, _ = two
    first = latencies.inject(here, 50, to=["10.1.0.2"])
    second = latencies.inject(here, 20, to=["fd01::2"])

    assert not first.claims[0].overlaps(second.claims[0])
    assert here.ping("10.1.0.2", 10).median_ms == pytest.approx(50, abs=TOLERANCE_MS)
    assert here.ping("fd01::2", 10).median_ms == pytest.approx(20, abs=TOLERANCE_MS)
    first.held.close()
    assert first.revert().result == "reverted"
    assert here.ping("10.1.0.2").median_ms < 2
    assert here.ping("fd01::2", 10).median_ms == pytest.approx(20, abs=TOLERANCE_MS)


def test_filters_of_others_keep_working(two: Pair, tmp_path: Path) -> None:
    """A filter before ours and one behind it still drop what they dropped, and are there afterwards."""
    here, there = two
    there.batch(*(f"addr add 10.1.0.{number}/24 dev eth0" for number in (3, 4)))
    here.tc("qdisc", "add", "dev", "eth0", "clsact")
    for preference, address in (("10", "10.1.0.3"), ("60000", "10.1.0.4")):
        words = ("filter", "add", "dev", "eth0", "egress", "pref", preference, "protocol", "ip", "flower")
        here.tc(*words, "dst_ip", address, "action", "drop")
    before = here.picture("eth0")
    latencies = Latencies(tmp_path)

    latencies.inject(here, 30, to=["10.1.0.2"])

    assert here.ping("10.1.0.2").median_ms == pytest.approx(30, abs=TOLERANCE_MS)
    assert here.ping("10.1.0.3", 3, "-W", "1").lost == 3
    assert here.ping("10.1.0.4", 3, "-W", "1").lost == 3
    latencies.end()
    assert before == here.picture("eth0")


def test_delays_vlan_traffic_at_the_parent(two: Pair, latencies: Latencies) -> None:
    """A fault on the parent sees into the packets of its VLANs, both ways."""
    here, there = two
    for host, number in ((here, 1), (there, 2)):
        host.batch("link add link eth0 name v7 type vlan id 7", "link set v7 up")
        host.batch(f"addr add 10.7.0.{number}/24 dev v7", f"addr add fd07::{number}/64 dev v7 nodad")

    latencies.inject(here, 30, interface=["eth0"], direction="both", to=["10.7.0.2", "fd07::2"])

    assert here.ping("10.7.0.2", 10).median_ms == pytest.approx(60, abs=TOLERANCE_MS)
    assert here.ping("fd07::2", 10).median_ms == pytest.approx(60, abs=TOLERANCE_MS)
    assert here.ping("10.1.0.2").median_ms < 2
    latencies.end()
    for host in two:
        host.batch("link del v7")


# name: how to make it out of eth0, what is impaired
STACKED = {
    "bridge": (["link add br0 up type bridge", "link set eth0 master br0"], "br0"),
    "bridge-port": (["link add br0 up type bridge", "link set eth0 master br0"], "eth0"),
    "bond": (["link add br0 type bond mode 1", "link set eth0 down master br0", "link set br0 up"], "br0"),
    "bond-slave": (["link add br0 type bond mode 1", "link set eth0 down master br0", "link set br0 up"], "eth0"),
    "macvlan": (["link add link eth0 name br0 up type macvlan mode bridge"], "br0"),
    "macvlan-parent": (["link add link eth0 name br0 up type macvlan mode bridge"], "eth0"),
    "ipip": (["link add br0 up type ipip local 10.1.0.{here} remote 10.1.0.{there}"], "br0"),
}


@pytest.mark.parametrize("direction", ["egress", "ingress"])
@pytest.mark.parametrize(("lines", "impaired"), STACKED.values(), ids=STACKED.keys())
def test_delays_on_stacked_interfaces(
    two: Pair, latencies: Latencies, lines: list[str], impaired: str, direction: str
) -> None:
    """Bridges, bonds, macvlans and tunnels, and what they stand on, are delayed as plain interfaces are."""
    here, there = two
    for host, number, other in ((here, 1, 2), (there, 2, 1)):
        host.batch(*(line.format(here=number, there=other) for line in lines))
        host.batch(f"addr add 10.8.0.{number}/24 dev br0", f"addr add fd08::{number}/64 dev br0 nodad")
    assert here.ping("10.8.0.2").lost == 0

    latencies.inject(here, 30, interface=[impaired], direction=direction)

    assert here.ping("10.8.0.2", 10).median_ms == pytest.approx(30, abs=TOLERANCE_MS)
    latencies.end()
    for host in two:
        host.batch("link del br0", "link set eth0 up")


def test_loopback_when_it_is_named(two: Pair, latencies: Latencies) -> None:
    """Both ways of a round trip on loopback go out of it."""
    here, _ = two

    latencies.inject(here, 20, interface=["lo"])

    assert here.ping("127.0.0.1", 10).median_ms == pytest.approx(40, abs=2 * TOLERANCE_MS)
    assert here.ping("::1", 10).median_ms == pytest.approx(40, abs=2 * TOLERANCE_MS)


def matched(two: Pair, latencies: Latencies, fragments: bool) -> tuple[float, float]:
    """Packets matched and fragments passed over when one datagram of three fragments goes to port 9000."""
    here, _ = two
    ports = [{"first": 9000, "last": 9000}]
    running = latencies.inject(here, 10, protocol=["udp"], to_port=ports, fragments=fragments)
    send = "import socket; socket.socket(2, 2).sendto(bytes(4000), ('10.1.0.2', 9000))"
    here.run(sys.executable, "-c", send)
    values = running.held.observe().values
    return values["matched_packets"], values["fragments_passed_over"]


def test_a_port_fault_leaves_later_fragments_alone(two: Pair, latencies: Latencies) -> None:
    """Later fragments carry no ports: they pass, and are counted."""
    assert matched(two, latencies, fragments=False) == (1, 2)


def test_a_port_fault_takes_fragments_along_when_asked(two: Pair, latencies: Latencies) -> None:
    """With `fragments` all of a datagram is delayed."""
    assert matched(two, latencies, fragments=True) == (3, 0)


def test_an_ifb_that_is_set_down_closes_the_gate(two: Pair, latencies: Latencies) -> None:
    """What would make a black hole of the fault is noticed, and the fault is inert from then on."""
    here, _ = two
    running = latencies.inject(here, 30)
    here.batch(f"link set {running.held.devices[0]} down")

    observed = running.held.observe()

    assert "was set down" in observed.drift
    assert here.ping("10.1.0.2").lost == 0


def test_what_is_inside_is_waited_for(two: Pair, latencies: Latencies) -> None:
    """Reverting a fault whose holder died lets the packets inside come out before the ifb goes."""
    here, there = two
    running = latencies.inject(here, 400)
    words = ("10.1.0.2", "9000", "20", "1000")
    receiver = there.start(sys.executable, "-c", textwrap.dedent(COUNTER), "receive", "4", *words)
    assert receiver.stdout and receiver.stdout.readline() == "ready\n"
    here.run(sys.executable, "-c", textwrap.dedent(COUNTER), "send", "4", *words)

    begin = now()
    reverted = running.revert()

    assert reverted.dropped == 0
    assert now() - begin < 2 * SECOND
    assert receiver.communicate()[0].split() == ["20", "0"]


def test_nothing_is_missing() -> None:
    """Where netem, ifb, cls_bpf and mirred can be had, nothing is said to be missing."""
    assert needs.missing() == ()
