"""Our filter among others': behind them all, found by its marks, taken away alone."""

import pytest
from chaos_agent.contract import FaultFailed
from chaos_agent.host import tc
from chaos_agent.network.divert import FIRST_PREFERENCE, LAST_PREFERENCE, free_preference

from tests.fakes.latencies import Latencies
from tests.fakes.network import Host

FOREIGN = ("u32", "match", "ip", "dst", "10.1.0.9/32", "flowid", "1:1")


def furnish(host: Host) -> None:
    """A root qdisc, a clsact and filters of somebody else's."""
    host.tc("qdisc", "add", "dev", "eth0", "root", "handle", "5:", "htb", "default", "1")
    host.tc("qdisc", "add", "dev", "eth0", "clsact")
    for hook, preference in (("egress", "7"), ("egress", "50000"), ("ingress", "7")):
        host.tc("filter", "add", "dev", "eth0", hook, "pref", preference, "protocol", "ip", *FOREIGN)


@pytest.mark.parametrize("direction", ["egress", "ingress", "both"])
def test_leaves_a_furnished_interface_as_found(here: Host, latencies: Latencies, direction: str) -> None:
    """Root qdisc, clsact and filters of others are the same before and after, to the letter."""
    furnish(here)
    before = here.picture("eth0")

    latencies.inject(here, direction=direction)
    latencies.end()

    assert before == here.picture("eth0")


@pytest.mark.parametrize("direction", ["egress", "ingress", "both"])
def test_leaves_a_bare_interface_as_found(here: Host, latencies: Latencies, direction: str) -> None:
    """Where there was nothing, nothing is left."""
    before = here.picture("eth0")

    latencies.inject(here, direction=direction)
    latencies.end()

    assert before == here.picture("eth0")


def test_goes_behind_and_takes_no_preference_from_others(here: Host, latencies: Latencies) -> None:
    """A filter that somebody adds without a preference gets the same as without us."""
    here.tc("qdisc", "add", "dev", "eth0", "clsact")

    latencies.inject(here)

    assert f"pref {FIRST_PREFERENCE} bpf" in here.tc("filter", "show", "dev", "eth0", "egress")
    here.tc("filter", "add", "dev", "eth0", "egress", "protocol", "ip", *FOREIGN)
    assert "pref 49152 u32" in here.tc("filter", "show", "dev", "eth0", "egress")


# preferences taken -> the one we take
PREFERENCES = [
    ([], 49153),
    ([1, 49152], 49153),
    ([49153], 49154),
    ([49153, 49155], 49154),
    ([*range(49153, 65535)], 65535),
]


@pytest.mark.parametrize(("taken", "expected"), PREFERENCES)
def test_takes_the_first_free_preference(taken: list[int], expected: int) -> None:
    """From 49153 up, the first that nobody has."""
    assert expected == free_preference([tc.Filter(1, tc.EGRESS, one, 0, "flower", 1) for one in taken])


def test_says_when_no_preference_is_free() -> None:
    """With all of them taken there is no place behind the others."""
    everybody = [tc.Filter(1, tc.EGRESS, one, 0, "flower", 1) for one in range(FIRST_PREFERENCE, LAST_PREFERENCE + 1)]

    with pytest.raises(FaultFailed, match="no preference is free"):
        free_preference(everybody)


def test_a_foreign_filter_in_our_place_is_not_deleted(here: Host, latencies: Latencies) -> None:
    """Somebody removed our filter and put theirs at its preference: theirs stays."""
    running = latencies.inject(here)
    place = ("dev", "eth0", "egress", "pref", str(FIRST_PREFERENCE))
    here.tc("filter", "del", *place)
    here.tc("filter", "add", *place, "protocol", "ip", *FOREIGN)

    reverted = running.revert()

    assert reverted.result == "reverted"
    assert "u32" in here.tc("filter", "show", "dev", "eth0", "egress")
