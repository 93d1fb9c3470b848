"""The main job: packets of the chosen hosts are later by what was asked, nobody else's, and nothing is left."""

import time

from tests.system.fleet import Fleet, latency, on, picture, ping

FOREIGN = """
tc qdisc add dev eth0 root handle 1: prio
tc qdisc add dev eth0 clsact
tc filter add dev eth0 egress pref 100 protocol ip flower dst_ip 10.77.0.250 action drop
tc filter add dev eth0 ingress pref 7 protocol all flower action pass
"""


def test_delays_the_chosen_hosts_by_what_was_asked(fleet: Fleet) -> None:
    """100 ms more to every web host in the mean, nothing more to db1; after it all is as before."""
    before = {host: ping(host).mean for host in ("web1", "web2", "web3", "db1")}

    experiment = fleet.run(latency("100ms", "web*", duration="12s"))
    during = {host: ping(host).mean for host in before}
    end = fleet.until_over(experiment)
    after = {host: ping(host) for host in before}

    assert end["state"] == "completed" and {target["state"] for target in end["targets"]} == {"clean"}
    assert all(99 <= during[host] - before[host] <= 101 for host in ("web1", "web2", "web3")), during
    assert during["db1"] - before["db1"] < 1
    assert all(pings.most < 20 and pings.received == pings.sent for pings in after.values()), after


def test_leaves_foreign_qdiscs_and_filters_as_they_were(fleet: Fleet) -> None:
    """A root qdisc, a clsact and filters of somebody else's stay, and work while the fault holds."""
    on("web1", "sh", "-ec", FOREIGN)
    try:
        found = picture("web1")
        experiment = fleet.run(latency("50ms", "web1"))

        assert 49 <= ping("web1").mean <= 52
        assert ping("10.77.0.250", 2, "web1").received == 0
        fleet.end(experiment)

        assert found == picture("web1")
    finally:
        on("web1", "sh", "-c", "tc qdisc del dev eth0 root; tc qdisc del dev eth0 clsact")


def test_is_inert_within_a_second_of_its_end(fleet: Fleet) -> None:
    """When the duration is over, packets pass as before within a second."""
    began = time.monotonic()
    experiment = fleet.run(latency("100ms", "web1", duration="3s"))
    assert 99 <= ping("web1", 3).mean <= 102

    fleet.until_over(experiment)

    assert ping("web1", 3).most < 20
    assert time.monotonic() - began < 3 + 2 + 1.1
