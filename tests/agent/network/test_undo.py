"""The undo, from the journal alone: in any state, twice, and honest about what it did."""

import pytest
from chaos_agent.contract import Reverted
from chaos_agent.host import links
from chaos_agent.host.netlink import Netlink
from chaos_agent.network import marks
from chaos_agent.network.undo import revert

from tests.fakes.latencies import Latencies
from tests.fakes.network import Host

ID = "11111111-2222-3333-4444-555555555555"
NOTHING = Reverted("no trace")


def undo(folder: object) -> dict[str, object]:
    return {"id": ID, "delay_ns": 1, "jitter_ns": 0, "legs": [], "runtime_folder": str(folder)}


def test_before_anything_was_injected(here: Host, tmp_path: object) -> None:
    """Undoing what never was is harmless and says so."""
    before = here.picture("eth0")

    with here.inside():
        assert revert(undo(tmp_path)) == NOTHING

    assert before == here.picture("eth0")


def test_twice(here: Host, latencies: Latencies) -> None:
    """The second undo finds nothing."""
    running = latencies.inject(here, direction="both")

    assert [running.revert(), running.revert()] == [Reverted("reverted"), NOTHING]


def test_an_ifb_whose_maker_died_before_it_was_named(here: Host, tmp_path: object) -> None:
    """Between its making and its alias an ifb is known by its name, as long as it is down."""
    here.batch(f"link add {marks.device(ID, 0)} type ifb")

    with here.inside():
        assert revert(undo(tmp_path)) == Reverted("reverted")

    assert "ifb" not in here.run("ip", "-d", "link", "show")


# what is there, though not ours
FOREIGN = {
    "named-alike-and-up": [f"link add {marks.device(ID, 0)} type ifb", f"link set {marks.device(ID, 0)} up"],
    "alias-of-another": [f"link add {marks.device(ID, 0)} type ifb", f"link set {marks.device(ID, 0)} alias chaos:x"],
    "no-ifb": [f"link add {marks.device(ID, 0)} type bridge", f"link set {marks.device(ID, 0)} alias chaos:{ID}"],
}


@pytest.mark.parametrize("lines", FOREIGN.values(), ids=FOREIGN.keys())
def test_what_only_looks_like_ours_stays(here: Host, tmp_path: object, lines: list[str]) -> None:
    """Ownership is read, not guessed."""
    here.batch(*lines)
    before = here.picture("eth0")

    with here.inside():
        assert revert(undo(tmp_path)) == NOTHING

    assert before == here.picture("eth0")


def test_after_the_interface_was_renamed(here: Host, latencies: Latencies) -> None:
    """The undo goes by index."""
    running = latencies.inject(here)
    here.batch("link set eth0 down", "link set eth0 name renamed", "link set renamed up")

    assert running.revert() == Reverted("reverted")

    assert "clsact" not in here.tc("qdisc", "show")


def test_after_the_interface_went(here: Host, latencies: Latencies) -> None:
    """With its interface the filter went; the ifb is found all the same."""
    running = latencies.inject(here)
    here.batch("link del eth0")

    assert running.revert() == Reverted("reverted")

    with here.inside(), Netlink() as netlink:
        assert [link.name for link in links.links(netlink)] == ["lo"]


def test_another_injection_is_left_alone(here: Host, latencies: Latencies) -> None:
    """What bears another id is not touched."""
    running = latencies.inject(here, to=["10.1.0.2"])

    with here.inside():
        assert revert(undo(latencies.folder)) == NOTHING

    assert running.held.observe().drift == ""


class StuckClock:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.ns, self.waited_s = 0, 0.0

    def __call__(self) -> int:
        return self.ns

    def pause(self, seconds: float) -> None:
        self.waited_s += seconds
        self.ns += int(seconds * 1e9)


def test_reads_that_nothing_is_inside_twice(here: Host, latencies: Latencies) -> None:
    """Empty is what was seen empty twice, a moment apart."""
    running, clock = latencies.inject(here), StuckClock()

    with here.inside():
        assert revert(running.undo, clock.pause, clock) == Reverted("reverted")

    assert clock.waited_s == pytest.approx(0.02)
