"""Nobody else pays, and who is hit pays with time alone: nothing is lost, nothing is overtaken."""

import statistics

import pytest

from tests.system.fleet import Fleet, Pinging, latency, ping
from tests.system.sockets import UDP, Arrivals, Endpoints, Flow, Way

HIT = 9000
DELAY_MS = 300
NOISE_MS = 2.0
"""What a percentile may differ by between two runs of the same on a busy machine."""


def pings_beside_a_fault(fleet: Fleet, endpoints: Endpoints, host: str) -> Pinging:
    """Pings of web1, 2 ms apart, while a fault on other packets of `host` is injected, holds and is reverted."""
    with Pinging("web1", interval=0.002) as pinging:
        experiment = fleet.run(latency(f"{DELAY_MS}ms", host, to_port=[str(HIT)]))
        assert min(endpoints[host].trips(Way(UDP, 4, "gw", HIT))) >= DELAY_MS
        assert ping("web1", 1000, interval=0.002).received == 1000
        fleet.end(experiment)
    return pinging


def share_ms(pinging: Pinging, hundredths: int) -> float:
    """So many of a hundred answers took no longer."""
    return statistics.quantiles((answer.ms for answer in pinging.answers), n=100)[hundredths - 1]


def test_a_bystander_on_the_same_interface_notices_nothing(fleet: Fleet, endpoints: Endpoints) -> None:
    """Of over 1000 pings, 2 ms apart, none is lost or delayed while a fault on the same interface comes and goes."""
    elsewhere = pings_beside_a_fault(fleet, endpoints, "web2")  # the machine as busy, web1 without a fault

    here = pings_beside_a_fault(fleet, endpoints, "web1")

    assert len(here.answers) >= 1000
    assert here.lost == set()
    assert max(answer.ms for answer in here.answers) < DELAY_MS * 0.9
    for hundredths in (50, 90, 99):
        assert share_ms(here, hundredths) <= share_ms(elsewhere, hundredths) + NOISE_MS


@pytest.fixture
def flow(endpoints: Endpoints) -> Flow:
    """Datagrams from web1 to gw, 2 ms apart, which the faults here delay."""
    return Flow(endpoints["web1"], endpoints["gw"], gap_ms=2, port=HIT)


def held(arrivals: Arrivals, at_least_ms: float) -> list[float]:
    """The delays of those that were under the fault."""
    return [delay for delay in arrivals.delays if delay >= at_least_ms]


def test_an_orderly_end_neither_loses_nor_reorders(fleet: Fleet, flow: Flow) -> None:
    """A fault begins and its duration passes under a steady flow: every packet arrives, in the order of sending."""
    with flow:
        fleet.until_over(fleet.run(latency("200ms", duration="6s", to_port=[str(HIT)])))
    arrivals = flow.arrivals()

    assert len(held(arrivals, 199)) > 100
    assert (arrivals.lost, arrivals.overtaken) == (set(), 0), arrivals


def test_an_abort_loses_nothing(fleet: Fleet, flow: Flow) -> None:
    """An abort under a steady flow: what was inside still comes out, though later packets overtake it."""
    with flow:
        experiment = fleet.run(latency("200ms", to_port=[str(HIT)]))
        fleet.until(experiment, lambda now: now["targets"][0]["observed"].get("backlog_packets", 0) > 0)
        fleet.end(experiment)
    arrivals = flow.arrivals()

    assert len(held(arrivals, 199)) > 10
    assert arrivals.lost == set(), arrivals


def test_jitter_reorders_nothing(fleet: Fleet, flow: Flow) -> None:
    """50 ms ± 20 ms on packets 2 ms apart: delays differ, none is lost, none overtakes another."""
    experiment = fleet.run(latency("50ms", jitter="20ms", to_port=[str(HIT)]))

    with flow:
        ping("web2", 100, interval=0.02)  # two seconds of it
    arrivals = flow.arrivals()
    fleet.end(experiment)

    assert len(held(arrivals, 30)) == arrivals.sent > 500
    assert statistics.pstdev(held(arrivals, 30)) > 1
    assert (arrivals.lost, arrivals.overtaken) == (set(), 0), arrivals
