"""An engine's ifb: found by its mark, ended once. What netem does in it is tested in a kernel that has it."""

from chaos_agent.host import links
from chaos_agent.host.netlink import Netlink
from chaos_agent.host.tc_netem import Shape
from chaos_agent.network import netem

from tests.fakes.fifo_engine import FifoEngine
from tests.fakes.network import Host

ID, OTHER = "11111111-2222-3333-4444-555555555555", "21111111-2222-3333-4444-555555555555"
SHAPE = Shape(1, 0, 1000)


def test_engines_are_found_by_their_injection(here: Host) -> None:
    """Those of another injection are not."""
    with here.inside(), Netlink() as netlink:
        ours = [FifoEngine.start(netlink, f"ours{n}", ID, SHAPE).index for n in range(2)]
        FifoEngine.start(netlink, "other", OTHER, SHAPE)

        assert ours == [engine.index for engine in netem.find(netlink, ID)]


def test_ending_twice_is_harmless(here: Host) -> None:
    """An engine that is gone is ended."""
    with here.inside(), Netlink() as netlink:
        engine = FifoEngine.start(netlink, "ours", ID, SHAPE)
        engine.end()
        engine.end()

        assert engine.inside() == 0
        assert links.link(netlink, engine.index) is None


def test_an_ifb_without_netem_is_wrong(here: Host) -> None:
    """Packets sent there would not be delayed, or be lost."""
    with here.inside(), Netlink() as netlink:
        engine = FifoEngine.start(netlink, "ours", ID, SHAPE)
        assert engine.wrong() == ""

        (found,) = netem.find(netlink, ID)

        assert found.wrong() == "netem is gone from our ifb ours"
