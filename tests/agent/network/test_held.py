"""A diversion in effect: opened only when all is in place, and shut when something is not."""

import socket
import struct
from dataclasses import replace

import pytest
from chaos_agent.contract import FaultFailed

from tests.fakes.latencies import SECOND, Latencies, now
from tests.fakes.network import Host
from tests.fakes.packets import Packet

SOL_PACKET, PACKET_VNET_HDR = 263, 15


def sabotage_filter(host: Host, device: str) -> None:
    host.tc("filter", "del", "dev", "eth0", "egress")


def sabotage_clsact(host: Host, device: str) -> None:
    host.tc("qdisc", "del", "dev", "eth0", "clsact")


def sabotage_device(host: Host, device: str) -> None:
    host.batch(f"link del {device}")


def sabotage_state(host: Host, device: str) -> None:
    host.batch(f"link set {device} down")


def sabotage_alias(host: Host, device: str) -> None:
    host.batch(f"link set {device} alias theirs")


def sabotage_queue(host: Host, device: str) -> None:
    host.tc("qdisc", "replace", "dev", device, "root", "bfifo")


# what somebody does -> what is said of it
SABOTAGE = {
    sabotage_filter: "our filter is gone",
    sabotage_clsact: "our filter is gone",
    sabotage_device: "is gone",
    sabotage_state: "was set down",
    sabotage_alias: "is gone",
    sabotage_queue: "netem is gone",
}


@pytest.mark.parametrize(("sabotage", "said"), SABOTAGE.items())
def test_drift_is_named_and_closes_the_gate(here: Host, latencies: Latencies, sabotage: object, said: str) -> None:
    """What somebody changed under us is said each second, and the gate is shut: packets must have where to go."""
    assert callable(sabotage)
    running = latencies.inject(here)
    sabotage(here, running.held.devices[0])

    observed = running.held.observe()

    assert said in observed.drift
    assert not observed.effect
    assert here.ping("10.1.0.2", 3, "-W", "1").lost == 0


def test_the_gate_is_not_opened_further_on_a_changed_diversion(here: Host, latencies: Latencies) -> None:
    """A renewal reads back what it would keep open, refuses, and stays shut."""
    running = latencies.inject(here)
    sabotage_state(here, running.held.devices[0])

    with pytest.raises(FaultFailed, match="was set down"):
        running.held.extend(now() + 60 * SECOND)

    assert here.ping("10.1.0.2", 3, "-W", "1").lost == 0
    with pytest.raises(FaultFailed, match="closed for good"):
        running.held.extend(now() + 60 * SECOND)


def test_counts_what_it_diverts(here: Host, latencies: Latencies) -> None:
    """Matched packets and bytes are the action's own, once a packet."""
    running = latencies.inject(here, to=["10.1.0.2"])
    assert running.held.observe().unproven

    assert here.ping("10.1.0.2", 7).lost == 0

    observed = running.held.observe()
    assert observed.effect
    assert (observed.values["matched_packets"], observed.values["matched_bytes"]) == (7, 7 * 98)
    assert observed.values["delay_ns"] == 100_000_000


def test_a_closed_gate_lets_everything_pass(here: Host, latencies: Latencies) -> None:
    """After the closing no packet is diverted, though filter and ifb are still there."""
    running = latencies.inject(here)
    running.held.close()

    here.ping("10.1.0.2", 5)

    assert running.held.observe().values["matched_packets"] == 0


def test_an_expired_gate_lets_everything_pass(here: Host, latencies: Latencies) -> None:
    """An expiry in the past is a closed gate."""
    running = latencies.inject(here, lasts_s=-1)

    here.ping("10.1.0.2", 5)

    assert running.held.observe().values["matched_packets"] == 0


def test_a_filter_that_ends_classification_before_ours_is_no_effect(here: Host, latencies: Latencies) -> None:
    """Packets pass and ours is never asked: that is said, and is no effect."""
    here.tc("qdisc", "add", "dev", "eth0", "clsact")
    words = ("protocol", "all", "u32", "match", "u32", "0", "0", "flowid", "1:1")
    here.tc("filter", "add", "dev", "eth0", "egress", "pref", "1", *words)
    running = latencies.inject(here)

    here.ping("10.1.0.2", 30)

    observed = running.held.observe()
    assert not observed.effect
    assert "none came to our filter" in observed.why
    assert not observed.unproven


def test_traffic_of_another_kind_proves_nothing(here: Host, latencies: Latencies) -> None:
    """Packets that are not meant are no reason to call the fault without effect."""
    running = latencies.inject(here, to_port=[{"first": 5432, "last": 5432}])

    here.ping("10.1.0.2", 30)

    observed = running.held.observe()
    assert (observed.effect, observed.why) == (False, "")
    assert "no packet of the kind" in observed.unproven


def test_a_backlog_above_the_cap_closes_the_gate(here: Host, latencies: Latencies) -> None:
    """More bytes waiting than the host's owner allows ends the diversion."""
    running = latencies.inject(here)
    running.undo["backlog_cap_bytes"] = -1

    observed = running.held.observe()

    assert "more than the -1 this host allows" in observed.drift


def test_ssh_and_the_agent_are_never_diverted(two: tuple[Host, Host], latencies: Latencies) -> None:
    """A fault for all traffic leaves the agent's port alone, as destination and as source."""
    here, there = two
    connect = "import socket; socket.create_connection(('10.1.0.2', 7443)).close()"
    listen = (
        "import socket; s = socket.create_server(('10.1.0.2', 7443)); print('ready', flush=True);"
        "c, _ = s.accept(); c.recv(1)"
    )
    server = there.start("python3", "-c", listen)
    assert server.stdout and server.stdout.readline() == "ready\n"
    running = latencies.inject(here, direction="both", protocol=["tcp"])

    here.run("python3", "-c", connect)

    server.communicate()
    assert running.held.observe().values["matched_packets"] == 0


def test_sees_headers_that_are_not_in_the_linear_part(two: tuple[Host, Host], latencies: Latencies) -> None:
    """A sender may leave all but the Ethernet header outside the buffer's first part: it is matched all the same."""
    here, _ = two
    for host in two:
        host.batch("link set eth0 mtu 9000")
    running = latencies.inject(here, protocol=["udp"], to_port=[{"first": 80, "last": 80}])
    packet = replace(Packet("10.1.0.1", "10.1.0.2", protocol=17), options=40).ethernet() + bytes(6000)
    linear_part = struct.pack("=BBHHHH", 0, 0, 14, 0, 0, 0)  # struct virtio_net_hdr: 14 bytes of header

    with here.inside(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        sender.bind(("eth0", 0x0800))
        sender.send(linear_part + packet)

    assert running.held.observe().values["matched_packets"] == 1
